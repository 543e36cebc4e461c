"""What one rank notices, all act on."""

from __future__ import annotations

import pytest
from tests.dist.conftest import RunRanks

pytestmark = pytest.mark.dist

_SCRIPT = """
import math, torch, torch.distributed as dist
from bessemer.config.train import GuardConfig
from bessemer.train.evidence import alarms_of_all_ranks
from bessemer.train.guard import Guard

dist.init_process_group("gloo")
is_second = dist.get_rank() == 1


def decide(loss, norm):
    guard = Guard(config=GuardConfig(min_steps=8, spike="rewind", nonfinite="skip"))
    for value in (1.0, 1.1, 0.9) * 4:
        guard.examine({"loss": value, "gradient norm": value})
    alarms = guard.examine({"loss": loss, "gradient norm": norm})
    alarms = alarms_of_all_ranks(alarms, torch.device("cpu"))
    return guard.action(alarms), [(each.signal, each.is_finite) for each in alarms]


assert decide(1.0, 1.0) == (None, [])
assert decide(99.0 if is_second else 1.0, 1.0) == ("rewind", [("loss", True)])
found = decide(math.nan if is_second else 99.0, 1.0 if is_second else 99.0)
assert found == ("skip", [("loss", False), ("gradient norm", True)]), found
dist.barrier()
dist.destroy_process_group()
"""


def test_ranks_that_see_different_numbers_decide_alike(run_ranks: RunRanks) -> None:
    run_ranks(_SCRIPT, 2)
