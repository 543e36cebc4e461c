"""What `bessemer check` prints of near-duplicates: how surely a pair is found by the setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from bessemer.config.duplicates import FuzzyConfig
from bessemer.curate.duplicates.near_curve import collision_curve
from bessemer.line.terminal import make_table


def setting_in_words(config: FuzzyConfig) -> str:
    """The setting as one line."""
    if not config.enabled:
        return "are not looked for"
    return (
        f"{config.num_bands} bands of {config.rows_per_band} values of runs of "
        f"{config.shingle_size} {config.shingle_unit}, {config.verify} of at least "
        f"{config.min_similarity:g}"
    )


def collision_table(config: FuzzyConfig, summary: Mapping[str, Any] | None) -> Table:
    """Odds that a pair is compared, by similarity; beside the formula what the finished stage has
    measured on the corpus, if `summary` is given."""
    points = summary["collision_points"] if summary else []
    table = make_table("similarity", "found, by the formula", *(["measured"] if points else []))
    for point in points:
        table.add_row(
            f"{point['similarity']:.2f}",
            f"{point['expected']:.1%}",
            f"{point['found'] / point['pairs']:.1%} of {point['pairs']:,} pairs "
            f"({point['low']:.1%} to {point['high']:.1%})",
        )
    for similarity, share in [] if points else collision_curve(config)[::2]:
        table.add_row(f"{similarity:.2f}", f"{share:.1%}")
    return table
