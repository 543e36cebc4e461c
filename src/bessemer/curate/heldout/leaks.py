"""The leak check: proof, from what was written, that no held-out document is in training.

Recomputed from `splits/` and the texts, without the draw, its links or its ledger: that no text, no
cluster of near-duplicates, no address but for its version and no run of `words_per_run` words is on
both sides. Runs take another road than `curate.links`: texts that share one share a fingerprint
(`text.runs`), fingerprints of both sides meet in parts, and the documents that have one which is on
both sides are compared by all their shingles of that length (`text.shingles`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.core.errors import IntegrityError
from bessemer.core.ids import format_doc_id
from bessemer.core.layout import SPLITS
from bessemer.core.schema import HELDOUT, SIDES, TRAIN
from bessemer.core.storage import read_table
from bessemer.curate.edited import read_edited
from bessemer.curate.groups import begins_group
from bessemer.curate.heldout.link_keys import cluster_keys, text_keys, version_keys
from bessemer.curate.ledger import content_hashes, list_shards
from bessemer.curate.whole_corpus import Own, each_part, each_shard, part_files, shard_files
from bessemer.engine.shuffle import count_parts, gather, scatter, write_part
from bessemer.engine.tasks import Engine, tasks_of
from bessemer.text.runs import fingerprints
from bessemer.text.shingles import shingles

CONTENT, TEXT, CLUSTER, VERSION, PASSAGE, FINGERPRINT = range(6)
KINDS = ("same_content", "same_text", "near_duplicate", "version", "passage")
"""What must not be on both sides. The content is that of ingest, the text is as it was left."""

_SHOWN = 5  # of the documents of a leak
_ROW_BYTES = 18  # a key, a doc_id, the kind, the side
_BYTES_PER_FINGERPRINT = 24  # of text: where words are of one letter
Ids = npt.NDArray[np.int64]


def check_leaks(
    ingest: Path,
    ledgers: Sequence[Path],
    fuzzy: Path,
    split: Path,
    words_per_run: int,
    scratch: Path,
    engine: Engine,
    part_bytes: int = 2**27,
) -> dict[str, Any]:
    """How many documents of each side were compared, and that nothing is on both (0 by kind).

    `split` is the folder that holds `splits/`. Raises IntegrityError that names documents.
    """
    shards = list_shards(split / SPLITS)
    common = {"ingest": ingest, "ledgers": tuple(ledgers), "split": split}
    common["words_per_run"] = words_per_run

    def run(
        title: str, function: Callable[..., dict[str, Any]], common: Mapping[str, Any], own: Own
    ) -> list[dict[str, Any]]:
        return engine.map(title, scratch, tasks_of(title, function, common, own))

    num_rows = sum(_most_facts(split / SPLITS / shard) for shard in shards)
    num_parts = count_parts(num_rows * _ROW_BYTES, part_bytes)
    facts, prints, runs = (
        shard_files(scratch, name, shards) for name in ("check-facts", "check-prints", "check-runs")
    )
    suspects = part_files(scratch, "check-suspects", num_parts)
    told = {**common, "fuzzy": fuzzy, "num_parts": num_parts}
    docs = run("check-list", list_facts, told, each_shard(shards, facts=facts, prints=prints))
    parts = range(num_parts)
    leaks = run("check-meet", meet, {"facts": facts}, each_part(part=parts, suspects=suspects))
    if words_per_run:
        told = {**common, "suspects": suspects}
        run("check-runs", list_runs, told, each_shard(shards, prints=prints, runs=runs))
        leaks += run("check-compare", meet, {"facts": runs}, each_part(part=parts))
    _refuse(split, [leak for each in leaks for leak in each["leaks"]])
    compared = {side: sum(each[side] for each in docs) for side in SIDES}
    return {"docs": compared, "words_per_run": words_per_run, "leaks": dict.fromkeys(KINDS, 0)}


def list_facts(
    ingest: Path,
    ledgers: Sequence[Path],
    split: Path,
    words_per_run: int,
    fuzzy: Path,
    num_parts: int,
    shard: str,
    facts: Path,
    prints: Path,
) -> dict[str, Any]:
    """Part what is known of one shard's documents; fingerprints with their documents as well."""
    doc_ids, is_heldout, documents = _read_sides(ingest, ledgers, split, shard)
    places, texts = np.arange(len(doc_ids)), documents["text"]
    hashes = content_hashes(documents["content_hash"])
    found = {
        CONTENT: (places, hashes[:, 0] ^ hashes[:, 1]),
        TEXT: text_keys(texts),
        CLUSTER: cluster_keys(fuzzy, doc_ids),
        VERSION: version_keys(ingest, doc_ids, documents["url"]),
    }
    if words_per_run:
        offsets, hashes = fingerprints(texts, words_per_run)
        found[FINGERPRINT] = np.repeat(places, np.diff(offsets)), hashes
        rows = pa.table({"key": hashes, "doc_id": doc_ids[found[FINGERPRINT][0]]})
        scatter(prints, rows, hashes, num_parts)
    tables = [_facts(kind, keys, doc_ids[p], is_heldout[p]) for kind, (p, keys) in found.items()]
    table = pa.concat_tables(tables)
    scatter(facts, table, table["key"].to_numpy(), num_parts)
    return {HELDOUT: int(is_heldout.sum()), TRAIN: int((~is_heldout).sum())}


