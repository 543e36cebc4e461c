"""Seconds and peak memory of every stage of the quickstart, from an empty folder.

The limits are the project's own promise: five minutes and four gigabytes on two cores.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.common import ROOT, arguments, finish, show, spread
from bessemer.core.units import format_bytes, format_seconds

LIMIT_S, LIMIT_BYTES = 300.0, 4 * 2**30
RECIPE = ROOT / "recipes" / "quickstart.toml"


def run_once(root: Path) -> tuple[float, float, dict[str, tuple[float, int]]]:
    """Seconds from start to end, seconds of a second start, and per stage (seconds, peak bytes)."""
    from bessemer.line.workspace import plan_workspace

    override = f'run.root="{root}"'
    command = [sys.executable, "-m", "bessemer", "run", str(RECIPE), "--set", override]
    seconds = []
    for _ in range(2):
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - begin)
    workspace = plan_workspace(RECIPE, [override])
    stages = {}
    for stage in workspace.fingerprints:
        manifest = workspace.manifest(stage)
        assert manifest is not None
        stages[stage] = (manifest.seconds, manifest.peak_bytes)
    return seconds[0], seconds[1], stages


def main() -> None:
    options = arguments(__doc__ or "", runs=(int, 3, "how often to run it"))
    totals, agains = [], []
    stages: dict[str, list[tuple[float, int]]] = {}
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as folder:
            total, again, found = run_once(Path(folder))
        totals.append(total)
        agains.append(again)
        for stage, figure in found.items():
            stages.setdefault(stage, []).append(figure)
    rows = []
    for stage, figures in stages.items():
        seconds = spread([figure[0] for figure in figures])
        peak = max(figure[1] for figure in figures)
        rows.append(
            (
                stage,
                format_seconds(seconds.median),
                f"{format_seconds(seconds.low)} to {format_seconds(seconds.high)}",
                format_bytes(peak),
            )
        )
    total, again = spread(totals), spread(agains)
    peak = max(figure[1] for figures in stages.values() for figure in figures)
    rows.append(("whole run", format_seconds(total.median), "", format_bytes(peak)))
    rows.append(("run again", format_seconds(again.median), "", ""))
    show("quickstart", ("stage", "median", "range", "peak memory"), rows)
    print(f"{total.median / LIMIT_S:.0%} of the time limit, {peak / LIMIT_BYTES:.0%} of the memory")
    finish(
        options,
        {
            "peer": f"limits of {LIMIT_S:.0f} s and {LIMIT_BYTES} bytes",
            "ratio": total.median / LIMIT_S,
            "memory_ratio": peak / LIMIT_BYTES,
            "seconds": asdict(total),
            "seconds_again": asdict(again),
            "stages": {
                stage: {
                    "seconds": asdict(spread([figure[0] for figure in figures])),
                    "peak_bytes": max(figure[1] for figure in figures),
                }
                for stage, figures in stages.items()
            },
        },
        ("bessemer", "torch"),
    )


if __name__ == "__main__":
    main()
