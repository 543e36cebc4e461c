"""The machine is described by what the operating system says, and nothing is assumed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bessemer.core.hardware import describe_machine, num_usable_cores, peak_memory_bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="compares with /proc")


def test_the_machine_is_the_one_that_the_kernel_describes() -> None:
    machine = describe_machine()
    facts = Path("/proc/meminfo").read_text().split()
    assert machine.memory_bytes == int(facts[facts.index("MemTotal:") + 1]) * 1024
    assert machine.num_cores == len(os.sched_getaffinity(0))
    assert machine.cpu in Path("/proc/cpuinfo").read_text() or machine.cpu == os.uname().machine
    version = ".".join(map(str, sys.version_info[:3]))
    assert machine.system == f"Linux {os.uname().machine}, Python {version}"


def run(code: str) -> int:
    command = [sys.executable, "-c", f"from bessemer.core.hardware import *\n{code}"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_cores_are_those_that_the_process_may_use() -> None:
    one = min(os.sched_getaffinity(0))
    assert run(f"os.sched_setaffinity(0, {{{one}}}); print(num_usable_cores())") == 1
    assert num_usable_cores() == len(os.sched_getaffinity(0))


def test_peak_memory_is_the_most_ever_held_by_the_process_or_an_ended_child() -> None:
    before = peak_memory_bytes()
    peak = run("data = bytearray(400_000_000); del data; print(peak_memory_bytes())")
    # Linux counts what the parent held when it forked towards the child's peak.
    assert 400_000_000 < peak < 800_000_000 + before
    assert peak_memory_bytes() >= peak
