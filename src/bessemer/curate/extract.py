"""From a raw row to the text of a document: decode, take the main text of HTML, normalise.

What was changed is returned, to be recorded as edits. What cannot be decoded raises
UndecodableError, whose message becomes the document's quarantine error.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bessemer.config.curate import CurateConfig
from bessemer.config.kinds import Kind
from bessemer.curate.decode import UndecodableError, decode
from bessemer.curate.edits import Edit
from bessemer.curate.front_matter import front_matter_title
from bessemer.curate.normalise import normalise, steps_for, unify_line_ends
from bessemer.curate.page import read_page
from bessemer.curate.rows import Chapter, RawRow, too_long
from bessemer.text.traits import ANY_TRAIT, traits_of


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
    """What is settable of `extract`."""

    extractor: str = "resiliparse"
    steps: tuple[str, ...] = ("gutenberg_frame",)
    max_document_bytes: int | None = None  # of its text; None: any


def options_for(kind: Kind, curate: CurateConfig) -> Options:
    """How documents of a kind of source are extracted."""
    return Options(
        extractor=curate.extractor,
        steps=steps_for(kind, curate.normalise),
        max_document_bytes=curate.max_document_bytes,
    )


_PLAIN = Options()


def extract(row: RawRow, options: Options = _PLAIN, path: str = "") -> Extract:
    """The text of `row`; raises UndecodableError. `path` is that of its file, for a row without a
    URL."""
    hints: dict[str, str] = {}
    edits: tuple[Edit, ...] = ()
    encoded: bytes | None = None
    traits = ANY_TRAIT
    if isinstance(row.content, tuple):
        text = "\n\n".join(filter(None, map(_read_chapter, row.content)))
    elif row.is_html:
        # Line ends of mark-up are no part of the text, and no edit of it.
        page = read_page(_text_of(row, row.content), options.extractor)
        text, hints = page.text, page.hints
    else:
        text, edits = unify_line_ends(_text_of(row, row.content))
        if row.is_markdown and (title := front_matter_title(text)):
            hints = {"title": title}
        encoded = text.encode() if edits or row.encoded is None else row.encoded
        traits = traits_of(encoded)  # of a page not: a page's time is no time to compile a kernel
    text, made = normalise(text, traits, options.steps, row.url or path)
    if made or encoded is None:
        encoded = text.encode()
    if options.max_document_bytes is not None and len(encoded) > options.max_document_bytes:
        # Mark-up can grow, as can bytes of other encodings.
        told = too_long(len(encoded), options.max_document_bytes)
        raise UndecodableError(f"its text has {told}")
    return Extract(text=text, encoded=encoded, edits=edits + made, hints=hints)


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
