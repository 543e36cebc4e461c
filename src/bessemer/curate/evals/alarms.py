"""Evaluation sets that ask for a look: not found where they were planted, or not to be looked for.

Input: what the stage `decontaminate` says in its summary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bessemer.curate.evals.disguises import VERBATIM


def warn_of_canaries(summary: Mapping[str, Any]) -> list[str]:
    """What a person who runs the line is warned of: items that were planted word by word and not
    found, controls that were, and benchmarks of which most cannot be tested."""
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
    for name, told in summary.get("benchmarks", {}).items():
        if 2 * told["untestable"] > told["items"]:
            warnings.append(
                f"{name}: {told['untestable']:,} of {told['items']:,} items are too short or too "
                "common to be looked for"
            )
    return warnings
