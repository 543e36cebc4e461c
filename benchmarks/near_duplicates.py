"""Near-duplicates beside datatrove, text-dedup and rensa: speed, recall, precision and memory.

All get one corpus of real documents with planted copies (benchmarks.planted), one core each, in
turn, with the settings they come with. What a duplicate is, is told by exact comparison of all
pairs, for all programs alike. Speed is megabytes of text per second of the processor, because
other programs on the machine take none of that; seconds by the clock are kept, too.

datatrove reads JSONL in two of its four stages and writes what it keeps; the others read it once.
So ours is given twice: the stages `exact` and `fuzzy` of documents that were read, and the line
from JSONL to the ledger. Our fixed costs (files made safe on disk, stages planned and checked) are
a large part of so little text as the slower programs can be given: so it is timed on more, too.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.common import DEDUP_PYTHON, arguments, finish, run_json, show, spread
from benchmarks.planted import (
    MIN_JACCARD,
    SLACK,
    Planted,
    judge,
    plant,
    shingle_sets,
    similar_pairs,
    write_jsonl,
)
from benchmarks.tokenize import read_demo, read_jsonl

PEER = "datatrove"
OURS, HIGH = "bessemer", "bessemer, 20 bands of 6"
MORE, MORE_HIGH = (f"{name}, more text" for name in (OURS, HIGH))
# Candidates are verified: so more of them cost time, and no precision.
HIGH_RECALL = "num_bands = 20\nrows_per_band = 6"
OWN_STAGES = ("exact", "fuzzy")  # of documents that were read


def runs_of(both: Path, more: Path) -> dict[str, Callable[[], dict[str, Any]]]:
    """What is run in each round, by the name of the program."""

    def theirs(module: str, *more_arguments: str) -> Callable[[], dict[str, Any]]:
        return lambda: run_json(DEDUP_PYTHON, f"benchmarks.peers.{module}", *more_arguments)

    def ours(corpus: Path, settings: str) -> Callable[[], dict[str, Any]]:
        name = "benchmarks.our_dedup"
        return lambda: run_json(sys.executable, name, str(corpus), "fuzzy", settings)

    return {
        PEER: theirs("datatrove_dedup", "minhash", str(both)),
        "text-dedup": theirs("text_dedup_minhash", str(both)),
        "rensa, runs of five words": theirs("rensa_minhash", str(both), "5", str(MIN_JACCARD)),
        "rensa, words": theirs("rensa_minhash", str(both), "1", "0.8"),
        OURS: ours(both, ""),
        HIGH: ours(both, HIGH_RECALL),
        MORE: ours(more, ""),
        MORE_HIGH: ours(more, HIGH_RECALL),
    }


def main() -> None:
    options = arguments(
        __doc__ or "",
        rounds=(int, 3, "how often to alternate"),
        jsonl=(Path, None, "take the field text of this JSONL file instead of the demo"),
        megabytes=(float, 3.0, "how much all are given"),
        ours_megabytes=(float, 60.0, "how much we are timed on by ourselves"),
    )
    if not DEDUP_PYTHON.exists():
        raise SystemExit("datatrove, text-dedup and rensa are not installed; `make bench` does so")
    texts = read_jsonl(options.jsonl, 1e12) if options.jsonl else read_demo()
    with tempfile.TemporaryDirectory() as folder:
        both, more = plant(texts, options.megabytes), plant(texts, options.ours_megabytes)
        paths = Path(folder, "both.jsonl"), Path(folder, "more.jsonl")
        write_jsonl(both.texts, paths[0])
        write_jsonl(more.texts, paths[1])
        runs = runs_of(*paths)
        rounds = [{name: run() for name, run in runs.items()} for _ in range(options.rounds)]
    finish(options, report(rounds, both, more), ("bessemer",))


def report(
    rounds: Sequence[dict[str, dict[str, Any]]], both: Planted, more: Planted
) -> dict[str, Any]:
    """Print the tables; returns their figures."""
    pairs = {
        id(each): similar_pairs(shingle_sets(each.texts), MIN_JACCARD - SLACK)
        for each in (both, more)
    }
    rows, figures = [], {}
    for name in rounds[0]:
        planted = more if name in (MORE, MORE_HIGH) else both
        quality = judge(planted, pairs[id(planted)], set(rounds[0][name]["removed"]))
        peak_bytes = max(each[name]["peak_bytes"] for each in rounds)
        ways = (
            {name: ()} if "bessemer" not in name else {f"{name}: from JSONL": (), name: OWN_STAGES}
        )
        for way, stages in ways.items():
            speed, wall, ratio = (
                spread([of(each, name, stages, planted, both) for each in rounds])
                for of in (speed_of, wall_speed_of, ratio_of)
            )
            figures[way] = {
                "mb_per_cpu_s": asdict(speed),
                "mb_per_s": asdict(wall),
                "ratio": asdict(ratio),
                "peak_bytes": peak_bytes,
                **asdict(quality),
            }
            rows.append(
                (
                    way,
                    f"{speed.median:.2f}",
                    f"{speed.low:.2f} to {speed.high:.2f}",
                    f"{ratio.median:.1f}",
                    f"{ratio.low:.1f} to {ratio.high:.1f}",
                    f"{quality.recall:.1%}",
                    f"{quality.precision:.1%}",
                    f"{quality.num_removed:,}",
                    f"{peak_bytes / 1e6:,.0f}",
                )
            )
    found = sum(similarity >= MIN_JACCARD for *_, similarity in pairs[id(both)])
    show(
        f"near-duplicates of {both.megabytes:.1f} MB (more text: {more.megabytes:.1f}), one core, "
        f"{len(both.texts):,} documents, {found:,} pairs of Jaccard {MIN_JACCARD} or more",
        (
            "program",
            "MB/s",
            "range",
            f"x {PEER}",
            "range",
            "recall",
            "precision",
            "gone",
            "peak MB",
        ),
        rows,
    )
    kinds = ("datatrove", "text-dedup", "rensa, runs of five words", OURS, HIGH)
    show(
        "share of the copies of each kind that are gone",
        ("copies", *kinds),
        [
            (kind, *(f"{figures[name]['removed_frac_by_kind'][kind]:.0%}" for name in kinds))
            for kind in figures[OURS]["removed_frac_by_kind"]
        ],
    )
    signed = {
        name: spread([signing_speed(each, name, both, more) for each in rounds])
        for name in (PEER, OURS, MORE)
    }
    show(
        "signatures alone",
        ("program", "MB/s", "range"),
        [(name, f"{s.median:.2f}", f"{s.low:.2f} to {s.high:.2f}") for name, s in signed.items()],
    )
    steps = {name: rounds[0][name]["steps"] for name in (PEER, OURS, MORE)}
    return {
        "programs": figures,
        "signatures_mb_per_cpu_s": {name: asdict(each) for name, each in signed.items()},
        "steps": steps,
        "versions_of_peers": {n: e["version"] for n, e in rounds[0].items() if "version" in e},
        "documents": len(both.texts),
        "pairs": found,
        "megabytes": both.megabytes,
        "more_megabytes": more.megabytes,
    }


Round = dict[str, dict[str, Any]]


def cost(each: Round, name: str, stages: Sequence[str], clock: str) -> float:
    """Seconds of some stages of one program, or of all."""
    steps = each[name]["steps"]
    return sum(steps[step][clock] for step in stages or steps)


def speed_of(each: Round, name: str, stages: Sequence[str], planted: Planted, _: Planted) -> float:
    """Megabytes per second of the processor."""
    return planted.megabytes / cost(each, name, stages, "cpu_seconds")


def wall_speed_of(
    each: Round, name: str, stages: Sequence[str], planted: Planted, _: Planted
) -> float:
    """Megabytes per second by the clock."""
    return planted.megabytes / cost(each, name, stages, "seconds")


def ratio_of(
    each: Round, name: str, stages: Sequence[str], planted: Planted, both: Planted
) -> float:
    """How many times as fast as the peer in the same round."""
    peer = both.megabytes / cost(each, PEER, (), "cpu_seconds")
    return speed_of(each, name, stages, planted, both) / peer


def signing_speed(each: Round, name: str, both: Planted, more: Planted) -> float:
    """Megabytes per second of the processor, of signatures alone; datatrove reads JSONL there."""
    if name == PEER:
        return both.megabytes / cost(each, name, ("signatures",), "cpu_seconds")
    return (more if name == MORE else both).megabytes / each[name]["signatures_cpu_s"]


if __name__ == "__main__":
    main()
