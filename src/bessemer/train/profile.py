"""A training step under torch's profiler: a trace to look at, and a table of what took longest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch._C._profiler import _ExperimentalConfig
from torch.profiler import ProfilerActivity, profile

from bessemer.core.storage import write_text

_ROWS = 40


@contextmanager
def profiled(folder: Path, step: int, wanted: bool) -> Iterator[None]:
    """Profile the block if `wanted`: `step-<step>.json` (for Perfetto or chrome://tracing) and
    `step-<step>.txt` in `folder`."""
    if not wanted:
        yield
        return
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    with profile(
        activities=activities,
        record_shapes=True,
        profile_memory=True,
        experimental_config=_ExperimentalConfig(profile_all_threads=True),  # of the lanes, too
    ) as profiler:
        yield
    folder.mkdir(parents=True, exist_ok=True)
    profiler.export_chrome_trace(str(folder / f"step-{step:08d}.json"))
    by = "self_device_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    table = profiler.key_averages().table(sort_by=by, row_limit=_ROWS)
    write_text(folder / f"step-{step:08d}.txt", table + "\n")
