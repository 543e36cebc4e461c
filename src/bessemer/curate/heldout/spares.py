"""Which spares are held out where nothing that was drawn can be: so that each source has some.

A source with fewer documents than shares would hold none out, or those that were drawn are all
like something that is trained on. Then spares take their place, together with the spares of the
source that they are linked to, if none of them is linked to any other document that is trained on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from bessemer.curate.heldout.draw import Bound


def choose_spares(
    bounds: Mapping[str, Bound],
    fit: Mapping[str, int],
    trained: Mapping[str, int],
    unfit: Iterable[int],
    pairs: Iterable[Sequence[int]],
) -> list[int]:
    """doc_ids of the spares to hold out.

    `fit` and `trained` are how many documents of each source can be held out and are trained on,
    spares among the latter; `unfit` spares are linked to a document that is trained on and no
    spare, `pairs` to each other. Of each source the fewest go, then those next in line.
    """
    source_of = {doc_id: name for name, bound in bounds.items() for doc_id in bound.spares}
    groups = _components(source_of, pairs)
    refused = set(unfit)
    moved: list[int] = []
    for name, bound in bounds.items():
        if fit[name]:
            continue
        able = [
            group
            for group in dict.fromkeys(groups[doc_id] for doc_id in bound.spares)
            if not refused.intersection(group)
            and all(source_of[doc_id] == name for doc_id in group)
            and len(group) < trained[name]
        ]
        able.sort(key=len)  # of equally many, the first in line
        moved += able[0] if able else ()
    return moved


def _components(
    doc_ids: Iterable[int], pairs: Iterable[Sequence[int]]
) -> dict[int, tuple[int, ...]]:
    """For each document those that pairs join it to, itself among them."""
    near: defaultdict[int, set[int]] = defaultdict(set)
    for left, right in pairs:
        near[left].add(right)
        near[right].add(left)
    found: dict[int, tuple[int, ...]] = {}
    for doc_id in doc_ids:
        if doc_id in found:
            continue
        group, todo = {doc_id}, [doc_id]
        while todo:
            new = near[todo.pop()] - group
            group |= new
            todo += new
        for member in group:
            found[member] = tuple(sorted(group))
    return found
