"""Sources that lose much of themselves and clusters that are too large are named."""

from __future__ import annotations

from bessemer.core.manifest import Conservation
from bessemer.curate.duplicates.alarms import (
    tell_clusters,
    tell_losses,
    warn_of_clusters,
    warn_of_losses,
)


def sums(source: str, docs_in: int, docs_dropped: int) -> Conservation:
    return Conservation(
        source=source,
        docs_in=docs_in,
        docs_out=docs_in - docs_dropped,
        docs_dropped=docs_dropped,
        bytes_in=0,
        bytes_out=0,
    )


def test_a_source_that_loses_more_than_the_share_is_named() -> None:
    lost = [sums("web", 200, 101), sums("books", 200, 100), sums("few", 99, 98)]
    [warning] = warn_of_losses(lost, 0.5)
    assert warning.startswith("101 of 200 documents of 'web' (50%) are dropped as duplicates")
    assert warning.endswith("is that meant? `bessemer audit` shows them")
    assert warn_of_losses(lost, 0.51) == []


def test_the_audit_tells_of_small_sources_too_and_does_not_name_itself() -> None:
    lost = [sums("web", 200, 101), sums("few", 7, 7), sums("none", 0, 0)]
    told = tell_losses(lost, 0.5, fewest_docs=1)
    assert [each.split(" are ")[0] for each in told] == [
        "101 of 200 documents of 'web' (50%)",
        "7 of 7 documents of 'few' (100%)",
    ]
    assert all(each.endswith("is that meant?") for each in told)


def test_a_cluster_above_the_size_is_named() -> None:
    summary = {
        "largest_clusters": [
            {"cluster_id": (3 << 32) + 7, "docs": 1200},
            {"cluster_id": 5, "docs": 1000},
        ]
    }
    [warning] = warn_of_clusters(summary, 1000)
    assert warning.startswith("1,200 documents are near-duplicates of each other, as 3:7 is")
    assert warning.endswith("a template? `bessemer audit` shows them")
    assert tell_clusters(summary, 1000) == [warning.removesuffix(" `bessemer audit` shows them")]
    assert warn_of_clusters({}, 1000) == []
