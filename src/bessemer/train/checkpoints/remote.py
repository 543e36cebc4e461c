"""Checkpoints in an object store: any that fsspec knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import fsspec
import xxhash
from fsspec.spec import AbstractFileSystem

from bessemer.core.errors import BessemerError, IntegrityError, MachineError
from bessemer.core.layout import CHECKPOINTS
from bessemer.core.manifest import FileRecord
from bessemer.train.checkpoints.owner import OwnedStore
from bessemer.train.checkpoints.store import DiskStore, Store, Writable
from bessemer.train.progress import mark

_LOCAL = "file://"
_FETCHED_BYTES = 1 << 23  # at a time
_SENT_BYTES = 1 << 26  # at a time: S3 takes 10,000 parts of a file at most


class RemoteStore(Store):
    """A folder in an object store. One object takes the place of another whole or not at all.

    fsspec's `exists` and `isdir` are not asked: to them, a network that is down is an absence.
    """

    def __init__(self, system: AbstractFileSystem, path: str) -> None:
        self._system, self._path = system, path.rstrip("/")

    def __str__(self) -> str:
        return str(self._system.unstrip_protocol(self._path))

    def list(self, folder: str = "") -> list[str]:
        path = self._of(folder)
        with self._named("list", path):
            try:
                found = self._system.ls(path, detail=False)
            except FileNotFoundError:
                return []
        names = {str(each).rstrip("/").rpartition("/")[2] for each in found}
        return sorted(names - {"", path.rpartition("/")[2]})

    @contextmanager
    def writing(self, name: str) -> Iterator[Writable]:
        path = self._of(name)

        def named() -> AbstractContextManager[None]:
            return self._named("write", path)

        with named():
            file = self._system.open(path, "wb", block_size=_SENT_BYTES)
        try:
            yield _NamedFile(file, named)
        except BaseException:
            with suppress(Exception):
                file.close()
            raise
        with named():
            file.close()

    def replace(self, name: str, data: bytes) -> None:
        path = self._of(name)
        with self._named("write", path):
            self._system.pipe_file(path, data)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        path = self._of(name)
        with self._named("read", path):
            data = bytes(self._system.cat_file(path, start=start, end=stop))
        if stop is not None and len(data) != stop - start:
            raise IntegrityError(f"{path} ends before byte {stop}")
        return data

    def digest(self, name: str) -> tuple[int, str] | None:
        path, state = self._of(name), xxhash.xxh3_128()
        with self._named("read", path):
            try:
                num_bytes = int(self._system.info(path)["size"])
            except FileNotFoundError:
                return None
            for start in range(0, num_bytes, _FETCHED_BYTES):
                state.update(self._system.cat_file(path, start=start, end=start + _FETCHED_BYTES))
        return num_bytes, state.hexdigest()

    def remove(self, name: str) -> None:
        path = self._of(name)
        with self._named("delete", path):
            try:
                self._system.info(path)
            except FileNotFoundError:
                return
            self._system.rm(path, recursive=True)

    def _of(self, name: str) -> str:
        return f"{self._path}/{name}".rstrip("/")

    @contextmanager
    def _named(self, verb: str, path: str) -> Iterator[None]:
        """Libraries of stores have errors of their own, of many kinds."""
        try:
            yield
        except BessemerError:
            raise
        except Exception as error:
            url = self._system.unstrip_protocol(path)
            if verb == "read" and isinstance(error, FileNotFoundError):
                raise IntegrityError(f"{url} is missing") from error
            raise MachineError(f"cannot {verb} {url}: {error}") from error


class _NamedFile:
    """A file whose errors say which it is; those of whoever writes to it stay what they are."""

    def __init__(self, file: Any, named: Callable[[], AbstractContextManager[None]]) -> None:
        self._file, self._named = file, named

    def write(self, data: bytes | memoryview, /) -> None:
        with self._named():
            self._file.write(data)


def open_store(run: Path, url: str | None) -> Store:
    """The checkpoints of the run in a folder: in it, or under its name in the store that
    `cluster.checkpoints` names, which a run that trains is to claim (see `owner`).

    Raises MachineError if no library for that kind of store is installed.
    """
    if url is None:
        return DiskStore(run / CHECKPOINTS)
    if url.startswith(_LOCAL):
        return OwnedStore(DiskStore(Path(url.removeprefix(_LOCAL)) / run.name), run)
    try:
        system, path = fsspec.core.url_to_fs(url, use_listings_cache=False)  # others write, too
    except (ImportError, ValueError) as error:
        raise MachineError(f"cannot open cluster.checkpoints = {url!r}: {error}") from error
    return OwnedStore(RemoteStore(system, f"{path.rstrip('/')}/{run.name}"), run)


def copy_file(source: Store, target: Store, folder: str, file: FileRecord) -> None:
    """Copy a file of the checkpoint in `folder`, a block at a time, unless it is there already.

    Raises IntegrityError if its bytes are not those that were recorded.
    """
    name, state = f"{folder}/{file.path}", xxhash.xxh3_128()
    mark(f"copy {name}")
    if target.digest(name) == (file.num_bytes, file.digest):
        return
    with target.writing(name) as copy:
        for start in range(0, file.num_bytes, _FETCHED_BYTES):
            mark(f"copy {name}")
            block = source.read(name, start, min(file.num_bytes, start + _FETCHED_BYTES))
            state.update(block)
            copy.write(block)
    if state.hexdigest() != file.digest:
        raise IntegrityError(f"{source}/{name} was changed after it was written")
