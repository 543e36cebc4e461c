"""What one rank notices, all act on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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


def test_ranks_that_see_different_numbers_decide_alike(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
