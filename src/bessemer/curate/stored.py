"""Source files as they are stored, here or in a store: what fails there is no fault of the data.

Nothing is quarantined because a disk, a store or the machine fails, and no file is read that is not
the one of the inventory: both stop the run, which goes on where it was when it is started again.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import fsspec

from bessemer.core.errors import IntegrityError, MachineError
from bessemer.curate.inventory import SourceFile, read_stamp
from bessemer.curate.read_errors import READ_ERRORS
from bessemer.curate.rows import say

# What is fetched of a store at a time; s3fs's 50 MiB would be read far over the end of a range.
_BLOCK_BYTES = 8 * 2**20


@contextmanager
def open_stored(file: SourceFile) -> Iterator[BinaryIO]:
    """The bytes of `file`.

    MachineError, when it is opened or read, if they cannot be had; IntegrityError, at the beginning
    or the end, if it is not the file of the inventory any more.
    """
    _refuse_changed(file)
    with Stored(_open(file.location), file.location) as raw:
        try:
            yield cast(BinaryIO, raw)
        except READ_ERRORS:
            _refuse_changed(file)  # which may be why
            raise
    _refuse_changed(file)


class Stored(io.RawIOBase):
    """`raw`, of which any failure to read is a MachineError that names `location`."""

    def __init__(self, raw: BinaryIO, location: str) -> None:
        self._raw, self._location = raw, location

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return self._raw.seek(offset, whence)
        except Exception as error:  # a client of a store may raise any
            # What stands in a damaged file may lead before its beginning.
            if isinstance(error, ValueError) or getattr(error, "errno", None) == errno.EINVAL:
                raise
            raise _unread(self._location, error) from error

    def tell(self) -> int:
        return self._raw.tell()

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._raw.read(len(buffer))
        except Exception as error:  # a client of a store may raise any
            raise _unread(self._location, error) from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _open(location: str) -> BinaryIO:
    try:
        if "://" not in location:  # of which fsspec would take "::" for a chain of file systems
            return Path(location).open("rb")
        system, path = fsspec.core.url_to_fs(location)
        raw: BinaryIO = system.open(path, "rb", block_size=_BLOCK_BYTES)
    except Exception as error:  # a client of a store may raise any
        raise _unread(location, error) from error
    return raw


def _refuse_changed(file: SourceFile) -> None:
    if file.stamp is not None and not file.stamp.is_of(read_stamp(file.location)):
        raise IntegrityError(
            f"{file.location} changed after the run began; "
            "see that nothing writes to it, then run again"
        )


def _unread(location: str, error: Exception) -> MachineError:
    return MachineError(
        f"cannot read {location}: {say(error)}; run again to go on from the finished shards"
    )
