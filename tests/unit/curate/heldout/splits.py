"""What tests of the split share: corpora of linked documents, and the split by brute force."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from tests.ledgers import read_decisions

from bessemer.config.duplicates import FuzzyConfig
from bessemer.config.split import SplitConfig
from bessemer.core.keyed import derive_key, uniform
from bessemer.core.storage import read_table
from bessemer.curate.duplicates.fuzzy import fuzzy
from bessemer.curate.heldout.split import split
from bessemer.engine.tasks import Engine

Row = dict[str, Any]
RUN = 10
"""Words of a shared passage in these corpora."""
CONFIG = SplitConfig(heldout_frac=0.4, min_shared_words=RUN)
LEXICON = ["".join(random.Random(n).choices("abcdefghijklmnop", k=6)) for n in range(3000)]


def prose(draw: random.Random, num_words: int = 40) -> list[str]:
    return draw.choices(LEXICON, k=num_words)


def make_rows(draw: random.Random, num_rows: int, known: Sequence[Row] = ()) -> list[Row]:
    """Documents, of which some repeat one before: wholly, nearly, a passage, or its address."""
    rows: list[Row] = []
    for _ in range(num_rows):
        words = prose(draw)
        url = f"https://example.org/{''.join(draw.choices('abcdef', k=9))}/page"
        everything = [*known, *rows]
        kind = draw.choice(["new"] * 6 + ["same", "near", "passage", "short passage", "version"])
        if everything and kind != "new":
            other = draw.choice(everything)
            theirs = other["text"].split()
            if kind == "same":
                words = theirs
            elif kind == "near":
                words = list(theirs)
                words[draw.randrange(len(words))] = draw.choice(LEXICON)
            elif kind == "version":
                path = other["url"].split("://", 1)[1].split("/", 1)[1]
                url = f"http://www.example.org/{draw.choice(['3.11', 'v2', 'latest'])}/{path}#top"
            else:
                length = RUN + draw.randrange(3) if kind == "passage" else RUN - 1
                at, to = draw.randrange(len(theirs) - length), draw.randrange(len(words))
                words[to:to] = theirs[at : at + length]
        gap = draw.choice([" ", ", "])
        text = gap.join(word.strip(",") for word in words)
        rows.append({"text": draw.choice([text, text.capitalize()]), "url": url})
    return rows


def run(
    ingested: Path, ledgers: Sequence[Path], fuzzy_folder: Path, sources: Sequence[str],
    folder: Path, config: SplitConfig = CONFIG, seed: int = 0, part_bytes: int = 2**27,
) -> dict[str, Any]:  # fmt: skip
    """Split, check the sums, and return the summary."""
    result = split(
        ingested, ledgers, fuzzy_folder, sources, config, seed, folder, Engine(), part_bytes
    )
    rows = read_rows(folder)
    for sums in result.conservation:
        sums.check("split")
        mine = [row for row in rows if row["source"] == sums.source]
        assert (sums.docs_out, sums.bytes_out) == (len(mine), sum(r["num_bytes"] for r in mine))
    return result.summary


def cluster(ingested: Path, ledgers: Sequence[Path], sources: Sequence[str], folder: Path) -> Path:
    """Run `fuzzy`; its bands are sure to find what it looks for."""
    config = FuzzyConfig(num_bands=100, rows_per_band=2)
    fuzzy(ingested, ledgers, sources, config, 0, folder, Engine())
    return folder


def read_rows(folder: Path) -> list[Row]:
    """All rows of the split in `folder`."""
    paths = sorted((folder / "splits").glob("*.parquet"))
    return [row for path in paths for row in read_table(path).to_pylist()]


def read_documents(ingested: Path, ledgers: Sequence[Path]) -> list[Row]:
    """All documents that no stage dropped."""
    lost = set(read_decisions(ledgers)["doc_id"].to_pylist())
    paths = sorted((ingested / "documents").glob("*.parquet"))
    rows = [row for path in paths for row in read_table(path).to_pylist()]
    return [row for row in rows if row["doc_id"] not in lost]


def draw_of(text: str, seed: int) -> float:
    high = xxhash.xxh3_128_intdigest(text.encode()) >> 64
    return float(uniform(derive_key(seed, "split"), np.array([high], np.uint64))[0])


def link_of(left: Row, right: Row, clusters: Mapping[int, int]) -> str | None:
    """The first rule that links two documents."""
    if left["text"] == right["text"]:
        return "same_text_in_train"
    cluster_id = clusters.get(left["doc_id"])
    if cluster_id is not None and cluster_id == clusters.get(right["doc_id"]):
        return "near_duplicate_in_train"
    if _page(left["url"]) == _page(right["url"]) is not None:
        return "version_in_train"
    return "passage_in_train" if _runs(left["text"]) & _runs(right["text"]) else None


def _page(url: str) -> str | None:
    found = re.search(r"example.org/(?:3.11/|v2/|latest/)*([a-f]{9}/page)", url)
    return found and found[1]


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z]+", text.lower())
    return {tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1)}


def brute_force(
    documents: Sequence[Row], clusters: Mapping[int, int], fracs: Mapping[str, float], seed: int
) -> tuple[dict[int, str], dict[int, tuple[str, int]]]:
    """(document -> its side, withheld document -> (rule, other)) by comparing all pairs.

    Of fewer than 64 documents a source, for all that are not drawn are spares.
    """
    by_id = {row["doc_id"]: row for row in documents}
    draws = {doc_id: draw_of(row["text"], seed) for doc_id, row in by_id.items()}
    links: dict[tuple[int, int], str] = {}
    for left, right in combinations(by_id, 2):
        rule = link_of(by_id[left], by_id[right], clusters)
        if rule:
            links[left, right] = links[right, left] = rule
    drawn = set()
    for name, frac in fracs.items():
        mine = [doc_id for doc_id, row in by_id.items() if row["source"] == name]
        bound = min(frac, max((draws[doc_id] for doc_id in mine), default=1.0))
        drawn |= {doc_id for doc_id in mine if draws[doc_id] < bound}

    def withhold(drawn: set[int]) -> dict[int, tuple[str, int]]:
        found = {}
        for doc_id in drawn:
            others = [
                (RULES.index(rule), right)
                for (left, right), rule in links.items()
                if left == doc_id and right not in drawn
            ]
            if others:
                found[doc_id] = RULES[min(others)[0]], min(others)[1]
        return found

    withheld = withhold(drawn)
    moved: set[int] = set()
    for name in fracs:
        trained = [doc for doc, row in by_id.items() if row["source"] == name and doc not in drawn]
        if any(by_id[doc_id]["source"] == name for doc_id in drawn - set(withheld)):
            continue
        groups = []
        for doc_id in sorted(trained, key=lambda doc_id: (draws[doc_id], doc_id)):
            group = {doc_id}
            while more := {b for a, b in links if a in group and b not in drawn} - group:
                group |= more
            if all(by_id[each]["source"] == name for each in group) and len(group) < len(trained):
                groups.append(group)
        if groups:
            moved |= min(groups, key=len)
    if moved:
        withheld = withhold(drawn | moved)
    sides = {
        doc_id: "heldout" if doc_id in drawn | moved else "train"
        for doc_id in by_id
        if doc_id not in withheld
    }
    return sides, withheld


RULES = ["same_text_in_train", "near_duplicate_in_train", "version_in_train", "passage_in_train"]
