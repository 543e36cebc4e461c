"""Checkpoints of one process: what their files are, what harms them, what storage does to them."""

from __future__ import annotations

import json
import logging
import os
import pickle
import resource
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.distributed.checkpoint import HuggingFaceStorageReader
from torch.distributed.checkpoint import load as dcp_load
from torch.distributed.checkpoint import save as dcp_save

from bessemer.config.train import CheckpointConfig
from bessemer.core.errors import IntegrityError, MachineError, TrainingError
from bessemer.core.fingerprint import canonical_json, digest_bytes, digest_file
from bessemer.core.layout import CHECKPOINTS, STATE_DIGESTS
from bessemer.core.manifest import record_files
from bessemer.core.storage import read_json, write_json
from bessemer.train.checkpoints.checkpoint import CheckpointManifest, load_model, read_manifests
from bessemer.train.checkpoints.keeper import Checkpoints
from bessemer.train.checkpoints.state import TrainState
from bessemer.train.checkpoints.store import DiskStore, Writable
from bessemer.train.job import TrainingJob
from bessemer.train.launch import Launch
from bessemer.train.progress import last_mark
from bessemer.train.trainer import Trainer

MakeJob = Callable[..., TrainingJob]


def at_step(step: int, bits_per_byte: float | None = None) -> CheckpointManifest:
    return CheckpointManifest(
        step=step,
        tokens_seen=10 * step,
        next_sample=step,
        history="",
        memory={"guard": [step]},
        bits_per_byte=bits_per_byte,
    )


class Odd(nn.Module):
    """Tensors of all kinds that a model may hold."""

    def __init__(self, fill: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(12.0).view(3, 4).T * fill)  # not contiguous
        self.register_buffer("scalar", torch.tensor(fill, dtype=torch.int64))
        self.register_buffer("coarse", torch.full((3,), 0.1 * fill, dtype=torch.bfloat16))
        self.register_buffer("flags", torch.tensor([True, False, True]) ^ (fill % 2 == 0))
        self.register_buffer("empty", torch.zeros(0, 5))
        self.register_buffer("fine", torch.full((1,), fill / 3, dtype=torch.float64))


def odd_state(fill: int) -> TrainState:
    return TrainState(
        model=Odd(fill), optimizers=(), average={"counted": torch.tensor(float(fill))}
    )


def bytes_of(state: TrainState) -> dict[str, torch.Tensor]:
    return {name: each.detach().clone() for name, each in state.tensors().items()}


def assert_equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> None:
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert tensor.dtype == two[name].dtype, name
        assert torch.equal(tensor, two[name]), name


def test_every_kind_of_tensor_comes_back_and_others_can_read_the_files(tmp_path: Path) -> None:
    state = odd_state(3)
    expected = bytes_of(state)
    keeper = Checkpoints(DiskStore(tmp_path), CheckpointConfig())
    keeper.save(state, at_step(1), wait=True)
    other = odd_state(4)
    found = keeper.load_latest(other)
    keeper.close()
    assert found is not None
    assert (found.step, found.next_sample, found.memory) == (1, 1, {"guard": [1]})
    assert_equal(bytes_of(other), expected)
    folder = tmp_path / "step-00000001"
    assert_equal(load_file(folder / "rank-00000-1.safetensors"), expected)
    # torch's reader has its own ideas of tensors without elements or dims, and none of booleans.
    some = {name: torch.empty_like(each) for name, each in expected.items() if each.numel() > 1}
    del some["model.flags"]
    dcp_load(some, storage_reader=HuggingFaceStorageReader(str(folder)), no_dist=True)
    assert_equal(some, {name: expected[name] for name in some})


def test_a_model_that_does_not_fit_is_told_what_differs(tmp_path: Path) -> None:
    keeper = Checkpoints(DiskStore(tmp_path), CheckpointConfig())
    keeper.save(odd_state(3), at_step(1), wait=True)
    keeper.close()
    other = Odd(3)
    other.more = nn.Parameter(torch.zeros(2))
    with pytest.raises(IntegrityError, match=r"model.more is not in it, should have \(2,\)"):
        load_model(tmp_path, other)
    del other.more
    other.weight = nn.Parameter(torch.zeros(4, 4))
    with pytest.raises(IntegrityError, match=r"model.weight has shape \(4, 3\) in it"):
        load_model(tmp_path, other)


