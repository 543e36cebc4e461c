"""Line feeds for all line ends."""

from __future__ import annotations

from bessemer.curate.edits import Edit


def unify_line_ends(text: str) -> tuple[str, tuple[Edit, ...]]:
    """Line feeds for all line ends. The edit has counts, not places, of which each line is one."""
    if "\r" not in text:
        return text, ()
    num_both = text.count("\r\n")
    num_returns = text.count("\r") - num_both
    edit = Edit(
        rule="line_ends",
        spans=(),
        num_places=num_both + num_returns,
        removed_bytes=num_both + num_returns,
        inserted_bytes=num_returns,  # the line feeds of the others were there
        evidence=f"{num_both} x CR LF, {num_returns} x CR",
    )
    return text.replace("\r\n", "\n").replace("\r", "\n"), (edit,)
