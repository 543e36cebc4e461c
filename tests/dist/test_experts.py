"""Experts on several ranks: every row passes its expert, wherever it is, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.dist.conftest import RunRanks

pytestmark = pytest.mark.dist

_CONFIG = """
import os, torch, torch.distributed as dist
from bessemer.config.axes import Axes
from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.config.train import TrainConfig
from bessemer.model.initialize import initialize
from bessemer.model.parts import held_by_this_rank, part_of_this_rank
from bessemer.model.transformer import Decoder
from bessemer.train.mesh import arrange_ranks
from bessemer.train.parallel.apply import build

MODEL = ModelConfig(
    num_layers=1, hidden_dim=8, num_heads=2, num_kv_heads=1, ffn_dim=8, init_std=0.5,
    experts={"num_experts": 8, "experts_per_token": 2, "ffn_dim": 8},
)
TRAIN = TrainConfig(seq_len=8, global_batch_tokens=32, total_tokens=32)
CPU = torch.device("cpu")


def build_shared(**axes):
    ranks = arrange_ranks(Axes(**axes), CPU)
    decoder, _ = build(MODEL, 16, TRAIN, ClusterConfig(), ranks, "fp32", 0, CPU)
    initialize(decoder, 3)
    return decoder


dist.init_process_group("gloo")
rank, num_ranks = dist.get_rank(), dist.get_world_size()
alone = Decoder(MODEL, 16)
initialize(alone, 3)
"""
_LEAVE = """
dist.barrier()
os._exit(0)  # torch 2.13 now and then aborts when it takes gloo and FSDP2 down
"""

# The oracle is the formula of one expert in float64, row by row.
_ROUTING = """
experts = build_shared(dp_shard=num_ranks, ep=num_ranks).layers[0].mlp.experts
whole = {name: each.double() for name, each in alone.layers[0].mlp.experts.named_parameters()}


def expert_by_row(x, ids, stacks):
    rows = []
    for row, e in zip(x, ids.tolist()):
        gate, up = stacks["gate_proj"][e] @ row, stacks["up_proj"][e] @ row
        rows.append(stacks["down_proj"][e] @ (gate / (1 + torch.exp(-gate)) * up))
    return torch.stack(rows) if rows else x.clone()


def compare(ours, wanted, what):
    torch.testing.assert_close(ours.double(), wanted, rtol=1e-5, atol=1e-5, msg=what)


def rows_of(rank, ids_of_ranks):
    ids = torch.tensor(sorted(ids_of_ranks[rank]), dtype=torch.int64)
    x = torch.randn(len(ids), 8, generator=torch.Generator().manual_seed(rank))
    return ids, x


some = [[0, 7, 3, 3, 5], [1, 2, 6, 6, 6, 4, 0, 0], [7], [2, 5]]
for name, ids_of_ranks in {
    "some to each": some,
    "all to the first expert": [[0] * (2 + r) for r in range(4)],
    "all to the last one": [[7] * 3] * 4,
    "each rank to itself": [[2 * r, 2 * r + 1] for r in range(4)],
    "a rank with nothing": [some[0], [], some[2], some[3]],
    "one rank alone": [[], [], some[1], []],
    "nothing at all": [[]] * 4,
}.items():
    experts.zero_grad()
    ids, x = rows_of(rank, ids_of_ranks)
    x.requires_grad_()
    y = experts(x, torch.bincount(ids, minlength=8))
    y.square().sum().backward()
    stacks = {key: each.detach().clone().requires_grad_() for key, each in whole.items()}
    for other in range(num_ranks):
        their_ids, their_x = rows_of(other, ids_of_ranks)
        their_x = their_x.double().requires_grad_()
        expected = expert_by_row(their_x, their_ids, stacks)
        expected.square().sum().backward()
        if other == rank:
            compare(y, expected, f"{name}: output")
            compare(x.grad, their_x.grad, f"{name}: input")
    for key, stack in experts.named_parameters():
        theirs = stacks[key].grad
        if theirs is None:
            theirs = torch.zeros_like(stacks[key])
        part = tuple(part_of_this_rank(stack))
        assert part[0] == slice(2 * rank, 2 * rank + 2), part
        compare(held_by_this_rank(stack.grad), theirs[part], f"{name}: {key}")
"""

_WHOLE = """
for axes in (
    {"dp_shard": 4, "ep": 2}, {"dp_shard": 4, "ep": 4}, {"dp_replicate": 2, "dp_shard": 2, "ep": 2}
):
    shared = dict(build_shared(**axes).named_parameters())
    for name, one in alone.named_parameters():
        other = shared[name]
        assert torch.equal(other.full_tensor(), one), (axes, name)
        here = held_by_this_rank(other)
        assert torch.equal(here, one[tuple(part_of_this_rank(other))]), (axes, name)
        assert here.numel() == one.numel() // axes["dp_shard"], (axes, name)
"""


def test_rows_pass_their_experts_however_unevenly_they_are_routed(run_ranks: RunRanks) -> None:
    run_ranks(_CONFIG + _ROUTING + _LEAVE, 4)


_LOADED = """
import pathlib, sys
from bessemer.model.hugging_face import read_weights, write_weights

folder = pathlib.Path(sys.argv[1])
initialize(alone, 99)
alone.layers[0].mlp.gate.e_score_correction_bias.copy_(torch.arange(8))
if rank == 0:
    write_weights(folder, alone, {})
dist.barrier()
for axes in ({"dp_shard": 4}, {"dp_shard": 4, "ep": 2}, {"dp_replicate": 2, "dp_shard": 2}):
    shared = build_shared(**axes)
    read_weights(folder, shared)
    found = shared.state_dict()
    for name, one in alone.state_dict().items():
        other = found[name]
        other = other.full_tensor() if hasattr(other, "full_tensor") else other
        assert torch.equal(other, one), (axes, name)
"""


def test_ranks_hold_disjoint_parts_that_are_the_initial_weights_together(
    run_ranks: RunRanks,
) -> None:
    run_ranks(_CONFIG + _WHOLE + _LEAVE, 4)


def test_each_rank_reads_its_part_of_experts_that_are_single_matrices_on_disk(
    tmp_path: Path, run_ranks: RunRanks
) -> None:
    run_ranks(_CONFIG + _LOADED + _LEAVE, 4, tmp_path)
