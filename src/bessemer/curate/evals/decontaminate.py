"""Stage `decontaminate`: documents that hold items of evaluation sets.

Each shard is read once, as earlier stages left it, and held against all items (needles,
matches). What is found is dropped, cut or noted, a ledger row for each benchmark; which items
were found where is a table. Then items are planted in documents of the corpus and looked for by the
same code, which measures how many of them are found, and whether others are (canaries).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.config.decontaminate import PARTS, DecontaminateConfig
from bessemer.core.keyed import Key, derive_key, hash_indices
from bessemer.core.layout import DOCUMENTS, MATCHES
from bessemer.core.manifest import StageResult
from bessemer.core.schema import DROP, EDIT, MATCH, NOTE
from bessemer.core.storage import SCRATCH, write_table
from bessemer.curate.edited import EditedShard, read_edited
from bessemer.curate.evals.canaries import measure_canaries
from bessemer.curate.evals.cuts import plan_cuts, unite
from bessemer.curate.evals.files import EvalSet
from bessemer.curate.evals.matches import Shares, Stretches, match
from bessemer.curate.evals.needles import Needles, load_needles, matching_of
from bessemer.curate.evals.runs import Matching
from bessemer.curate.evals.tables import BEST, write_tables_of_items
from bessemer.curate.evals.untested import count_untestable
from bessemer.curate.ledger import (
    count_shard,
    decision,
    list_shards,
    sum_shards,
    write_decisions,
)
from bessemer.curate.whole_corpus import each_shard, write_ledger
from bessemer.engine.tasks import Engine, tasks_of

STAGE = "decontaminate"
_MOST_HOSTS = 64
_ACTIONS = {"drop": DROP, "cut": EDIT, "annotate": NOTE}


def decontaminate(
    ingest: Path,
    ledgers: Sequence[Path],
    sources: Sequence[str],
    config: DecontaminateConfig,
    sets: tuple[EvalSet, ...],
    seed: int,
    folder: Path,
    engine: Engine,
) -> StageResult:
    """Find the items of `sets` in what `ledgers` left, and act on the documents."""
    if not sets:
        empty: dict[str, Any] = {"runs": (), "stage": STAGE, "rule": STAGE}
        return write_ledger(ingest, ledgers, sources, folder, engine, **empty)
    matching = matching_of(config)
    needles = load_needles(sets, matching)
    match(pa.array(["a"], pa.large_string()), needles)  # compiled before several workers would
    shards = list_shards(ingest / DOCUMENTS)
    documents = {"ingest": ingest, "ledgers": tuple(ledgers)}
    common = {
        **documents,
        "sets": sets,
        "matching": matching,
        "action": _ACTIONS[config.action],
        "act_on": config.act_on,
        "key": derive_key(seed, STAGE, "hosts"),
        "folder": folder,
    }
    tasks = tasks_of("scan", scan_shard, common, each_shard(shards))
    results = engine.map(STAGE, folder, tasks)
    hosts = sorted(
        (lot, doc_id, shard)
        for shard, result in zip(shards, results, strict=True)
        for lot, doc_id in result["hosts"]
    )
    planted = {
        **documents,
        "sets": sets,
        "matching": matching,
        "num_items": config.canaries,
        "hosts": [(shard, doc_id) for _, doc_id, shard in hosts[:_MOST_HOSTS]],
        "key": derive_key(seed, STAGE, "canaries"),
    }
    task = tasks_of("measure", measure_canaries, planted, {"canaries": {}})
    (measured,) = engine.map("canaries", folder, task)
    cut = config.act_on if config.action == "cut" else ()
    benchmarks = write_tables_of_items(needles, shards, sources, cut, folder)
    return StageResult(
        conservation=sum_shards(sources, results),
        summary={
            "benchmarks": benchmarks,
            "untestable": count_untestable(needles),
            "docs": _docs_by_source(sources, [result["docs"] for result in results]),
            **measured,
        },
    )


def scan_shard(
    ingest: Path,
    ledgers: Sequence[Path],
    sets: tuple[EvalSet, ...],
    matching: Matching,
    action: str,
    act_on: Sequence[str],
    key: Key,
    folder: Path,
    shard: str,
) -> dict[str, Any]:
    """Hold one shard against all items; returns what `count_shard` does, how many documents of each
    source hold an item of each benchmark, and those that may be hosts of canaries."""
    needles = load_needles(sets, matching)
    edited = read_edited(ingest, ledgers, shard)
    shares, stretches = match(edited.documents["text"], needles)
    table = _table_of(edited, needles, shares, stretches)
    write_table(folder / MATCHES / shard, table)
    write_table(folder / SCRATCH / BEST / shard, _best(edited, shares))
    acting = [part in act_on for part in PARTS]
    rows = _decide(edited, needles, shares, stretches, action, acting)
    write_decisions(folder, shard, rows)
    doc_ids = edited.documents["doc_id"].to_numpy()
    found = np.unique(shares.document[shares.is_found])
    free = np.delete(doc_ids, found)
    lots = hash_indices(key, free)
    first = np.argsort(lots, kind="stable")[:_MOST_HOSTS]
    about = edited.documents.select(["doc_id", "source", "num_bytes"])
    return count_shard(about, folder, shard) | {
        "docs": _count_docs(edited, needles, shares),
        "hosts": [[int(lots[at]), int(free[at])] for at in first],
    }


def _table_of(
    edited: EditedShard, needles: Needles, shares: Shares, stretches: Stretches
) -> pa.Table:
    """The rows of MATCH: one for each part of an item that is found, by the best of its needles."""
    longest = _longest_stretches(stretches, len(needles.totals))
    columns: dict[str, list[Any]] = {name: [] for name in MATCH.names}
    doc_ids = edited.documents["doc_id"].to_numpy()
    places = np.flatnonzero(shares.is_found)
    best: dict[tuple[int, int, int], int] = {}  # (document, item, part) -> its row of shares
    for at in places[np.argsort(-shares.share[places], kind="stable")].tolist():
        document, needle = int(shares.document[at]), int(shares.needle[at])
        for number in needles.items_with(needle):
            best.setdefault((document, number, int(needles.parts[needle])), at)
    for at in places.tolist():
        document, needle = int(shares.document[at]), int(shares.needle[at])
        span = edited.locate(document, longest[document, needle])[0].tolist()
        for number in needles.items_with(needle):
            if best[document, number, int(needles.parts[needle])] != at:
                continue
            item = needles.items[number]
            row = (
                *(int(doc_ids[document]), edited.documents["source"][document].as_py()),
                *(needles.names[item.benchmark], item.row, item.item_id),
                *(PARTS[needles.parts[needle]], float(shares.share[at]), *span),
            )
            for name, value in zip(MATCH.names, row, strict=True):
                columns[name].append(value)
    return pa.table(columns, schema=MATCH)


def _longest_stretches(stretches: Stretches, num_needles: int) -> dict[tuple[int, int], np.ndarray]:
    """(document, needle) -> its longest stretch, the first of equal ones, as int64 [1, 2]."""
    length = stretches.end_byte - stretches.first_byte
    pair = stretches.document * num_needles + stretches.needle
    order = np.lexsort((stretches.first_byte, -length, pair))
    _, first = np.unique(pair[order], return_index=True)
    return {
        (int(stretches.document[at]), int(stretches.needle[at])): np.array(
            [[stretches.first_byte[at], stretches.end_byte[at]]]
        )
        for at in order[first].tolist()
    }


def _best(edited: EditedShard, shares: Shares) -> pa.Table:
    """For each needle the document in which it is found, or else which holds most of it; of several
    the one with the most, the first of equal ones."""
    order = np.lexsort((shares.document, -shares.share, ~shares.is_found, shares.needle))
    _, first = np.unique(shares.needle[order], return_index=True)
    at = order[first]
    return pa.table(
        {
            "needle": shares.needle[at],
            "share": shares.share[at],
            "is_found": shares.is_found[at],
            "doc_id": edited.documents["doc_id"].to_numpy()[shares.document[at]],
        }
    )


def _decide(
    edited: EditedShard,
    needles: Needles,
    shares: Shares,
    stretches: Stretches,
    action: str,
    acting: Sequence[bool],
) -> list[dict[str, Any]]:
    """Ledger rows: for each document and benchmark what is acted on, and what is noted."""
    # A group is a benchmark, and whether its parts are acted on (even) or noted (odd).
    group_of = 2 * needles.benchmarks + ~np.array(acting)[needles.parts]
    rows: list[dict[str, Any]] = []
    places = np.flatnonzero(shares.is_found)
    for document in np.unique(shares.document[places]).tolist():
        first, last = np.searchsorted(shares.document[places], [document, document + 1]).tolist()
        mine = places[first:last]
        first, last = np.searchsorted(stretches.document, [document, document + 1]).tolist()
        standing = np.arange(first, last)
        about = {
            name: edited.documents[name][document].as_py()
            for name in ("doc_id", "source", "num_bytes")
        }
        of_group = group_of[stretches.needle[standing]]
        spans = {}
        for group in np.unique(group_of[shares.needle[mine]]).tolist():
            own = standing[of_group == group]
            spans[group] = unite(
                np.stack([stretches.first_byte[own], stretches.end_byte[own]], axis=1)
            )
        joints: dict[int, list[str | None]] = {}
        does = action
        cut = [group for group in spans if group % 2 == 0] if action == EDIT else []
        if cut:
            text = edited.documents["text"][document].as_py()
            planned, is_left = plan_cuts(text, [spans[group] for group in cut])
            joints = dict(zip(cut, planned, strict=True))
            does = EDIT if is_left else DROP
        found: list[dict[str, Any]] = []
        for group, each in spans.items():
            these = mine[group_of[shares.needle[mine]] == group]
            listed = _listed(edited.locate(document, each), joints.get(group, [None] * len(each)))
            found.append(_row(about, needles, shares, these, NOTE if group % 2 else does, listed))
        drops = [row for row in found if row["action"] == DROP]
        for row in sorted(drops, key=lambda row: -row["value"])[1:]:  # one counts, the best
            row["decisive"] = False
        rows += found
    return rows


def _row(
    about: dict[str, Any],
    needles: Needles,
    shares: Shares,
    places: np.ndarray,
    action: str,
    spans: list[dict[str, Any]],
) -> dict[str, Any]:
    """The ledger row of a document and a benchmark."""
    # A question tells more than an answer or choices, whatever is left of it.
    found = shares.needle[places]
    best = places[np.lexsort((found, -shares.share[places], needles.parts[found]))[0]]
    needle = int(shares.needle[best])
    item = needles.items[needles.items_with(needle)[0]]
    share = float(shares.share[best])
    items = {number for each in found.tolist() for number in needles.items_with(each)}
    part = PARTS[needles.parts[needle]]
    more = f", and {len(items) - 1:,} more" if len(items) > 1 else ""
    num_bytes = {
        DROP: about["num_bytes"],
        EDIT: sum(span["end_byte"] - span["start_byte"] for span in spans),
        NOTE: 0,
    }[action]
    return decision(
        doc_id=about["doc_id"],
        source=about["source"],
        stage=STAGE,
        rule=needles.names[item.benchmark],
        action=action,
        num_bytes=num_bytes,
        value=share,
        bound=needles.matching.min_overlap_frac,
        evidence=f"{item.item_id}: {share:.0%} of its {part}{more}",
        spans=None if action == DROP else spans,
    )


def _listed(spans: np.ndarray, joints: Sequence[str | None]) -> list[dict[str, Any]]:
    """Spans of the ledger. Of some that come to overlap, as they touch one placeholder, one is
    left, with the first joint."""
    listed: list[dict[str, Any]] = []
    for (start, end), joint in zip(spans.tolist(), joints, strict=True):
        if listed and start <= listed[-1]["end_byte"]:
            last = listed[-1]
            last["end_byte"] = max(end, last["end_byte"])
            last["replacement"] = joint if last["replacement"] is None else last["replacement"]
        else:
            listed.append({"start_byte": start, "end_byte": end, "replacement": joint})
    return listed


def _count_docs(edited: EditedShard, needles: Needles, shares: Shares) -> dict[str, dict[str, int]]:
    """source -> benchmark -> documents that hold one of its items."""
    counts: dict[str, dict[str, int]] = {}
    documents = shares.document[shares.is_found].tolist()
    benchmarks = needles.benchmarks[shares.needle[shares.is_found]].tolist()
    found = sorted(set(zip(documents, benchmarks, strict=True)))
    for document, benchmark in found:
        source = edited.documents["source"][document].as_py()
        mine = counts.setdefault(source, {})
        name = needles.names[benchmark]
        mine[name] = mine.get(name, 0) + 1
    return counts


def _docs_by_source(
    sources: Sequence[str], counts: Sequence[dict[str, dict[str, int]]]
) -> dict[str, dict[str, int]]:
    total: dict[str, dict[str, int]] = {source: {} for source in sources}
    for each in counts:
        for source, mine in each.items():
            for name, number in mine.items():
                total[source][name] = total[source].get(name, 0) + number
    return total
