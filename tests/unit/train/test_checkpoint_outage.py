"""Storage that does not answer is no damage: nothing is passed over, overwritten or deleted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.train.test_checkpoint import (
    Odd,
    assert_equal,
    at_step,
    bytes_of,
    flip_a_bit,
    lose_the_manifest,
    odd_state,
)

from bessemer.config.train import CheckpointConfig
from bessemer.core.errors import IntegrityError, MachineError
from bessemer.train.checkpoints.checkpoint import load_model, read_manifests
from bessemer.train.checkpoints.keeper import Checkpoints
from bessemer.train.checkpoints.store import DiskStore


class OutageStore(DiskStore):
    """A disk that fails in one kind of call for names that have a part."""

    call, part = "", ""

    def _try(self, call: str, name: str) -> None:
        if call == self.call and self.part in name:
            raise MachineError(f"cannot {call} {name}: Input/output error")

    def list(self, folder: str = "") -> list[str]:
        self._try("list", folder)
        return super().list(folder)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        self._try("read", name)
        return super().read(name, start, stop)

    def digest(self, name: str) -> tuple[int, str] | None:
        self._try("digest", name)
        return super().digest(name)

    def remove(self, name: str) -> None:
        self._try("remove", name)
        super().remove(name)


@pytest.fixture
def store(tmp_path: Path) -> OutageStore:
    """Checkpoints of three steps."""
    store = OutageStore(tmp_path)
    keeper = Checkpoints(store, CheckpointConfig(keep=9))
    for step in (1, 2, 3):
        keeper.save(odd_state(step), at_step(step), wait=True)
    keeper.close()
    return store


@pytest.mark.parametrize(
    ("call", "part"),
    [
        ("list", ""),
        ("list", "step-00000003"),
        ("read", "step-00000003/checkpoint.json"),
        ("read", "index-1.json"),
        ("digest", "step-00000003/rank"),
        ("read", "rank-00000-1.safetensors"),
    ],
)
def test_a_start_without_storage_fails_and_the_next_one_goes_on(
    store: OutageStore, call: str, part: str
) -> None:
    keeper = Checkpoints(store, CheckpointConfig())
    store.call, store.part = call, part
    with pytest.raises(MachineError, match=f"cannot {call} .*Input/output error"):
        keeper.load_latest(odd_state(0))
    assert keeper.saved_step == 0
    store.call = ""
    state = odd_state(0)
    found = keeper.load_latest(state)
    keeper.close()
    assert found is not None and found.step == 3
    assert_equal(bytes_of(state), bytes_of(odd_state(3)))


@pytest.mark.parametrize(
    "harm", [flip_a_bit, lambda path: (path / "checkpoint.json").write_text("{")]
)
def test_damaged_checkpoints_alone_are_not_a_start_from_nothing(
    store: OutageStore, harm: Callable[[Path], Any]
) -> None:
    for step in (1, 2, 3):
        harm(store.folder / f"step-{step:08d}")
    keeper = Checkpoints(store, CheckpointConfig())
    with pytest.raises(IntegrityError, match=r"no sound checkpoint in .* 3 damaged.*--from train"):
        keeper.load_latest(odd_state(0))
    for step in (1, 2, 3):
        lose_the_manifest(store.folder / f"step-{step:08d}")
    assert keeper.load_latest(odd_state(0)) is None  # saves cut short are nothing to go on from
    keeper.close()


def test_no_older_model_takes_the_place_of_one_that_cannot_be_read(store: OutageStore) -> None:
    store.call, store.part = "digest", "step-00000003"
    with pytest.raises(MachineError, match="cannot digest step-00000003"):
        load_model(store, Odd(0))


def test_a_model_is_that_of_the_step_asked_for_or_none(store: OutageStore) -> None:
    assert load_model(store, Odd(0), step=3).step == 3
    flip_a_bit(store.folder / "step-00000003")
    assert load_model(store, Odd(0)).step == 2
    with pytest.raises(IntegrityError, match=r"after step 3 .* is not sound.*--from train"):
        load_model(store, Odd(0), step=3)
    shutil.rmtree(store.folder / "step-00000003")
    with pytest.raises(IntegrityError, match=r"after step 3 .* is not sound.*--from train"):
        load_model(store, Odd(0), step=3)


def test_no_checkpoint_of_the_future_is_loaded(store: OutageStore) -> None:
    keeper = Checkpoints(store, CheckpointConfig())
    found = keeper.load_latest(odd_state(0), up_to=2)
    assert found is not None and found.step == 2
    assert keeper.load_latest(odd_state(0), up_to=0) is None
    keeper.close()


def test_a_damaged_checkpoint_pushes_no_sound_one_out(tmp_path: Path) -> None:
    keeper = Checkpoints(DiskStore(tmp_path), CheckpointConfig(keep=2))
    for step in (1, 2):
        keeper.save(odd_state(step), at_step(step), wait=True)
    flip_a_bit(tmp_path / "step-00000002")
    found = keeper.load_latest(odd_state(0))
    assert found is not None and found.step == 1
    keeper.save(odd_state(3), at_step(3), wait=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000001", "step-00000003"]
    flip_a_bit(tmp_path / "step-00000003")
    assert keeper.load_latest(odd_state(0)) is not None
    keeper.save(odd_state(2), at_step(2), wait=True)
    keeper.save(odd_state(3), at_step(3), wait=True)  # again, and sound
    keeper.close()
    assert [each.step for each in read_manifests(DiskStore(tmp_path))] == [3, 2]


def test_folders_of_other_names_are_none_of_ours(tmp_path: Path) -> None:
    names = ["keep-20", "best-100", "save-5", "step-", "step-x", "step-²", "step-٣"]
    for name in names:
        (tmp_path / name).mkdir()
    keeper = Checkpoints(DiskStore(tmp_path), CheckpointConfig(keep=1))
    for step in (9, 100_000_000):
        keeper.save(odd_state(1), at_step(step), wait=True)
    found = keeper.load_latest(odd_state(0))
    keeper.close()
    assert found is not None and found.step == 100_000_000
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, found.folder])


def test_a_checkpoint_is_good_whatever_cannot_be_deleted_beside_it(
    store: OutageStore, caplog: pytest.LogCaptureFixture
) -> None:
    (store.folder / "step-00000004").mkdir()
    (store.folder / "step-00000004" / "rank-00007-1.safetensors").write_bytes(b"of another attempt")
    store.call, store.part = "remove", "rank-00007"
    keeper = Checkpoints(store, CheckpointConfig(keep=9))
    keeper.save(odd_state(4), at_step(4), wait=True)
    found = keeper.load_latest(odd_state(0))
    keeper.close()
    assert found is not None and found.step == keeper.saved_step == 4
    assert "cannot delete what is beside checkpoint step-00000004: cannot remove" in caplog.text
    assert "cannot save" not in caplog.text
