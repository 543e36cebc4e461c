"""A folder is a source: of files as they are, or a data set as the Hugging Face Hub lays it out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from bessemer.config.curate import CurateConfig
from bessemer.config.kinds import Kind
from bessemer.config.sources import SourceConfig
from bessemer.core.errors import MachineError
from bessemer.curate.formats.by_name import files_of_folder
from bessemer.curate.inventory import matches_nothing, take_inventory
from bessemer.engine.tasks import Engine

from .conftest import run_ingest
from .formats import jsonl, parquet

CARD = b"---\nlicense: cc0-1.0\nconfigs:\n- config_name: default\n---\n# A data set\n"
FILES = {
    ".gitattributes": b"*.parquet filter=lfs diff=lfs merge=lfs -text\n",
    "README.md": CARD,
    "dataset_infos.json": b"{}",
    "LICENSE": b"CC0",
    "data/train-00000-of-00002.parquet": parquet({"text": ["one", "two"], "id": [1, 2]}),
    "data/train-00001-of-00002.parquet": parquet({"text": ["three"], "id": [3]}),
    "more/extra.jsonl": jsonl([{"text": "four"}]),
    ".cache/download.parquet": b"PAR1 half",
}
ROWS = [name for name in FILES if name.startswith(("data/", "more/"))]


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A data set as `snapshot_download` leaves it: links to blobs."""
    folder = tmp_path / "hub" / "datasets--o--d" / "snapshots" / "0a1b2c"
    blobs = folder.parents[1] / "blobs"
    blobs.mkdir(parents=True)
    for number, (name, data) in enumerate(FILES.items()):
        (blobs / str(number)).write_bytes(data)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(blobs / str(number))
    return folder


def source(path: str, kind: Kind = "web") -> SourceConfig:
    return SourceConfig(name="s", kind=kind, path=(path,))


@pytest.mark.parametrize("is_absolute", [True, False])
def test_a_data_set_folder_is_its_rows(snapshot: Path, tmp_path: Path, is_absolute: bool) -> None:
    path = str(snapshot if is_absolute else snapshot.relative_to(tmp_path))
    found = run_ingest(tmp_path, [source(path)], CurateConfig(), tmp_path / "out", Engine())
    assert found.texts == ["one", "two", "three", "four"]
    assert [file["path"] for file in found.files] == [f"{path}/{name}" for name in ROWS]
    assert found.decisions == []


def test_a_pattern_within_it_works_as_well(snapshot: Path, tmp_path: Path) -> None:
    sources = [source(f"{snapshot}/data/train-*.parquet")]
    found = run_ingest(tmp_path, sources, CurateConfig(), tmp_path / "out", Engine())
    assert found.texts == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("names", "kind", "expected"),
    [
        (["README.md", "a.txt", "b/c.txt"], "web", ["README.md", "a.txt", "b/c.txt"]),
        (["README.md", "a.txt", "b/c.csv.gz"], "web", ["b/c.csv.gz"]),
        (["a.txt", "b/c.csv"], "web", ["a.txt", "b/c.csv"]),  # no data card
        (["b/README.md", "a.txt", "b/c.csv"], "web", ["b/README.md", "a.txt", "b/c.csv"]),
        (["README.md", "a.py", "b/c.jsonl"], "code", ["README.md", "a.py", "b/c.jsonl"]),
        ([".git/x", "a/.b/c.txt", ".x", "a.py"], "code", ["a.py"]),
        ([], "web", []),
    ],
)
def test_which_files_of_a_folder_are_documents(
    names: list[str], kind: Kind, expected: list[str]
) -> None:
    assert files_of_folder(names, kind) == expected


@pytest.fixture
def store() -> Iterator[str]:
    system = fsspec.filesystem("memory")
    for name, data in FILES.items():
        system.pipe_file(f"/store/set/{name}", data)
    yield "memory://store/set"
    system.rm("/store", recursive=True)


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_folder_in_a_store_is_the_same(store: str, tmp_path: Path, ending: str) -> None:
    files = take_inventory([source(store + ending)], tmp_path)
    assert [file.path for file in files] == [f"memory:///store/set/{name}" for name in ROWS]
    found = run_ingest(tmp_path, [source(store)], CurateConfig(), tmp_path / "out", Engine())
    assert found.texts == ["one", "two", "three", "four"]


def test_what_is_not_there_matches_nothing(store: str, tmp_path: Path) -> None:
    assert matches_nothing(f"{store}/none", tmp_path)
    assert matches_nothing("memory://other", tmp_path)
    assert matches_nothing("none", tmp_path)


def test_a_store_without_its_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "hf", raising=False)
    with pytest.raises(MachineError, match=r"cannot open hf://.*; pip install huggingface_hub$"):
        matches_nothing("hf://datasets/o/d", tmp_path)


def test_a_store_that_fails_is_told_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> list[str]:
        raise RuntimeError("no credentials")

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "glob", fail)
    with pytest.raises(MachineError) as error:
        take_inventory([source("memory://store/*.jsonl")], tmp_path)
    assert str(error.value) == "cannot list memory://store/*.jsonl: RuntimeError: no credentials"
