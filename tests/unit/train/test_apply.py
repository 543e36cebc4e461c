"""How a model is shared out, seen by one rank. The others are not there."""

from __future__ import annotations

import subprocess
import sys

_BUILD = """
import warnings
import torch, torch.distributed as dist
from torch import nn
from torch.testing._internal.distributed.fake_pg import FakeStore
from bessemer.config.axes import Axes
from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.config.train import TrainConfig
from bessemer.model.initialize import initialize
from bessemer.model.parts import held_by_this_rank
from bessemer.train.mesh import arrange_ranks
from bessemer.train.parallel.apply import build
from bessemer.train.parallel.parity_step import VOCAB_SIZE, make_batches

MODEL = ModelConfig(
    num_layers=4, hidden_dim=32, num_heads=4, num_kv_heads=4, ffn_dim=40, tie_embeddings=False
)
TRAIN = TrainConfig(seq_len=16, global_batch_tokens=256, total_tokens=256)
CPU = torch.device("cpu")


def make(**axes):
    dist.init_process_group("fake", rank=0, world_size=4, store=FakeStore())
    ranks = arrange_ranks(Axes(**axes), CPU)
    return build(MODEL, VOCAB_SIZE, TRAIN, ClusterConfig(**axes), ranks, "fp32", 3, CPU)


def held(module):
    return sum(held_by_this_rank(each).numel() for each in module.parameters())
"""

_ALLOCATE = """
allocated, to_empty = [], nn.Module.to_empty


def watch(module, **more):
    if not allocated:
        allocated.append(held(module))
    return to_empty(module, **more)


nn.Module.to_empty = watch
decoder, _ = make(pp=2, dp_shard=2)
assert allocated == [held(decoder)], (allocated, held(decoder))
"""

_FORWARD = """
warnings.simplefilter("error")
decoder, lanes = make(dp_shard=2, tp=2)
initialize(decoder, 3)
(batch,) = make_batches(0, 2)
total, *_ = lanes.module(
    batch.input_ids_BT, batch.labels_BT, batch.documents_BT, batch.samples_B
)
assert total.requires_grad
"""


def run(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BUILD + script],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def test_a_stage_never_allocates_what_others_hold() -> None:
    run(_ALLOCATE)


def test_fsdp_has_nothing_to_warn_of_beside_tensor_parallelism() -> None:
    run(_FORWARD)
