"""What became of each item of the evaluation sets, from the matches of all shards.

Writes `evals/`: `contamination.parquet`, a row per item, and for each benchmark its items as JSON
lines by status (`NAME.clean.jsonl`, `NAME.dirty.jsonl`, `NAME.untestable.jsonl`), which are for
whoever evaluates on them. The status says what the corpus held as it came to the stage, `docs_left`
what is still there behind it. What is held at once grows with the evaluation sets, not with the
corpus.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.config.decontaminate import PARTS
from bessemer.core.layout import CONTAMINATION, EVALS, MATCHES
from bessemer.core.schema import CLEAN, DIRTY, UNTESTABLE
from bessemer.core.schema import CONTAMINATION as COLUMNS
from bessemer.core.storage import SCRATCH, read_table, write_table, write_text
from bessemer.curate.evals.needles import MISSING, Needles, group_items
from bessemer.curate.ledger import lost_doc_ids

BEST = "best"  # folder of scratch: of each shard, the best document of each needle
STATUSES = (CLEAN, DIRTY, UNTESTABLE)
_ALL_DOCS = "all_docs"  # of a row: for the lists, no column of the table
_PASSAGE = PARTS.index("passage")
_QUESTION, _ANSWER = PARTS.index("question"), PARTS.index("answer")


class _Sums:
    """What all shards say of needles and items."""

    def __init__(self, needles: Needles, sources: Sequence[str]) -> None:
        num_items, num_needles = len(needles.items), len(needles.totals)
        self.share = np.zeros(num_needles)
        self.doc_id = np.full(num_needles, -1, np.int64)
        self.is_found = np.zeros(num_needles, np.bool_)
        self.docs = np.zeros((5, num_items), np.int64)
        """Documents that hold it: by more than its passage, answered, by passage, by anything, and
        of these last ones those that still do when the stage has acted."""
        self.in_source = np.zeros((len(sources), num_items), np.bool_)
        self._sources = {source: number for number, source in enumerate(sources)}
        self._first: npt.NDArray[np.int64] = np.searchsorted(
            [item.benchmark for item in needles.items], np.arange(len(needles.names) + 1)
        ).astype(np.int64)
        self._benchmarks = {name: number for number, name in enumerate(needles.names)}

    def add_best(self, table: pa.Table) -> None:
        """Count the best documents of a shard; the first of equals stays, shards in order."""
        needle = table["needle"].to_numpy()
        share = table["share"].to_numpy()
        is_found, was_found = table["is_found"].to_numpy(), self.is_found[needle]
        more = share > self.share[needle]
        better = np.where(is_found == was_found, more, is_found)
        needle = needle[better]
        self.share[needle] = share[better]
        self.doc_id[needle] = table["doc_id"].to_numpy()[better]
        self.is_found[needle] = is_found[better]

    def add_matches(self, table: pa.Table, lost: npt.NDArray[np.int64], cut: Sequence[str]) -> None:
        """Count the matches of a shard, of which the stage dropped the documents `lost` and cut the
        parts `cut`. Words that are of such a part and of another one are gone, and still count as
        left for the other: what is called gone is gone."""
        if not len(table):
            return
        benchmark = _numbers(table["benchmark"], self._benchmarks)
        item = self._first[benchmark] + table["row"].to_numpy()
        part = _numbers(table["part"], {name: number for number, name in enumerate(PARTS)})
        doc_id = table["doc_id"].to_numpy()
        is_left = ~np.isin(doc_id, lost) & ~np.isin(part, [PARTS.index(name) for name in cut])
        source = _numbers(table["source"], self._sources)
        self.in_source[source, item] = True
        # A row for each document and item, with the parts of it that are there.
        pairs, row = np.unique(np.stack([doc_id, item]), axis=1, return_inverse=True)
        row = row.reshape(-1)
        has = np.zeros((len(PARTS), pairs.shape[1]), np.bool_)
        has[part, row] = True
        left = np.zeros(pairs.shape[1], np.bool_)
        left[row[is_left]] = True
        plain = np.delete(has, _PASSAGE, axis=0).any(axis=0)
        kinds = (plain, has[_QUESTION] & has[_ANSWER], has[_PASSAGE], plain | has[_PASSAGE], left)
        for number, kind in enumerate(kinds):
            self.docs[number] += np.bincount(pairs[1][kind], minlength=self.docs.shape[1])


def write_tables_of_items(
    needles: Needles,
    shards: Sequence[str],
    sources: Sequence[str],
    cut: Sequence[str],
    folder: Path,
) -> dict[str, dict[str, Any]]:
    """Write the tables and lists; returns for each benchmark what the report tells of it.

    `cut` are the parts whose words were cut of what stays. The ledger in `folder` must be written.
    """
    sums = _Sums(needles, sources)
    for shard in shards:
        sums.add_best(read_table(folder / SCRATCH / BEST / shard))
        matches = read_table(folder / MATCHES / shard)
        sums.add_matches(matches, lost_doc_ids([folder], shard), cut)
    rows = [_row(number, needles, sums, sources) for number in range(len(needles.items))]
    write_table(folder / EVALS / CONTAMINATION, pa.Table.from_pylist(rows, schema=COLUMNS))
    groups = group_items(needles)
    summary = {}
    for benchmark, name in enumerate(needles.names):
        mine = [rows[number] for number in groups[benchmark]]
        for status in STATUSES:
            lines = [_line(row) for row in mine if row["status"] == status]
            write_text(folder / EVALS / f"{name}.{status}.jsonl", "".join(lines))
        summary[name] = _sum_up(mine, sources)
    return summary


def _row(number: int, needles: Needles, sums: _Sums, sources: Sequence[str]) -> dict[str, Any]:
    item = needles.items[number]
    fracs: dict[str, float | None] = {}
    best_of: dict[int, int | None] = {}  # part -> its needle
    found: list[int] = []  # parts by which it is dirty
    for place, part in enumerate(PARTS):
        tested = needles.tested(number, part)
        # One of several needles is enough: that which is found, or most of.
        best_of[place] = max(
            tested, key=lambda at: (sums.is_found[at], sums.share[at]), default=None
        )
        needle = best_of[place]
        fracs[f"{part}_frac"] = None if needle is None else float(sums.share[needle])
        if needle is not None and sums.is_found[needle]:
            found.append(place)
    testable = [place for place, needle in best_of.items() if needle is not None]
    if found:
        status = DIRTY
    else:  # a passage alone tells nothing of its question
        status = CLEAN if any(place != _PASSAGE for place in testable) else UNTESTABLE
    best = (
        found[:1] or sorted(testable, key=lambda place: -(fracs[f"{PARTS[place]}_frac"] or 0))[:1]
    )
    doc_id = int(sums.doc_id[best_of[best[0]]]) if best else -1
    why = needles.why_not[number]
    return {
        "benchmark": needles.names[item.benchmark],
        "row": item.row,
        "item_id": item.item_id,
        "status": status,
        "part": PARTS[found[0]] if found else None,
        "overlap_frac": fracs[f"{PARTS[best[0]]}_frac"] if best else None,
        "doc_id": doc_id if doc_id >= 0 else None,
        **fracs,
        "docs": int(sums.docs[0, number]),
        "answered_docs": int(sums.docs[1, number]),
        "passage_docs": int(sums.docs[2, number]),
        _ALL_DOCS: int(sums.docs[3, number]),
        "docs_left": int(sums.docs[4, number]),
        "sources": [sources[at] for at in np.flatnonzero(sums.in_source[:, number]).tolist()],
        "why_not": ", ".join(f"{part}: {why[part]}" for part in PARTS if part in why),
    }


def _line(row: dict[str, Any]) -> str:
    """An item as it is handed to evaluation."""
    told = {name: row[name] for name in ("item_id", "row", "status", "part", "overlap_frac")}
    told |= {"docs": row[_ALL_DOCS], "docs_left": row["docs_left"], "sources": row["sources"]}
    return json.dumps(told, ensure_ascii=False) + "\n"


def _sum_up(rows: Sequence[dict[str, Any]], sources: Sequence[str]) -> dict[str, Any]:
    """A benchmark's line in the report: items by status and part, and the sources they are in."""
    counts = {status: sum(row["status"] == status for row in rows) for status in STATUSES}
    return {
        "items": len(rows),
        **counts,
        "by_part": {part: sum(row["part"] == part for row in rows) for part in PARTS},
        "answered": sum(row["answered_docs"] > 0 for row in rows),
        "sources": {
            source: number
            for source in sources
            if (number := sum(source in row["sources"] for row in rows))
        },
        "untested": {
            part: number
            for part in PARTS
            if (
                number := sum(
                    f"{part}:" in row["why_not"] and f"{part}: {MISSING}" not in row["why_not"]
                    for row in rows
                )
            )
        },
    }


def _numbers(column: pa.ChunkedArray, numbers: dict[str, int]) -> npt.NDArray[np.int64]:
    """The numbers that names stand for."""
    places = pc.index_in(column, value_set=pa.array(list(numbers), pa.string()))
    found: npt.NDArray[np.int64] = places.to_numpy().astype(np.int64)
    return found
