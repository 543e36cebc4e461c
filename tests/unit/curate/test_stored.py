"""What a disk or a store does not give stops the run; it never becomes a quarantine."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
import pytest

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.errors import IntegrityError, MachineError
from bessemer.curate import stored
from bessemer.curate.inventory import SourceFile, take_inventory
from bessemer.curate.readers import read_rows
from bessemer.curate.splitting import cut_file, split_files
from bessemer.curate.stored import Stored
from bessemer.engine.tasks import Engine

from .formats import COMPRESS, epub, jsonl, package, parquet, table, tar

ROWS = [{"text": f"row {number}"} for number in range(2000)]
LINES = jsonl(ROWS)
PARQUET = parquet({"text": [row["text"] for row in ROWS]})
WARC = b"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Length: 7\r\n\r\nin text\r\n\r\n"
FILES = {
    "a.txt": b"some text",
    "a.html": b"<p>some text",
    "a.jsonl": LINES,
    **{f"a.jsonl{suffix}": compress(LINES) for suffix, compress in COMPRESS.items() if suffix},
    "a.csv": table([["text"], ["one"], ["two"]]),
    "a.parquet": PARQUET,
    "a.warc": WARC * 3000,
    "b.warc.gz": gzip.compress(WARC * 3000),
    "a.epub": epub(package(["a"], {"a": "a.xhtml"}), {"OEBPS/a.xhtml": "<p>in a book</p>"}),
    "a.tar": tar({"a.jsonl": LINES, "b.parquet": PARQUET, "c.txt": b"text"}),
    "empty.txt": b"",
}
SOURCE = SourceConfig(name="s", kind="web", path=("*",))
CURATE = CurateConfig()


def file_of(path: Path, data: bytes) -> SourceFile:
    path.write_bytes(data)
    [file] = take_inventory([SOURCE], path.parent)
    return file


class Failing(io.BytesIO):
    """A disk that cannot be read behind some byte; nothing of a read that meets it comes."""

    good_bytes = 0

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0 or self.tell() + size > self.good_bytes:
            raise OSError(5, "Input/output error")
        return super().read(size)


@pytest.mark.parametrize("share", [0, 0.9])
@pytest.mark.parametrize("name", [name for name, data in FILES.items() if data])
def test_a_disk_that_fails_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, share: float
) -> None:
    file = file_of(tmp_path / name, FILES[name])

    def fail(_: str) -> BinaryIO:
        raw = Failing(FILES[name])
        raw.good_bytes = int(share * file.size_bytes)
        return raw

    monkeypatch.setattr(stored, "_open", fail)
    error = rf"^cannot read {tmp_path / name}: OSError: \[Errno 5\] Input/output error; run again"
    with pytest.raises(MachineError, match=error):
        list(read_rows(file, SOURCE, CURATE))


def test_a_disk_that_fails_while_files_are_cut_and_counted_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = file_of(tmp_path / "a.jsonl", LINES)

    def fail(_: str) -> BinaryIO:
        raw = Failing(LINES)
        raw.good_bytes = 20_000
        return raw

    monkeypatch.setattr(stored, "_open", fail)
    curate = CurateConfig(shard_bytes=9000)
    assert len(cut_file(file, SOURCE, curate)["ranges"]) > 3
    with pytest.raises(MachineError, match="Input/output error"):
        split_files([file], {"s": SOURCE}, curate, tmp_path / "out", Engine())


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_gone_or_locked_is_told(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    file = file_of(path, FILES[name])
    path.unlink()
    with pytest.raises(MachineError, match=rf"^cannot read {path}: FileNotFoundError"):
        list(read_rows(file, SOURCE, CURATE))
    path.symlink_to(name)  # to itself
    with pytest.raises(MachineError, match=rf"^cannot read {path}: OSError"):
        list(read_rows(file, SOURCE, CURATE))


def rewrite(path: Path, data: bytes) -> None:
    status = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_changed_before_or_while_it_is_read_is_told(tmp_path: Path, name: str) -> None:
    path, data = tmp_path / name, FILES[name]
    file = file_of(path, data)
    good = list(read_rows(file, SOURCE, CURATE))
    rows = read_rows(file, SOURCE, CURATE)
    assert next(rows) == good[0]
    rewrite(path, data)
    with pytest.raises(IntegrityError, match=rf"^{path} changed after the run began; .* run again"):
        list(rows)
    with pytest.raises(IntegrityError, match=r"changed"):
        list(read_rows(file, SOURCE, CURATE))
    [again] = take_inventory([SOURCE], tmp_path)
    assert again.identity() == file.identity()
    assert list(read_rows(again, SOURCE, CURATE)) == good


def test_a_file_that_is_cut_short_while_it_is_read_is_told(tmp_path: Path) -> None:
    data = gzip.compress(b"".join(jsonl([{"text": os.urandom(99).hex()}]) for _ in range(9000)))
    file = file_of(tmp_path / "a.jsonl.gz", data)
    rows = read_rows(file, SOURCE, CURATE)
    next(rows)
    rewrite(tmp_path / "a.jsonl.gz", data[: len(data) // 2])
    with pytest.raises(IntegrityError, match=r"changed"):
        list(rows)


def test_a_file_that_changed_in_a_store_is_told() -> None:
    system = fsspec.filesystem("memory")
    system.pipe({"/store/a.txt": b"one"})
    try:
        [file] = take_inventory(
            [SourceConfig(name="s", kind="web", path=("memory://store/a.txt",))], Path()
        )
        assert len(list(read_rows(file, SOURCE, CURATE))) == 1
        system.pipe({"/store/a.txt": b"two"})
        with pytest.raises(IntegrityError, match=r"^memory:///store/a\.txt changed"):
            list(read_rows(file, SOURCE, CURATE))
    finally:
        system.rm("/store", recursive=True)


class Unsteady(io.BytesIO):
    """A file that cannot be read from another place on."""

    def __init__(self, error: Exception) -> None:
        super().__init__(b"data")
        self.error = error

    def seek(self, *_: Any) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError("connection closed"), MachineError),
        (OSError(116, "Stale file handle"), MachineError),
        (OSError(22, "Invalid argument"), OSError),  # damage may lead before the beginning
        (ValueError("negative seek"), ValueError),
    ],
)
def test_a_place_that_cannot_be_reached_is_told(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        Stored(Unsteady(error), "a.zip").seek(9)


@pytest.mark.parametrize(
    "break_it", [lambda path: path.rmdir(), lambda path: path.rmdir() or path.touch()]
)
def test_a_folder_for_temporary_files_that_is_none_is_no_fault_of_the_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, break_it: Callable[[Path], object]
) -> None:
    file = file_of(tmp_path / "a.tar", tar({"b.parquet": PARQUET}))
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    break_it(folder)
    with pytest.raises(MachineError, match=rf"^no room in {folder} for a\.tar/b\.parquet.*TMPDIR"):
        list(read_rows(file, SOURCE, CURATE))
