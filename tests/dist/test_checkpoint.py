"""Checkpoints of ranks that hold different tensors, different parts of them, or both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.dist.conftest import RunRanks
from torch import nn

from bessemer.train.checkpoints.checkpoint import load_model, read_manifests
from bessemer.train.checkpoints.store import DiskStore

pytestmark = pytest.mark.dist

# Two stages of a pipeline by two ranks that share weights out; stages share an embedding.
_SCRIPT = """
import logging, os, sys, torch, torch.distributed as dist
from pathlib import Path
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor
from bessemer.config.train import CheckpointConfig
from bessemer.core.errors import MachineError, TrainingError
from bessemer.train.checkpoints.checkpoint import CheckpointManifest
from bessemer.train.checkpoints.keeper import Checkpoints
from bessemer.train.checkpoints.state import TrainState, digest_state
from bessemer.train.checkpoints.store import DiskStore

logging.basicConfig(format="%(name)s %(message)s")
dist.init_process_group("gloo")
rank, folder = dist.get_rank(), Path(sys.argv[1])
mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("pp", "dp"))


def shared_out(seed, shape, mesh, placements):
    whole = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return nn.Parameter(distribute_tensor(whole, mesh, placements))


class Layer(nn.Module):
    def __init__(self, number, mesh):
        super().__init__()
        self.weight = shared_out(number, (5, 3), mesh, [Shard(0)])  # uneven
        self.norm = shared_out(number + 10, (1,), mesh, [Shard(0)])  # one rank has none of it
        self.register_buffer("bias", torch.full((2,), float(number)))


class Stage(nn.Module):
    def __init__(self, layers, mesh, whole_mesh):
        super().__init__()
        self.layers = nn.ModuleDict({str(each): Layer(each, mesh) for each in layers})
        self.embedding = shared_out(7, (6, 2), mesh, [Shard(0)])
        self.experts = shared_out(8, (4, 5, 3), whole_mesh, [Shard(0), Shard(1)])


def make(layers, mesh, whole_mesh, steps=0):
    stage = Stage(layers, mesh, whole_mesh)
    optimizer = torch.optim.AdamW(stage.parameters(), lr=0.1, fused=True)
    for _ in range(steps):
        for parameter in stage.parameters():
            parameter.grad = parameter.detach() * 0.5 + 1
        optimizer.step()
    return TrainState(model=stage, optimizers=[optimizer])


def manifest(step):
    return CheckpointManifest(step=step, tokens_seen=0, next_sample=0, history="", memory={})


by_pipeline = [mesh.get_local_rank("pp")], mesh["dp"], mesh
keeper = Checkpoints(DiskStore(folder), CheckpointConfig(every_steps=1, keep=9, most_steps_unsaved=2))
state = make(*by_pipeline, steps=3)
keeper.save(state, manifest(3))
expected = digest_state(state)
for parameter in state.model.parameters():
    parameter.detach().zero_()
assert keeper.settle() is None

again = make(*by_pipeline)
assert keeper.load_latest(again).step == 3
assert digest_state(again) == expected
assert len(expected) == 2 * 3 + 2 + 3 * (2 * 2 + 2), sorted(expected)

# No pipeline: every rank has both layers, shared out among all four, experts the other way round.
turned = init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "pp"))
flat = make([0, 1], init_device_mesh("cpu", (4,)), turned)
assert keeper.load_latest(flat).step == 3
assert digest_state(flat) == expected

# The disk of one rank is full: all know, the good checkpoint stays, and after a time all stop.
for step in (4, 5, 6):
    if rank == 2:
        (folder / f"step-{step:08d}").mkdir()
        (folder / f"step-{step:08d}" / "rank-00002-1.safetensors").symlink_to("/dev/full")
    dist.barrier()
keeper.save(state, manifest(4))
assert "rank 2: cannot write" in keeper.settle()
keeper.save(state, manifest(5))
try:
    keeper.save(state, manifest(6))
    raise SystemExit("training should have stopped")
except MachineError as error:
    assert "No space left on device" in str(error) and "after step 3" in str(error), error
assert keeper.load_latest(again).step == 3
assert digest_state(again) == expected

# One rank's file is harmed: all go back to the one before.
good = make(*by_pipeline, steps=1)
keeper.save(good, manifest(8))
keeper.save(state, manifest(9))
keeper.settle()
dist.barrier()
if rank == 3:
    path = folder / "step-00000009" / "rank-00001-1.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
dist.barrier()
assert keeper.load_latest(again).step == 8
assert digest_state(again) == digest_state(good)

# One of the ranks that have the same numbers has others.
if rank == 2:
    again.model.layers["1"].bias[0] += 1
try:
    digest_state(again)
    raise SystemExit("that should have been noticed")
except TrainingError as error:
    assert "ranks differ in model.layers.1.bias" in str(error), error


# One rank's storage does not answer: all know, and none takes an older checkpoint.
class Deaf(DiskStore):
    def digest(self, name):
        raise MachineError(f"cannot read {name}")


deaf = Checkpoints(Deaf(folder) if rank == 2 else DiskStore(folder), CheckpointConfig())
try:
    deaf.load_latest(again)
    raise SystemExit("an older checkpoint was loaded")
except MachineError as error:
    assert "rank 2 cannot load a checkpoint: cannot read step-" in str(error), error
deaf.close()
keeper.close()
dist.barrier()
if rank == 0:
    import json
    (folder.parent / "digests.json").write_text(json.dumps(expected))
os._exit(0)  # torch 2.13 now and then aborts when it takes gloo down
"""


class Whole(nn.Module):
    """All layers, as one process has them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({str(each): nn.Module() for each in (0, 1)})
        for layer in self.layers.values():
            layer.weight = nn.Parameter(torch.zeros(5, 3))
            layer.norm = nn.Parameter(torch.zeros(1))
            layer.register_buffer("bias", torch.zeros(2))
        self.embedding = nn.Parameter(torch.zeros(6, 2))
        self.experts = nn.Parameter(torch.zeros(4, 5, 3))


def test_ranks_with_other_tensors_save_one_checkpoint_for_any_layout(
    tmp_path: Path, run_ranks: RunRanks
) -> None:
    folder = tmp_path / "checkpoints"
    done = run_ranks(_SCRIPT, 4, folder)
    assert done.stderr.count("cannot save a checkpoint after step 4: rank 2") == 1, "once, not four"
    assert done.stderr.count("passing over checkpoint") == 1

    store = DiskStore(folder)
    assert [each.step for each in read_manifests(store)] == [9, 8, 3]
    (folder / "step-00000009" / "checkpoint.json").unlink()
    model = Whole()
    assert load_model(folder, model).num_ranks == 4
    # Without our reader: a weight after one step of AdamW (decay 0.01) from 1.5 of its seed.
    whole = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    gradient = whole * 0.5 + 1
    moved = whole * (1 - 0.1 * 0.01) - 0.1 * gradient / (gradient.abs() + 1e-8)
    torch.testing.assert_close(model.layers["1"].weight.detach(), moved)
    held = [set(load_file(path)) for path in sorted((folder / "step-00000008").glob("rank-*"))]
    assert sum("optimizer.embedding.step" in names for names in held) == 1  # written once
    assert sum("model.embedding" in names for names in held) == 2  # two halves, once each
    index = json.loads((folder / "step-00000008" / "index-1.json").read_text())
    assert len(index["model.experts"]["boxes"]) == 4
    assert json.loads((tmp_path / "digests.json").read_text()).keys() == index.keys()
