"""What ranks of a pipeline hold from one step to the next."""

from __future__ import annotations

import pytest
from tests.dist.conftest import RunRanks

pytestmark = pytest.mark.dist

_SCRIPT = """
import gc, torch, torch.distributed as dist
from torch.distributed.pipelining import PipelineStage
from bessemer.config.axes import Axes
from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.config.train import TrainConfig
from bessemer.model.initialize import initialize
from bessemer.train.mesh import arrange_ranks
from bessemer.train.parallel.apply import build
from bessemer.train.parallel.parity_step import VOCAB_SIZE, make_batches

CPU = torch.device("cpu")
MODEL = ModelConfig(
    num_layers=4, hidden_dim=32, num_heads=4, num_kv_heads=2, ffn_dim=40, tie_embeddings=False
)
TRAIN = TrainConfig(seq_len=16, global_batch_tokens=256, total_tokens=256)


def torch_stages():
    gc.collect()
    return [each for each in gc.get_objects() if type(each) is PipelineStage]


dist.init_process_group("gloo")
ranks = arrange_ranks(Axes(pp=2), CPU)
for schedule, numbers in (("1f1b", (4, 6, 4)), ("interleaved", (4, 1, 3))):
    layout = ClusterConfig(pp=2, pp_schedule=schedule)
    decoder, pipeline = build(MODEL, VOCAB_SIZE, TRAIN, layout, ranks, "fp32", 3, CPU)
    initialize(decoder, 3)
    for number in numbers:
        pipeline.differentiate(make_batches(0, 2 * number), divisor=1.0)
        made = torch_stages()
        assert len(made) == len(pipeline.stages), (schedule, number)
        pipeline.differentiate(make_batches(0, 2 * number), divisor=1.0)
        assert torch_stages() == made, "a schedule that could be used again was made anew"
        del made  # or they were held here
    pipeline.close()
    assert not torch_stages()
dist.barrier()
import os; os._exit(0)
"""


def test_only_the_schedule_of_the_last_step_is_held(run_ranks: RunRanks) -> None:
    run_ranks(_SCRIPT, 2)
