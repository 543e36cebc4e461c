"""Two root folders with the same run file, and one place for checkpoints outside both."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.train.test_checkpoint import at_step, odd_state

from bessemer.config.train import CheckpointConfig
from bessemer.core.errors import IntegrityError, MachineError
from bessemer.core.layout import OWNER, STATE_DIGESTS
from bessemer.train.checkpoints.checkpoint import read_manifests
from bessemer.train.checkpoints.keeper import Checkpoints
from bessemer.train.checkpoints.owner import OwnedStore
from bessemer.train.checkpoints.remote import open_store
from bessemer.train.job import TrainingJob
from bessemer.train.launch import Launch
from bessemer.train.trainer import Trainer

MakeJob = Callable[..., TrainingJob]


def steps_in(store: OwnedStore) -> list[int]:
    return [each.step for each in read_manifests(store)]


@pytest.fixture
def stores(tmp_path: Path) -> tuple[OwnedStore, OwnedStore]:
    """The place as the run in either root folder has it."""
    url = f"file://{tmp_path}/disk"
    one, two = (open_store(tmp_path / root / "train" / "0123", url) for root in ("one", "two"))
    assert isinstance(one, OwnedStore) and isinstance(two, OwnedStore)
    return one, two


def save(store: OwnedStore, step: int) -> None:
    keeper = Checkpoints(store, CheckpointConfig(keep=1))
    try:
        keeper.save(odd_state(step), at_step(step), wait=True)
    finally:
        keeper.close()


def test_a_new_root_folder_takes_over_and_the_old_one_is_refused(
    stores: tuple[OwnedStore, OwnedStore], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = stores
    one.claim()
    save(one, 1)
    one.claim()  # it is ours
    with pytest.raises(MachineError, match="without --from takes them over"):
        two.remove("")
    two.claim()
    assert "taking over the checkpoints in" in caplog.text
    assert f"{tmp_path}/one/train/0123 (since " in caplog.text
    save(two, 2)
    for refused in (one.claim, lambda: one.remove(""), lambda: save(one, 3)):
        with pytest.raises(MachineError, match=r"are those of the run in .*/two/train/0123"):
            refused()
    assert steps_in(two) == [2]
    (tmp_path / "one/train/0123" / OWNER).unlink()  # as the error says
    one.claim()
    save(one, 3)
    assert steps_in(one) == [3]
    with pytest.raises(MachineError, match=rf"delete .*/two/train/0123/{OWNER} and run again"):
        two.claim()


def test_a_kill_in_the_middle_of_a_claim_does_no_harm(
    stores: tuple[OwnedStore, OwnedStore], tmp_path: Path
) -> None:
    one, _ = stores
    one.claim()
    (tmp_path / "one/train/0123" / OWNER).unlink()
    one.claim()
    save(one, 1)
    one.remove("")
    one.claim()  # the folder knows its name, the place has forgotten it
    save(one, 2)
    assert steps_in(one) == [2]


def test_a_damaged_name_of_an_owner_is_no_leave_to_overwrite(
    stores: tuple[OwnedStore, OwnedStore],
) -> None:
    one, two = stores
    one.claim()
    save(one, 1)
    one.place.replace(OWNER, b"{")
    for store in stores:
        with pytest.raises(IntegrityError, match="delete it if no other run"):
            store.claim()
    assert steps_in(two) == [1]


def test_a_run_that_was_taken_over_stops_and_the_other_ends_with_the_same_bits(
    make_job: MakeJob, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def of_root(name: str) -> TrainingJob:
        job = make_job("run")
        cluster = job.cluster.model_copy(update={"checkpoints": f"file://{tmp_path}/disk"})
        settings = {"every_steps": 1, "keep": 9, "most_steps_unsaved": 1, "asynchronous": False}
        checkpoint = CheckpointConfig.model_validate(settings)
        train = job.train.model_copy(update={"checkpoint": checkpoint})
        return replace(job, cluster=cluster, train=train, folder=tmp_path / name / "0123")

    first, second = of_root("first"), of_root("second")
    trainer = Trainer(first, Launch())
    save_checkpoint = trainer._save

    def save_and_be_taken_over(*arguments: object, **settings: object) -> None:
        save_checkpoint(*arguments, **settings)
        if trainer.step == 3:
            Trainer(second, Launch())._resume()

    trainer._save = save_and_be_taken_over  # type: ignore[method-assign]
    with pytest.raises(MachineError, match=r"after step 5: .* those of the run in .*second"):
        trainer.run()
    with caplog.at_level(logging.INFO):
        Trainer(second, Launch()).run()
    assert "going on from step 3 of 6" in caplog.text
    alone = replace(make_job("alone"), train=first.train)
    Trainer(alone, Launch()).run()
    digests = (alone.folder / STATE_DIGESTS).read_bytes()
    assert (second.folder / STATE_DIGESTS).read_bytes() == digests
