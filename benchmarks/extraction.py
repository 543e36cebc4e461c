"""Main text of web pages beside Trafilatura, Resiliparse alone and readability-lxml.

`--gold FOLDER`: `evaldata.part.json`, in the form of Trafilatura's evaluation (an object per page:
`file`, and snippets that must (`with`) and must not (`without`) be in its text), and the pages in
`pages/<file>.gz`. Precision and recall are over snippets, blanks aside; intervals are of 95 %, by
bootstrap samples of pages, and differences are over the same samples. Pages whose name has an even
hash were looked at while the rules were written, the others were not.

Extractors take turns page by page, in one process, so that a busy machine slows all alike; speed is
pages per second of processor time, from bytes to text.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import PEER_PYTHON, arguments, finish, run_json, show, spread

OURS = "bessemer"
SAMPLES = 1000
Counts = Sequence[int]  # wanted and found, unwanted and found, wanted and not found


def rates(counts: Sequence[Counts]) -> tuple[float, float, float]:
    """Precision, recall and their harmonic mean."""
    right, wrong, missed = (sum(column) for column in zip(*counts, strict=True))
    precision = right / max(right + wrong, 1)
    recall = right / max(right + missed, 1)
    return precision, recall, 2 * right / max(2 * right + wrong + missed, 1)


def bootstrap(counts: dict[str, list[Counts]], pages: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Rates of each extractor over `pages`, with intervals, and ours less
    its F1."""
    generator = random.Random(0)
    draws = [generator.choices(pages, k=len(pages)) for _ in range(SAMPLES)]
    sampled = {
        name: [rates([mine[page] for page in draw]) for draw in draws]
        for name, mine in counts.items()
    }
    result = {}
    for name, mine in counts.items():
        precision, recall, f1 = rates([mine[page] for page in pages])
        ahead = [our[2] - its[2] for our, its in zip(sampled[OURS], sampled[name], strict=True)]
        result[name] = {
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "f1_interval": interval([each[2] for each in sampled[name]]),
            "ours_ahead": interval(ahead),
        }
    return result


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The middle 95 %."""
    ordered = sorted(values)
    return ordered[int(0.025 * len(ordered))], ordered[int(0.975 * len(ordered))]


def is_seen(name: str) -> bool:
    """Whether a page was looked at while the rules were written."""
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 0


def main() -> None:
    """Print a table for all pages and for each half."""
    options = arguments(__doc__ or "", gold=(Path, None, "folder of labelled pages"))
    if options.gold is None:
        sys.exit("--gold is needed: a folder of labelled pages")
    python = PEER_PYTHON if PEER_PYTHON.exists() else sys.executable
    measured = run_json(python, "benchmarks.peers.extraction", str(options.gold.resolve()))
    files = measured["files"]
    halves = {
        "all pages": list(range(len(files))),
        "pages looked at": [n for n, name in enumerate(files) if is_seen(name)],
        "pages not looked at": [n for n, name in enumerate(files) if not is_seen(name)],
    }
    figures: dict[str, Any] = {"pages_per_s": measured["pages_per_s"]}
    for title, pages in halves.items():
        figures[title] = bootstrap(measured["counts"], pages)
        rows = []
        for name, each in figures[title].items():
            speed = spread(measured["pages_per_s"][name])
            rows.append(
                (
                    name,
                    *(f"{each[key]:.3f}" for key in ("precision", "recall", "f1")),
                    "{:.3f} to {:.3f}".format(*each["f1_interval"]),
                    "{:+.3f} to {:+.3f}".format(*each["ours_ahead"]),
                    f"{speed.median:.0f} ({speed.low:.0f} to {speed.high:.0f})",
                )
            )
        columns = ("extractor", "precision", "recall", "F1", "interval", "ours ahead by", "pages/s")
        show(f"{title}: {len(pages)}", columns, rows)
    finish(options, figures, ["resiliparse"])


if __name__ == "__main__":
    main()