class GatedStore(DiskStore):
    """A disk that begins to write only when told to."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.gate = threading.Event()

    @contextmanager
    def writing(self, name: str) -> Iterator[Writable]:
        assert self.gate.wait(60)
        with super().writing(name) as file:
            yield file


def test_what_is_saved_is_the_state_when_save_was_called(tmp_path: Path) -> None:
    store = GatedStore(tmp_path)
    keeper, state = Checkpoints(store, CheckpointConfig()), odd_state(3)
    memory: dict[str, list[float]] = {"window": [1.0]}
    for step in (1, 2):  # the buffers of the second are those of the first
        expected = bytes_of(state)
        keeper.save(state, replace(at_step(step), memory=memory))
        for each in state.tensors().values():
            each.detach().zero_()
        memory["window"].append(0.0)
        assert not list(tmp_path.glob("*/checkpoint.json")), "it was to be written later"
        store.gate.set()
        assert keeper.settle() is None
        other = odd_state(1)
        found = keeper.load_latest(other)
        assert found is not None and found.memory == {"window": [1.0] + [0.0] * (step - 1)}
        assert_equal(bytes_of(other), expected)
        state = odd_state(5)
        shutil.rmtree(tmp_path / found.folder)
        store.gate.clear()
    store.gate.set()
    keeper.close()


def test_a_save_waits_for_the_one_before(tmp_path: Path) -> None:
    store = GatedStore(tmp_path)
    keeper = Checkpoints(store, CheckpointConfig())
    keeper.save(odd_state(1), at_step(1))
    threading.Timer(0.2, store.gate.set).start()
    keeper.save(odd_state(2), at_step(2))
    assert (tmp_path / "step-00000001" / "checkpoint.json").exists()
    keeper.close()
    assert (tmp_path / "step-00000002" / "checkpoint.json").exists()


class SlowStore(DiskStore):
    """A disk that takes a second and more for every block."""

    @contextmanager
    def writing(self, name: str) -> Iterator[Writable]:
        with super().writing(name) as file:

            class Slow:
                def write(self, data: bytes) -> None:
                    time.sleep(1.2)
                    file.write(data)

            yield Slow()


def test_training_that_waits_for_a_save_leaves_marks_while_bytes_are_written(
    tmp_path: Path,
) -> None:
    keeper = Checkpoints(SlowStore(tmp_path), CheckpointConfig())
    before = last_mark().number
    keeper.save(odd_state(1), at_step(1), wait=True)
    keeper.close()
    assert last_mark().number >= before + 2
    assert last_mark().doing == "write the checkpoint of step 1"


@contextmanager
def no_file_above(num_bytes: int) -> Iterator[None]:
    """The kernel refuses to write more into any file (EFBIG), as it does on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_step_saved_again_leaves_the_good_one_until_it_is_whole(tmp_path: Path) -> None:
    keeper = Checkpoints(DiskStore(tmp_path), CheckpointConfig())
    first, second = odd_state(3), odd_state(4)
    keeper.save(first, at_step(1), wait=True)
    with no_file_above(16), pytest.raises(MachineError, match="File too large"):
        keeper.save(second, at_step(1), wait=True)
    other = odd_state(1)
    assert keeper.load_latest(other) is not None
    assert_equal(bytes_of(other), bytes_of(first))
    assert len(list((tmp_path / "step-00000001").iterdir())) == 3  # and nothing half written
    keeper.save(second, at_step(1), wait=True)
    assert keeper.load_latest(other) is not None
    assert_equal(bytes_of(other), bytes_of(second))
    assert len(list((tmp_path / "step-00000001").iterdir())) == 3
    keeper.close()


def fill_up(folder: Path) -> None:
    """What is written there next finds the disk full: ENOSPC, by the kernel."""
    folder.mkdir(parents=True)
    (folder / "rank-00000-1.safetensors").symlink_to("/dev/full")


