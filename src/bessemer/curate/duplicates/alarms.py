"""Duplicates that ask for a look: a source that loses much of itself, a cluster that is too large.

Input: what the stages say of themselves. How much is too much is no setting of theirs, for a
changed warning must not make a run curate and train anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bessemer.core.ids import format_doc_id
from bessemer.core.manifest import Conservation
from bessemer.curate.alarms import FEWEST_DOCS


def find_losses(
    conservation: Sequence[Conservation], max_source_loss_frac: float
) -> list[Conservation]:
    """The sources (of enough documents) that lost a larger share of them than that to one stage."""
    return [
        sums
        for sums in conservation
        if sums.docs_in >= FEWEST_DOCS and sums.docs_dropped > max_source_loss_frac * sums.docs_in
    ]


def find_clusters(summary: Mapping[str, Any], max_cluster_docs: int) -> list[Mapping[str, int]]:
    """The clusters (`cluster_id`, `docs`) of more documents, of those that the stage tells."""
    clusters = summary.get("largest_clusters", ())
    return [cluster for cluster in clusters if cluster["docs"] > max_cluster_docs]


def warn_of_losses(conservation: Sequence[Conservation], max_source_loss_frac: float) -> list[str]:
    """What a person is warned of: sources that lose much of themselves."""
    return [
        f"{sums.docs_dropped:,} of {sums.docs_in:,} documents of {sums.source!r} "
        f"({sums.docs_dropped / sums.docs_in:.0%}) are dropped as duplicates, more than "
        f"curate.max_source_loss_frac = {max_source_loss_frac:g}: is that meant? `bessemer audit` "
        "shows them"
        for sums in find_losses(conservation, max_source_loss_frac)
    ]


def warn_of_clusters(summary: Mapping[str, Any], max_cluster_docs: int) -> list[str]:
    """What a person is warned of: clusters that may be a template."""
    return [
        f"{cluster['docs']:,} documents are near-duplicates of each other, as "
        f"{format_doc_id(cluster['cluster_id'])} is, more than curate.max_cluster_docs = "
        f"{max_cluster_docs:,}: a template? `bessemer audit` shows them"
        for cluster in find_clusters(summary, max_cluster_docs)
    ]
