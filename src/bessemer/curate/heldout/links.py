"""Which documents that were drawn cannot be held out, as training sees what they say.

A link is a key that documents share, for one of `RULES`: the same text, a cluster of
near-duplicates, an address but for its version (`curate.link_keys`), a run of words. Links are
listed shard by shard and come together by their keys in parts (bessemer.engine.shuffle). A drawn
document that shares a key with one that is trained on is withheld, and the ledger names the other.

There are as many runs of words as words. So only those of drawn documents are all listed; of the
others, those that may be among them, which a filter of bounded size tells (`text.runs`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bessemer.core.keyed import Key
from bessemer.core.storage import readable, write_bytes
from bessemer.curate.edited import read_edited
from bessemer.curate.groups import begins_group
from bessemer.curate.heldout.draw import DRAWN, SPARE, TRAINED, Bound, Sides, draws_of, sides_of
from bessemer.curate.heldout.link_keys import Keys, cluster_keys, text_keys, version_keys
from bessemer.engine.shuffle import gather, read_range, scatter, write_run
from bessemer.text.runs import empty_filter, fill_filter, may_hold, run_hashes

TEXT, CLUSTER, VERSION, PASSAGE = range(4)
RULES = (
    "same_text_in_train",
    "near_duplicate_in_train",
    "version_in_train",
    "passage_in_train",
)
"""What the ledger calls a link, by its number; of several, the first counts."""

ROW_BYTES = 18  # a key, a doc_id, a rule, a side
Ids = npt.NDArray[np.int64]


def link_shard(
    ingest: Path,
    ledgers: Sequence[Path],
    fuzzy: Path,
    key: Key,
    words_per_run: int,
    num_parts: int,
    num_run_parts: int,
    shard: str,
    bound: Bound,
    out: Path,
    runs: Path,
) -> dict[str, Any]:
    """Part the links of one shard by text, cluster and address; runs of what is drawn or spare."""
    documents = read_edited(ingest, ledgers, shard, ["content_hash", "url"]).documents
    doc_ids, sides = _sides(documents, key, bound)
    found = {
        TEXT: text_keys(documents["text"]),
        CLUSTER: cluster_keys(fuzzy, doc_ids),
        VERSION: version_keys(ingest, doc_ids, documents["url"]),
    }
    rows = pa.concat_tables(
        _links(rule, keys, doc_ids[places], sides[places]) for rule, (places, keys) in found.items()
    )
    scatter(out, rows, rows["key"].to_numpy(), num_parts)
    if not words_per_run:
        return {"runs": 0}
    rows = _runs(documents, doc_ids, sides, sides != TRAINED, words_per_run, None)
    scatter(runs, rows, rows["key"].to_numpy(), num_run_parts)
    return {"runs": len(rows)}


def filter_runs(
    runs: Sequence[Path], num_run_parts: int, num_runs: int, max_bytes: int, out: Path
) -> dict[str, Any]:
    """Write the filter of the runs that `link_shard` listed, of at most `max_bytes`."""
    bits = empty_filter(num_runs, max_bytes)
    for path in runs:
        for part in range(num_run_parts):
            fill_filter(bits, gather([path], part)["key"].to_numpy())
    write_bytes(out, bits.tobytes())
    return {"bytes": bits.nbytes}


def link_trained(
    ingest: Path,
    ledgers: Sequence[Path],
    key: Key,
    words_per_run: int,
    num_run_parts: int,
    filter_path: Path,
    shard: str,
    bound: Bound,
    runs: Path,
) -> dict[str, Any]:
    """Part the runs of one shard's trained documents that drawn ones or spares may have."""
    documents = read_edited(ingest, ledgers, shard, ["content_hash"]).documents
    doc_ids, sides = _sides(documents, key, bound)
    with readable(filter_path):
        bits = np.frombuffer(pa.memory_map(str(filter_path)).read_buffer(), np.uint64)
    rows = _runs(documents, doc_ids, sides, sides == TRAINED, words_per_run, bits)
    scatter(runs, rows, rows["key"].to_numpy(), num_run_parts)
    return {"runs": len(rows)}


