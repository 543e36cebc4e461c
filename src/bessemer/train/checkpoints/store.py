"""Where checkpoints are kept: files by name in a folder, on a disk or elsewhere.

All that is asked of a place is that one small file takes the place of another whole or not at all.
"""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from bessemer.core.errors import IntegrityError, MachineError
from bessemer.core.fingerprint import digest_file
from bessemer.core.storage import TEMPORARY, write_bytes


class Writable(Protocol):
    """A file that is being written."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Put bytes at its end."""


class Store(ABC):
    """A folder. Names are relative to it, with slashes.

    Whatever the place refuses is a MachineError that names the file.
    """

    @abstractmethod
    def list(self, folder: str = "") -> list[str]:
        """Names in a folder, sorted; none if it is not there."""

    @abstractmethod
    def writing(self, name: str) -> AbstractContextManager[Writable]:
        """A new file, safe when the block ends."""

    @abstractmethod
    def replace(self, name: str, data: bytes) -> None:
        """Write a small file, whole or not at all."""

    @abstractmethod
    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """All bytes of a file, or some; IntegrityError if they are not there."""

    @abstractmethod
    def digest(self, name: str) -> tuple[int, str] | None:
        """How many bytes a file has, and their xxh3-128; None if it is missing."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Delete a file or a folder with all that is in it, if it is there."""


class DiskStore(Store):
    """A folder on a disk; files that are being replaced have no names yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __str__(self) -> str:
        return str(self.folder)

    def list(self, folder: str = "") -> list[str]:
        path = self.folder / folder
        with _named("read", path):
            try:
                names = [each.name for each in path.iterdir()]
            except (FileNotFoundError, NotADirectoryError):
                names = []
        return sorted(name for name in names if not name.startswith(TEMPORARY))

    @contextmanager
    def writing(self, name: str) -> Iterator[Writable]:
        path = self.folder / name
        with _named("write", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())

    def replace(self, name: str, data: bytes) -> None:
        write_bytes(self.folder / name, data)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        path = self.folder / name
        with _named("read", path), path.open("rb") as file:
            file.seek(start)
            data = file.read(-1 if stop is None else stop - start)
        if stop is not None and len(data) != stop - start:
            raise IntegrityError(f"{path} ends before byte {stop}")
        return data

    def digest(self, name: str) -> tuple[int, str] | None:
        path = self.folder / name
        with _named("read", path):
            try:
                return path.stat().st_size, digest_file(path)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def remove(self, name: str) -> None:
        path = self.folder / name
        with _named("delete", path):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


@contextmanager
def _named(verb: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if verb == "read" and isinstance(error, FileNotFoundError):
            raise IntegrityError(f"{path} is missing") from error
        raise MachineError(f"cannot {verb} {path}: {error.strerror or error}") from error
