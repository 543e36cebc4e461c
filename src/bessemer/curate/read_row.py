"""The text of a raw row: decoded, and of mark-up what it says. All that the child process does.

What cannot be decoded raises UndecodableError, whose message becomes the document's quarantine
error.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bessemer.curate.decode import UndecodableError, decode
from bessemer.curate.edits import Edit
from bessemer.curate.front_matter import front_matter_title
from bessemer.curate.line_ends import unify_line_ends
from bessemer.curate.page import read_page
from bessemer.curate.rows import Chapter, RawRow, too_long

_MAX_CHARACTER_BYTES = 4  # UTF-8, RFC 3629


@dataclass(frozen=True, kw_only=True, slots=True)
class Extract:
    """The text of a document, what was changed of it, in order, and hints (title, url, date,
    language) that it gave itself."""

    text: str
    encoded: bytes  # the same in UTF-8
    edits: tuple[Edit, ...] = ()
    hints: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What is settable of reading a row and of what is made of its text."""

    extractor: str = "resiliparse"
    steps: tuple[str, ...] = ("gutenberg_frame",)
    max_document_bytes: int | None = None  # of its text; None: any


def read_row(row: RawRow, options: Options) -> Extract:
    """The text of `row` with line feeds for line ends; raises UndecodableError."""
    # Line ends of mark-up are no part of the text, and no edit of it.
    edits: tuple[Edit, ...] = ()
    hints: dict[str, str] = {}
    if isinstance(row.content, tuple):
        text = "\n\n".join(filter(None, map(_read_chapter, row.content)))
    elif row.is_html:
        page = read_page(_text_of(row, row.content), options.extractor)
        text, hints = page.text, page.hints
    else:
        text, edits = unify_line_ends(_text_of(row, row.content))
        if row.is_markdown and (title := front_matter_title(text)):
            hints = {"title": title}
    refuse_long(text, options.max_document_bytes)
    known = row.encoded if text is row.content else None
    encoded = text.encode() if known is None else known
    return Extract(text=text, encoded=encoded, edits=edits, hints=hints)


def _text_of(row: RawRow, content: bytes | str) -> str:
    if isinstance(content, str):
        return content
    return decode(content, is_html=row.is_html, charset=row.charset)


def _read_chapter(chapter: Chapter) -> str:
    """The text of a page of a book, always by ours: Trafilatura knows the pages of the web."""
    try:
        return read_page(decode(chapter.page, is_html=True)).text
    except UndecodableError as error:
        raise UndecodableError(f"{chapter.path}: {error}") from None


def refuse_long(text: str, max_bytes: int | None) -> None:
    """UndecodableError if `text` is longer than a document may be: mark-up can grow, as can bytes
    of other encodings."""
    if max_bytes is not None and len(text) > max_bytes // _MAX_CHARACTER_BYTES:
        size = len(text.encode())
        if size > max_bytes:
            raise UndecodableError(f"its text has {too_long(size, max_bytes)}")
