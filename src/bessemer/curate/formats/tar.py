"""Tar archives: of text, pages or code, every file is a document; of JSONL, Parquet and CSV, every
row.

Members are read from the stream; what must be read from its end goes through a temporary file that
has no name. Links, devices and paths that lead out of the
archive are quarantined. Header blocks are parsed by `tarfile`; its own iteration ends without a
word where a later header is damaged, and holds headers of any length.
Formats: POSIX.1-1988 (ustar), POSIX.1-2001 (pax), GNU.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from bessemer.config.sources import SourceConfig
from bessemer.curate.formats.by_name import member_format
from bessemer.curate.formats.members import MEMBER_READERS, Window, read_rows_within
from bessemer.curate.formats.whole import whole_row
from bessemer.curate.rows import RawRow, too_long
from bessemer.curate.streams import Growth, OpenFile

_BLOCK_BYTES = tarfile.BLOCKSIZE
_PIECE_BYTES = 1 << 20
_MAX_HEADER_BYTES = 1 << 16  # of an extended header; the longest path of Linux has 4096
_MAX_SHOWN_CHARS = 200
_DRIVE = re.compile("[A-Za-z]:")
_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_GNU_SPARSE_FLAG = 482  # GNU's header: whether more blocks of the map of holes follow
_GNU_SPARSE_MORE = 504  # the same within such a block


@dataclass(frozen=True, kw_only=True, slots=True)
class _Member:
    """One member: its header, with what extended headers before it replace."""

    path: str
    size: int
    info: tarfile.TarInfo
    is_sparse: bool


def read_tar(opened: OpenFile, source: SourceConfig) -> Iterator[RawRow]:
    """The files of an archive, in order; ValueError or TarError where it is damaged."""
    stream = opened.buffered()
    is_ended = True
    growth = Growth(limit=opened.max_expanded_bytes)
    for member in _members(stream):
        is_ended = member is None
        if member is not None and not member.info.isdir():
            yield from _read_member(stream, member, opened, growth, source)
    if not is_ended:
        yield RawRow(raw_bytes=0, error="the archive has no end mark; members may be missing")


def _members(stream: BinaryIO) -> Iterator[_Member | None]:
    """The members, None for an end mark; the data of each must be read before the next is asked
    for. Archives joined by `cat` are read on behind the mark."""
    replaced: dict[str, str] = {}
    while header := stream.read(_BLOCK_BYTES):
        if len(header) < _BLOCK_BYTES:
            raise ValueError("the archive ends inside a header")
        if not header.strip(b"\0"):
            yield None
            continue
        info = tarfile.TarInfo.frombuf(header, "utf-8", "replace")
        if info.size < 0:
            raise ValueError("a member has a length below zero")
        if info.type == tarfile.GNUTYPE_LONGNAME:
            name = _read_header(stream, info.size).partition(b"\0")[0]
            replaced["path"] = name.decode("utf-8", "replace")
        elif info.type in _PAX:
            replaced |= _parse_pax(_read_header(stream, info.size))
        elif info.type in (tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK):
            _read_header(stream, info.size)
        else:
            is_sparse = any(key.startswith("GNU.sparse.") for key in replaced)
            if info.type == tarfile.GNUTYPE_SPARSE:
                is_sparse = True
                more = header[_GNU_SPARSE_FLAG]
                while more:
                    more = _read_exactly(stream, _BLOCK_BYTES)[_GNU_SPARSE_MORE]
            size = _parse_size(replaced["size"]) if "size" in replaced else info.size
            path = replaced.get("path", info.name)
            yield _Member(path=path, size=size, info=info, is_sparse=is_sparse)
            replaced = {}


def _parse_size(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError(f"a member has the length {text[:40]!r}")
    return int(text)


def _read_exactly(stream: BinaryIO, num_bytes: int) -> bytes:
    data = stream.read(num_bytes)
    if len(data) < num_bytes:
        raise ValueError("the archive ends inside a header")
    return data


def _read_header(stream: BinaryIO, num_bytes: int) -> bytes:
    """The data of an extended header."""
    if num_bytes > _MAX_HEADER_BYTES:
        raise ValueError(f"an extended header has {num_bytes} bytes")
    return _read_exactly(stream, num_bytes + _padding(num_bytes))[:num_bytes]


def _parse_pax(data: bytes) -> dict[str, str]:
    """The keywords of an extended header (POSIX.1-2001, pax, "length keyword=value\\n")."""
    found: dict[str, str] = {}
    while data:
        length, _, _ = data[:20].partition(b" ")
        if not length.isdigit() or not len(length) < int(length) <= len(data):
            raise ValueError("an extended header is damaged")
        keyword, equals, value = data[len(length) + 1 : int(length)].partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise ValueError("an extended header is damaged")
        found[keyword.decode("utf-8", "replace")] = value[:-1].decode("utf-8", "replace")
        data = data[int(length) :]
    return found


def _read_member(
    stream: BinaryIO, member: _Member, opened: OpenFile, growth: Growth, source: SourceConfig
) -> Iterator[RawRow]:
    """One member's data as a row, or its rows; the stream then stands at the next header."""
    info, max_bytes = member.info, opened.max_bytes
    # As in tarfile: a size beside these types says nothing of data.
    has_data = info.isreg() or info.type not in tarfile.SUPPORTED_TYPES
    size = member.size if has_data else 0
    format_ = member_format(member.path, source)
    error = _refusal(member)
    # A name is only a name here; NUL and lone surrogates cannot come out of the decoding.
    url = f"{opened.file.path}/{member.path}"
    if error is None and size == 0:
        error = "the file is empty"
    if error is None and format_ in MEMBER_READERS:
        yield from _read_rows(stream, size, member.path, format_, opened, growth, source)
        return
    if error is None and size > max_bytes:
        error = too_long(size, max_bytes)
    if error is None and format_ is None:
        error = "unknown file type"
    content = b""
    if error is None:
        content = stream.read(size)
        num_bytes = len(content)
    else:
        num_bytes = _skip(stream, size)
    if num_bytes < size:
        error = _cut_short(num_bytes, size)
    _skip(stream, _padding(size))
    if error is not None or format_ is None:
        yield RawRow(raw_bytes=num_bytes, url=url, error=f"{_shown(member.path)}: {error}")
    else:
        yield whole_row(content, format_, url)


