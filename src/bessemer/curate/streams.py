"""Streams over files that may be compressed: what can be decoded is read, to the last byte."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import pyarrow as pa

COMPRESSION = {".gz": "gzip", ".zst": "zstd"}
BUFFER_BYTES = 1 << 16


def open_stream(raw: BinaryIO, name: str) -> Decompressor:
    """A stream over `raw`, decompressed by suffix; truncation raises OSError."""
    for suffix, codec in COMPRESSION.items():
        if name.lower().endswith(suffix):
            return Decompressor(raw, codec)
    return Decompressor(raw, None)


class Decompressor(io.RawIOBase):
    """Arrow's decompression with the position that fastwarc asks for.

    Where a stream breaks off, Arrow loses what it decoded in the read that meets the break; so the
    stream is opened anew and the last part is read byte by byte, up to the break.
    """

    def __init__(self, raw: BinaryIO, codec: str | None) -> None:
        self._raw, self._codec = raw, codec
        self._stream = raw if codec is None else pa.CompressedInputStream(raw, codec)
        self._position = 0
        self._broken: Any = None  # the stream that met the break, kept: it closes `raw` as it goes
        self.tail = b""
        """The last bytes that were read."""

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._stream.read(len(buffer) if self._broken is None else 1)
        except OSError:
            if self._codec is None or self._broken is not None:
                raise
            self._start_over()
            return self.readinto(buffer)
        buffer[: len(data)] = data
        self._position += len(data)
        self.tail = (self.tail + data)[-4:]
        return len(data)

    def _start_over(self) -> None:
        """A new stream at the same position."""
        self._broken = self._stream
        self._raw.seek(0)
        self._stream = pa.CompressedInputStream(self._raw, self._codec)
        left = self._position
        while left:
            left -= len(self._stream.read(min(left, BUFFER_BYTES)))
