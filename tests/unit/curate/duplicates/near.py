"""What tests of near-duplicates share: texts with variants, and comparison of all pairs."""

from __future__ import annotations

import functools
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from tests.ledgers import read_decisions

from bessemer.config.curate import CurateConfig
from bessemer.config.duplicates import FuzzyConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.storage import read_table
from bessemer.curate.duplicates.fuzzy import fuzzy
from bessemer.curate.ingest import ingest
from bessemer.curate.inventory import take_inventory
from bessemer.engine.tasks import Engine

# Two rows per band and many bands: a pair of similarity 0.5 is missed with odds of (1 - 0.5^2)^100.
SURE = FuzzyConfig(num_bands=100, rows_per_band=2)


@functools.cache
def word_runs(text: str, num_words: int = 5) -> frozenset[tuple[str, ...]]:
    """The runs of words of a text in plain letters and digits, or all of a shorter one."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    runs = [tuple(words[at : at + num_words]) for at in range(len(words) - num_words + 1)]
    return frozenset(runs or ([tuple(words)] if words else []))


@functools.cache
def char_runs(text: str, num_chars: int) -> frozenset[str]:
    """The runs of characters of a text, or all of a shorter one."""
    runs = (text[at : at + num_chars] for at in range(max(1, len(text) - num_chars + 1)))
    return frozenset(runs) - {""}


def runs_of(text: str, config: FuzzyConfig) -> frozenset[object]:
    make = word_runs if config.shingle_unit == "words" else char_runs
    return make(text, config.shingle_size)


def similarity(left: str, right: str, config: FuzzyConfig) -> float:
    """Jaccard similarity or containment of two texts."""
    a, b = runs_of(left, config), runs_of(right, config)
    if not a or not b:
        return 0.0
    return len(a & b) / (len(a | b) if config.verify == "jaccard" else min(len(a), len(b)))


def keepers_by_all_pairs(
    texts: Mapping[int, str], config: FuzzyConfig, rank: Callable[[int], tuple[object, ...]]
) -> dict[int, int]:
    """dropped -> its keeper, by comparing all pairs; smaller ranks are better."""
    alike: dict[int, set[int]] = {doc_id: set() for doc_id in texts}
    for left, right in combinations(texts, 2):
        if similarity(texts[left], texts[right], config) >= config.min_similarity:
            alike[left].add(right)
            alike[right].add(left)
    keeper: dict[int, int] = {}
    kept: list[int] = []
    for doc_id in sorted(texts, key=rank):
        like = [other for other in kept if other in alike[doc_id]]
        if like:
            keeper[doc_id] = like[0]
        else:
            kept.append(doc_id)
    return keeper


def texts_by_id(*shards: Sequence[str]) -> dict[int, str]:
    return {
        number << 32 | row: text
        for number, texts in enumerate(shards)
        for row, text in enumerate(texts)
    }


def ingest_jsonl(base: Path, *files: Sequence[str], shard_bytes: int = 2**20) -> Path:
    """Ingest texts as the source "web", a file of JSONL each; the folder of the stage."""
    base.mkdir(exist_ok=True)
    for number, texts in enumerate(files):
        rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (base / f"{number}.jsonl").write_text(rows)
    source = SourceConfig.model_validate({"name": "web", "kind": "web", "path": "*.jsonl"})
    files_there = take_inventory([source], base)
    curate = CurateConfig(shard_bytes=shard_bytes)
    ingest(files_there, [source], curate, base / "ingest", Engine())
    return base / "ingest"


def read_texts(ingested: Path) -> dict[int, str]:
    """doc_id -> text of all documents."""
    return {
        row["doc_id"]: row["text"]
        for path in sorted((ingested / "documents").glob("*.parquet"))
        for row in read_table(path, ["doc_id", "text"]).to_pylist()
    }


def drops_of(folder: Path) -> dict[int, int]:
    """document -> the one it was dropped for."""
    rows = read_decisions([folder]).to_pylist()
    return {row["doc_id"]: row["evidence_doc_id"] for row in rows}


def find(
    ingested: Path,
    folder: Path,
    config: FuzzyConfig = SURE,
    sources: Sequence[str] = ("web", "books"),
    *,
    engine: Engine | None = None,
    part_bytes: int = 2**27,
    source_priority: Sequence[str] = (),
    signals: Path | None = None,
) -> dict[int, int]:
    """Run the stage; its drops, each row checked against plain sets, and nobody dropped for one
    that is dropped."""
    result = fuzzy(
        *(ingested, [], list(sources), config, 0, folder, engine or Engine(), part_bytes),
        *(source_priority, signals),
    )
    for sums in result.conservation:
        sums.check("fuzzy")
    texts = read_texts(ingested)
    rule = {"jaccard": "near_duplicate", "containment": "contained"}[config.verify]
    for row in read_decisions([folder]).to_pylist():
        assert (row["rule"], row["bound"]) == (rule, config.min_similarity)
        pair = texts[row["doc_id"]], texts[row["evidence_doc_id"]]
        assert row["value"] == similarity(*pair, config) >= config.min_similarity
    found = drops_of(folder)
    assert not set(found.values()) & set(found)
    return found


LEXICON = ["".join(random.Random(n).choices("abcdefghijklmnop", k=2 + n % 7)) for n in range(4000)]


def make_texts(seed: int, num_families: int, num_words: int = 120) -> list[str]:
    """Families of a text and its variants, with one to thirty words changed or the end cut."""
    draw = random.Random(seed)
    texts = []
    for _ in range(num_families):
        base = draw.choices(LEXICON, k=num_words)
        texts.append(" ".join(base))
        for _ in range(draw.randrange(5)):
            words = list(base)
            for _ in range(draw.choice([1, 2, 3, 4, 6, 30])):
                words[draw.randrange(len(words))] = draw.choice(LEXICON)
            words = words[: len(words) - draw.choice([0, 0, 5, 20])]
            texts.append((", ".join(words) + ".").capitalize())
    draw.shuffle(texts)
    return texts
