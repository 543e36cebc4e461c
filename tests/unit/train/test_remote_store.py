"""A store behind a network: what its errors are taken for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from bessemer.core.errors import MachineError
from bessemer.train.checkpoints.remote import RemoteStore


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
