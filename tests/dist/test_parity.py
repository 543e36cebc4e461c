"""Ranks that share out samples or weights have the numbers of one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.dist


@pytest.mark.parametrize("num_ranks", [2, 4])
def test_loss_gradients_and_step_are_those_of_one_process(num_ranks: int) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(num_ranks), str(Path(__file__).with_name("parity.py"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("equal:") == {2: 22, 4: 46}[num_ranks]
