"""Equal documents beside datatrove's stages and a query of DuckDB's, from one Parquet file.

One core each, in turn; a third of the documents is there twice. All keep the first of equal texts,
which is checked. Ours hashes a text as it is read: so the time of the stage `exact` by itself, and
of all stages from Parquet (texts are made uniform, checked and written again as shards in between).
Speed is megabytes of text per second of the processor.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.common import DEDUP_PYTHON, arguments, finish, run_json, show, spread
from benchmarks.tokenize import read_demo, read_jsonl

PEER, LIMIT, OURS = "datatrove", "DuckDB, a query", "bessemer"
ROW_GROUP_ROWS = 1000  # as files of Hugging Face's have: readers hold one at a time


def main() -> None:
    options = arguments(
        __doc__ or "",
        rounds=(int, 3, "how often to alternate"),
        jsonl=(Path, None, "take the field text of this JSONL file instead of the demo"),
        megabytes=(float, 100.0, "how much of it; fewer texts are taken several times"),
    )
    if not DEDUP_PYTHON.exists():
        raise SystemExit("datatrove is not installed; `make bench` does so")
    texts = read_jsonl(options.jsonl, options.megabytes * 1e6) if options.jsonl else read_demo()
    texts = enough(texts, options.megabytes)
    size = sum(len(text.encode()) for text in texts) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        path = write_parquet(texts, Path(folder, "texts.parquet"))
        rounds = [run_all(path) for _ in range(options.rounds)]
    finish(options, report(rounds, size, len(texts)), ("bessemer", "duckdb"))


def enough(texts: Sequence[str], megabytes: float, seed: int = 0) -> list[str]:
    """Texts of about as many megabytes, every third there twice, in an order drawn from `seed`.

    When all texts are used up they are taken once more, with a first line that tells them apart.
    """
    rows: list[str] = []
    size = turn = 0
    while size < megabytes * 1e6:
        for place, text in enumerate(texts):
            if size >= megabytes * 1e6:
                break
            copies = [f"{turn}\n{text}" if turn else text] * (1 + (place % 3 == 0))
            rows += copies
            size += sum(len(copy.encode()) for copy in copies)
        turn += 1
    random.Random(seed).shuffle(rows)
    return rows


def write_parquet(texts: Sequence[str], path: Path) -> Path:
    """A document a row, its place for an id."""
    table = pa.table({"id": [str(row) for row in range(len(texts))], "text": list(texts)})
    pq.write_table(table, path, compression="zstd", row_group_size=ROW_GROUP_ROWS)
    return path


def run_all(path: Path) -> dict[str, dict[str, Any]]:
    """A round."""
    arguments_of_ours = ("benchmarks.our_dedup", str(path), "exact", "")
    return {
        PEER: run_json(DEDUP_PYTHON, "benchmarks.peers.datatrove_dedup", "exact", str(path)),
        LIMIT: run_json(sys.executable, "benchmarks.peers.duckdb_exact", str(path)),
        OURS: run_json(sys.executable, *arguments_of_ours),
    }


def report(
    rounds: Sequence[dict[str, dict[str, Any]]], megabytes: float, num_documents: int
) -> dict[str, Any]:
    """Print the table; returns its figures."""
    ways = {
        PEER: (PEER, None),
        LIMIT: (LIMIT, None),
        f"{OURS}: from Parquet": (OURS, None),
        f"{OURS}: ingest": (OURS, ("ingest",)),
        f"{OURS}: exact": (OURS, ("exact",)),
    }
    figures = {}
    for way, (name, stages) in ways.items():
        seconds = {
            clock: [
                sum(
                    step[clock]
                    for stage, step in each[name]["steps"].items()
                    if not stages or stage in stages
                )
                for each in rounds
            ]
            for clock in ("cpu_seconds", "seconds")
        }
        peer_seconds = [
            sum(step["cpu_seconds"] for step in each[PEER]["steps"].values()) for each in rounds
        ]
        both = zip(peer_seconds, seconds["cpu_seconds"], strict=True)
        figures[way] = {
            "mb_per_cpu_s": asdict(spread([megabytes / each for each in seconds["cpu_seconds"]])),
            "mb_per_s": asdict(spread([megabytes / each for each in seconds["seconds"]])),
            "ratio": asdict(spread([theirs / ours for theirs, ours in both])),
            "peak_bytes": max(each[name]["peak_bytes"] for each in rounds),
            "removed": len(rounds[0][name]["removed"]),
        }
    show(
        f"equal documents of {megabytes:.0f} MB from Parquet, one core, {num_documents:,} in all",
        ("program", "MB/s", "range", f"x {PEER}", "range", "gone", "peak MB"),
        [
            (
                way,
                *(
                    text
                    for name, places in (("mb_per_cpu_s", 1), ("ratio", 1))
                    for text in (
                        f"{found[name]['median']:.{places}f}",
                        f"{found[name]['low']:.{places}f} to {found[name]['high']:.{places}f}",
                    )
                ),
                f"{found['removed']:,}",
                f"{found['peak_bytes'] / 1e6:,.0f}",
            )
            for way, found in figures.items()
        ],
    )
    removed = {name: set(found["removed"]) for name, found in rounds[0].items()}
    different = {name: len(removed[OURS] ^ removed[name]) for name in (PEER, LIMIT)}
    for name, num in different.items():
        print(f"documents of which {OURS} and {name} judge otherwise: {num}")
    return {
        "programs": figures,
        "different": different,
        "steps": rounds[0][OURS]["steps"],
        "versions_of_peers": {n: e["version"] for n, e in rounds[0].items() if "version" in e},
        "megabytes": megabytes,
        "documents": num_documents,
    }


if __name__ == "__main__":
    main()
