"""Evaluation sets that ask for a look: not found where they were planted, or not to be looked for.

Input: what the stage `decontaminate` says in its summary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bessemer.curate.evals.disguises import VERBATIM


def warn_of_evals(summary: Mapping[str, Any]) -> list[str]:
    """What a person who runs the line is warned of: items that were planted word by word and not
    found, controls that were, items without a text, and benchmarks of which most items cannot be
    looked for."""
    warnings = []
    for name, kinds in summary.get("canaries", {}).items():
        told = kinds[VERBATIM]
        if told["found"] < told["planted"]:
            warnings.append(
                f"{name}: of {told['planted']} items planted word by word {told['found']} were "
                "found; what is called clean may not be"
            )
    for name, kinds in summary.get("controls", {}).items():
        wrong = sum(told["found"] for told in kinds.values())
        if wrong:
            planted = sum(told["planted"] for told in kinds.values())
            warnings.append(
                f"{name}: {wrong} of {planted} controls, which hold no item, were taken for one; "
                "raise decontaminate.min_overlap_frac or ngram"
            )
    for name, told in summary.get("untestable", {}).items():
        items, missing = summary["benchmarks"][name]["items"], told["missing"]
        if missing:
            warnings.append(
                f"{name}: {missing:,} of {items:,} items {'has' if missing == 1 else 'have'} no "
                f"question, choices or answer (the first: {told['first_missing']!r}) and cannot be "
                "called clean; if that is wrong, name the fields in its [[decontaminate.eval]]"
            )
        if 2 * told["short"] > items:
            warnings.append(
                f"{name}: {told['short']:,} of {items:,} items are too short or too common to be "
                "looked for"
            )
    return warnings
