"""What of evaluation items is looked for in documents: needles, each a set of runs of words.

A needle is the text of one part of an item (question, choices, answer, passage); items with the
same text share it. A text of n words or more is its n-grams; one with fewer, but `min_words`, is
one run of all of them. A question that is shorter still is one run, behind which something must
stand. What is left has nothing to be found by, and is not tested.

A part may have several needles, of which any one tells that it is there: an answer has one for each
reference, as these are said to be equally right; a short question one for each reference behind it,
and one for its choices behind it.

Choices are found only by runs of two of them: one alone, such as a long wrong answer that is a
sentence of every page on its subject, tells of no item.

A run in more than `max_items` items of a benchmark, or in more than so many of its passages, is no
evidence: it is left out before anything is looked for.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from bessemer.config.decontaminate import PARTS, DecontaminateConfig, Part
from bessemer.curate.evals.common_runs import find_common, group_rows, list_items
from bessemer.curate.evals.fields import EvalItem
from bessemer.curate.evals.files import EvalSet, read_items
from bessemer.curate.evals.runs import MIN_QUESTION_WORDS, Matching, Runs
from bessemer.text.gram_scan import Grams, Table, gram_keys, make_table
from bessemer.text.tokens import list_tokens

SHORT, COMMON, MISSING = "short", "common", "missing"  # why a part is not tested
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Needles:
    """The items of all benchmarks, and what finds them.

    Of needle `d`, the items are `items[item_offsets[d]:item_offsets[d + 1]]`. Of gram `g` (of
    `table.grams`), the needles are `needles[gram_offsets[g]:gram_offsets[g + 1]]`.
    """

    names: tuple[str, ...]  # of the benchmarks
    items: tuple[EvalItem, ...]  # benchmark after benchmark
    matching: Matching
    table: Table | None  # None: there is nothing to look for
    gram_offsets: Places
    needles: Places
    texts: Places  # of each row of `needles`: which text of it has the gram, -1 if several have
    least_texts: Places  # of each needle: how many of its texts must have a gram that is there
    totals: Places  # grams of each needle, those left out aside
    parts: npt.NDArray[np.int8]  # of each needle, by its place in PARTS
    benchmarks: Places  # of each needle
    part_offsets: (
        Places  # needles of part `p` of item `i`: row `i * len(PARTS) + p` of the next two
    )
    part_needles: Places
    part_references: Places  # which text of the answer a needle is of, or asks for; -1: of none
    why_not: tuple[dict[Part, str], ...]  # of each item: parts that are not tested, and why
    item_offsets: Places
    items_of: Places

    def items_with(self, needle: int) -> list[int]:
        """The numbers of the items that share a needle."""
        begin, end = self.item_offsets[needle : needle + 2].tolist()
        numbers: list[int] = self.items_of[begin:end].tolist()
        return numbers

    def tested(self, item: int, part: Part) -> list[int]:
        """The needles by which a part of an item can be found."""
        return [needle for needle, _ in self._tested(item, part)]

    def is_tested(self, item: int, part: Part) -> bool:
        """Whether a part of an item can be found."""
        return bool(self._tested(item, part))

    def references(self, item: int, part: Part) -> list[int]:
        """The texts of the answer, by number, by which a part of an item can be found."""
        return [reference for _, reference in self._tested(item, part) if reference >= 0]

    def _tested(self, item: int, part: Part) -> list[tuple[int, int]]:
        slot = item * len(PARTS) + PARTS.index(part)
        rows = slice(*self.part_offsets[slot : slot + 2].tolist())
        both = zip(
            self.part_needles[rows].tolist(), self.part_references[rows].tolist(), strict=True
        )
        return [(needle, reference) for needle, reference in both if self.totals[needle] > 0]


def matching_of(config: DecontaminateConfig) -> Matching:
    """The settings that bear on what is found."""
    return Matching(
        config.unit, config.ngram, config.min_words, config.max_items, config.min_overlap_frac
    )


@functools.lru_cache(maxsize=2)
def load_needles(sets: tuple[EvalSet, ...], matching: Matching) -> Needles:
    """Read the benchmarks; kept for the next call. DataError if a file cannot be read."""
    items = tuple(item for number, each in enumerate(sets) for item in read_items(number, each))
    return make_needles(tuple(each.name for each in sets), items, matching)


def make_needles(names: Sequence[str], items: Sequence[EvalItem], matching: Matching) -> Needles:
    """What to look for to find `items`, of benchmarks with these names."""
    texts: list[str] = []
    pieces: list[list[tuple[int, ...]]] = []  # of each item and part, numbers of its texts
    for item in items:
        mine = []
        for part in PARTS:
            first = len(texts)
            texts += item.of(part)
            mine.append(tuple(range(first, len(texts))))
        pieces.append(mine)
    array = pa.array(texts, pa.large_string())
    tokens = list_tokens(array, matching.with_signs)
    words = list_tokens(array, False) if matching.with_signs else tokens
    runs = Runs(tokens, np.diff(words.offsets), matching)
    rows: list[tuple[int, int, int]] = []  # item and part, needle, reference
    benchmark_of = np.array([item.benchmark for item in items], np.int64)
    for number, item in enumerate(items):
        _, choices, answers, _ = pieces[number]
        for place, part in enumerate(PARTS):
            found: dict[int, int] = {}
            for reference, texts_, behind in runs.alternatives(
                part, pieces[number][place], answers, choices
            ):
                found.setdefault(runs.add(item.benchmark, part, texts_, behind), reference)
            slot = number * len(PARTS) + place
            rows += [(slot, needle, reference) for needle, reference in found.items()]
    table = np.array(rows, np.int64).reshape(-1, 3)
    return _finish(tuple(names), tuple(items), matching, runs, table, benchmark_of)


def _finish(
    names: tuple[str, ...],
    items: tuple[EvalItem, ...],
    matching: Matching,
    runs: Runs,
    table_of_parts: Places,
    benchmark_of: Places,
) -> Needles:
    """Leave out runs that are no evidence, and make the table of the others."""
    num_needles = len(runs.parts)
    parts = np.array(runs.parts, np.int8)
    empty = np.empty(0, np.int64)
    needle = np.concatenate([empty, *runs.needle])
    start = np.concatenate([empty, *runs.start])
    length = np.concatenate([empty, *runs.length])
    text = np.concatenate([empty, *runs.text])
    least_texts = np.array(runs.least_texts, np.int64)
    identity = gram_keys(runs.tokens.hashes, start, length)
    for place in np.flatnonzero(np.isin(needle, list(runs.followers))).tolist():
        identity[place] = _identity(runs, int(identity[place]), int(needle[place]))
    # A run that a needle has twice counts once, and for no text if it is in several.
    first, kind = group_rows(needle, identity)
    lowest, highest = text[first], text[first]
    np.minimum.at(lowest, kind, text)
    np.maximum.at(highest, kind, text)
    text = np.where(lowest == highest, lowest, -1)
    order = np.argsort(first)
    first, text = first[order], text[order]
    needle, start, length, identity = needle[first], start[first], length[first], identity[first]
    had = _have_texts(needle, text, least_texts)

    slots, part_needles, part_references = table_of_parts.T
    counts = np.bincount(slots, minlength=len(items) * len(PARTS))
    part_offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    item_offsets, items_of = list_items(slots // len(PARTS), part_needles, num_needles)
    is_common = find_common(
        needle, identity, parts, item_offsets, items_of, benchmark_of, matching.max_items
    )
    kept = ~is_common
    kept[kept] = _have_texts(needle[kept], text[kept], least_texts)[needle[kept]]
    needle, start, length, identity = needle[kept], start[kept], length[kept], identity[kept]
    text = text[kept]
    totals = np.bincount(needle, minlength=num_needles)

    _, one, gram = np.unique(identity, return_index=True, return_inverse=True)
    order = np.argsort(gram, kind="stable")
    gram_offsets = np.concatenate([[0], np.cumsum(np.bincount(gram, minlength=len(one)))])
    table = None
    if len(one):
        behind = [runs.followers.get(int(each), ()) for each in needle[one]]
        places = [runs.place(text) for texts in behind for text in texts]
        follow = np.concatenate([[0], np.cumsum([len(texts) for texts in behind])])
        grams = Grams(
            tokens=runs.tokens.hashes,
            starts=start[one],
            lengths=length[one],
            follow=follow.astype(np.int64),
            follow_starts=np.array([place[0] for place in places], np.int64),
            follow_lengths=np.array([place[1] for place in places], np.int64),
        )
        anchors = {MIN_QUESTION_WORDS, matching.min_words, matching.ngram}
        table = make_table(grams, [each for each in anchors if each <= matching.ngram])
    return Needles(
        names=names,
        items=items,
        matching=matching,
        table=table,
        gram_offsets=gram_offsets.astype(np.int64),
        needles=needle[order],
        texts=text[order],
        least_texts=least_texts,
        totals=totals.astype(np.int64),
        parts=parts,
        benchmarks=benchmark_of[items_of[item_offsets[:-1]]],
        part_offsets=part_offsets,
        part_needles=part_needles,
        part_references=part_references,
        why_not=_why_not(part_offsets, part_needles, had, totals > 0),
        item_offsets=item_offsets,
        items_of=items_of,
    )


def _have_texts(needle: Places, text: Places, least_texts: Places) -> npt.NDArray[np.bool_]:
    """Whether each needle has a run, and runs of its own of as many texts as it asks for."""
    num_needles = len(least_texts)
    own = text >= 0
    first, _ = group_rows(needle[own], text[own])
    num_texts = np.bincount(needle[own][first], minlength=num_needles)
    has_run = np.bincount(needle, minlength=num_needles) > 0
    return has_run & ((least_texts <= 1) | (num_texts >= least_texts))


def _identity(runs: Runs, key: int, needle: int) -> np.uint64:
    """What tells a run with followers from the same with others."""
    digest = xxhash.xxh3_64(key.to_bytes(8, "little"))
    for text in runs.followers[needle]:
        first, length = runs.place(text)
        digest.update(length.to_bytes(8, "little"))
        digest.update(runs.tokens.hashes[first : first + length].tobytes())
    return np.uint64(digest.intdigest())


def _why_not(
    part_offsets: Places,
    part_needles: Places,
    had_runs: npt.NDArray[np.bool_],
    has_runs: npt.NDArray[np.bool_],
) -> tuple[dict[Part, str], ...]:
    """Why parts of each item are not tested."""
    told: list[dict[Part, str]] = []
    bounds = part_offsets.tolist()
    for slot, (begin, end) in enumerate(pairwise(bounds)):
        if slot % len(PARTS) == 0:
            told.append({})
        mine = part_needles[begin:end]
        if begin == end:
            why = MISSING
        elif not has_runs[mine].any():
            why = COMMON if had_runs[mine].any() else SHORT
        else:
            continue
        told[-1][PARTS[slot % len(PARTS)]] = why
    return tuple(told)


def group_items(needles: Needles) -> dict[int, list[int]]:
    """benchmark -> numbers of its items."""
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for number, item in enumerate(needles.items):
        groups[item.benchmark].append(number)
    return dict(groups)
