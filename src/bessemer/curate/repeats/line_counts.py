"""How many documents each line stands in, and where it stands first: the shuffle of `lines`.

Each shard sends one row for each different line of its own, however often it has it; parts, made by
the keys of lines (bessemer.engine.shuffle), add these up. So a line that stands in all documents is
no more than a row for each shard to its part. What is repeated goes back to the shards as runs, in
which the first copy that a shard has of a line stands for the line; the others are found there
(bessemer.curate.repeats.line_copies).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.config.repeats import LinesConfig
from bessemer.core.layout import SHARD_RANGES
from bessemer.core.storage import read_table
from bessemer.curate.edited import read_edited
from bessemer.curate.groups import begins_group
from bessemer.curate.ledger import shard_of
from bessemer.curate.repeats.line_protection import protected_units
from bessemer.engine.shuffle import gather, scatter, write_part, write_run
from bessemer.text.line_units import Units, find_units

NUM_SHOWN = 20
"""Of the most frequent lines, so many are named."""


def units_of(texts: pa.Array, config: LinesConfig) -> Units:
    """The lines or paragraphs of texts, as the settings ask."""
    return find_units(
        texts,
        paragraphs=config.unit == "paragraph",
        words=config.compare == "words",
        fold_digits=config.fold_digits,
    )


def scan_shard(
    ingest: Path,
    ledgers: Sequence[Path],
    config: LinesConfig,
    shard: str,
    num_parts: int,
    out: Path,
    sizes: Path,
    copies: Path,
) -> dict[str, Any]:
    """Part the keys of one shard's different lines, with what they count there.

    `doc_id` and `place` are of the first copy in the shard; `place` counts the lines before it in
    its text. Writes the `sizes` of texts, and of all lines, compared or not, in their order, the
    `copies`: `first` is the number of the first copy in the shard, -1 if the line is not compared,
    and `cut_bytes` are what its cut would take, none if it is protected.
    """
    documents = read_edited(ingest, ledgers, shard).documents
    texts, doc_ids = documents["text"].combine_chunks(), documents["doc_id"].to_numpy()
    units = units_of(texts, config)
    num_units = np.diff(units.offsets)
    is_compared = (units.num_words >= config.min_words) & (units.num_chars >= config.min_chars)
    unit = np.flatnonzero(is_compared)
    unit = unit[np.lexsort((units.lows[unit], units.highs[unit]))]  # in text order if equal
    document = np.repeat(np.arange(len(doc_ids)), num_units)
    is_first = begins_group(units.highs[unit], units.lows[unit])
    line = np.cumsum(is_first) - 1
    starts = np.flatnonzero(is_first)
    num_docs = np.bincount(line[is_first | begins_group(document[unit])], minlength=len(starts))
    first = unit[starts]
    rows = {
        "high": units.highs[first],
        "low": units.lows[first],
        "doc_id": doc_ids[document[first]],
        "place": (first - units.offsets[document[first]]).astype(np.int32),
        "num_docs": num_docs.astype(np.int32),
        "num_copies": np.diff(starts, append=len(unit)).astype(np.int32),
    }
    scatter(out, pa.table(rows), rows["low"], num_parts)
    table = {"doc_id": doc_ids, "text_bytes": pc.binary_length(texts), "num_units": num_units}
    write_part(sizes, pa.table(table))
    first_copy = np.full(len(units.starts), -1)
    first_copy[unit] = first[line]
    cut_bytes = np.where(protected_units(texts, units, config), 0, units.stops - units.starts)
    write_part(copies, pa.table({"first": first_copy, "cut_bytes": cut_bytes.astype(np.int32)}))
    return {"lines": len(units.starts), "compared": len(unit)}


def count_part(
    rows: Sequence[Path],
    part: int,
    ingest: Path,
    sources: Sequence[str],
    config: LinesConfig,
    out: Path,
) -> dict[str, Any]:
    """Count the documents of each line of one part.

    Writes a run of the lines that are repeated, once for each shard: document and place of the
    first copy there, and the document that keeps a copy (`keeper`, -1 if none does). Returns counts
    of all `sources` and the most frequent lines: [documents, copies, document and place of the
    first one].
    """
    table = gather(rows, part)
    keys = (table[name].to_numpy() for name in ("doc_id", "low", "high"))
    table = table.take(np.lexsort(tuple(keys))).combine_chunks()
    high, low, doc_id, place = (
        table[name].to_numpy() for name in ("high", "low", "doc_id", "place")
    )
    is_first = begins_group(high, low)
    line = np.cumsum(is_first) - 1
    starts = np.flatnonzero(is_first)
    num_copies_there = table["num_copies"].to_numpy()
    num_docs = _sums(line, table["num_docs"].to_numpy(), len(starts))
    num_copies = _sums(line, num_copies_there, len(starts))
    is_repeat = num_docs > config.max_docs
    keeper = doc_id[starts] if config.keep == "first" else np.full(len(starts), -1)
    returned = np.flatnonzero(is_repeat[line])
    returned = returned[np.argsort(doc_id[returned], kind="stable")]
    columns = (doc_id[returned], place[returned], keeper[line[returned]])
    write_run(out, pa.table(columns, names=("doc_id", "place", "keeper")))
    source = _source_of(ingest, doc_id, sources)
    in_source = is_first | begins_group(source)
    frequent = np.flatnonzero(is_repeat)
    first_id, first_place = doc_id[starts[frequent]], place[starts[frequent]]
    ranked = np.lexsort((first_place, first_id, -num_copies[frequent], -num_docs[frequent]))
    best = ranked[:NUM_SHOWN]
    told = (num_docs[frequent], num_copies[frequent], first_id, first_place)
    distinct = np.bincount(source[in_source], minlength=len(sources))
    repeated = _sums(source[returned], num_copies_there[returned], len(sources))
    return {
        "distinct": len(starts),
        "repeated": len(frequent),
        "by_source": {
            "distinct": dict(zip(sources, distinct.tolist(), strict=True)),
            "repeated": dict(zip(sources, repeated.tolist(), strict=True)),
        },
        "most_frequent": np.stack([column[best] for column in told], axis=1).tolist(),
    }


def _sums(group: np.ndarray, values: np.ndarray, num_groups: int) -> np.ndarray:
    """The sum of the values of each group (int64)."""
    found = np.zeros(num_groups, np.int64)
    np.add.at(found, group, values)
    return found


def _source_of(ingest: Path, doc_ids: np.ndarray, sources: Sequence[str]) -> np.ndarray:
    """The place of each document's source among `sources` (int64)."""
    names = read_table(ingest / SHARD_RANGES, ["source"])["source"].to_pylist()
    number = np.array([sources.index(name) if name in sources else -1 for name in names])
    found: np.ndarray = number[shard_of(ingest, doc_ids)]
    return found
