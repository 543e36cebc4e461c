"""From a raw row to the text of a document: decode, take the main text of HTML, cut frames.

What was cut is returned, to be recorded as edits. What cannot be decoded raises UndecodableError,
whose message becomes the document's quarantine error.
"""

from __future__ import annotations

from dataclasses import dataclass

from resiliparse.parse.html import HTMLParserException, HTMLTree

from bessemer.curate.decode import UndecodableError, decode, unix_lines
from bessemer.curate.frames import Cut, cut_gutenberg_frame
from bessemer.curate.front_matter import front_matter_title
from bessemer.curate.main_text import main_text, refuse_endless_tags
from bessemer.curate.rows import RawRow


@dataclass(frozen=True, kw_only=True, slots=True)
class Extract:
    """The text of a document, what was cut from it, and what its mark-up said."""

    text: str
    cuts: tuple[Cut, ...] = ()
    title: str = ""


def extract(row: RawRow) -> Extract:
    """The text of `row`; raises UndecodableError."""
    if isinstance(row.content, str):
        text = unix_lines(row.content)
    else:
        text = decode(row.content, is_html=row.is_html, charset=row.charset)
    title = ""
    if row.is_markdown:
        title = front_matter_title(text)
    if row.is_html:
        refuse_endless_tags(text)
        try:
            title = " ".join((HTMLTree.parse(text).title or "").split())
            text = main_text(text)
        except HTMLParserException as error:  # any characters are HTML
            raise UndecodableError(f"{error} (for want of memory, most likely)") from None
    text, cuts = cut_gutenberg_frame(text)
    return Extract(text=text, cuts=cuts, title=title)
