"""Token shards in an object store: as much of a path as reading them needs, by ranges.

Any store that fsspec knows. What is read of token ids is cut into blocks, of which a bounded number
is kept, least recently used first out; other files are read whole. Safe for many threads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import numpy as np
from fsspec.spec import AbstractFileSystem

from bessemer.core.errors import MachineError
from bessemer.core.recent import Recent

# A request costs some 30 ms of waiting whatever it brings, up to about a megabyte. A sample is a
# few kilobytes, so larger blocks would mostly bring what is not asked for.
BLOCK_BYTES = 1 << 16
CACHE_BYTES = 256 << 20

_LOCAL = "file://"


class Store:
    """One fsspec file system, and the blocks that were read from it last."""

    def __init__(self, system: AbstractFileSystem, capacity_bytes: int = CACHE_BYTES) -> None:
        self.system = system
        self._blocks: Recent[tuple[str, int], bytes] = Recent(capacity_bytes, len)

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """A method of the file system; MachineError if the store does not answer."""
        try:
            return getattr(self.system, method)(path, **arguments)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise MachineError(f"cannot read {path} of cluster.tokens: {error}") from error

    def block(self, path: str, number: int) -> bytes:
        """Block `number` of a file; the last one is shorter."""
        start = number * BLOCK_BYTES
        return self._blocks.get(
            (path, number),
            lambda: self.call("cat_file", path, start=start, end=start + BLOCK_BYTES),
        )


class RemotePath:
    """A file or folder in a store."""

    def __init__(self, store: Store, path: str) -> None:
        self._store, self._path = store, path

    def __str__(self) -> str:
        return str(self._store.system.unstrip_protocol(self._path))

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(self._store, f"{self._path.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        """The last part."""
        return self._path.rpartition("/")[2]

    def with_name(self, name: str) -> RemotePath:
        """The file beside this one."""
        return RemotePath(self._store, f"{self._path.rpartition('/')[0]}/{name}")

    def read_bytes(self) -> bytes:
        """All of it; FileNotFoundError if it is missing."""
        data: bytes = self._store.call("cat_file", self._path)
        return data

    def num_bytes(self) -> int | None:
        """Its size; None if it is missing."""
        try:
            return int(self._store.call("size", self._path))
        except FileNotFoundError:
            return None

    def read_range(self, start: int, stop: int) -> bytes:
        """Some of its bytes, through the blocks that are held."""
        first, last = start // BLOCK_BYTES, -(-stop // BLOCK_BYTES)
        data = b"".join(self._store.block(self._path, number) for number in range(first, last))
        begin = first * BLOCK_BYTES
        return data[start - begin : stop - begin]


class RemoteTokens:
    """Token ids of a shard, read by slices like the array that a local file is mapped to."""

    def __init__(self, path: RemotePath, dtype: np.dtype[Any], num_tokens: int) -> None:
        self._path, self._dtype, self._num_tokens = path, dtype, num_tokens

    def __getitem__(self, part: slice) -> np.ndarray:
        start, stop, _ = part.indices(self._num_tokens)
        size = self._dtype.itemsize
        return np.frombuffer(self._path.read_range(start * size, stop * size), self._dtype)


def open_root(tokens: str) -> Path | RemotePath:
    """The folder that `cluster.tokens` names; `file://` is a folder like any other.

    MachineError if no library for that kind of store is installed.
    """
    if tokens.startswith(_LOCAL):
        return Path(tokens.removeprefix(_LOCAL))
    try:
        system, path = fsspec.core.url_to_fs(tokens)
    except (ImportError, ValueError) as error:
        raise MachineError(f"cannot open cluster.tokens = {tokens!r}: {error}") from error
    return RemotePath(Store(system), path)
