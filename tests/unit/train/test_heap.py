"""Memory that is freed goes back to the system at once if it was a large block."""

from __future__ import annotations

import subprocess
import sys

import pytest

_MEASURE = """
import re, sys
import torch
from bessemer.train.heap import keep_less_of_what_is_freed

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

if sys.argv[1] == "less":
    keep_less_of_what_is_freed()
torch.ones(1, 30 << 20, dtype=torch.uint8)  # from now on glibc keeps blocks of less than 30 MB
before = resident()
blocks = [torch.ones(8 << 20, dtype=torch.uint8) for _ in range(20)]
last = torch.ones(1 << 20, dtype=torch.uint8)  # what lives longer
del blocks
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_large_blocks_go_back_though_what_came_after_them_lives() -> None:
    def kept(how: str) -> int:
        command = [sys.executable, "-c", _MEASURE, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert kept("less") < 16 << 20
    assert kept("all") > 64 << 20
