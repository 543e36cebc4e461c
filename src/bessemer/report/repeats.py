"""Lines that stand in several documents: how many, what became of them, and the most frequent."""

from __future__ import annotations

from dataclasses import dataclass

from bessemer.core.manifest import StageManifest


@dataclass(frozen=True, kw_only=True, slots=True)
class LineCounts:
    """The lines, or paragraphs, of one source."""

    source: str
    lines: int  # that are not blank
    compared: int  # and long enough
    distinct: int  # among these
    repeated: int  # copies of what stands in too many documents; of these
    kept: int  # the first ones
    cut: int
    protected: int
    dropped: int  # with their documents


@dataclass(frozen=True, kw_only=True, slots=True)
class RepeatedLine:
    """A line, or the beginning of a paragraph, with exact counts."""

    text: str
    docs: int
    copies: int
    doc_id: str  # file:row of the first document that it stands in


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeats:
    """What the stage `lines` counted."""

    unit: str  # line | paragraph
    max_docs: int
    is_cut: bool  # False: all was counted only
    keeps_first: bool  # copy of each, or none
    sources: tuple[LineCounts, ...]
    most_frequent: tuple[RepeatedLine, ...]


def tell_repeats(manifest: StageManifest) -> Repeats | None:
    """What the manifest of the stage says; None if it was not enabled."""
    settings, summary = manifest.settings, manifest.summary
    if not summary:
        return None
    return Repeats(
        unit=settings["unit"],
        max_docs=settings["max_docs"],
        is_cut=settings["action"] == "cut",
        keeps_first=settings["keep"] == "first",
        sources=tuple(
            LineCounts(source=source, **counts) for source, counts in summary["sources"].items()
        ),
        most_frequent=tuple(RepeatedLine(**row) for row in summary["most_frequent"]),
    )
