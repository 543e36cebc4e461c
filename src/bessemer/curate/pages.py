"""The text of what is written in HTML: of a page, or of the pages of a book.

This is what a process of `extractor_child` does; modules that it needs import neither Arrow nor
Numba, so that it starts in a fraction of a second.
"""

from __future__ import annotations

import codecs
from contextlib import suppress

from bessemer.curate.decode import UndecodableError, decode
from bessemer.curate.page import Page, read_page
from bessemer.curate.rows import Chapter, RawRow, too_long


def read_pages(row: RawRow, extractor: str, max_bytes: int | None = None) -> Page:
    """The text and hints of a row of HTML.

    Raises UndecodableError, also if the text is longer than `max_bytes`: mark-up can grow.
    """
    if isinstance(row.content, tuple):
        page = Page(text="\n\n".join(filter(None, map(_read_chapter, row.content))))
    else:
        page = read_html(row.content, row.charset, extractor)
    refuse_too_long(len(page.text.encode()), max_bytes)
    return page


def text_of(row: RawRow) -> str:
    """The content of a row that is no book, decoded; raises UndecodableError."""
    assert not isinstance(row.content, tuple)
    if isinstance(row.content, str):
        return row.content
    return decode(row.content, is_html=row.is_html, charset=row.charset)


def refuse_too_long(num_bytes: int, max_bytes: int | None) -> None:
    """UndecodableError if a text has more bytes of UTF-8 than it may."""
    if max_bytes is not None and num_bytes > max_bytes:
        raise UndecodableError(f"its text has {too_long(num_bytes, max_bytes)}")


def read_html(content: bytes | str, charset: str = "", extractor: str = "resiliparse") -> Page:
    """A page as stored, by its bytes or, if it was text already, by that; raises UndecodableError.

    `charset` is what its container declares.
    """
    if isinstance(content, bytes):
        # Most are in UTF-8, which is seen as they are read: to look for it first takes longer.
        if b"\0" not in content:
            with suppress(UnicodeDecodeError):
                return read_page(content.removeprefix(codecs.BOM_UTF8), extractor)
        content = decode(content, is_html=True, charset=charset)
    return read_page(content.encode(), extractor)


def _read_chapter(chapter: Chapter) -> str:
    """The text of a page of a book, always by ours: Trafilatura knows the pages of the web."""
    try:
        return read_html(chapter.page).text
    except UndecodableError as error:
        raise UndecodableError(f"{chapter.path}: {error}") from None
