"""What of which item stands in which text, in plain Python: sets of tuples of words."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from bessemer.curate.evals.fields import EvalItem

MOST_BETWEEN, MIN_QUESTION_WORDS = 32, 4
PARTS = ("question", "choices", "answer", "passage")
Run = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]  # words, and runs that must follow


def words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text.lower()))


def alternatives(item: EvalItem, part: str, ngram: int, min_words: int) -> list[frozenset[Run]]:
    """Sets of runs, any of which tells that the part is there."""
    texts = [words(text) for text in item.of(part)]
    if part == "question" and len(texts) == 1 and MIN_QUESTION_WORDS <= len(texts[0]) < min_words:
        behind = [[words(text)] for text in item.of("answer")]
        behind.append([words(text) for text in item.of("choices")])
        found = [
            (texts[0], tuple(after))
            for after in behind
            if after and all(after) and sum(map(len, after)) + len(texts[0]) >= min_words - 1
        ]
        if found:
            return [frozenset([run]) for run in dict.fromkeys(found)]
    groups = [[text] for text in dict.fromkeys(texts)] if part == "answer" else [texts]
    return [runs_of(group, ngram, min_words) for group in groups]


def runs_of(texts: Sequence[tuple[str, ...]], ngram: int, min_words: int) -> frozenset[Run]:
    found: set[Run] = set()
    for text in texts:
        if len(text) >= ngram:
            found |= {(text[at : at + ngram], ()) for at in range(len(text) - ngram + 1)}
        elif len(text) >= min_words:
            found.add((text, ()))
    return frozenset(found)


def tell_of_enough(runs: Iterable[Run], item: EvalItem, part: str, matching: Any) -> bool:
    """Whether there are any, and those of choices are of two of them at least, if there are two."""
    runs = list(runs)
    if part != "choices" or len(item.of(part)) < 2:
        return bool(runs)
    of_texts = [
        runs_of([words(text)], matching.ngram, matching.min_words) for text in item.of(part)
    ]
    holders = [{at for at, mine in enumerate(of_texts) if run in mine} for run in runs]
    return len(set().union(*(each for each in holders if len(each) == 1))) > 1


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


def evidence(items: Sequence[EvalItem], matching: Any) -> dict[tuple[int, str], list[set[Run]]]:
    """(number of the item, part) -> runs of its alternatives, common ones left out."""
    runs = {
        (number, part): alternatives(item, part, matching.ngram, matching.min_words)
        for number, item in enumerate(items)
        for part in PARTS
    }
    holders: dict[tuple[int, bool, Run], set[object]] = defaultdict(set)
    for (number, part), mine in runs.items():
        item, is_passage = items[number], part == "passage"
        holder: object = tuple(map(words, item.of(part))) if is_passage else number
        for run in frozenset().union(*mine):
            holders[item.benchmark, is_passage, run].add(holder)

    def is_common(benchmark: int, run: Run) -> bool:
        return any(
            len(holders.get((benchmark, side, run), ())) > matching.max_items
            for side in (True, False)
        )

    found: dict[tuple[int, str], list[set[Run]]] = {}
    for (number, part), mine in runs.items():
        found[number, part] = []
        for each in mine:
            left = {run for run in each if not is_common(items[number].benchmark, run)}
            is_tested = tell_of_enough(left, items[number], part, matching)
            found[number, part].append(left if is_tested else set())
    return found


def shares(
    items: Sequence[EvalItem], texts: Sequence[str], matching: Any
) -> Counter[tuple[int, int, str, Fraction, bool]]:
    """(document, item, part, share of the runs of one of its alternatives, whether these are of
    enough texts), where there is any."""
    found: Counter[tuple[int, int, str, Fraction, bool]] = Counter()
    for (number, part), mine in evidence(items, matching).items():
        for at, text in enumerate(texts):
            for each in mine:
                seen = [run for run in each if stands_in(run, words(text))]
                if seen:
                    enough = tell_of_enough(seen, items[number], part, matching)
                    found[at, number, part, Fraction(len(seen), len(each)), enough] += 1
    return found
