"""The audit: what was compared and dropped as near-duplicates, for people to judge with their eyes.

Pairs of each band of similarity side by side, duplicates and others; the largest clusters, and what
their addresses have in common; what each source lost. Reads the files of a run, whose stages up to
`fuzzy` are finished.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bessemer.core.ids import format_doc_id
from bessemer.core.layout import CLUSTERS, PAIRS
from bessemer.core.manifest import Conservation, StageManifest
from bessemer.core.storage import read_table
from bessemer.curate.duplicates.pair_sample import NUM_BANDS
from bessemer.report.facts import Piece
from bessemer.report.plain import beginning, condensed
from bessemer.report.tables import Tables, open_tables
from bessemer.report.words import COMPARED_CHARS, compare

_SHOWN_CHARS = 420
_MEMBERS = 200  # of a cluster, whose addresses are compared

_DROPPED = """
    SELECT doc_id, evidence_doc_id, evidence FROM ledger
    WHERE stage = 'fuzzy' AND list_contains(?, doc_id)
"""
_OVERLAPS = """
    SELECT ledger.source AS loser, ranges.source AS keeper, count(*) AS docs
    FROM ledger JOIN ranges ON evidence_doc_id BETWEEN first_doc_id AND last_doc_id
    WHERE stage IN ('exact', 'fuzzy') AND decisive
    GROUP BY loser, keeper
"""
_MEMBERS_OF = """
    SELECT cluster_id, doc_id, is_keeper FROM read_parquet(?) WHERE list_contains(?, cluster_id)
    QUALIFY row_number() OVER (PARTITION BY cluster_id ORDER BY is_keeper DESC, doc_id) <= ?
    ORDER BY cluster_id, is_keeper DESC, doc_id
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One document of a pair, from shortly before the first difference on."""

    doc_id: str  # file:row
    source: str
    url: str
    num_bytes: int
    is_dropped: bool
    keeper: str  # what it was dropped for, if that is another than the one beside it
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two documents that were compared."""

    similarity: float
    is_duplicate: bool
    where: str  # where they part, e.g. "after 12 equal words"
    left: Side | None  # None: of another run, whose text is not here
    known: str  # the name of that one
    right: Side


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """Pairs whose similarity is at least `low` and below `high`."""

    low: float
    high: float
    num_compared: int
    num_duplicates: int
    is_open: bool  # the bound lies in it or at its upper end
    pairs: tuple[Pair, ...]  # some of them, drawn by a keyed hash; those with known documents last


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """Many near-duplicates of each other."""

    cluster_id: str  # file:row of its first document
    docs: int
    kept_docs: int | None  # None: not all were looked at
    sources: tuple[str, ...]
    seen_docs: int  # of which sources and addresses are told
    address: str  # how their addresses begin, as far as all are alike; empty: no further than hosts
    text: str  # the beginning of the document that is kept
    is_cut: bool  # it goes on after `text`


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceLoss:
    """What one source lost to duplicates, exact and near ones."""

    source: str
    docs: int
    exact_docs: int
    near_docs: int
    lost_to: Mapping[str, int]  # source, or index/source of another run -> documents lost to it


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """Everything that the page shows."""

    name: str
    bound: float  # similarity from which on a pair is one of duplicates
    alarms: tuple[str, ...]
    sources: tuple[SourceLoss, ...]
    keepers: tuple[str, ...]  # sources, and those of other runs, that documents were lost to
    bands: tuple[Band, ...]  # the most similar first
    clusters: tuple[Cluster, ...]  # the largest first

    @property
    def has_known(self) -> bool:
        """Whether pairs with documents of other runs are among those that are shown."""
        return any(pair.known for band in self.bands for pair in band.pairs)


def collect_audit(
    name: str,
    bound: float,
    alarms: Sequence[str],
    folders: Mapping[str, Path],
    manifests: Mapping[str, StageManifest],
    scratch: Path,
) -> Audit:
    """The facts of the page, from the stages `ingest` to `fuzzy`; DuckDB spills below `scratch`."""
    summary = manifests["fuzzy"].summary
    names = [sums.source for sums in manifests["fuzzy"].conservation]
    with open_tables(folders, scratch) as tables:
        overlaps = tables.rows(_OVERLAPS)
        for stage in ("exact", "fuzzy"):
            overlaps += [
                {"loser": loser, "keeper": keeper, "docs": docs}
                for loser, keepers in manifests[stage].summary.get("known", {}).items()
                for keeper, docs in keepers.items()
            ]
        return Audit(
            name=name,
            bound=bound,
            alarms=tuple(alarms),
            sources=tuple(
                _loss(exact, near, overlaps)
                for exact, near in zip(
                    manifests["exact"].conservation, manifests["fuzzy"].conservation, strict=True
                )
            ),
            keepers=tuple(dict.fromkeys([*names, *sorted(row["keeper"] for row in overlaps)])),
            bands=_bands(tables, read_table(folders["fuzzy"] / PAIRS).to_pylist(), summary, bound),
            clusters=_clusters(tables, folders["fuzzy"] / CLUSTERS, summary["largest_clusters"]),
        )