def meet(facts: Sequence[Path], part: int, suspects: Path | None = None) -> dict[str, Any]:
    """Tell what facts of one part are on both sides; write the fingerprints that are."""
    table = gather(facts, part)
    keys, kinds = table["key"].to_numpy(), table["kind"].to_numpy()
    doc_ids, is_heldout = table["doc_id"].to_numpy(), table["is_heldout"].to_numpy()
    order = np.lexsort((doc_ids, keys))
    leaks: list[list[Any]] = []
    for kind in range(len(KINDS) + 1):
        sides = [order[(kinds == kind)[order] & side[order]] for side in (is_heldout, ~is_heldout)]
        both = np.intersect1d(*(keys[side] for side in sides))
        if kind != FINGERPRINT:
            first = [doc_ids[side][np.searchsorted(keys[side], both)].tolist() for side in sides]
            leaks += [[KINDS[kind], *pair] for pair in zip(*first, strict=True)]
        elif suspects is not None:
            write_part(suspects, pa.table({"key": both}))
    return {"leaks": leaks}


def list_runs(
    ingest: Path,
    ledgers: Sequence[Path],
    split: Path,
    words_per_run: int,
    suspects: Sequence[Path],
    shard: str,
    prints: Path,
    runs: Path,
) -> dict[str, Any]:
    """Part all runs of words of one shard's documents that have a suspect fingerprint."""
    suspected = [np.empty(0, np.int64)]
    for part, path in enumerate(suspects):
        table = gather([prints], part)
        is_suspect = np.isin(table["key"].to_numpy(), gather([path], 0)["key"].to_numpy())
        suspected.append(table["doc_id"].to_numpy()[is_suspect])
    doc_ids, is_heldout, documents = _read_sides(ingest, ledgers, split, shard)
    places = np.flatnonzero(np.isin(doc_ids, np.concatenate(suspected)))
    offsets, hashes = shingles(documents["text"].take(places), words_per_run)
    places = np.repeat(places, np.diff(offsets))
    table = _facts(PASSAGE, hashes, doc_ids[places], is_heldout[places])
    scatter(runs, table, table["key"].to_numpy(), len(suspects))
    return {"runs": len(table)}


def _read_sides(
    ingest: Path, ledgers: Sequence[Path], split: Path, shard: str
) -> tuple[Ids, npt.NDArray[np.bool_], pa.Table]:
    """Of the documents on either side: ids, whether held out, and what they are: `text` as it was
    left, `content_hash` and `url` as they were read."""
    sides = read_table(split / SPLITS / shard, ["doc_id", "split"])
    doc_ids = sides["doc_id"].to_numpy()
    documents = read_edited(ingest, ledgers, shard, ["content_hash", "url"]).documents
    documents = documents.filter(np.isin(documents["doc_id"].to_numpy(), doc_ids))
    return doc_ids, pc.equal(sides["split"], HELDOUT).to_numpy(), documents


def _facts(
    kind: int, keys: npt.NDArray[np.uint64], doc_ids: Ids, is_heldout: npt.NDArray[np.bool_]
) -> pa.Table:
    """Rows of one shard: for each key one document, the first, of either side."""
    order = np.lexsort((doc_ids, is_heldout, keys))
    keys, doc_ids, is_heldout = keys[order], doc_ids[order], is_heldout[order]
    is_new = begins_group(keys, is_heldout)
    return pa.table(
        {
            "key": keys[is_new],
            "doc_id": doc_ids[is_new],
            "kind": np.full(int(is_new.sum()), kind, np.uint8),
            "is_heldout": is_heldout[is_new],
        }
    )


def _most_facts(path: Path) -> int:
    """How many facts there are of one shard, about."""
    num_bytes = read_table(path, ["num_bytes"])["num_bytes"]
    return 4 * len(num_bytes) + (pc.sum(num_bytes).as_py() or 0) // _BYTES_PER_FINGERPRINT


def _refuse(split: Path, leaks: Sequence[Sequence[Any]]) -> None:
    """Raise if there are leaks: (kind, held-out document, document in training)."""
    if not leaks:
        return
    told = sorted({tuple(leak) for leak in leaks})
    shown = "".join(
        f"\n  {kind}: {format_doc_id(heldout)} (held out), {format_doc_id(trained)} (train)"
        for kind, heldout, trained in told[:_SHOWN]
    )
    more = f"\n  ... and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    raise IntegrityError(
        f"the leak check of {split} found text that is held out and trained on:{shown}{more}\n"
        "delete the folder and run again; if it comes back, it is a bug of bessemer: please report"
    )
