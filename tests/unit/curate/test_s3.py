"""Sources in S3, by HTTP from a local server: whole files, parts of files, folders, archives."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.errors import MachineError
from bessemer.curate.ingest import ingest
from bessemer.curate.inventory import take_inventory
from bessemer.curate.splitting import cut_file
from bessemer.engine.tasks import Engine

from .conftest import run_ingest
from .formats import jsonl, parquet, tar

ROWS = [{"text": f"Row {n}: grün 😀 " + "iron " * (n % 29), "n": n} for n in range(300)]
LINES = b"\n \n".join(jsonl([row]).rstrip(b"\n") for row in ROWS)
FILES = {
    "part-1.jsonl.zst": pa.compress(LINES, codec="zstd", asbytes=True),
    "part-2.jsonl": LINES + b"\nbroken",
    "part-3.parquet": parquet(
        {"text": [row["text"] for row in ROWS]},
        row_group_size=40,
        compression="none",
        use_dictionary=False,
    ),
    "part-4.tar": tar({"a.jsonl": LINES, "b.parquet": parquet({"text": ["last"]})}),
}


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """The address of an S3 that lives as long as the tests of this file."""
    server = pytest.importorskip("moto.server", reason='pip install "bessemer[test]"')
    pytest.importorskip("s3fs")
    thread = server.ThreadedMotoServer(port=0, verbose=False)
    thread.start()
    host, port = thread.get_host_and_port()
    yield f"http://{host}:{port}"
    thread.stop()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket with the files; workers find the server by their environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    stores = fsspec.get_filesystem_class("s3")
    stores.clear_instance_cache()  # one kept from another test knows another server
    system = fsspec.filesystem("s3")
    system.mkdir("bucket")
    for name, data in FILES.items():
        system.pipe_file(f"bucket/raw/{name}", data)
    yield "s3://bucket/raw"
    system.rm("bucket", recursive=True)
    stores.clear_instance_cache()


def source(path: str) -> SourceConfig:
    return SourceConfig(name="s", kind="web", path=(path,))


def told(found: Any, place: str) -> list[Any]:
    """All that is said of documents and rows, with the place of files left out."""
    return [
        {key: value.replace(place, "") if isinstance(value, str) else value
         for key, value in row.items()}
        for row in found.documents + found.decisions
    ]  # fmt: skip


@pytest.mark.parametrize("shard_bytes", [4000, 10**9])
def test_a_bucket_is_read_as_the_same_files_on_disk(
    bucket: str, tmp_path: Path, shard_bytes: int
) -> None:
    (tmp_path / "raw").mkdir()
    for name, data in FILES.items():
        (tmp_path / "raw" / name).write_bytes(data)
    curate = CurateConfig(shard_bytes=shard_bytes)
    engine = Engine(runner="processes", workers=2)
    here = run_ingest(tmp_path, [source("raw/*")], curate, tmp_path / "here", engine)
    there = run_ingest(tmp_path, [source(f"{bucket}/*")], curate, tmp_path / "there", engine)
    assert len(there.documents) == 4 * 300 + 1
    assert told(there, f"{bucket}/") == told(here, "raw/")
    assert there.sums == here.sums
    names = [sorted(path.name for path in (each.folder / "documents").iterdir())
             for each in (here, there)]  # fmt: skip
    if shard_bytes == 4000:
        assert len(names[1]) > 20


@pytest.mark.parametrize("name", ["part-2.jsonl", "part-3.parquet"])
def test_large_files_in_a_bucket_are_split(bucket: str, tmp_path: Path, name: str) -> None:
    [file] = take_inventory([source(f"{bucket}/{name}")], tmp_path)
    cut = cut_file(file, source(bucket), CurateConfig(shard_bytes=4000))
    assert len(cut["ranges"]) > 4


class Cut(io.RawIOBase):
    """A connection that breaks."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise OSError("Connection reset by peer")


@pytest.mark.parametrize("name", FILES)
def test_a_store_that_fails_costs_no_document(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    place = f"{bucket}/{name}"
    curate = CurateConfig(shard_bytes=4000)
    system = type(fsspec.filesystem("s3"))
    with monkeypatch.context() as patch:
        patch.setattr(system, "open", lambda *_, **__: Cut())
        with pytest.raises(MachineError) as error:
            run_ingest(tmp_path, [source(place)], curate, tmp_path / "out", Engine())
    assert str(error.value) == (
        f"cannot read {place}: OSError: Connection reset by peer; "
        "run again to go on from the finished shards"
    )
    found = run_ingest(tmp_path, [source(place)], curate, tmp_path / "out", Engine())
    assert len(found.documents) >= 300


def test_a_file_that_is_gone_from_a_store_is_told(bucket: str, tmp_path: Path) -> None:
    files = take_inventory([source(f"{bucket}/part-2.jsonl")], tmp_path)
    fsspec.filesystem("s3").rm_file("bucket/raw/part-2.jsonl")
    with pytest.raises(MachineError, match=r"^cannot read s3://bucket/raw/part-2\.jsonl: .*; run"):
        ingest(files, [source(bucket)], CurateConfig(), tmp_path / "out", Engine())


def test_one_pattern_of_the_compressed(bucket: str, tmp_path: Path) -> None:
    found = run_ingest(
        tmp_path, [source("s3://bucket/raw/*.jsonl.zst")], CurateConfig(), tmp_path / "o", Engine()
    )
    assert [row["text"] for row in found.documents] == [row["text"] for row in ROWS]
    assert found.files[0]["path"] == "s3://bucket/raw/part-1.jsonl.zst"


def test_a_folder_of_a_bucket_is_all_of_it(bucket: str, tmp_path: Path) -> None:
    files = take_inventory([source(bucket)], tmp_path)
    assert [file.path for file in files] == [f"{bucket}/{name}" for name in FILES]
    assert take_inventory([source(f"{bucket}/none")], tmp_path) == ()
