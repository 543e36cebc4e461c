"""Which format a file is read in: by its first bytes if they say so, else by its name."""

from __future__ import annotations

from collections.abc import Sequence

from bessemer.config.kinds import Kind
from bessemer.config.sources import SourceConfig

COMPRESSION = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".xz": "xz"}

# Files that hold documents, whatever the kind of source.
_ROWS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_CONTAINERS = {
    **_ROWS,
    ".warc": "warc", ".wet": "warc", ".epub": "epub",
    ".tar": "tar", ".tgz": "tar", ".tbz2": "tar", ".txz": "tar", ".tzst": "tar",
}  # fmt: skip
# Files that are text themselves in a source of code.
_TABLES = {".csv": "csv", ".tsv": "tsv"}
_TEXTS = {
    ".html": "html", ".htm": "html", ".xhtml": "html",
    ".md": "markdown", ".markdown": "markdown",
    ".txt": "text", ".text": "text", ".rst": "text",
}  # fmt: skip

# With files of rows, it describes a data set, as on the Hugging Face Hub.
_DATA_CARD = "README.md"

_TAR_MAGIC = slice(257, 262)  # POSIX.1-2001, pax: the header block


def format_of(path: str, head: bytes, source: SourceConfig) -> str | None:
    """A key of `READERS`, or None if neither the bytes nor the name tell."""
    if source.format != "auto":
        return source.format
    return _by_bytes(head) or _by_suffix(path, _CONTAINERS) or _plain_format(path, source)


def member_format(path: str, source: SourceConfig) -> str | None:
    """The format of a file within an archive: one of rows, text, markdown or html; None if
    unknown."""
    if rows := _by_suffix(path, _ROWS if source.kind == "code" else _ROWS | _TABLES):
        return rows
    return "text" if source.kind == "code" else _match(path.lower(), _TEXTS)


def files_of_folder(paths: Sequence[str], kind: Kind) -> list[str]:
    """Which files of a folder its source is made of; paths are relative to the folder.

    Hidden ones are none of it. Where there are a data card and files of rows, these alone are the
    data set; but source code may well have both beside it.
    """
    visible = [path for path in paths if not any(part[:1] == "." for part in path.split("/"))]
    rows = [path for path in visible if _by_suffix(path, _ROWS | _TABLES)]
    return rows if rows and _DATA_CARD in visible and kind != "code" else visible


def _plain_format(path: str, source: SourceConfig) -> str | None:
    return "text" if source.kind == "code" else _by_suffix(path, _TABLES | _TEXTS)


def _by_bytes(head: bytes) -> str | None:
    """The container that begins so; text begins in no way of its own."""
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK\x03\x04"):
        return "epub"
    if head.startswith(b"WARC/"):
        return "warc"
    return "tar" if head[_TAR_MAGIC] == b"ustar" else None


def _by_suffix(path: str, formats: dict[str, str]) -> str | None:
    name = path.lower()
    for suffix in COMPRESSION:
        name = name.removesuffix(suffix)
    return _match(name, formats)


def _match(name: str, formats: dict[str, str]) -> str | None:
    return next((format_ for suffix, format_ in formats.items() if name.endswith(suffix)), None)
