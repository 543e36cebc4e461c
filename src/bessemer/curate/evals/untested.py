"""Items of evaluation sets that cannot be called clean, by what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bessemer.config.decontaminate import Part
from bessemer.curate.evals.fields import EvalItem
from bessemer.curate.evals.needles import Needles, group_items

_TELLING: tuple[Part, ...] = ("question", "choices", "answer")
"""Parts that tell an item: a passage alone says nothing of what is asked about it."""


def without_text(items: Iterable[EvalItem]) -> list[EvalItem]:
    """Those that have no question, choices or answer, most often as their fields have other
    names."""
    return [item for item in items if not any(item.of(part) for part in _TELLING)]


def count_untestable(needles: Needles) -> dict[str, dict[str, Any]]:
    """For each benchmark: how many items are without a text, which is the first of these, and how
    many have texts that are all too short or too common to be looked for."""
    told = {}
    for benchmark, numbers in group_items(needles).items():
        missing = without_text(needles.items[number] for number in numbers)
        fit = sum(any(needles.is_tested(n, part) for part in _TELLING) for n in numbers)
        told[needles.names[benchmark]] = {
            "missing": len(missing),
            "first_missing": missing[0].item_id if missing else None,
            "short": len(numbers) - len(missing) - fit,
        }
    return told
