"""Curation beside datatrove: the same rules over the same documents, JSONL in, decisions out.

One core each, in turn. Ours reads, measures and judges; datatrove's executor runs the filters of
FineWeb's published pipeline one after another. Decisions are compared document by document, filter
by filter and for the whole chain; both write Parquet. Ours is timed with the signals that the rules
bound, as datatrove computes no others, and with all that are measured by default.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.common import PEER_PYTHON, arguments, finish, run_json, show, spread
from benchmarks.tokenize import read_demo, read_jsonl

CHAIN = "fineweb"
OURS, MORE = "bessemer", "bessemer, more text"
EVERYTHING, TWO = "bessemer, all signals", "bessemer, all signals, two workers"
PAIRS = {  # our presets: datatrove's filters
    CHAIN: ("gopher_repetition", "gopher_quality", "c4@fineweb", "fineweb"),
    "gopher@datatrove": ("gopher_repetition", "gopher_quality"),
    "c4@datatrove": ("c4@datatrove",),
    "fineweb@datatrove": ("fineweb",),
}


def main() -> None:
    options = arguments(
        __doc__ or "",
        rounds=(int, 3, "how often to alternate"),
        jsonl=(Path, None, "take the field text of this JSONL file instead of the demo"),
        megabytes=(float, 4.0, "how much of it both are given"),
        ours_megabytes=(float, 100.0, "how much of it we are timed on by ourselves"),
    )
    if not PEER_PYTHON.exists():
        raise SystemExit("datatrove is not installed; `make bench` does so")
    texts = read_jsonl(options.jsonl, 1e12) if options.jsonl else read_demo()
    with tempfile.TemporaryDirectory() as folder:
        both, megabytes = write(texts, options.megabytes, Path(folder, "both.jsonl"))
        more, more_megabytes = write(texts, options.ours_megabytes, Path(folder, "more.jsonl"))
        agreement = {preset: compare(both, preset) for preset in PAIRS}
        rounds = [
            {
                "datatrove": run_theirs(both, CHAIN)["seconds"],
                OURS: run_ours(both, CHAIN)["seconds"],
                MORE: run_ours(more, CHAIN)["seconds"],
                EVERYTHING: run_ours(more, CHAIN, families="all")["seconds"],
                TWO: run_ours(more, CHAIN, workers=2, families="all")["seconds"],
            }
            for _ in range(options.rounds)
        ]
    sizes = {"datatrove": megabytes, OURS: megabytes}
    speeds = {
        name: spread([sizes.get(name, more_megabytes) / each[name] for each in rounds])
        for name in rounds[0]
    }
    show(
        f"FineWeb's filters, JSONL to Parquet and decisions, {megabytes:.1f} MB "
        f"(more text: {more_megabytes:.1f})",
        ("program", "MB/s", "range"),
        [(name, f"{s.median:.3f}", f"{s.low:.3f} to {s.high:.3f}") for name, s in speeds.items()],
    )
    ratios = {
        name: spread(
            [
                sizes.get(name, more_megabytes) / each[name] * each["datatrove"] / megabytes
                for each in rounds
            ]
        )
        for name in (OURS, MORE, EVERYTHING)
    }
    for name, ratio in ratios.items():
        print(f"{name} / datatrove: {ratio.median:.1f} ({ratio.low:.1f} to {ratio.high:.1f})")
    scaling = spread([each[EVERYTHING] / each[TWO] / 2 for each in rounds])
    print(f"two workers: {scaling.median:.2f} of twice one")
    show(
        "equal decisions",
        ("rules", "documents", "kept by us", "kept by datatrove", "equal"),
        [
            (
                preset,
                f"{found['documents']:,}",
                f"{found['kept']:,}",
                f"{found['kept_by_peer']:,}",
                f"{found['equal_frac']:.4%}",
            )
            for preset, found in agreement.items()
        ],
    )
    for preset, found in agreement.items():
        for row, ours, theirs in found["different"]:
            print(f"{preset}: row {row}: we say {ours}, datatrove {theirs}")
    finish(
        options,
        {
            "peer": "datatrove, LocalPipelineExecutor, one task",
            "ratio": ratios[OURS].median,
            "ratios": {name: asdict(ratio) for name, ratio in ratios.items()},
            "mb_per_s": {name: asdict(speed) for name, speed in speeds.items()},
            "scaling_2": asdict(scaling),
            "agreement": agreement,
            "megabytes": megabytes,
        },
        ("bessemer",),
    )


def write(texts: list[str], megabytes: float, path: Path) -> tuple[Path, float]:
    """The first texts as JSONL; the path and how many megabytes of text they are."""
    size = 0
    with path.open("w", encoding="utf-8") as file:
        for row, text in enumerate(texts):
            if size >= megabytes * 1e6:
                break
            file.write(json.dumps({"id": str(row), "text": text}) + "\n")
            size += len(text.encode())
    return path, size / 1e6


def run_ours(
    texts: Path, preset: str, workers: int = 1, families: str = "bounded"
) -> dict[str, Any]:
    """Our stages in a process of their own; "bounded" measures what the rules need, as they do."""
    module = "benchmarks.our_filters"
    return run_json(sys.executable, module, str(texts), str(workers), families, preset)


def run_theirs(texts: Path, preset: str) -> dict[str, Any]:
    """datatrove's pipeline in a process of its own."""
    return run_json(PEER_PYTHON, "benchmarks.peers.datatrove_filters", str(texts), *PAIRS[preset])


def compare(texts: Path, preset: str) -> dict[str, Any]:
    """Decisions of both, by document."""
    ours, theirs = (run(texts, preset)["dropped"] for run in (run_ours, run_theirs))
    num_rows = sum(1 for _ in texts.open("rb"))
    different = [
        (row, ours.get(row, "keep"), theirs.get(row, "keep"))
        for row in map(str, range(num_rows))
        if (row in ours) != (row in theirs)
    ]
    return {
        "documents": num_rows,
        "kept": num_rows - len(ours),
        "kept_by_peer": num_rows - len(theirs),
        "equal_frac": 1 - len(different) / num_rows,
        "different": different,
        "reasons": Counter(theirs.values()),
    }


if __name__ == "__main__":
    main()
