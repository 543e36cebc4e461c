"""The ledger of the stage `substrings`, shard by shard: what is cut of a document, and for which.

A document has one row, of the action "edit" with spans, "note" if repeats are only counted, or
"drop" if hardly a text is left of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.config.repeats import SubstringsConfig
from bessemer.core.schema import DROP, EDIT, NOTE
from bessemer.curate.edited import EditedShard, read_edited
from bessemer.curate.ledger import count_shard, decision, read_survivors, write_decisions
from bessemer.curate.repeats.search import Search, sequences
from bessemer.curate.repeats.spans import Span, cut, narrow, to_bytes, unite
from bessemer.engine.shuffle import read_range

STAGE = "substrings"
RULE = "repeated_text"
DROP_RULE = "repeated_text_frac"
_EVIDENCE_CHARS = 80


def decide_shard(
    search: Search,
    config: SubstringsConfig,
    spans: Sequence[Path],
    keepers: Sequence[Path],
    folder: Path,
    shard: str,
    takes_part: bool,
) -> dict[str, Any]:
    """Write the ledger of one shard; returns what `count_shard` does, and counts by source."""
    rows = []
    if takes_part:
        edited = read_edited(search.ingest, search.ledgers, shard)
        documents = edited.documents.drop_columns("text")
        if len(documents):
            rows = _decide(search, config, spans, keepers, edited)
    else:
        columns = ["doc_id", "source", "num_bytes"]
        documents = read_survivors(search.ingest, search.ledgers, shard, columns)
    write_decisions(folder, shard, rows)
    counted = Counter[str]()
    for row in rows:
        counted["repeated_bytes"] += int(row["value"]) if row["action"] != DROP else 0
        counted[f"{row['action']}_docs"] += 1
        counted[f"{row['action']}_bytes"] += row["num_bytes"]
    source = documents["source"][:1].to_pylist()
    return count_shard(documents, folder, shard) | {"found": dict.fromkeys(source, counted)}


def _decide(
    search: Search,
    config: SubstringsConfig,
    spans: Sequence[Path],
    keepers: Sequence[Path],
    edited: EditedShard,
) -> list[dict[str, Any]]:
    doc_ids = edited.documents["doc_id"].to_numpy()
    covered = unite(read_range(spans, doc_ids[0], doc_ids[-1]))
    kept_for = set(read_range(keepers, doc_ids[0], doc_ids[-1])["doc_id"].to_pylist())
    places, rows = np.unique(np.searchsorted(doc_ids, covered.doc_id), return_inverse=True)
    documents = edited.documents.take(places).combine_chunks()  # those with repeats
    stretches = to_bytes(covered, rows, sequences(search.unit, documents["text"]))
    narrowed = narrow(documents["text"], rows, stretches)
    bounds = np.searchsorted(rows, np.arange(len(places) + 1)).tolist()
    decisions = []
    for row, about in enumerate(documents.select(["doc_id", "source", "num_bytes"]).to_pylist()):
        of_row = range(bounds[row], bounds[row + 1])
        found = {place: span for place in of_row if (span := narrowed[place]) is not None}
        if not found:
            continue
        longest = max(found, key=lambda place: found[place].end - found[place].start)
        cuts = list(found.values())
        own = edited.locate(int(places[row]), np.array([(cut.start, cut.end) for cut in cuts]))
        told = {
            **about,
            "evidence_doc_id": int(covered.evidence_doc_id[longest]),
            "value": float(np.diff(stretches[of_row.start : of_row.stop]).sum()),
        }
        text = documents["text"][row].as_py()
        decisions.append(_decision(config, told, text, cuts, own, about["doc_id"] in kept_for))
    return decisions


def _decision(
    config: SubstringsConfig,
    told: Mapping[str, Any],
    text: str,
    cuts: list[Span],
    own: np.ndarray,
    is_kept_for_others: bool,
) -> dict[str, Any]:
    """The row of one document, of which `told` tells what does not depend on the action.

    `cuts` are spans of its text as it was left, `own` (int64 [spans, 2]) are their own bytes.
    """
    longest = max(cuts, key=lambda span: span.end - span.start)
    evidence = text.encode()[longest.start : longest.end].decode().strip()[:_EVIDENCE_CHARS]
    row = {**told, "stage": STAGE, "rule": RULE, "evidence": evidence}
    if config.action == "cut":
        left, whole = len(cut(text, cuts).strip()), len(text.strip())
        cut_frac = 1 - left / whole if left else 1.0
        if not left or (cut_frac > config.max_cut_frac and not is_kept_for_others):
            row |= {"rule": DROP_RULE, "value": cut_frac, "bound": config.max_cut_frac}
            return decision(action=DROP, **row)
    row["spans"] = [
        {"start_byte": start, "end_byte": end, "replacement": span.replacement}
        for (start, end), span in zip(own.tolist(), cuts, strict=True)
    ]
    row["num_bytes"] = int(np.diff(own).sum()) if config.action == "cut" else 0
    return decision(action=EDIT if config.action == "cut" else NOTE, **row)
