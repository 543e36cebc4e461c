"""From a raw row to the text of a document: decode, take the main text of HTML, normalise.

What was changed is returned, to be recorded as edits. What cannot be decoded raises
UndecodableError, whose message becomes the document's quarantine error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bessemer.config.curate import CurateConfig
from bessemer.config.kinds import Kind
from bessemer.curate.edits import Edit
from bessemer.curate.front_matter import front_matter_title
from bessemer.curate.line_ends import unify_line_ends
from bessemer.curate.normalise import normalise, steps_for
from bessemer.curate.page import Page
from bessemer.curate.pages import read_pages, refuse_too_long, text_of
from bessemer.curate.rows import RawRow
from bessemer.text.traits import traits_of

ReadPages = Callable[[RawRow, str, int | None], Page]
"""As `read_pages`: a row of HTML, the extractor, and how many bytes its text may have."""


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


def extract(
    row: RawRow, options: Options = _PLAIN, path: str = "", read: ReadPages = read_pages
) -> Extract:
    """The text of `row`; raises UndecodableError. `path` is that of its file, for a row without a
    URL; pages are read by `read`."""
    hints: dict[str, str] = {}
    edits: tuple[Edit, ...] = ()
    encoded = None
    if row.is_html:
        # Line ends of mark-up are no part of the text, and no edit of it.
        page = read(row, options.extractor, options.max_document_bytes)
        text, hints = page.text, page.hints
    else:
        text, edits = unify_line_ends(text_of(row))
        if row.is_markdown and (title := front_matter_title(text)):
            hints = {"title": title}
        if not edits:
            encoded = row.encoded
    if encoded is None:
        encoded = text.encode()
    text, made = normalise(text, traits_of(encoded), options.steps, row.url or path)
    if made:
        encoded = text.encode()
    refuse_too_long(len(encoded), options.max_document_bytes)  # bytes of other encodings can grow
    return Extract(text=text, encoded=encoded, edits=edits + made, hints=hints)
