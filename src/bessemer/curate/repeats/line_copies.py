"""Which copies of repeated lines go, and which documents with them, a shard at a time.

Input: what `line_counts.scan_shard` wrote of the shard, and the runs of `line_counts.count_part`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from bessemer.engine.shuffle import gather, read_range


class Choice(NamedTuple):
    """What goes of one shard."""

    cuts: pa.Table
    """doc_id, place, and keeper (the document that keeps a copy, or -1) of each line that goes, by
    the first two. Lines of documents in `dropped` are among them: they say why."""
    dropped: pa.Table
    """doc_id and cut_frac of the documents that are dropped whole, by the first."""
    fates: dict[str, int]
    """What became of the copies of repeated lines in documents that stay (cut, kept, protected),
    and how many are in others (dropped)."""


def choose_copies(
    sizes: Path, copies: Path, repeated: Sequence[Path], max_cut_frac: float
) -> Choice:
    """Choose among the lines of one shard.

    A document that keeps a copy for others is not dropped, however much of it goes.
    """
    documents = gather([sizes], 0)
    doc_ids, num_units, text_bytes = (
        documents[name].to_numpy() for name in ("doc_id", "num_units", "text_bytes")
    )
    document = np.repeat(np.arange(len(doc_ids)), num_units)
    begins = np.cumsum(num_units) - num_units
    table = gather([copies], 0)
    first, cut_bytes = table["first"].to_numpy(), table["cut_bytes"].to_numpy()
    bounds = (doc_ids[0], doc_ids[-1]) if len(doc_ids) else (0, -1)
    found = read_range(repeated, *bounds)
    told = begins[np.searchsorted(doc_ids, found["doc_id"].to_numpy())] + found["place"].to_numpy()
    is_told, keeper_told = np.zeros(len(first), np.bool_), np.full(len(first), -1)
    is_told[told], keeper_told[told] = True, found["keeper"].to_numpy()

    is_repeat = (first >= 0) & is_told[first]
    keeper = keeper_told[first]
    is_kept = is_repeat & (first == np.arange(len(first))) & (keeper == doc_ids[document])
    goes = is_repeat & ~is_kept & (cut_bytes > 0)
    num_cut = np.bincount(document[goes], minlength=len(doc_ids))
    sums = np.zeros(len(doc_ids), np.int64)
    np.add.at(sums, document[goes], cut_bytes[goes])
    cut_frac = sums / np.maximum(text_bytes, 1)
    is_dropped = cut_frac > max_cut_frac
    is_dropped[document[is_kept]] = False
    is_dropped |= (num_cut == num_units) & (num_cut > 0)

    place = np.arange(len(first)) - begins[document]
    columns = (doc_ids[document[goes]], place[goes], keeper[goes])
    stays = is_repeat & ~is_dropped[document]
    masks = {
        "cut": goes & stays,
        "kept": is_kept,
        "protected": stays & ~goes & ~is_kept,
        "dropped": is_repeat & ~stays,
    }
    return Choice(
        cuts=pa.table(columns, names=("doc_id", "place", "keeper")),
        dropped=pa.table({"doc_id": doc_ids[is_dropped], "cut_frac": cut_frac[is_dropped]}),
        fates={name: int(mask.sum()) for name, mask in masks.items()},
    )