def take_the_place(folder: Path) -> None:
    """No folder can be made there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")


@pytest.mark.parametrize(
    ("harm", "reason"),
    [(fill_up, "No space left on device"), (take_the_place, "Not a directory|File exists")],
)
@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_save_that_fails_is_tried_again_and_changes_nothing(
    make_job: MakeJob,
    caplog: pytest.LogCaptureFixture,
    harm: Callable[[Path], None],
    reason: str,
    asynchronous: bool,
) -> None:
    expected, job = (
        with_checkpoints(make_job("sound")),
        with_checkpoints(make_job("harmed"), asynchronous=asynchronous),
    )
    Trainer(expected, Launch()).run()
    harm(job.folder / CHECKPOINTS / "step-00000004")
    Trainer(job, Launch()).run()
    (record,) = [each for each in caplog.records if each.getMessage().startswith("cannot save")]
    assert "cannot save a checkpoint after step 4: cannot write" in record.getMessage()
    assert any(part in record.getMessage() for part in reason.split("|"))
    assert "The last good one is that after step 3" in record.getMessage()
    assert read_json(job.folder / STATE_DIGESTS) == read_json(expected.folder / STATE_DIGESTS)
    steps = [each.step for each in read_manifests(DiskStore(job.folder / CHECKPOINTS))]
    assert steps == [6, 5, 3, 2, 1]


def with_checkpoints(job: TrainingJob, **settings: object) -> TrainingJob:
    config = CheckpointConfig.model_validate({"every_steps": 1, "keep": 100, **settings})
    return replace(job, train=job.train.model_copy(update={"checkpoint": config}))


@pytest.mark.parametrize(("limit", "last"), [(None, 6), (1, 4)])
def test_training_stops_when_nothing_can_be_saved_for_long(
    make_job: MakeJob, limit: int | None, last: int
) -> None:
    job = with_checkpoints(make_job(num_steps=9), most_steps_unsaved=limit)
    for step in range(3, 10):
        fill_up(job.folder / CHECKPOINTS / f"step-{step:08d}")
    trainer = Trainer(job, Launch())
    with pytest.raises(MachineError) as caught:
        trainer.run()
    assert f"cannot save a checkpoint after step {last}: " in str(caught.value)
    assert "No space left on device" in str(caught.value)
    assert f"The last good one is that after step 2 in {job.folder}" in str(caught.value)
    assert trainer.step == last
    assert load_model(job.folder / CHECKPOINTS, trainer.learner.decoder).step == 2


def test_a_run_whose_last_state_cannot_be_saved_does_not_end_well(make_job: MakeJob) -> None:
    job = with_checkpoints(make_job(), every_steps=4)
    fill_up(job.folder / CHECKPOINTS / "step-00000006")
    with pytest.raises(MachineError, match="cannot save a checkpoint after step 6"):
        Trainer(job, Launch()).run()


def shard_of(folder: Path) -> Path:
    return folder / "rank-00000-1.safetensors"


def truncate(folder: Path) -> None:
    os.truncate(shard_of(folder), shard_of(folder).stat().st_size // 2)


def flip_a_bit(folder: Path) -> None:
    data = bytearray(shard_of(folder).read_bytes())
    data[len(data) // 3] ^= 16
    shard_of(folder).write_bytes(data)


def lose_the_shard(folder: Path) -> None:
    shard_of(folder).unlink()


def lose_the_manifest(folder: Path) -> None:
    (folder / "checkpoint.json").unlink()


def damage_the_manifest(folder: Path) -> None:
    path = folder / "checkpoint.json"
    path.write_text(path.read_text()[:-20])


def change_the_manifest(folder: Path) -> None:
    record = read_json(folder / "checkpoint.json")
    write_json(folder / "checkpoint.json", record | {"next_sample": record["next_sample"] + 1})


def sign(folder: Path, record: dict[str, Any]) -> None:
    """Write a manifest with the digest that it should have."""
    said = {key: value for key, value in record.items() if key != "digest"}
    digest = digest_bytes(canonical_json(said).encode())
    write_json(folder / "checkpoint.json", said | {"digest": digest})


def reach_outside(folder: Path) -> None:
    record = read_json(folder / "checkpoint.json")
    record["files"][0]["path"] = "../../../secret.json"
    sign(folder, record)


def forge(folder: Path, name: str, data: bytes) -> None:
    """Other contents for one file, with a manifest that vouches for it."""
    (folder / name).write_bytes(data)
    record = read_json(folder / "checkpoint.json")
    for file in record["files"]:
        if file["path"] == name:
            file |= {"num_bytes": len(data), "digest": digest_file(folder / name)}
    sign(folder, record)


def forge_the_index(folder: Path) -> None:
    forge(folder, "index-1.json", b'{"model.lm_head.weight": 7}')


def shorten_a_tensor(folder: Path) -> None:
    index = read_json(folder / "index-1.json")
    index["model.embed_tokens.weight"]["boxes"][0]["stop"] -= 4
    forge(folder, "index-1.json", json.dumps(index).encode())


def leave_out_a_box(folder: Path) -> None:
    index = read_json(folder / "index-1.json")
    index["model.embed_tokens.weight"]["boxes"] = []
    forge(folder, "index-1.json", json.dumps(index).encode())


def leave_out_a_tensor(folder: Path) -> None:
    index = read_json(folder / "index-1.json")
    del index["model.embed_tokens.weight"]
    forge(folder, "index-1.json", json.dumps(index).encode())


@pytest.mark.parametrize(
    "harm",
    [
        truncate,
        flip_a_bit,
        lose_the_shard,
        lose_the_manifest,
        damage_the_manifest,
        change_the_manifest,
        reach_outside,
        forge_the_index,
        shorten_a_tensor,
        leave_out_a_box,
        leave_out_a_tensor,
    ],
)
def test_a_harmed_checkpoint_is_passed_over_and_nothing_is_lost(
    make_job: MakeJob,
    whole_run: TrainingJob,
    caplog: pytest.LogCaptureFixture,
    harm: Callable[[Path], None],
) -> None:
    job = with_checkpoints(make_job("harmed"), keep=2)
    shutil.copytree(whole_run.folder, job.folder)
    folder = job.folder / CHECKPOINTS
    for step in (5, 6):
        shutil.rmtree(folder / f"step-{step:08d}")
    harm(folder / "step-00000004")
    with caplog.at_level(logging.INFO):
        Trainer(job, Launch()).run()
    (said,) = [each for each in caplog.messages if "passing over checkpoint" in each]
    assert f"{folder}/step-00000004" in said
    assert "going on from step 3 of 6" in caplog.text
    digests = (job.folder / STATE_DIGESTS).read_bytes()
    assert digests == (whole_run.folder / STATE_DIGESTS).read_bytes()
    assert [each.step for each in read_manifests(DiskStore(folder))] == [6, 5]


@pytest.fixture
def whole_run(make_job: MakeJob) -> TrainingJob:
    job = with_checkpoints(make_job("whole"))
    Trainer(job, Launch()).run()
    return job


class Bomb:
    """Unpickling it creates a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


