"""Run every benchmark and keep its figures in benchmarks/results/<name>.json."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.common import ROOT

BENCHMARKS = (
    "quickstart",
    "tokenize",
    "loader",
    "train_speed",
    "axes",
    "checkpoint",
    "filters",
    "read",
    "near_duplicates",
    "exact_duplicates",
    "large_corpus",
)


def main() -> None:
    for name in BENCHMARKS:
        result = ROOT / "benchmarks" / "results" / f"{name}.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(result)]
        subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
