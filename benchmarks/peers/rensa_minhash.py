"""rensa as its README shows it: documents as lists of tokens, those that are like an earlier one
are removed.

Run by the peers' Python with a JSONL file, how many words are a token, and the similarity from
which on documents are alike; the last line of output is JSON: seconds and processor seconds, the
ids that were removed, the most memory held. It is given one thread.
"""

from __future__ import annotations

import os

os.environ["RAYON_NUM_THREADS"] = "1"  # before the library is loaded: per core

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

from rensa import RMinHashDeduplicator

from benchmarks.peak import peak_bytes


def tokens(text: str, words_per_token: int) -> list[str]:
    """Words, or runs of them (of a shorter text, all of it)."""
    words = text.split()
    if words_per_token == 1:
        return words
    num = max(1, len(words) - words_per_token + 1)
    return [" ".join(words[i : i + words_per_token]) for i in range(num)]


def main() -> None:
    documents, words_per_token, threshold = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    begin, begin_cpu = time.perf_counter(), sum(os.times()[:4])
    with Path(documents).open(encoding="utf-8", newline="\n") as file:
        rows = (json.loads(line) for line in file)
        pairs = ((row["id"], tokens(row["text"], words_per_token)) for row in rows)
        keep = RMinHashDeduplicator(threshold=threshold, num_perm=128, use_lsh=True).add_pairs(
            pairs
        )
    seconds, cpu_seconds = time.perf_counter() - begin, sum(os.times()[:4]) - begin_cpu
    found = {
        "steps": {"add_pairs": {"seconds": seconds, "cpu_seconds": cpu_seconds}},
        "removed": [row for row, is_kept in enumerate(keep) if not is_kept],
        "peak_bytes": peak_bytes(),
        "version": version("rensa"),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
