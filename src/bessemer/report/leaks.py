"""What of evaluation sets was found in the corpus, and how well such things are found there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bessemer.report.facts import Benchmark, Planted


def make_benchmarks(summary: Mapping[str, Any]) -> tuple[Benchmark, ...]:
    """The benchmarks in the summary of the stage `decontaminate`, in the order of the run file."""
    return tuple(
        Benchmark(
            name=name,
            items=told["items"],
            clean=told["clean"],
            dirty=told["dirty"],
            untestable=told["untestable"],
            by_part=told["by_part"],
            answered=told["answered"],
            sources=told["sources"],
            docs={source: docs[name] for source, docs in summary["docs"].items() if name in docs},
            canaries=_planted(summary["canaries"][name]),
            controls=_planted(summary["controls"][name]),
        )
        for name, told in summary.get("benchmarks", {}).items()
    )


def _planted(kinds: Mapping[str, Mapping[str, int]]) -> tuple[Planted, ...]:
    return tuple(
        Planted(disguise=name, planted=told["planted"], found=told["found"])
        for name, told in kinds.items()
    )
