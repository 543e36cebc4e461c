"""A sample of the documents that other bounds would newly drop or keep, with the reason of each.

The draw is by keyed hash of the ids: the same for the same run and rules on any machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.core.keyed import Key, hash_indices
from bessemer.core.layout import DOCUMENTS, SIGNALS
from bessemer.core.storage import read_batches, read_table
from bessemer.curate.bounds import Rule, broken_bound
from bessemer.curate.ledger import shard_name, shard_of
from bessemer.curate.replay import Group
from bessemer.curate.rules import LANGUAGE_RULE

_TEXT_CHARS = 400  # what is kept of a text


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """A rule that a document breaks on one side of the comparison alone."""

    rule: str
    value: float
    bound: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampled:
    """One document that would change sides."""

    doc_id: int
    source: str
    language: str
    url: str
    reasons: tuple[Reason, ...]
    text: str  # its beginning


def draw_sample(
    ingest: Path,
    measured: Path,
    groups: Iterable[Group],
    rules: Mapping[str, Sequence[Rule]],
    num_samples: int,
    key: Key,
) -> tuple[Sampled, ...]:
    """Up to `num_samples` of the documents of `groups`, in doc_id order.

    `rules` (source -> rules) are those of the side on which the documents are dropped.
    """
    drawn = _draw(groups, num_samples, key)
    doc_ids = np.array(sorted(drawn), np.int64)
    signals, documents = _read(ingest, measured, doc_ids)
    return tuple(
        Sampled(
            doc_id=doc_id,
            source=drawn[doc_id].source,
            language=drawn[doc_id].language,
            url=documents[doc_id]["url"] or "",
            reasons=_reasons(drawn[doc_id], rules[drawn[doc_id].source], signals[doc_id]),
            text=documents[doc_id]["text"][:_TEXT_CHARS],
        )
        for doc_id in doc_ids.tolist()
    )


def _draw(groups: Iterable[Group], num_samples: int, key: Key) -> dict[int, Group]:
    """doc_id -> its group, of the documents with the smallest hashes."""
    if not num_samples:
        return {}
    lots: list[tuple[int, int, Group]] = []
    for group in groups:
        hashes = hash_indices(key, group.doc_ids)
        first = np.arange(len(hashes))
        if num_samples < len(hashes):
            first = np.argpartition(hashes, num_samples)[:num_samples]
        lots += [(int(hashes[at]), int(group.doc_ids[at]), group) for at in first]
    lots.sort(key=lambda lot: lot[0])
    return {doc_id: group for _, doc_id, group in lots[:num_samples]}


def _read(
    ingest: Path, measured: Path, doc_ids: np.ndarray
) -> tuple[dict[int, dict[str, Any]], dict[int, dict[str, Any]]]:
    """doc_id -> its signals, and doc_id -> its URL and text, of the shards that hold them."""
    signals: dict[int, dict[str, Any]] = {}
    documents: dict[int, dict[str, Any]] = {}
    for shard in np.unique(shard_of(ingest, doc_ids)).tolist():
        name = shard_name(shard)
        table = read_table(measured / SIGNALS / name)
        rows = table.filter(np.isin(table["doc_id"].to_numpy(), doc_ids)).to_pylist()
        signals |= {row["doc_id"]: row for row in rows}
        for batch in read_batches(ingest / DOCUMENTS / name, ["doc_id", "url", "text"]):
            found = np.isin(batch["doc_id"].to_numpy(), doc_ids)
            if found.any():
                rows = batch.filter(found).to_pylist()
                documents |= {row["doc_id"]: row for row in rows}
    return signals, documents


def _signal_of(rule: Rule) -> str:
    """The signal that a rule bounds. Which language it is does not change sides, the score does."""
    return "language_score" if rule.name == LANGUAGE_RULE else rule.name


def _reasons(group: Group, rules: Sequence[Rule], signals: Mapping[str, Any]) -> tuple[Reason, ...]:
    """The rules that the documents of `group` break; on one of both sides they break none."""
    broken = group.now or group.then
    return tuple(
        Reason(
            rule=rule.name,
            value=signals[_signal_of(rule)],
            bound=broken_bound(rule, signals[_signal_of(rule)]),
        )
        for rule in rules
        if rule.name in broken
    )
