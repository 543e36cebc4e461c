"""A manifest says exactly what is in a folder, and refuses sums that do not add up."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.core.errors import DataError, IntegrityError
from bessemer.core.fingerprint import digest_bytes
from bessemer.core.manifest import (
    Conservation,
    FileRecord,
    StageManifest,
    read_manifest,
    record_files,
    utc_now,
    verify_files,
    write_manifest,
)
from bessemer.core.storage import write_table

SUMS = Conservation(
    source="web", docs_in=10, docs_out=6, docs_dropped=3, docs_quarantined=1, bytes_in=1000,
    bytes_out=600, bytes_dropped=250, bytes_quarantined=50, bytes_edited=70, bytes_markup=30,
)  # fmt: skip


def make_manifest(**changes: object) -> StageManifest:
    manifest = StageManifest(
        stage="ingest",
        version=1,
        fingerprint="0123456789abcdef",
        inputs={"before": "fedcba9876543210"},
        settings={"rule": [1, None, "é"]},
        files=(
            FileRecord(path="a.json", num_bytes=2, num_rows=None, digest="d1", reproducible=True),
            FileRecord(path="b/c.parquet", num_bytes=9, num_rows=4, digest="d2", reproducible=True),
            FileRecord(path="log", num_bytes=7, num_rows=None, digest="d3", reproducible=False),
        ),
        conservation=(SUMS,),
        summary={"num_files": 3},
        started="2025-01-01T00:00:00Z",
        seconds=1.5,
        peak_bytes=12345,
        argv=["bessemer", "run", "run.toml"],
        commit=None,
    )
    return replace(manifest, **changes)


def test_a_manifest_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    write_manifest(tmp_path, make_manifest())
    assert read_manifest(tmp_path) == make_manifest()
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_a_folder_without_a_manifest_is_not_complete(tmp_path: Path) -> None:
    (tmp_path / ".tmp-1-manifest.json").write_text("{")
    assert read_manifest(tmp_path) is None
    assert read_manifest(tmp_path / "none") is None


def test_a_manifest_of_another_schema_or_damaged_is_refused(tmp_path: Path) -> None:
    write_manifest(tmp_path, make_manifest())
    path = tmp_path / "manifest.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"schema_version": 99}))
    with pytest.raises(
        IntegrityError, match=f"{path} has schema version 99, this bessemer reads 3"
    ):
        read_manifest(tmp_path)
    path.write_text("{")
    with pytest.raises(IntegrityError, match="is damaged"):
        read_manifest(tmp_path)


def test_sums_that_add_up_pass() -> None:
    SUMS.check("ingest")


@pytest.mark.parametrize(
    "name",
    ["docs_in", "docs_out", "docs_dropped", "docs_quarantined", "bytes_in", "bytes_out",
     "bytes_dropped", "bytes_quarantined", "bytes_edited", "bytes_markup"],
)  # fmt: skip
@pytest.mark.parametrize("change", [1, -1])
def test_one_lost_document_or_byte_stops_the_stage(tmp_path: Path, name: str, change: int) -> None:
    wrong = replace(SUMS, **{name: getattr(SUMS, name) + change})
    with pytest.raises(DataError) as error:
        write_manifest(tmp_path, make_manifest(conservation=(SUMS, wrong)))
    assert list(tmp_path.iterdir()) == []
    docs, size = wrong.docs_in, wrong.bytes_in
    assert f"ingest, source 'web': {docs} documents ({size} bytes) went in, " in str(error.value)
    assert str(error.value).endswith("this is a bug of bessemer, please report it")


@given(
    st.lists(st.integers(0, 2**60), min_size=3, max_size=3),
    st.lists(st.integers(0, 2**60), min_size=5, max_size=5),
)
def test_any_parts_that_sum_pass(docs: list[int], sizes: list[int]) -> None:
    Conservation(
        source="s",
        docs_in=sum(docs),
        **dict(zip(["docs_out", "docs_dropped", "docs_quarantined"], docs, strict=True)),
        bytes_in=sum(sizes),
        **dict(zip(["bytes_out", "bytes_dropped", "bytes_quarantined", "bytes_edited",
                    "bytes_markup"], sizes, strict=True)),
    ).check("any")  # fmt: skip


def write_outputs(folder: Path) -> None:
    table = pa.table({"n": [1, 2, 3]})
    write_table(folder / "documents" / "00000.parquet", table)
    (folder / "checkpoints" / "step-4").mkdir(parents=True)
    (folder / "checkpoints" / "step-4" / ".metadata").write_bytes(b"DCP")
    (folder / "metrics").mkdir()
    (folder / "metrics" / "steps.jsonl").write_text("{}\n")
    (folder / "metrics-like.json").write_text("1")


def test_every_file_is_recorded_hidden_ones_too_and_scratch_is_not(tmp_path: Path) -> None:
    write_outputs(tmp_path)
    (tmp_path / ".scratch" / "tasks").mkdir(parents=True)
    (tmp_path / ".scratch" / "tasks" / "00000.json").write_text("{}")
    (tmp_path / "deep" / ".scratch").mkdir(parents=True)
    (tmp_path / "deep" / ".scratch" / "x").write_text("x")
    (tmp_path / ".tmp-12-half").write_text("half")
    (tmp_path / ".tmp-12-folder").mkdir()
    (tmp_path / ".tmp-12-folder" / "part").write_text("part")
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    parquet = (tmp_path / "documents" / "00000.parquet").read_bytes()

    def record(path: str, data: bytes, rows: int | None = None, same: bool = True) -> FileRecord:
        digest = digest_bytes(data)
        return FileRecord(
            path=path, num_bytes=len(data), num_rows=rows, digest=digest, reproducible=same
        )

    assert record_files(tmp_path, ["metrics"]) == (
        record("checkpoints/step-4/.metadata", b"DCP"),
        record("documents/00000.parquet", parquet, rows=3),
        record("metrics/steps.jsonl", b"{}\n", same=False),
        record("metrics-like.json", b"1"),
    )


def test_recorded_files_are_verified(tmp_path: Path) -> None:
    write_outputs(tmp_path)
    verify_files(tmp_path, record_files(tmp_path), content=True)


@pytest.mark.parametrize("content", [False, True])
def test_a_missing_or_resized_file_is_detected(tmp_path: Path, content: bool) -> None:
    write_outputs(tmp_path)
    records = record_files(tmp_path)
    path = tmp_path / "metrics" / "steps.jsonl"
    path.write_text("{}")
    with pytest.raises(IntegrityError) as error:
        verify_files(tmp_path, records, content=content)
    assert str(error.value) == (
        f"{path} was changed after it was written; delete {tmp_path} and run again to rebuild it"
    )
    path.unlink()
    with pytest.raises(IntegrityError, match=f"{re.escape(str(path))} is missing; delete"):
        verify_files(tmp_path, records, content=content)


def test_changed_bytes_of_the_same_size_are_detected_by_content_alone(tmp_path: Path) -> None:
    write_outputs(tmp_path)
    records = record_files(tmp_path)
    (tmp_path / "checkpoints" / "step-4" / ".metadata").write_bytes(b"DCQ")
    verify_files(tmp_path, records, content=False)
    with pytest.raises(IntegrityError, match=r"\.metadata was changed after it was written"):
        verify_files(tmp_path, records, content=True)


def test_the_digest_of_outputs_covers_names_and_bytes_of_reproducible_files_only() -> None:
    manifest = make_manifest()
    first, second, log = manifest.files
    assert manifest.outputs_digest() == digest_bytes(b"a.json d1\nb/c.parquet d2")
    same = make_manifest(files=(first, second, replace(log, digest="other")), seconds=9.0)
    assert same.outputs_digest() == manifest.outputs_digest()
    for changed in (replace(first, digest="x"), replace(first, path="x")):
        other = make_manifest(files=(changed, second, log))
        assert other.outputs_digest() != manifest.outputs_digest()


def test_the_present_is_written_in_utc() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", utc_now())
