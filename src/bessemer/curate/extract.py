"""From a raw row to the text of a document: decode, take the main text of HTML, cut boilerplate.

What was cut is returned as edits, to be recorded. What cannot be decoded raises Undecodable, whose
message becomes the document's quarantine error.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Any

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding
from resiliparse.parse.html import HTMLTree

from bessemer.curate.readers import RawRow

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_META_CHARSET = re.compile(
    rb"""<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.I
)
_UTF8_MULTIBYTE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_DETECT_BYTES = 1 << 16

# What HTML itself, or the names that blogging software gives, says is not the main text.
_NOT_MAIN = (
    "nav", "aside", "footer:not(blockquote footer)", "#sidebar", "div.sidebar",
    "#comments", "#respond",
    '[role="navigation"]', '[role="banner"]', '[role="complementary"]', '[role="contentinfo"]',
)  # fmt: skip
# Resiliparse takes every <ul> this near to <body> for a menu, which in a plain page is content.
_SHALLOW_LISTS = "body > ul, body > * > ul, body > * > * > ul"
_SHALLOW_LEVELS = 3
_MENU_LINK_FRAC = 0.5
_MIN_MAIN_FRAC = 0.2
# It also takes a text node of one three-byte character, such as the quotation mark before an
# <abbr>, for an icon (it compares bytes in the wrong order); a noncharacter beside it prevents it.
_LONE_CHARACTER = re.compile(
    r">(\s*(?:[\u0800-\ud7ff\uf900-\ufdcf\ufdf0-\ufffc]|&[lr][sd]quo;)\s*)(?=<)"
)
_GUARD = "\ufdd0"

# Project Gutenberg's frame: today's markers, and the "small print" of the nineteen-nineties.
_GUTENBERG_SIGN = re.compile(r"project gutenberg", re.I)
_GUTENBERG_START = re.compile(
    r"^[ ]?\*{3} ?START OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT)[^*]{0,300}\*{3}[ ]*\n"
    r"|^\*END\*? ?THE SMALL PRINT!.*\*END\*[ ]*\n",
    re.I | re.M,
)
_GUTENBERG_END = re.compile(
    r"^(?:End of (?:The |This )?Project Gutenberg.*\n\s*)?[ ]?"
    r"\*{3} ?END OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT)"
    r"|^End of (?:The |This )?Project Gutenberg(?:['’]s)?(?: E(?:book|text))?.{0,200}\s*\Z",
    re.I | re.M,
)
_HEADER_CHARS = 40_000


class UndecodableError(Exception):
    """The bytes are not text in any encoding that can be established."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """A range of bytes that was cut from the text as it was before any cut."""

    rule: str
    start_byte: int
    end_byte: int
    evidence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Extract:
    """The text of a document, what was cut from it, and what its mark-up said."""

    text: str
    cuts: tuple[Cut, ...] = ()
    title: str = ""


def extract(row: RawRow) -> Extract:
    """The text of `row`; raises UndecodableError."""
    if isinstance(row.content, str):
        text = _unix_lines(row.content)
    else:
        text = decode(row.content, row.is_html)
    title = ""
    if row.is_html:
        title = " ".join((HTMLTree.parse(text).title or "").split())
        text = main_text(text)
    text, cuts = cut_gutenberg_frame(text)
    return Extract(text=text, cuts=cuts, title=title)


def main_text(html: str) -> str:
    """The main text of a page, by Resiliparse's rules with their losses mended.

    Kept, unlike there: lists of text near the top of the tree, times within a paragraph, and
    characters that are a text node by themselves. If the rules leave less than a fifth of what
    the page says outside links (they took the article for a frame), the whole page counts.
    """
    tree = HTMLTree.parse(_LONE_CHARACTER.sub(rf">\1{_GUARD}", html))
    outside_links = _plain_text(tree, skip=(*_NOT_MAIN, "a"))
    _sink_content_lists(tree)
    _unwrap_times(tree)
    main = _plain_text(tree, skip=_NOT_MAIN, main_content=True)
    if len(main) < _MIN_MAIN_FRAC * len(outside_links):
        main = _plain_text(tree, skip=_NOT_MAIN)
    return main.replace(_GUARD, "")


def _plain_text(tree: HTMLTree, skip: tuple[str, ...], main_content: bool = False) -> str:
    text: str = extract_plain_text(
        tree, main_content=main_content, preserve_formatting=True, skip_elements=list(skip)
    )
    return text


def _sink_content_lists(tree: HTMLTree) -> None:
    """Put the shallow lists that are not mostly links as deep as Resiliparse wants content."""
    for listing in _select(tree, _SHALLOW_LISTS):
        links = listing.query_selector_all("a")
        if sum(len(link.text) for link in links) < _MENU_LINK_FRAC * len(listing.text):
            for link in links:
                link.parent.replace_child(tree.create_text_node(link.text), link)
            outer: Any = tree.create_element("div")
            inner = outer
            listing.parent.replace_child(outer, listing)
            for _ in range(_SHALLOW_LEVELS):
                inner = inner.append_child(tree.create_element("div"))
            inner.append_child(listing)


def _unwrap_times(tree: HTMLTree) -> None:
    """Make plain text of times in a paragraph, which Resiliparse takes for a byline's."""
    for time in _select(tree, "p time"):
        time.parent.replace_child(tree.create_text_node(time.text), time)


