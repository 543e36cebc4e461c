"""The most memory that a measured process held, whatever its parent held before it."""

from __future__ import annotations

import resource
from pathlib import Path


def peak_bytes() -> int:
    """Resident memory at its most: of this process, or of one of its ended children.

    Linux hands what getrusage tells down to a program that a large process starts, so the peak of
    the program's own memory is read instead where there is one to read.
    """
    status = Path("/proc/self/status")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        own = int(fields["VmHWM"].split()[0])
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024
