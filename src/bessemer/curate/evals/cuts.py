"""What takes the place of items that are cut from a text, and whether anything is left of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bessemer.curate.repeats.spans import Span, cut, narrow

Spans = npt.NDArray[np.int64]  # [spans, 2]: first byte, and the one behind the last


def unite(spans: Spans) -> Spans:
    """Spans that share no byte and do not touch, ascending, that cover the same."""
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    reach = np.maximum.accumulate(spans[:, 1])
    at = np.flatnonzero(np.r_[True, spans[1:, 0] > reach[:-1]])
    return np.stack([spans[at, 0], np.maximum.reduceat(spans[:, 1], at)], axis=1)


def plan_cuts(text: str, groups: Sequence[Spans]) -> tuple[list[list[str | None]], bool]:
    """What stands in the place of each span of each group (united, none empty) if all are cut, and
    whether anything but blanks is left of `text` then.

    Spans of several groups that touch are one cut, of which each has the joint: words that stand
    beside it must not become one.
    """
    spans = unite(np.concatenate(list(groups)))
    rows = np.zeros(len(spans), np.int64)
    narrowed = narrow(pa.array([text], pa.large_string()), rows, spans)
    cuts = [
        Span(start, end, None if each is None else each.replacement)
        for (start, end), each in zip(spans.tolist(), narrowed, strict=True)
    ]
    joints = [
        [cuts[at].replacement for at in np.searchsorted(spans[:, 0], mine[:, 0], "right") - 1]
        for mine in groups
    ]
    return joints, bool(cut(text, cuts).strip())
