"""What of a split asks for a look: a source of which nothing is held out, too much, or not what was
drawn.

Input: what the stage `split` says in its summary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bessemer.core.manifest import StageManifest
from bessemer.core.schema import HELDOUT


def warn_of_split(told: StageManifest) -> list[str]:
    """What a person who runs the line is warned of."""
    heldout: Mapping[str, Any] | None = told.summary.get(HELDOUT)
    if heldout is None:
        return []
    warnings = []
    for sums in told.conservation:
        kept = heldout.get(sums.source, {"docs": 0})["docs"]
        lost = sums.docs_dropped
        if sums.docs_in and not kept:
            warnings.append(
                f"nothing of {sums.source!r} is held out: its {sums.docs_in:,} documents are too "
                "few, or too much alike (split.min_shared_words is for passages)"
            )
        elif 2 * kept > sums.docs_in:
            left = sums.docs_out - kept
            warnings.append(
                f"{kept:,} of {sums.docs_in:,} documents of {sums.source!r} are held out, more "
                f"than half of them, and {left:,} {'is' if left == 1 else 'are'} trained on; ask "
                "for less in split.heldout_frac or split.sources"
            )
        elif lost > kept:
            warnings.append(
                f"of {lost + kept:,} documents of {sums.source!r} that were drawn, {lost:,} are "
                "like something that is trained on and are dropped, by split.min_shared_words or "
                "as near-duplicates or versions; `bessemer explain` shows one of them"
            )
    return warnings
