"""A store behind a network: what its errors are taken for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from bessemer.core.errors import IntegrityError, MachineError
from bessemer.core.fingerprint import digest_bytes
from bessemer.core.manifest import FileRecord
from bessemer.train.checkpoints.remote import RemoteStore, copy_file
from bessemer.train.checkpoints.store import DiskStore
from bessemer.train.progress import last_mark


class FlakySystem(MemoryFileSystem):
    """The store in memory, behind a network that can be down."""

    protocol = "flaky"
    is_down = False

    def _try(self) -> None:
        if FlakySystem.is_down:
            raise OSError("connection reset by peer")

    def info(self, path: str, **settings: Any) -> Any:
        self._try()
        return super().info(path, **settings)

    def ls(self, path: str, detail: bool = True, **settings: Any) -> Any:
        self._try()
        return super().ls(path, detail=detail, **settings)


@contextmanager
def network_down() -> Iterator[None]:
    FlakySystem.is_down = True
    try:
        yield
    finally:
        FlakySystem.is_down = False


@pytest.fixture
def remote() -> Iterator[RemoteStore]:
    """One file in a store behind such a network."""
    fsspec.register_implementation("flaky", FlakySystem, clobber=True)
    store = RemoteStore(fsspec.filesystem("flaky", skip_instance_cache=True), "/outage/run")
    store.replace("step-00000001/a", b"1")
    yield store
    store.remove("")


def test_a_network_that_is_down_is_not_an_empty_store(remote: RemoteStore) -> None:
    with network_down():
        for call in (remote.list, remote.digest, remote.remove):
            with pytest.raises(MachineError, match="connection reset by peer"):
                call("step-00000001")
    assert remote.list() == ["step-00000001"]
    assert remote.list("step-00000001") == ["a"]
    assert remote.list("step-00000001/a") == []
    assert remote.list("nowhere") == []
    assert remote.digest("nowhere") is None
    remote.remove("nowhere")


def test_an_error_that_is_not_the_stores_is_not_put_down_to_it(remote: RemoteStore) -> None:
    with pytest.raises(RuntimeError, match="CUDA error"), remote.writing("x") as file:
        file.write(b"1")
        raise RuntimeError("CUDA error")
    with remote.writing("x") as file:
        file.write(b"12")
    assert remote.read("x") == b"12"


class FailingFile:
    """One that takes nothing."""

    def write(self, data: bytes) -> None:
        raise OSError(f"no connection for {len(data)} bytes")

    def close(self) -> None:
        raise OSError("no connection")


def test_an_error_while_a_file_is_sent_names_it(
    remote: RemoteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FlakySystem, "open", lambda *_, **__: FailingFile())
    with (
        pytest.raises(MachineError, match=r"cannot write .*/run/x: no connection for 1 bytes"),
        remote.writing("x") as file,
    ):
        file.write(b"1")
    with (
        pytest.raises(MachineError, match=r"cannot write .*/run/x: no connection$"),
        remote.writing("x"),
    ):
        pass


class CountingStore(DiskStore):
    """A disk that counts the bytes that are read from it."""

    num_bytes = 0

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        data = super().read(name, start, stop)
        self.num_bytes += len(data)
        return data

    def digest(self, name: str) -> tuple[int, str] | None:
        found = super().digest(name)
        self.num_bytes += found[0] if found else 0
        return found


def test_a_file_is_copied_once_and_leaves_marks_meanwhile(
    remote: RemoteStore, tmp_path: Path
) -> None:
    source, data = CountingStore(tmp_path), bytes(range(256)) * (1 << 16)  # two blocks
    source.replace("step-00000002/a", data)
    file = FileRecord(
        path="a",
        num_bytes=len(data),
        num_rows=None,
        digest=digest_bytes(data),
        reproducible=False,
    )
    before = last_mark().number
    copy_file(source, remote, "step-00000002", file)
    assert remote.read("step-00000002/a") == data
    assert source.num_bytes == len(data)
    assert last_mark().number >= before + 2
    copy_file(source, remote, "step-00000002", file)  # after a kill: it is there
    assert source.num_bytes == len(data)
    remote.replace("step-00000002/a", data[:-1])
    copy_file(source, remote, "step-00000002", file)
    assert remote.read("step-00000002/a") == data
    remote.remove("step-00000002")
    source.replace("step-00000002/a", data[:-1] + b"?")
    with pytest.raises(IntegrityError, match="step-00000002/a was changed after it was written"):
        copy_file(source, remote, "step-00000002", file)
