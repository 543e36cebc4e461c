"""Which runs of words stand in so many items of a benchmark that they are no evidence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bessemer.config.decontaminate import PARTS

Places = npt.NDArray[np.int64]


def list_items(item: Places, needle: Places, num_needles: int) -> tuple[Places, Places]:
    """The items of each needle, from pairs: offsets and numbers."""
    order = np.argsort(needle, kind="stable")
    counts = np.bincount(needle, minlength=num_needles)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return offsets, item[order].astype(np.int64)


def find_common(
    needle: Places,
    identity: npt.NDArray[np.uint64],
    parts: npt.NDArray[np.int8],
    item_offsets: Places,
    items_of: Places,
    benchmark_of: Places,
    max_items: int,
) -> npt.NDArray[np.bool_]:
    """Whether each run stands in more than `max_items` items of its benchmark.

    Items that share a passage are one, for questions about a passage are asked by the dozen.
    """
    benchmark = benchmark_of[items_of[item_offsets[needle]]] if len(needle) else needle
    _, run = group_rows(benchmark, identity)
    is_passage = parts[needle] == PARTS.index("passage")
    counts = np.diff(item_offsets)[needle]
    counts[is_passage] = 1
    rows = np.repeat(np.arange(len(needle)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    holder = np.where(
        is_passage[rows], -1 - needle[rows], items_of[item_offsets[needle[rows]] + within]
    )
    is_common = np.zeros(int(run.max(initial=-1)) + 1, np.bool_)
    first, _ = group_rows(run[rows], holder)
    for side in (True, False):
        mine = rows[first[is_passage[rows[first]] == side]]
        is_common |= np.bincount(run[mine], minlength=len(is_common)) > max_items
    return is_common[run]


def group_rows(
    left: npt.NDArray[np.generic], right: npt.NDArray[np.generic]
) -> tuple[Places, Places]:
    """Of rows that are equal in both: where each kind stands first, and the kind of each row."""
    order = np.lexsort((np.arange(len(left)), right, left))
    begins = np.ones(len(left), np.bool_)
    begins[1:] = np.diff(left[order]).astype(np.bool_) | np.diff(right[order]).astype(np.bool_)
    kind = np.empty(len(left), np.int64)
    kind[order] = np.cumsum(begins) - 1
    return order[begins].astype(np.int64), kind
