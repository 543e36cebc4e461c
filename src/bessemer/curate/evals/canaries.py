"""How many planted items are found, and how many that were not planted.

A keyed draw of the items of each benchmark is planted, in disguises (disguises.py), in the middle
of documents of the corpus in which nothing was found, and these are held against all items by the
code that scans the corpus. Canaries give recall, for each disguise; controls, which no item is in,
give precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.config.decontaminate import PARTS, Part
from bessemer.core.keyed import Key, derive_key, hash_indices
from bessemer.curate.edited import read_edited
from bessemer.curate.evals.disguises import (
    ANSWER,
    CANARIES,
    CONTROLS,
    LETTERED,
    PASSAGE,
    disguise,
    words_of,
)
from bessemer.curate.evals.fields import EvalItem
from bessemer.curate.evals.files import EvalSet
from bessemer.curate.evals.matches import match
from bessemer.curate.evals.needles import Needles, group_items, load_needles
from bessemer.curate.evals.runs import Matching

_HOST_CHARS = 2000  # before the planted item, and behind it
_PARTS_OF: dict[str, tuple[Part, ...]] = {ANSWER: ("answer",), PASSAGE: ("passage",)}


def measure_canaries(
    ingest: Path,
    ledgers: Sequence[Path],
    sets: tuple[EvalSet, ...],
    matching: Matching,
    num_items: int,
    hosts: Sequence[tuple[str, int]],
    key: Key,
) -> dict[str, Any]:
    """Plant `num_items` of each benchmark in `hosts` (shard, doc_id) and look for them.

    Returns canaries and controls: benchmark -> disguise -> how many were planted and found.
    """
    needles = load_needles(sets, matching)
    texts = _read_hosts(ingest, ledgers, hosts)
    groups = group_items(needles)
    canaries, controls = {}, {}
    for benchmark, name in enumerate(needles.names):
        mine = groups[benchmark]
        lots = hash_indices(derive_key(key, name), np.array(mine))
        drawn = [mine[at] for at in np.argsort(lots, kind="stable").tolist()]
        canaries[name] = {
            kind: _plant(needles, _choose(needles, drawn, kind, num_items), kind, texts, key)
            for kind in CANARIES
        }
        controls[name] = {
            kind: _plant(needles, _choose(needles, drawn, kind, num_items), kind, texts, key)
            for kind in CONTROLS
        }
    return {"canaries": canaries, "controls": controls}


def _parts_of(kind: str) -> tuple[Part, ...]:
    """The parts that a disguise plants."""
    return _PARTS_OF.get(kind, ("question", "choices", "answer"))


def _choose(needles: Needles, drawn: Sequence[int], kind: str, num_items: int) -> list[int]:
    """The first items of the draw that can be found by what is planted."""
    parts = _parts_of(kind)
    testable = (
        number
        for number in drawn
        if any(needles.is_tested(number, part) for part in parts)
        and (kind != LETTERED or needles.items[number].of("choices"))
    )
    return [number for number, _ in zip(testable, range(num_items), strict=False)]


def _plant(
    needles: Needles, numbers: Sequence[int], kind: str, hosts: Sequence[str], key: Key
) -> dict[str, int]:
    """How many of the items in this disguise are found; of a control, whatever is found counts."""
    if not numbers:
        return {"planted": 0, "found": 0}
    items = [needles.items[number] for number in numbers]
    vocabulary = words_of([text for item in items for part in PARTS for text in item.of(part)])
    kept_frac = needles.matching.min_overlap_frac / 2
    lots = hash_indices(derive_key(key, kind, "host"), np.array(numbers)).tolist()
    said = [_one_reference(needles, number, kind) for number in numbers]
    planted = [
        _within(hosts, lot, disguise(item, kind, vocabulary, key, kept_frac))
        for item, lot in zip(said, lots, strict=True)
    ]
    shares, _ = match(pa.array(planted, pa.large_string()), needles)
    found = np.zeros(len(items), np.bool_)
    wanted = [
        {needle for part in _parts_of(kind) for needle in needles.tested(number, part)}
        for number in numbers
    ]
    document, needle = shares.document[shares.is_found], shares.needle[shares.is_found]
    for at, each in zip(document.tolist(), needle.tolist(), strict=True):
        found[at] |= kind in CONTROLS or each in wanted[at]
    return {"planted": len(items), "found": int(found.sum())}


def _one_reference(needles: Needles, number: int, kind: str) -> EvalItem:
    """An item as pages have it, with one of its answers: the first by which it can be found."""
    item = needles.items[number]
    tested = [at for part in _parts_of(kind) for at in needles.references(number, part)]
    answer = item.of("answer")
    kept = answer[min(tested)] if tested else answer[0] if answer else None
    texts = {**item.texts, "answer": () if kept is None else (kept,)}
    return replace(item, texts=texts)


def _within(hosts: Sequence[str], lot: int, text: str) -> str:
    """`text` in the middle of one of the hosts."""
    host = hosts[lot % len(hosts)] if hosts else ""
    middle = host.find(" ", len(host) // 2)
    middle = len(host) if middle < 0 else middle
    before, behind = host[max(0, middle - _HOST_CHARS) : middle], host[middle:]
    return f"{before}\n\n{text}\n\n{behind[:_HOST_CHARS]}"


def _read_hosts(
    ingest: Path, ledgers: Sequence[Path], hosts: Sequence[tuple[str, int]]
) -> list[str]:
    """The texts of documents, as earlier stages left them, in doc_id order."""
    texts = []
    for shard in sorted({shard for shard, _ in hosts}):
        documents = read_edited(ingest, ledgers, shard).documents
        wanted = np.isin(documents["doc_id"].to_numpy(), [doc_id for _, doc_id in hosts])
        texts += documents.filter(pa.array(wanted))["text"].to_pylist()
    return texts