def _read_rows(
    stream: BinaryIO,
    size: int,
    path: str,
    format_: str,
    opened: OpenFile,
    growth: Growth,
    source: SourceConfig,
) -> Iterator[RawRow]:
    """The rows of a member of `size` bytes; the stream then stands at the next header."""
    window = Window(stream, size)
    url = f"{opened.file.path}/{path}"
    for row in read_rows_within(window, url, format_, opened, growth, source):
        if row.error is None:
            yield row
        else:
            yield replace(row, error=f"{_shown(path)}: {row.error}")
    left = window.left - _skip(stream, window.left)
    if left:
        error = f"{_shown(path)}: {_cut_short(size - left, size)}"
        yield RawRow(raw_bytes=0, url=url, error=error)
    _skip(stream, _padding(size))


def _cut_short(num_bytes: int, size: int) -> str:
    return f"the archive ends after {num_bytes} of {size} bytes of a file"


def _refusal(member: _Member) -> str | None:
    """Why a member is not read whatever its data."""
    info = member.info
    if info.issym() or info.islnk():
        return "a link, which is not followed"
    if info.isdev():
        return "a device or pipe"
    if not info.isreg():
        return f"a member of type {info.type!r}"
    if member.is_sparse:
        return "a file with holes, which is not read"
    parts = member.path.replace("\\", "/").split("/")
    if parts[0] == "" or ".." in parts or _DRIVE.fullmatch(parts[0]):
        return "the path leads out of the archive"
    return None


def _shown(path: str) -> str:
    return repr(path if len(path) <= _MAX_SHOWN_CHARS else path[:_MAX_SHOWN_CHARS] + "…")


def _padding(num_bytes: int) -> int:
    return -num_bytes % _BLOCK_BYTES


def _skip(stream: BinaryIO, num_bytes: int) -> int:
    """Read over `num_bytes`; how many there were."""
    left = num_bytes
    while left and (piece := stream.read(min(left, _PIECE_BYTES))):
        left -= len(piece)
    return num_bytes - left
