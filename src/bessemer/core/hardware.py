"""What this machine is: cores, memory, and how much of it a process has used. No device query.

Only what the operating system says; rates are measured where they are needed, and a number that
nobody knows is None, never a default device.
"""

from __future__ import annotations

import os
import platform
import resource
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """The machine a run is on."""

    cpu: str
    num_cores: int
    memory_bytes: int | None
    system: str


def describe_machine() -> Machine:
    """The machine at hand, as the operating system describes it."""
    return Machine(
        cpu=_cpu_name(),
        num_cores=num_usable_cores(),
        memory_bytes=_memory_bytes(),
        system=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    )


def num_usable_cores() -> int:
    """Cores that this process may run on: its affinity mask, where the system has one."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_memory_bytes() -> int:
    """The most resident memory that this process, or one of its ended children, ever held."""
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB on Linux
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(own, children) * unit


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def processor() -> tuple[str, int]:
    """Who made the processor, as it says itself, and which family of that maker's it is: on Linux
    and x86; elsewhere ("", 0)."""
    facts = _cpu_facts()
    family = facts.get("cpu family", "")
    return facts.get("vendor_id", ""), int(family) if family.isdecimal() else 0


def _cpu_name() -> str:
    return _cpu_facts().get("model name") or platform.processor() or platform.machine()


def _cpu_facts() -> dict[str, str]:
    """What Linux says of the first core."""
    try:
        first, _, _ = Path("/proc/cpuinfo").read_text().partition("\n\n")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
