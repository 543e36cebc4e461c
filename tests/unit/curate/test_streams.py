"""Compressed files: bytes decide how, every member is read, and expansion is bounded."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.curate.inventory import take_inventory
from bessemer.curate.readers import read_rows
from bessemer.curate.streams import Decompressor

from .formats import COMPRESS, epub, jsonl, package, parquet, tar

Ingest = Callable[..., Any]
CODECS = [suffix for suffix in COMPRESS if suffix]
ROWS = [{"text": f"row {number}"} for number in range(300)]
TEXTS = [row["text"] for row in ROWS]


@pytest.mark.parametrize("named", [*CODECS, ""])
@pytest.mark.parametrize("suffix", CODECS)
def test_bytes_tell_the_codec_whatever_the_name(
    ingest_files: Ingest, suffix: str, named: str
) -> None:
    found = ingest_files({f"a.jsonl{named}": COMPRESS[suffix](jsonl(ROWS))})
    assert found.texts == TEXTS


@pytest.mark.parametrize("suffix", CODECS)
def test_a_name_that_promises_too_much_is_told(ingest_files: Ingest, suffix: str) -> None:
    data = jsonl(ROWS)
    found = ingest_files({f"a.jsonl{suffix}": data})
    error = f"named {suffix}, but its bytes are not compressed in any known way"
    assert found.quarantine == [(len(data), error)]


@pytest.mark.parametrize("name", ["a.jsonl", "b.txt", "c.html", "d.csv", "e.unknown", "f.parquet"])
def test_bytes_tell_a_container_whatever_the_name(ingest_files: Ingest, name: str) -> None:
    archive = tar({"1.txt": b"in a tar"})
    for data in (
        parquet({"text": ["in a table"]}),
        archive,
        gzip.compress(archive),
        b"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Length: 7\r\n\r\nin text\r\n\r\n",
        epub(package(["a"], {"a": "a.xhtml"}), {"OEBPS/a.xhtml": "<p>in a book</p>"}),
    ):
        found = ingest_files({name: data})
        assert [text.startswith("in ") for text in found.texts] == [True], found.quarantine


def test_a_container_that_is_none_is_told(ingest_files: Ingest) -> None:
    names = ["a.parquet", "b.warc", "c.epub", "d.tar"]
    found = ingest_files(dict.fromkeys(names, b"Plain text, whatever the name says.\n" * 30))
    assert found.texts == []
    assert [error.partition(";")[0] for _, error in found.quarantine] == [
        "ValueError: no Parquet file: it does not begin with PAR1",
        "OSError: Invalid WARC header",
        "ValueError: no ZIP file, or cut short: it has no directory",
        "InvalidHeaderError: invalid header",
    ]


@pytest.mark.parametrize("suffix", CODECS)
def test_compressed_files_that_need_random_access_are_told(
    ingest_files: Ingest, suffix: str
) -> None:
    data = COMPRESS[suffix](parquet({"text": ["a"]}))
    found = ingest_files({f"a.parquet{suffix}": data})
    [(_, error)] = found.quarantine
    assert error.startswith("ValueError: Parquet within ")


@pytest.mark.parametrize("suffix", CODECS)
def test_every_member_is_read_to_the_last_byte(ingest_files: Ingest, suffix: str) -> None:
    members = [COMPRESS[suffix](jsonl([row])) for row in ROWS]
    found = ingest_files({f"a.jsonl{suffix}": b"".join(members)})
    assert (found.texts, found.decisions) == (TEXTS, [])
    found = ingest_files({f"a.jsonl{suffix}": b"".join(members)[:-6]})
    assert found.texts[:299] == TEXTS[:299]
    assert len(found.quarantine) == 1
    found = ingest_files({f"a.jsonl{suffix}": b"".join(members) + b"rubbish" * 9})
    assert found.texts == TEXTS
    assert len(found.quarantine) == 1


def test_zeros_between_members_of_xz_are_padding(ingest_files: Ingest) -> None:
    data = b"".join(lzma.compress(jsonl([row])) + bytes(70_000) for row in ROWS[:3])
    assert ingest_files({"a.jsonl.xz": data}).texts == TEXTS[:3]


MANY = [{"text": f"row {n} " + hex(n * 7919**5)[2:] * (n % 9)} for n in range(1500)]
DECODERS: dict[str, Callable[[], Any]] = {
    ".bz2": bz2.BZ2Decompressor,
    ".xz": lzma.LZMADecompressor,
}


@pytest.mark.parametrize("suffix", DECODERS)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.8, 0.999])
def test_rows_before_a_truncation_are_kept(ingest_files: Ingest, suffix: str, part: float) -> None:
    whole = COMPRESS[suffix](jsonl(MANY))
    cut = whole[: int(len(whole) * part)]
    num_whole = DECODERS[suffix]().decompress(cut).count(b"\n")
    found = ingest_files({f"a.jsonl{suffix}": cut})
    assert found.texts == [row["text"] for row in MANY[:num_whole]]
    error = "OSError: Truncated compressed stream; the rest of the file is lost"
    assert found.quarantine == [(0, error)]


@pytest.mark.parametrize("suffix", CODECS)
def test_a_damaged_byte_costs_the_rest(ingest_files: Ingest, suffix: str) -> None:
    whole = bytearray(COMPRESS[suffix](jsonl(MANY)))
    whole[len(whole) // 2] ^= 0xFF
    found = ingest_files({f"a.jsonl{suffix}": bytes(whole)})
    assert found.quarantine[-1][1].endswith("; the rest of the file is lost")


def read(path: Path, **bounds: Any) -> list[Any]:
    source = SourceConfig(name="s", kind="web", path=(path.name,))
    [file] = take_inventory([source], path.parent)
    return list(read_rows(file, source, CurateConfig(max_document_bytes=10_000, **bounds)))


LINE = b'{"text": "' + b"x" * 88 + b'"}\n'
TOLD = " (curate.max_expansion_ratio, curate.max_expanded_bytes); the rest of the file is lost"


@pytest.mark.parametrize("suffix", CODECS)
def test_a_bomb_goes_off_where_it_may_go_no_further(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(COMPRESS[suffix](LINE * 200_000))
    ratio = 20_000_000 / path.stat().st_size
    allowed = int(path.stat().st_size * 5.5)
    assert len(read(path, max_expansion_ratio=2 * ratio)) == 200_000
    cases: list[tuple[dict[str, Any], int]] = [
        ({"max_expansion_ratio": 5.5}, max(allowed, 20_000)),
        ({"max_expansion_ratio": 2 * ratio, "max_expanded_bytes": 1_000_050}, 1_000_050),
        ({"max_expansion_ratio": 2 * ratio, "max_expanded_bytes": 50}, 50),
    ]
    for bounds, limit in cases:
        *rows, last = read(path, **bounds)
        assert len(rows) == limit // len(LINE)
        assert all(row.error is None and row.raw_bytes == len(LINE) for row in rows)
        assert last.error == f"ExpansionError: the file expands to more than {limit} bytes{TOLD}"


def test_what_ends_at_the_bound_is_no_bomb(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(LINE * 300))
    assert len(read(path, max_expanded_bytes=len(LINE) * 300)) == 300
    assert read(path, max_expanded_bytes=len(LINE) * 300 - 1)[-1].error is not None


def test_plain_files_are_no_bombs(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINE * 300)
    assert len(read(path, max_expanded_bytes=50)) == 300


def test_a_decoder_that_asks_for_much_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.xz"
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**20, "preset": 0}]
    data = bytearray(lzma.compress(LINE, filters=filters, check=lzma.CHECK_NONE))
    # The size of the dictionary is a byte of the block header (xz, 5.3.1), which has a CRC-32.
    at = data.index(b"\x21\x01", 12) + 2
    data[at] = 40  # 4 GiB - 1
    header_bytes = (data[12] + 1) * 4
    end = 12 + header_bytes
    data[end - 4 : end] = zlib.crc32(bytes(data[12 : end - 4])).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    [row] = read(path)
    assert "Memory usage limit" in str(row.error)


@pytest.mark.parametrize("level", [22])
def test_a_wide_window_of_zstd_is_read_or_told(tmp_path: Path, level: int) -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(level, window_log=31)
    path = tmp_path / "a.jsonl.zst"
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    path.write_bytes(stream.compress(LINE * 9) + stream.flush())
    [row] = read(path)
    assert row.error is not None and "rest of the file is lost" in row.error


class Shrinking(io.BytesIO):
    """A file that is cut short as soon as it is read from its beginning again."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.truncate(0)
        return super().seek(offset, whence)


def test_a_compressed_file_that_becomes_shorter_is_told() -> None:
    noise = random.Random(0).randbytes(300_000)
    stream = Decompressor(Shrinking(gzip.compress(noise)[:-100_000]), "gzip", 10**6)
    with pytest.raises(OSError, match="became shorter"):
        while stream.read(50_000):
            pass
