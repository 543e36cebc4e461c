"""Reads the lists that URLs are held against, and says which extension a document's file has.

A list is a text file of an entry per line. It is read in blocks and kept as hashes, so a list of
millions of domains takes little memory; a worker reads its lists once.
"""

from __future__ import annotations

import functools
import posixpath
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from bessemer.core.errors import DataError
from bessemer.text.blocklists import UrlLists, hash_entries, make_url_lists

_READ_BYTES = 1 << 24
_COMPRESSED = ("gz", "zst", "bz2", "xz")
_CONTAINERS = ("jsonl", "ndjson", "parquet", "csv", "tsv", "warc", "wet", "epub", "tar", "tgz")
_NAMES = {"dockerfile": "dockerfile", "makefile": "makefile", "gnumakefile": "makefile"}


def read_url_lists(files: Sequence[tuple[str, Path]]) -> UrlLists:
    """The lists in `files`, pairs of kind and path; DataError if one cannot be read.

    They are kept for the next call, which gets them again unless a file was changed since.
    """
    try:
        return _read(tuple((kind, path, path.stat().st_mtime_ns) for kind, path in files))
    except OSError as error:
        raise DataError(f"a list of [curate.urls] cannot be read: {error}") from error


@functools.lru_cache(maxsize=1)
def _read(files: tuple[tuple[str, Path, int], ...]) -> UrlLists:
    entries = {}
    for kind, path, _ in files:
        parts = [hash_entries(lines, kind) for lines in _blocks_of_lines(path)]
        hashes = [part for part, _ in parts]
        lengths = [part for _, part in parts]
        entries[kind] = (
            np.concatenate([np.zeros(0, np.uint64), *hashes]),
            np.concatenate([np.zeros(0, np.int32), *lengths]),
        )
    return make_url_lists(entries)


def _blocks_of_lines(path: Path) -> Iterator[pa.Array]:
    """The lines of a file, undecoded, in blocks of whole lines."""
    with path.open("rb") as file:
        rest = file.read(len(BOM_UTF8)).removeprefix(BOM_UTF8)
        while block := file.read(_READ_BYTES):
            *lines, rest = (rest + block).split(b"\n")
            yield _undecoded(lines)
        yield _undecoded(rest.split(b"\n"))


def _undecoded(lines: list[bytes]) -> pa.Array:
    """Lines as an array of strings, whatever their bytes: they are only hashed."""
    return pa.array(lines, pa.large_binary()).view(pa.large_string())


def file_extension(url: str | None) -> str:
    """The extension of a file's path, in lower case and without its dot; "" if there is none.

    That of a compression does not count, nor that of a file of many documents. A page of the web
    has none: what is there was extracted from it, and is no HTML. That holds for pages in files,
    too, which are not told by their names: only those of files of code are to be asked for.
    """
    if not url or url.lower().startswith(("http://", "https://")):
        return ""
    name = posixpath.basename(url.replace("\\", "/")).lower()
    parts = name.split(".")
    while len(parts) > 1 and parts[-1] in _COMPRESSED:
        parts.pop()
    if len(parts) == 1:
        return _NAMES.get(parts[0], "")
    return "" if parts[-1] in _CONTAINERS else parts[-1]
