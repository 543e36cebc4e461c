"""Scripts that several ranks run together."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

RunRanks = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_ranks(tmp_path: Path) -> RunRanks:
    """A function that runs a script on so many ranks, started by torchrun, and gives what they
    said; the test fails if one of them does."""

    def run(script: str, num_ranks: int, *arguments: object) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "script.py"
        path.write_text(script)
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc-per-node", str(num_ranks), str(path), *map(str, arguments)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done

    return run
