"""Streams over files that may be compressed: what can be decoded is read, to the last byte.

The first bytes of a file say how it is compressed, whatever its name; all members of a file of
several are read. How far a file may expand is bounded.
"""

from __future__ import annotations

import bz2
import io
import lzma
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import pyarrow as pa

from bessemer.config.curate import CurateConfig
from bessemer.curate.formats.by_name import COMPRESSION
from bessemer.curate.inventory import SourceFile
from bessemer.curate.parts import Range
from bessemer.curate.read_errors import READ_ERRORS

BUFFER_BYTES = 1 << 16
HEAD_BYTES = 1024  # a tar says what it is at byte 257

# RFC 1952 (gzip, deflate); RFC 8878 (zstd, perhaps behind a skippable frame); bzip2's block or end;
# the .xz file format 1.2, section 2.1.1.
_BEGINNINGS = {
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
    "bzip2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
    "xz": re.compile(rb"\xfd7zXZ\x00"),
}
_MAGIC_BYTES = 10
# `xz -9` needs 65 MiB to decode; a file may ask for 4 GiB.
_XZ_MEMORY_BYTES = 256 * 2**20


class ExpansionError(ValueError):
    """A file expands further than `[curate]` allows."""


@dataclass(kw_only=True, slots=True)
class Growth:
    """What the members of an archive expanded to, all together, of at most `limit` bytes."""

    limit: int
    num_bytes: int = 0

    def add(self, num_bytes: int) -> None:
        """Count them; ExpansionError if they are too many."""
        self.num_bytes += num_bytes
        if self.num_bytes > self.limit:
            raise ExpansionError(_expands(self.limit))


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenFile:
    """A source file with its bytes at hand: `head` are the first of them, decompressed.

    With a `range`, only that stretch of the file is to be read. With `growth`, it is a member of an
    archive, and what it expands to is counted there.
    """

    file: SourceFile
    raw: BinaryIO
    codec: str | None
    head: bytes
    curate: CurateConfig
    range: Range | None = None
    growth: Growth | None = None

    @property
    def size_bytes(self) -> int:
        """How many bytes of the file are to be read, as they are stored."""
        return self.file.size_bytes if self.range is None else self.range.size_bytes

    @property
    def max_bytes(self) -> int:
        """How long a document may be."""
        return self.curate.max_document_bytes

    @property
    def max_expanded_bytes(self) -> int:
        """How far the file, or its range, may expand.

        Two documents of the greatest length are never too much: files of a few bytes may have any
        ratio, and do no harm.
        """
        by_ratio = int(self.curate.max_expansion_ratio * self.size_bytes)
        return min(self.curate.max_expanded_bytes, max(by_ratio, 2 * self.max_bytes))

    def stream(self, begin: int = 0) -> Decompressor:
        """The decompressed bytes, from `begin` on if they are stored so; truncation raises
        OSError."""
        assert begin == 0 or self.codec is None, self.codec
        self.raw.seek(begin)
        return Decompressor(self.raw, self.codec, self.max_expanded_bytes, self.growth)

    def buffered(self, begin: int = 0) -> io.BufferedReader:
        """The same with lines and exact reads."""
        return io.BufferedReader(self.stream(begin), BUFFER_BYTES)

    def expansion_error(self) -> ExpansionError:
        """What is wrong with a file that holds more than `max_expanded_bytes`."""
        return ExpansionError(_expands(self.max_expanded_bytes))


def open_range(raw: BinaryIO, file: SourceFile, curate: CurateConfig, range_: Range) -> OpenFile:
    """`raw`, of which only `range_` is to be read; what the file is was found out before."""
    return OpenFile(file=file, raw=raw, codec=None, head=b"", curate=curate, range=range_)


def open_file(raw: BinaryIO, file: SourceFile, curate: CurateConfig) -> OpenFile:
    """`raw` with its codec and first bytes; ValueError if the name says it is compressed and the
    bytes do not."""
    head = raw.read(HEAD_BYTES)
    codec = codec_of(file.path, head)
    opened = OpenFile(file=file, raw=raw, codec=codec, head=head, curate=curate)
    if codec is None:
        return opened
    try:
        head = opened.buffered().read(HEAD_BYTES)
    except READ_ERRORS:
        head = b""  # whoever reads on will tell
    return replace(opened, head=head)


