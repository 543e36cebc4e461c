"""What of which item stands in which text, in plain Python: sets of tuples of words."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from bessemer.curate.evals.fields import EvalItem

MOST_BETWEEN, MIN_QUESTION_WORDS = 32, 4
PARTS = ("question", "choices", "answer", "passage")
Run = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]  # words, and runs that must follow


def words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text.lower()))


def runs_of(item: EvalItem, part: str, ngram: int, min_words: int) -> set[Run]:
    texts = [words(text) for text in item.of(part)]
    if part == "question" and len(texts) == 1 and MIN_QUESTION_WORDS <= len(texts[0]) < min_words:
        for behind in ("answer", "choices"):
            after = [words(text) for text in item.of(behind)]
            if after and all(after) and sum(map(len, after)) + len(texts[0]) >= min_words:
                return {(texts[0], tuple(after))}
    found: set[Run] = set()
    for text in texts:
        if len(text) >= ngram:
            found |= {(text[at : at + ngram], ()) for at in range(len(text) - ngram + 1)}
        elif len(text) >= min_words:
            found.add((text, ()))
    return found


def stands_in(run: Run, document: Sequence[str]) -> bool:
    head, behind = run
    for first in range(len(document) - len(head) + 1):
        end = first + len(head)
        if tuple(document[first:end]) != head:
            continue
        for after in behind:
            places = [at for at in range(end, min(end + MOST_BETWEEN, len(document) - 1) + 1)
                      if tuple(document[at : at + len(after)]) == after]  # fmt: skip
            if not places:
                break
            end = places[0] + len(after)
        else:
            return True
    return False


def evidence(items: Sequence[EvalItem], matching: Any) -> dict[tuple[int, str], set[Run]]:
    """(number of the item, part) -> its runs, common ones left out."""
    runs = {
        (number, part): runs_of(item, part, matching.ngram, matching.min_words)
        for number, item in enumerate(items)
        for part in PARTS
    }
    holders: dict[tuple[int, bool, Run], set[object]] = defaultdict(set)
    for (number, part), mine in runs.items():
        item, is_passage = items[number], part == "passage"
        holder: object = tuple(map(words, item.of(part))) if is_passage else number
        for run in mine:
            holders[item.benchmark, is_passage, run].add(holder)
    return {
        (number, part): {
            run
            for run in mine
            if all(
                len(holders[items[number].benchmark, side, run]) <= matching.max_items
                for side in (True, False)
                if (items[number].benchmark, side, run) in holders
            )
        }
        for (number, part), mine in runs.items()
    }


def shares(
    items: Sequence[EvalItem], texts: Sequence[str], matching: Any
) -> dict[tuple[int, int, str], Fraction]:
    """(document, item, part) -> share of its runs, where there is any."""
    found = {}
    for (number, part), mine in evidence(items, matching).items():
        for at, text in enumerate(texts):
            seen = sum(stands_in(run, words(text)) for run in mine)
            if seen:
                found[at, number, part] = Fraction(seen, len(mine))
    return found