def _select(tree: HTMLTree, selector: str) -> list[Any]:
    """Elements in document order; untyped, for the stubs make every step of the tree optional."""
    return list(tree.document.query_selector_all(selector)) if tree.document else []


def decode(data: bytes, is_html: bool = False) -> str:
    """Text from bytes of unknown encoding, with Unix line ends.

    A byte-order mark decides; else UTF-8 if the bytes are valid; else, if they look like damaged
    UTF-8, UndecodableError (a legacy decoder would turn it into mojibake without a word); else
    the encoding that HTML declares; else what uchardet detects.
    """
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return _finish(_strict(data[len(bom) :], encoding))
    if b"\0" in data:
        raise UndecodableError(f"NUL at byte {data.index(0)}: this is not text")
    try:
        return _finish(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        num_bad = sum(byte >= 0x80 for byte in _UTF8_MULTIBYTE.sub(b"", data))
        if len(_UTF8_MULTIBYTE.findall(data)) > num_bad:
            raise UndecodableError(f"damaged UTF-8 at byte {error.start}") from None
    declared = _META_CHARSET.search(data[:2048]) if is_html else None
    encoding = declared[1].decode() if declared else ""
    if encoding.lower() in ("", "utf-8", "utf8"):
        encoding = detect_encoding(data, max_len=_DETECT_BYTES) or ""
    return _finish(_strict(data, encoding))


def cut_gutenberg_frame(text: str) -> tuple[str, tuple[Cut, ...]]:
    """`text` without the header and footer of Project Gutenberg, and what was cut."""
    if not _GUTENBERG_SIGN.search(text[:2000]):
        return text, ()
    start = _GUTENBERG_START.search(text, 0, _HEADER_CHARS)
    first = start.end() if start else 0
    end = _GUTENBERG_END.search(text, first)
    last = end.start() if end else len(text)
    cuts = []
    for rule, begin, finish in (
        ("gutenberg_header", 0, first),
        ("gutenberg_footer", last, len(text)),
    ):
        if begin < finish:
            start_byte = len(text[:begin].encode())
            cuts.append(
                Cut(
                    rule=rule,
                    start_byte=start_byte,
                    end_byte=start_byte + len(text[begin:finish].encode()),
                    evidence=" ".join(text[begin : min(finish, begin + 200)].split()),
                )
            )
    return text[first:last], tuple(cuts)


def _strict(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except LookupError:
        raise UndecodableError(f"unknown encoding {encoding!r}") from None
    except UnicodeDecodeError as error:
        raise UndecodableError(
            f"not UTF-8, and not {encoding} either (byte {error.start})"
        ) from None


def _finish(text: str) -> str:
    """Refuse what is binary after all; Unix line ends."""
    if "\0" in text:
        raise UndecodableError("NUL characters: this is not text")
    return _unix_lines(text)


def _unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