def codec_of(path: str, head: bytes) -> str | None:
    """How a file with these first bytes is compressed; ValueError if its name says that it is and
    its bytes do not."""
    for codec, beginning in _BEGINNINGS.items():
        if beginning.match(head):
            return codec
    for suffix, codec in COMPRESSION.items():
        if path.lower().endswith(suffix):
            if len(head) < _MAGIC_BYTES:
                return codec  # cut short, which its reader tells
            raise ValueError(f"named {suffix}, but its bytes are not compressed in any known way")
    return None


def _expands(limit: int) -> str:
    return (
        f"the file expands to more than {limit} bytes "
        "(curate.max_expansion_ratio, curate.max_expanded_bytes)"
    )


class Decompressor(io.RawIOBase):
    """A decompressed stream with the position that fastwarc asks for, of at most `limit` bytes, and
    of no more than `growth` has left.

    Where a stream breaks off, Arrow loses what it decoded in the read that meets the break; so the
    stream is opened anew and the last part is read byte by byte, up to the break.
    """

    def __init__(
        self, raw: BinaryIO, codec: str | None, limit: int, growth: Growth | None = None
    ) -> None:
        self._raw, self._codec, self._limit = raw, codec, limit
        self._growth = Growth(limit=limit) if growth is None else growth
        self._stream = _decoded(raw, codec)
        self._position = 0
        self._is_broken = False
        self.tail = b""
        """The last bytes that were read."""

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        left, left_of_all = (
            self._limit - self._position,
            self._growth.limit - self._growth.num_bytes,
        )
        room = len(buffer) if self._codec is None else min(left, left_of_all)
        if room <= 0:
            if self._read(1):
                limit = self._limit if left <= 0 else self._growth.limit
                raise ExpansionError(_expands(limit))
            return 0
        data = self._read(min(len(buffer), room))
        if self._codec is not None:
            self._growth.add(len(data))
        buffer[: len(data)] = data
        self._position += len(data)
        self.tail = (self.tail + data)[-4:]
        return len(data)

    def _read(self, num_bytes: int) -> bytes:
        try:
            data: bytes = self._stream.read(1 if self._is_broken else num_bytes)
        except OSError:
            if self._codec is None or self._is_broken:
                raise
            self._start_over()
            return self._read(num_bytes)
        return data

    def _start_over(self) -> None:
        """A new stream at the same position; OSError if the file does not reach so far any more."""
        self._is_broken = True
        self._raw.seek(0)
        self._stream = _decoded(self._raw, self._codec)
        left = self._position
        while left:
            data = self._stream.read(min(left, BUFFER_BYTES))
            if not data:
                raise OSError("the file became shorter while it was read")
            left -= len(data)


def _decoded(raw: BinaryIO, codec: str | None) -> Any:
    match codec:
        case None:
            return raw
        case "bzip2":
            return _Members(raw, bz2.BZ2Decompressor)
        case "xz":
            return _Members(raw, _xz_decoder)
        case _:
            return pa.CompressedInputStream(_Unclosed(raw), codec)


def _xz_decoder() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)


class _Unclosed:
    """A file that stays open when Arrow lets go of the stream over it."""

    closed = False

    def __init__(self, raw: BinaryIO) -> None:
        self.read, self.seek, self.tell = raw.read, raw.seek, raw.tell

    def close(self) -> None:
        """Do nothing."""


class _Members:
    """Python's decoders of bzip2 and xz over all members of a file; OSError at any damage.

    The modules' own files do not bound what a decoder may take, and pass over bytes behind the
    last member.
    """

    def __init__(self, raw: BinaryIO, make: Callable[[], Any]) -> None:
        self._raw, self._make = raw, make
        self._decoder = make()

    def read(self, num_bytes: int) -> bytes:
        """Up to `num_bytes`, at least one if there are any."""
        while True:
            decoder = self._decoder
            if decoder.eof:
                coded = _without_padding(decoder.unused_data)
                while not coded:
                    coded = self._raw.read(BUFFER_BYTES)
                    if not coded:
                        return b""
                    coded = _without_padding(coded)
                self._decoder = self._make()
            elif decoder.needs_input:
                coded = self._raw.read(BUFFER_BYTES)
                if not coded:
                    raise OSError("Truncated compressed stream")
            else:
                coded = b""
            if data := self._decode(coded, num_bytes):
                return data

    def _decode(self, coded: bytes, num_bytes: int) -> bytes:
        try:
            data: bytes = self._decoder.decompress(coded, num_bytes)
        except (lzma.LZMAError, ValueError) as error:
            raise OSError(f"{self._decoder.__class__.__name__}: {error}") from error
        return data


def _without_padding(coded: bytes) -> bytes:
    """`coded` without zeros in front, which the .xz format allows between members."""
    return coded.lstrip(b"\0")