def _loss(
    exact: Conservation, near: Conservation, overlaps: Sequence[Mapping[str, Any]]
) -> SourceLoss:
    lost_to: Counter[str] = Counter()
    for row in overlaps:
        lost_to[row["keeper"]] += row["docs"] * (row["loser"] == exact.source)
    return SourceLoss(
        source=exact.source,
        docs=exact.docs_in,
        exact_docs=exact.docs_dropped,
        near_docs=near.docs_dropped,
        lost_to=+lost_to,
    )


def _bands(
    tables: Tables,
    pairs: Sequence[Mapping[str, Any]],
    summary: Mapping[str, Any],
    bound: float,
) -> tuple[Band, ...]:
    ids = {pair[side] for pair in pairs for side in ("left", "right") if pair[side] >= 0}
    documents = tables.read_documents(dict.fromkeys(sorted(ids), COMPARED_CHARS))
    keepers = {row["doc_id"]: _keeper(row) for row in tables.rows(_DROPPED, sorted(ids))}
    counts = summary["bands"]
    bands = []
    for number in reversed(range(NUM_BANDS)):
        low, high = number / NUM_BANDS, (number + 1) / NUM_BANDS
        mine = [
            pair
            for pair in sorted(pairs, key=lambda pair: pair["known"] is not None)
            if low <= pair["similarity"] and (pair["similarity"] < high or number == NUM_BANDS - 1)
        ]
        if counts and counts["compared"][number]:
            bands.append(
                Band(
                    low=low,
                    high=high,
                    num_compared=counts["compared"][number],
                    num_duplicates=counts["verified"][number],
                    is_open=low <= bound <= high,
                    pairs=tuple(_pair(pair, documents, keepers) for pair in mine),
                )
            )
    return tuple(bands)


def _keeper(row: Mapping[str, Any]) -> str:
    """What the ledger calls the document for which another was dropped."""
    of_this_run = row["evidence_doc_id"] is not None
    return format_doc_id(row["evidence_doc_id"]) if of_this_run else str(row["evidence"])


def _pair(
    pair: Mapping[str, Any],
    documents: Mapping[int, Mapping[str, Any]],
    keepers: Mapping[int, str],
) -> Pair:
    right = documents[pair["right"]]
    about: dict[str, Any] = {"similarity": pair["similarity"], "is_duplicate": pair["is_duplicate"]}
    if pair["known"] is not None:
        text, is_cut = beginning(condensed(right["text"]), _SHOWN_CHARS)
        pieces = (Piece(text=f"{text} …" if is_cut else text, differs=False),)
        shown = _side(right, pieces, keepers, pair["known"])
        return Pair(**about, where="", left=None, known=pair["known"], right=shown)
    left = documents[pair["left"]]
    found = compare(left["text"], right["text"])
    return Pair(
        **about,
        where=found.where,
        left=_side(left, found.left, keepers, format_doc_id(right["doc_id"])),
        known="",
        right=_side(right, found.right, keepers, format_doc_id(left["doc_id"])),
    )


def _side(
    document: Mapping[str, Any],
    pieces: tuple[Piece, ...],
    keepers: Mapping[int, str],
    other: str,
) -> Side:
    keeper = keepers.get(document["doc_id"])
    return Side(
        doc_id=format_doc_id(document["doc_id"]),
        source=document["source"],
        url=document["url"] or "",
        num_bytes=document["num_bytes"],
        is_dropped=keeper is not None,
        keeper="" if keeper in (None, other) else str(keeper),
        pieces=pieces,
    )


def _clusters(
    tables: Tables, path: Path, largest: Sequence[Mapping[str, int]]
) -> tuple[Cluster, ...]:
    wanted = [cluster["cluster_id"] for cluster in largest]
    rows = tables.rows(_MEMBERS_OF, str(path), wanted, _MEMBERS) if wanted else []
    documents = tables.read_documents({row["doc_id"]: 4 * _SHOWN_CHARS for row in rows})
    clusters = []
    for cluster in largest:
        members = [row for row in rows if row["cluster_id"] == cluster["cluster_id"]]
        texts = [documents[row["doc_id"]] for row in members]
        urls = [text["url"] or "" for text in texts]
        shown, is_cut = beginning(condensed(texts[0]["text"]), _SHOWN_CHARS)
        clusters.append(
            Cluster(
                cluster_id=format_doc_id(cluster["cluster_id"]),
                docs=cluster["docs"],
                kept_docs=sum(row["is_keeper"] for row in members)
                if cluster["docs"] <= _MEMBERS
                else None,
                seen_docs=len(members),
                sources=tuple(sorted({text["source"] for text in texts})),
                address=common_address(urls),
                text=shown,
                is_cut=is_cut,
            )
        )
    return tuple(clusters)


def common_address(urls: Sequence[str]) -> str:
    """How all addresses begin, if that says more than where they come from: "https://x.org/docs/".

    Of pages of one site, or of none, it is empty.
    """
    found = os.path.commonprefix(urls)  # noqa: RUF071  (characters, not folders)
    _, _, path = found.split("://", 1)[-1].partition("/")
    return found if path else ""
