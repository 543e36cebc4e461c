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

_LOOK = "`bessemer audit` shows them"


def tell_losses(
    conservation: Sequence[Conservation], max_source_loss_frac: float, fewest_docs: int
) -> list[str]:
    """A sentence on each source, of so many documents at least, that lost a larger share of them
    than that to one stage."""
    return [
        f"{sums.docs_dropped:,} of {sums.docs_in:,} documents of {sums.source!r} "
        f"({sums.docs_dropped / sums.docs_in:.0%}) are dropped as duplicates, more than "
        f"curate.max_source_loss_frac = {max_source_loss_frac:g}: is that meant?"
        for sums in conservation
        if sums.docs_in >= fewest_docs and sums.docs_dropped > max_source_loss_frac * sums.docs_in
    ]


def tell_clusters(summary: Mapping[str, Any], max_cluster_docs: int) -> list[str]:
    """A sentence on each cluster of more documents than that, of those that the stage tells."""
    return [
        f"{cluster['docs']:,} documents are near-duplicates of each other, as "
        f"{format_doc_id(cluster['cluster_id'])} is, more than curate.max_cluster_docs = "
        f"{max_cluster_docs:,}: a template?"
        for cluster in summary.get("largest_clusters", ())
        if cluster["docs"] > max_cluster_docs
    ]


def warn_of_losses(conservation: Sequence[Conservation], max_source_loss_frac: float) -> list[str]:
    """What a person is warned of: sources that lose much of themselves."""
    losses = tell_losses(conservation, max_source_loss_frac, FEWEST_DOCS)
    return [f"{told} {_LOOK}" for told in losses]


def warn_of_clusters(summary: Mapping[str, Any], max_cluster_docs: int) -> list[str]:
    """What a person is warned of: clusters that may be a template."""
    return [f"{told} {_LOOK}" for told in tell_clusters(summary, max_cluster_docs)]