def test_no_pickle_in_a_checkpoint_is_ever_read(
    make_job: MakeJob, whole_run: TrainingJob, tmp_path: Path
) -> None:
    mark = tmp_path / "exploded"
    bomb = pickle.dumps(Bomb(mark))
    pickle.loads(bomb)
    mark.rmdir()  # it works
    folder = whole_run.folder / CHECKPOINTS
    for step in (1, 2, 3, 4, 5, 6):
        path = folder / f"step-{step:08d}"
        for name in (".metadata", "__0_0.distcp"):
            (path / name).write_bytes(bomb)
    forge(folder / "step-00000006", "index-1.json", bomb)
    forge(folder / "step-00000005", "rank-00000-1.safetensors", bomb)
    (folder / "step-00000004" / "checkpoint.json").write_bytes(bomb)
    branch = replace(with_checkpoints(make_job("branch")), earlier=(whole_run.folder,))
    (branch.folder / CHECKPOINTS / "step-00000002").mkdir(parents=True)
    (branch.folder / CHECKPOINTS / "step-00000002" / ".metadata").write_bytes(bomb)
    with unpickled() as found:
        with pytest.raises(IntegrityError, match="no sound"):  # files that are not tensors
            Trainer(branch, Launch()).run()
        load_model_alone(whole_run)
        shutil.rmtree(branch.folder / CHECKPOINTS)
        for step in (5, 6):
            shutil.rmtree(folder / f"step-{step:08d}")
        Trainer(branch, Launch()).run()
    assert found == []
    assert not mark.exists()
    assert (branch.folder / CHECKPOINTS / "step-00000003").exists()  # the furthest sound one


def load_model_alone(job: TrainingJob) -> None:
    trainer = Trainer(job, Launch())
    with pytest.raises(IntegrityError):
        load_model(job.folder / CHECKPOINTS, trainer.learner.decoder)


_WATCHERS: list[list[str]] = []


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "pickle.find_class" and _WATCHERS:
        _WATCHERS[-1].append(".".join(map(str, arguments)))


