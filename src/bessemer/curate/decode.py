"""Text from bytes of unknown encoding: what can be established is decoded, the rest refused."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from contextlib import contextmanager

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

from bessemer.curate.rows import say

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
# The labels of the Encoding standard (section 4.2) that pages are served with.
_UTF_16 = {"utf-16": "utf-16-le", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be"}
_UTF8_MULTIBYTE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_ASCII = bytes(range(0x80))
_DETECT_BYTES = 1 << 16


class UndecodableError(Exception):
    """The bytes are not text in any encoding that can be established."""


@contextmanager
def errors_of(library: str) -> Iterator[None]:
    """To call a parser that is not ours, and nothing else: whatever it raises is UndecodableError,
    as a fault of a library on one page is no reason to end a run."""
    try:
        yield
    except MemoryError:  # told as what it is
        raise
    except Exception as error:
        raise UndecodableError(f"{library} failed: {say(error)}") from error


def decode(data: bytes, *, is_html: bool = False, charset: str = "") -> str:
    """Text from bytes of unknown encoding.

    A byte-order mark decides; else UTF-8 if the bytes are valid; else, if they look like damaged
    UTF-8, UndecodableError (a legacy decoder would turn it into mojibake without a word); else
    the encoding that is declared, by `charset` or in the HTML; else what uchardet detects.
    """
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return _finish(_strict(data[len(bom) :], encoding))
    if b"\0" in data:
        # Only a container can say so: in UTF-16, a declaration within the page could not be read.
        if wide := _UTF_16.get(charset.strip().lower()):
            return _finish(_strict(data, wide))
        raise UndecodableError(f"NUL at byte {data.index(0)}: this is not text")
    try:
        return data.decode("utf-8")  # without NUL, as its bytes are
    except UnicodeDecodeError as error:
        characters = _UTF8_MULTIBYTE.findall(data)
        num_bad = len(data.translate(None, _ASCII)) - sum(map(len, characters))
        if len(characters) > num_bad:
            raise UndecodableError(f"damaged UTF-8 at byte {error.start}") from None
    encoding = _web_encoding(charset)
    if not encoding and is_html and (declared := _META_CHARSET.search(data[:2048])):
        encoding = _web_encoding(declared[1].decode("ascii", "replace"))
    return _finish(_strict(data, encoding or detect_encoding(data, max_len=_DETECT_BYTES) or ""))


def _web_encoding(label: str) -> str:
    """The codec that a page may mean by `label`, or "".

    By the WHATWG's table, in which Latin-1 means Windows-1252 and Python's other codecs, such as
    `unicode_escape`, mean nothing. UTF-8 has been tried by now, and a declaration that can be
    read as ASCII is not in UTF-16.
    """
    try:
        label = codecs.lookup(label).name
    except (LookupError, ValueError):
        return ""
    mapped = map_encoding_to_html5(label, fallback_utf8=False) or ""
    return "" if mapped.startswith("utf-") else mapped


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
    """Refuse what is binary after all."""
    if "\0" in text:
        raise UndecodableError("NUL characters: this is not text")
    return text