def settle_part(
    links: Sequence[Path], part: int, moved: Collection[int], out: Path
) -> dict[str, Any]:
    """Write who of one part is withheld, and for which document; tell what links spares.

    `moved` are spares to be held out: they count as drawn.
    """
    table = gather(links, part)
    keys, doc_ids = table["key"].to_numpy(), table["doc_id"].to_numpy()
    rules, sides = table["rule"].to_numpy(), table["side"].to_numpy()
    order = np.lexsort((doc_ids, keys))
    keys, doc_ids, rules, sides = keys[order], doc_ids[order], rules[order], sides[order]
    sides[np.isin(doc_ids, np.array(sorted(moved), np.int64))] = DRAWN
    starts = np.flatnonzero(begins_group(keys))
    group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(keys)))
    nobody = np.iinfo(np.int64).max
    trained = _least(np.where(sides != DRAWN, doc_ids, nobody), starts)[group]
    lost = np.flatnonzero((sides == DRAWN) & (trained != nobody))
    withheld = pa.table(
        {"doc_id": doc_ids[lost], "rule": rules[lost], "evidence_doc_id": trained[lost]}
    )
    write_run(out, first_of_each(withheld))
    spare = np.flatnonzero(sides == SPARE)
    is_unfit = _least(np.where(sides == TRAINED, 0, 1), starts)[group[spare]] == 0
    is_next = ~begins_group(group[spare])
    pairs = np.stack([doc_ids[spare], np.roll(doc_ids[spare], 1)], axis=1)[is_next]
    return {
        "unfit": np.unique(doc_ids[spare][is_unfit]).tolist(),
        "pairs": np.unique(pairs, axis=0).tolist(),
    }


def read_withheld(runs: Sequence[Path], doc_ids: Ids) -> pa.Table:
    """`doc_id, rule, evidence_doc_id` of those of `doc_ids` (ascending) that are withheld."""
    first, last = (int(doc_ids[0]), int(doc_ids[-1])) if len(doc_ids) else (0, -1)
    return first_of_each(read_range(runs, first, last))


def first_of_each(withheld: pa.Table) -> pa.Table:
    """One row per document, by doc_id: of its first rule, and there of the first other."""
    doc_ids = withheld["doc_id"].to_numpy()
    rules, others = withheld["rule"].to_numpy(), withheld["evidence_doc_id"].to_numpy()
    order = np.lexsort((others, rules, doc_ids))
    return withheld.take(order[begins_group(doc_ids[order])])


def _sides(documents: pa.Table, key: Key, bound: Bound) -> tuple[Ids, Sides]:
    doc_ids = documents["doc_id"].to_numpy()
    return doc_ids, sides_of(doc_ids, draws_of(documents["content_hash"], key), bound)


def _runs(
    documents: pa.Table,
    doc_ids: Ids,
    sides: Sides,
    is_wanted: npt.NDArray[np.bool_],
    words_per_run: int,
    bits: npt.NDArray[np.uint64] | None,
) -> pa.Table:
    """Links by runs of words, of some documents of a shard; only those that pass the filter."""
    places = np.flatnonzero(is_wanted)
    offsets, hashes = run_hashes(documents["text"].take(places), words_per_run)
    kept = np.arange(len(hashes)) if bits is None else np.flatnonzero(may_hold(bits, hashes))
    place = places[np.searchsorted(offsets, kept, side="right") - 1]
    return _links(PASSAGE, hashes[kept], doc_ids[place], sides[place])


def _links(rule: int, keys: Keys, doc_ids: Ids, sides: Sides) -> pa.Table:
    """Rows of one shard: each document once for a key, and one alone of those trained on."""
    order = np.lexsort((doc_ids, sides, keys))
    keys, doc_ids, sides = keys[order], doc_ids[order], sides[order]
    is_new = begins_group(keys) | ((sides != TRAINED) & begins_group(doc_ids))
    kept = np.flatnonzero(is_new)
    return pa.table(
        {
            "key": keys[kept],
            "doc_id": doc_ids[kept],
            "rule": np.full(len(kept), rule, np.uint8),
            "side": sides[kept],
        }
    )


def _least(values: npt.NDArray[Any], starts: Ids) -> npt.NDArray[Any]:
    """The least value of each group, of which there may be none."""
    return np.minimum.reduceat(values, starts) if len(starts) else values[:0]