@contextmanager
def unpickled() -> Iterator[list[str]]:
    """The names of all that any pickle asks for in the block, told by Python itself."""
    if not getattr(_watch, "is_set", False):
        sys.addaudithook(_watch)  # there is no way to take it back
        _watch.is_set = True
    _WATCHERS.append([])
    try:
        yield _WATCHERS[-1]
    finally:
        _WATCHERS.pop()


def test_a_checkpoint_of_the_format_before_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, folder = Odd(3), tmp_path / "step-00000007"
    with pytest.warns(UserWarning, match="torch.distributed is disabled"):
        dcp_save({"model": model.state_dict()}, checkpoint_id=folder)
    record = {key: value for key, value in asdict(at_step(7)).items() if key != "format"}
    record["files"] = [asdict(file) for file in record_files(folder)]
    write_json(folder / "checkpoint.json", record)
    keeper = Checkpoints(DiskStore(tmp_path), CheckpointConfig())
    with unpickled() as found, pytest.raises(IntegrityError, match=r"no sound .* 1 damaged"):
        keeper.load_latest(odd_state(3))
    assert found == []
    assert "step-00000007: it has format 1, this bessemer reads 3" in caplog.text
    keeper.save(odd_state(3), at_step(8), wait=True)
    keeper.close()
    assert (folder / ".metadata").exists()  # what others wrote is not ours to delete


def test_the_latest_the_best_and_the_lasting_are_kept(tmp_path: Path) -> None:
    config = CheckpointConfig(keep=2, keep_best=2)
    keeper = Checkpoints(DiskStore(tmp_path), config, is_lasting=lambda step: step == 3)
    rated = {1: 2.0, 2: 1.5, 3: None, 4: 1.7, 5: 1.5, 6: 3.0, 7: None, 8: 1.6}
    kept = []
    for step, bits in rated.items():
        keeper.save(odd_state(step), at_step(step, bits), wait=True)
        kept.append({each.step for each in read_manifests(DiskStore(tmp_path))})
    keeper.close()
    assert kept[3] == {2, 3, 4}
    assert kept[5] == {2, 3, 5, 6}
    assert kept[7] == {2, 3, 5, 7, 8}


def test_the_mean_of_the_last_checkpoints_is_loaded(tmp_path: Path) -> None:
    keeper = Checkpoints(DiskStore(tmp_path), CheckpointConfig(keep=4))
    for step, fill in enumerate((100, 2, 3, 10), start=1):
        keeper.save(TrainState(model=Odd(fill), optimizers=()), at_step(step), wait=True)
    keeper.close()
    model = Odd(1)
    assert load_model(tmp_path, model, num_averaged=3).step == 4
    assert torch.equal(model.weight, torch.arange(12.0).view(3, 4).T * 5)
    assert torch.equal(model.scalar, torch.tensor(10))
    assert torch.allclose(model.fine, torch.tensor([5 / 3], dtype=torch.float64))
    lose_the_shard(tmp_path / "step-00000003")
    load_model(tmp_path, model, num_averaged=2)
    assert torch.equal(model.weight, torch.arange(12.0).view(3, 4).T * 6)
    with pytest.raises(IntegrityError, match="not 4 sound checkpoints in"):
        load_model(tmp_path, model, num_averaged=4)


def test_what_cannot_be_loaded_does_not_push_out_what_can(tmp_path: Path) -> None:
    keeper = Checkpoints(DiskStore(tmp_path), CheckpointConfig(keep=1))
    keeper.save(odd_state(1), at_step(1), wait=True)
    for step in (2, 9):
        (tmp_path / f"step-{step:08d}").mkdir()
        (tmp_path / f"step-{step:08d}" / "rank-00000-1.safetensors").write_bytes(b"half")
    keeper.save(odd_state(3), at_step(3), wait=True)
    assert keeper.load_latest(odd_state(0)) is not None
    keeper.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["step-00000003", "step-00000009"]  # 9 may be another process's, under way


def test_a_guard_that_stops_training_leaves_the_last_checkpoint_whole(make_job: MakeJob) -> None:
    job = with_checkpoints(make_job())
    trainer = Trainer(job, Launch())
    weight = trainer.learner.decoder.layers[1].mlp.up_proj.weight
    weight.register_hook(lambda grad: grad * float("nan") if trainer.step == 3 else grad)
    with pytest.raises(TrainingError):
        trainer.run()
    assert load_model(job.folder / CHECKPOINTS, trainer.learner.decoder).step == 3
