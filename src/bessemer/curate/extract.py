"""From a raw row to the text of a document: decode, take the main text of HTML, cut boilerplate.

What was cut is returned as edits, to be recorded. What cannot be decoded raises Undecodable, whose
message becomes the document's quarantine error.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

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
    text = row.content if isinstance(row.content, str) else decode(row.content, row.is_html)
    title = ""
    if row.is_html:
        tree = HTMLTree.parse(text)
        title = " ".join((tree.title or "").split())
        text = extract_plain_text(tree, main_content=True, preserve_formatting=True)
    text, cuts = cut_gutenberg_frame(text)
    return Extract(text=text, cuts=cuts, title=title)


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
    encoding = declared[1].decode() if declared else detect_encoding(data, max_len=_DETECT_BYTES)
    if encoding.lower() in ("utf-8", "utf8"):
        encoding = detect_encoding(data, max_len=_DETECT_BYTES)
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
    return text.replace("\r\n", "\n").replace("\r", "\n")
