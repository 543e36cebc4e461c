"""A split without held-out text, or with little of what was drawn, is warned of."""

from __future__ import annotations

from typing import Any

from bessemer.core.manifest import Conservation, StageManifest
from bessemer.curate.heldout.alarms import warn_of_split


def told(*sources: tuple[str, int, int, int], **summary: Any) -> StageManifest:
    """A manifest of (source, documents, withheld ones, held-out ones)."""
    return StageManifest(
        stage="split", version=2, fingerprint="f", inputs={}, settings={}, files=(),
        conservation=tuple(
            Conservation(
                source=name, docs_in=docs, docs_out=docs - lost, docs_dropped=lost,
                bytes_in=docs, bytes_out=docs - lost, bytes_dropped=lost,
            )
            for name, docs, lost, _ in sources
        ),
        summary={"heldout": {name: {"docs": kept} for name, *_, kept in sources if kept}},
        started="", seconds=1.0, peak_bytes=1, argv=[], commit=None,
    )  # fmt: skip


def test_a_source_without_heldout_text_is_warned_of() -> None:
    [warning] = warn_of_split(told(("web", 90, 0, 0), ("books", 90, 1, 4), ("code", 0, 0, 0)))
    assert warning.startswith("nothing of 'web' is held out: its 90 documents")


def test_a_source_of_which_more_than_half_is_held_out_is_warned_of() -> None:
    [warning] = warn_of_split(told(("web", 314, 1, 312), ("books", 90, 4, 45)))
    assert warning.startswith(
        "312 of 314 documents of 'web' are held out, more than half of them, and 1 is trained on"
    )


def test_a_source_that_lost_most_of_what_was_drawn_is_warned_of() -> None:
    [warning] = warn_of_split(told(("web", 900, 30, 20), ("books", 90, 4, 4)))
    assert warning.startswith("of 50 documents of 'web' that were drawn, 30 are like something")
