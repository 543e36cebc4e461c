"""A corpus with duplicates that are known, and what a program that removes some is measured by.

Copies of real documents are planted with a known share of their words edited, whole or in part; and
documents that share a frame, but not enough to be duplicates. What counts as one is decided by no
program that is measured: all pairs of the corpus are compared by their sets of runs of five words
(lower case, without punctuation), exactly.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MIN_JACCARD = 0.75  # pairs at least as similar are duplicates, whoever looks for them
SLACK = 0.05  # of a document that was removed, something kept is nearly that similar
WORDS_PER_SHINGLE = 5
FEWEST_WORDS = 60  # of a document that is copied: shares of edited words mean something
COPIES = 3  # of each such document, of different kinds


Edit = Callable[[list[str], list[str], random.Random], list[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """Documents in the order in which they are given to programs."""

    texts: list[str]
    kinds: list[str]  # "original", or what kind of copy

    @property
    def megabytes(self) -> float:
        """Of all texts in UTF-8."""
        return sum(len(text.encode()) for text in self.texts) / 1e6


def _scattered(least: float, most: float) -> Edit:
    """Words here and there are others."""

    def edit(words: list[str], others: list[str], rng: random.Random) -> list[str]:
        words = list(words)
        for place in rng.sample(range(len(words)), round(rng.uniform(least, most) * len(words))):
            words[place] = rng.choice(others)
        return words

    return edit


def _together(least: float, most: float) -> Edit:
    """A stretch of words is another."""

    def edit(words: list[str], others: list[str], rng: random.Random) -> list[str]:
        num_edited = round(rng.uniform(least, most) * len(words))
        begin = rng.randrange(len(words) - num_edited + 1)
        middle = rng.choices(others, k=num_edited)
        return [*words[:begin], *middle, *words[begin + num_edited :]]

    return edit


def _excerpt(least: float, most: float) -> Edit:
    def edit(words: list[str], _: list[str], rng: random.Random) -> list[str]:
        num_words = round(rng.uniform(least, most) * len(words))
        begin = rng.randrange(len(words) - num_words + 1)
        return words[begin : begin + num_words]

    return edit


KINDS: dict[str, Edit] = {
    "2-4 % scattered": _scattered(0.02, 0.04),
    "4-6 % scattered": _scattered(0.04, 0.06),
    "6-8 % scattered": _scattered(0.06, 0.08),
    "8-10 % scattered": _scattered(0.08, 0.10),
    "2-4 % together": _together(0.02, 0.04),
    "4-6 % together": _together(0.04, 0.06),
    "6-8 % together": _together(0.06, 0.08),
    "8-10 % together": _together(0.08, 0.10),
    "excerpt of 80-95 %": _excerpt(0.80, 0.95),
    "excerpt of 30-60 %": _excerpt(0.30, 0.60),
    "same frame": _together(0.25, 0.40),  # Jaccard of 0.43 to 0.6
}
EQUAL, SPACED = "equal", "other spacing"


def plant(texts: Sequence[str], megabytes: float, seed: int = 0) -> Planted:
    """The first texts and copies of a third of them, in an order drawn from `seed`.

    Together they have about as many megabytes as asked for, or as there are texts for.
    """
    rng = random.Random(seed)
    # A "word" of a script without spaces is a sentence: to put one in would be to edit far more.
    words = (word for text in texts[:1000] for word in text.split()[:200])
    others = [word for word in words if word.isascii() and word.isalpha()]
    kinds = [EQUAL, SPACED, *KINDS]
    rows: list[tuple[str, str]] = []
    size = num_copies = 0
    for place, text in enumerate(texts):
        if size >= megabytes * 1e6:
            break
        family = [(text, "original")]
        if place % 3 == 0 and len(text.split()) >= FEWEST_WORDS:
            for _ in range(COPIES):
                kind = kinds[num_copies % len(kinds)]
                family.append((make_copy(text, kind, others, rng), kind))
                num_copies += 1
        rows += family
        size += sum(len(text.encode()) for text, _ in family)
    rng.shuffle(rows)
    return Planted(texts=[text for text, _ in rows], kinds=[kind for _, kind in rows])


def make_copy(text: str, kind: str, others: Sequence[str], rng: random.Random) -> str:
    """A copy of `text`, whose lines stay lines; `others` are words to put in."""
    if kind == EQUAL:
        return text
    if kind == SPACED:
        return text.replace("\n", "\n\n").replace(" ", "  ")
    begin, *parts = re.split(r"(\s+)", text.strip())
    words, spaces = [begin, *parts[1::2]], parts[0::2]
    edited = KINDS[kind](words, list(others), rng)
    gaps = [*spaces, *["\n"] * (len(edited) - len(spaces))]
    return "".join(f"{word}{gap}" for word, gap in zip(edited, gaps, strict=False)).strip()


def write_jsonl(texts: Sequence[str], path: Path) -> None:
    """A document a line, its row for an id."""
    with path.open("w", encoding="utf-8") as file:
        for row, text in enumerate(texts):
            file.write(json.dumps({"id": str(row), "text": text}) + "\n")


def shingle_sets(texts: Iterable[str]) -> list[np.ndarray]:
    """For each text its distinct runs of five words as sorted numbers (int64); a shorter text is
    one run. Sorted numbers are equal if and only if runs are, but for chance (2**-64)."""
    ids: dict[str, int] = {}
    sets = []
    for text in texts:
        words = [ids.setdefault(word, len(ids)) for word in re.findall(r"\w+", text.lower())]
        num = max(len(words) - WORDS_PER_SHINGLE + 1, min(len(words), 1))
        runs = {hash(tuple(words[i : i + WORDS_PER_SHINGLE])) for i in range(num)}
        sets.append(np.array(sorted(runs), np.int64))
    return sets


def similar_pairs(sets: Sequence[np.ndarray], least: float) -> list[tuple[int, int, float]]:
    """Every pair of sets (the smaller place first) whose Jaccard similarity is at least `least`."""
    owner = np.repeat(np.arange(len(sets)), [len(each) for each in sets])
    values = np.concatenate([*sets, np.empty(0, np.int64)])
    order = np.argsort(values, kind="stable")
    owner, values = owner[order], values[order]
    pairs = []
    for place, own in enumerate(sets):
        begins = np.searchsorted(values, own)
        ends = np.searchsorted(values, own, side="right")
        lengths = ends - begins
        starts = np.repeat(begins - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
        shared = np.bincount(owner[starts + np.arange(lengths.sum())], minlength=place + 1)
        for other in np.flatnonzero(shared[place + 1 :]) + place + 1:
            similarity = shared[other] / (len(own) + len(sets[other]) - shared[other])
            if similarity >= least:
                pairs.append((place, int(other), float(similarity)))
    return pairs


@dataclass(frozen=True, kw_only=True, slots=True)
class Quality:
    """What a program's removals are worth."""

    recall: float  # of the pairs of duplicates, of how many at least one document is gone
    precision: float  # of what is gone, of how much something as similar is kept
    num_removed: int
    removed_frac_by_kind: dict[str, float]


def judge(planted: Planted, pairs: Sequence[tuple[int, int, float]], removed: set[int]) -> Quality:
    """Hold removals against `similar_pairs` of at least MIN_JACCARD - SLACK."""
    duplicates = [(i, j) for i, j, similarity in pairs if similarity >= MIN_JACCARD]
    found = [i in removed or j in removed for i, j in duplicates]
    excused = {i for i, j, _ in pairs if i in removed and j not in removed}
    excused |= {j for i, j, _ in pairs if j in removed and i not in removed}
    gone = Counter(planted.kinds[row] for row in removed)
    there = Counter(planted.kinds)
    return Quality(
        recall=sum(found) / max(1, len(found)),
        precision=len(excused) / max(1, len(removed)),
        num_removed=len(removed),
        removed_frac_by_kind={kind: gone[kind] / there[kind] for kind in sorted(there)},
    )
