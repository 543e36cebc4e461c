"""Finders of personal data: where in a document an address or a number of a person stands.

Each takes the document's bytes and the places that may hold what it looks for
(`text/candidates.py`), and yields byte ranges. Patterns are of ASCII alone, so no range cuts a
character; all repetitions are bounded, so no text takes longer than its length. Patterns look
behind a candidate's beginning, which Python's `pos` allows, and a little beyond its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from bessemer.curate.number_checks import (
    IBAN_CHARS,
    is_card_number,
    is_iban,
    is_public_ipv4,
    is_public_ipv6,
    is_ssn,
)

Span = tuple[int, int]  # first byte, and the byte behind the last

_BEYOND = 16  # bytes behind a candidate that a pattern may need to see, or to take

# What parts a local name may have on the web: RFC 5322 allows more, which nobody uses.
_LOCAL_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+-"
_MAX_LOCAL_BYTES = 64  # RFC 5321, 4.5.3.1.1
_DOMAIN = re.compile(
    rb"((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8})([A-Za-z]{2,18})(?![A-Za-z0-9_-])"
)
# Domains of two letters are countries; of the longer ones, those in use (IANA, Root Zone Database).
_DOMAINS = frozenset(
    b"com org net edu gov mil int info biz name pro aero coop museum jobs mobi travel cat asia "
    b"post tel app dev xyz online site website space store shop tech blog cloud email live life "
    b"news world today company agency academy center club digital group guru host link media "
    b"network one page press solutions studio systems team top work works zone swiss wien berlin "
    b"hamburg koeln bayern paris london amsterdam tokyo moscow eus gal scot wales bzh".split()
)
_RESERVED = re.compile(rb"(?:^|\.)example\.(?:com|net|org)$", re.I)  # RFC 2606
_PATH_OF_SSH = re.compile(rb":[A-Za-z~/]")

_PART = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(
    rb"(?<![0-9A-Za-z_.])(?<![A-Za-z]-)" + _PART + rb"(?:\." + _PART + rb"){3}"
    rb"(?![0-9A-Za-z_]|\.[0-9A-Za-z]|-[A-Za-z])"
)
_VERSION_BEFORE = re.compile(
    rb"(?:\b(?:v|ver|vers|version|versions|release|rev|revision|build|firmware|section|chapter"
    rb"|clause|table|figure|fig|oid)[.:=]?[ \"'=]{0,3}|[A-Za-z0-9_]/|[<>=~^]=[ ]?|\xc2\xa7[ ]?)\Z",
    re.I,
)

_CARD = re.compile(
    rb"(?<![0-9A-Za-z_.+#-])(?<![0-9]{4}[ ])"
    rb"(?:[0-9]{12,19}|[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3})?"
    rb"|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5})"
    rb"(?![0-9A-Za-z_]|[.-][0-9A-Za-z]|[ ][0-9]{4}(?![0-9/]))"
)

_SSN = re.compile(
    rb"(?<![0-9A-Za-z_.+#/-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![0-9A-Za-z_/]|[.-][0-9A-Za-z])"
)

_EXTENSION = rb"(?:[ ]?(?:x|ext\.?)[ ]?[0-9]{2,5})?"
_PHONE_END = rb"(?![0-9A-Za-z_/]|[.-][0-9A-Za-z]|,[0-9])"
_PHONE_BEGIN = rb"(?<![0-9A-Za-z_./=#+-])(?<![0-9][ (])"
_PHONE = re.compile(
    # North America: area and exchange begin with 2 to 9, the parts are parted; not by spaces alone,
    # as in 256 512 1024.
    _PHONE_BEGIN + rb"(?:(?:\+|00)?1[-. ]?|001-)?"
    rb"(?:\([2-9][0-9]{2}\)[-. ]?|[2-9][0-9]{2}([-.]))[2-9][0-9]{2}(?(1)\1|[-. ])[0-9]{4}"
    + _EXTENSION
    + _PHONE_END
    # Elsewhere, written for abroad: +, country, and parts; no greatest integer, no date.
    + rb"|(?<![0-9A-Za-z_+./=])\+(?!2147483647|4294967295|[0-9]{4,9}-[0-9]{2}-[0-9]{2})"
    rb"[1-9][0-9]{0,2}(?:[ .-]?\(0?[0-9]{1,4}\))?"
    rb"[ ./-]?[0-9]{1,14}(?:[ ./-][0-9]{1,12}){0,6}"
    + _EXTENSION
    + rb"(?![0-9A-Za-z_])"
    # With the trunk prefix in brackets.
    + rb"|(?<![0-9A-Za-z_+./=])\(0[1-9][0-9]{0,3}\)[ ]?[0-9]{2,8}(?:[ -][0-9]{2,5}){0,3}"
    + _PHONE_END
)
# Without any such mark a number is one of a telephone only if the text says so.
_TOLD_PHONE = re.compile(
    _PHONE_BEGIN + rb"(?!(?:19|20)[0-9]{2}[./-])"
    rb"\(?[0-9]{2,5}\)?(?:[ ./-]{1,2}[0-9]{2,8}){1,5}" + _PHONE_END
    + rb"|" + _PHONE_BEGIN + rb"[0-9]{8,12}" + _PHONE_END
)  # fmt: skip
_CALLS = re.compile(
    rb"(?:\btel|telephone|t(?:\xc3\xa9|e)l(?:\xc3\xa9|e)phone|telefon|tel(?:\xc3\xa9|e)fono|telefone"
    rb"|\bphone|\bfon|\bfax|telefax|\bmobile?|\bcell|\bhandy|whatsapp)"
    rb"(?: (?:no|number|at|is|on|nr))?(?:\xc2\xa0| )?[.:]{0,2}(?:\xc2\xa0| ){0,2}"
    rb"(?:\([a-z]{1,6}\)[ ]?)?\Z",
    re.I,
)
_CALL_BYTES = 32
_MIN_PHONE_DIGITS, _MAX_PHONE_DIGITS = 7, 15  # E.164 allows 15
_MIN_PLUS_DIGITS = 9

_IBAN = re.compile(rb"[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]){11,30}")


def find_emails(data: bytes, places: Iterable[Span]) -> Iterator[Span]:
    """Addresses of mail around each @, in domains that exist and are not reserved."""
    for at, behind in places:
        window = data[max(0, at - _MAX_LOCAL_BYTES - 1) : at]
        local = window[len(window.rstrip(_LOCAL_BYTES)) :].lstrip(b".-+%")
        if not local or len(local) > _MAX_LOCAL_BYTES or local.endswith(b".") or b".." in local:
            continue
        found = _DOMAIN.match(data, behind)
        if found is None:
            continue
        top = found[2].lower()
        if (len(top) > 2 and top not in _DOMAINS) or _RESERVED.search(found[0]):
            continue
        if not _PATH_OF_SSH.match(data, found.end()):  # git@host:path is no person's
            yield at - len(local), found.end()


def find_ips(data: bytes, places: Iterable[Span]) -> Iterator[Span]:
    """Public addresses of either version; places are of dotted numbers, or of runs with colons."""
    for start, stop in places:
        if b":" in data[start:stop]:
            yield from _ipv6(data, start, stop)
            continue
        for found in _within(_IPV4, data, start, stop):
            before = data[max(0, found.start() - 16) : found.start()]
            if is_public_ipv4(found[0].decode()) and not _VERSION_BEFORE.search(before):
                yield found.span()


def _ipv6(data: bytes, start: int, stop: int) -> Iterator[Span]:
    """The whole run, without the punctuation at its end, is an address or holds none."""
    while stop > start and data[stop - 1 : stop] in b".:" and data[stop - 2 : stop] != b"::":
        stop -= 1
    if stop - start > 45 or (start and data[start - 1 : start].isalnum()):
        return
    if not data[stop : stop + 1].isalnum() and is_public_ipv6(data[start:stop].decode()):
        yield start, stop


def find_cards(data: bytes, places: Iterable[Span]) -> Iterator[Span]:
    """Card numbers in one piece or in the groups that are printed on cards."""
    for start, stop in places:
        for found in _within(_CARD, data, start, stop):
            if is_card_number(_digits(found[0])):
                yield found.span()


def find_ssns(data: bytes, places: Iterable[Span]) -> Iterator[Span]:
    """US social security numbers, written with hyphens."""
    for start, stop in places:
        for found in _within(_SSN, data, start, stop):
            if is_ssn(_digits(found[0])):
                yield found.span()


def find_ibans(data: bytes, places: Iterable[Span]) -> Iterator[Span]:
    """Account numbers, in one piece or in groups; places are of countries and check digits."""
    for start, _ in places:
        length = IBAN_CHARS.get(data[start : start + 2].decode())
        found = _IBAN.match(data, start) if length else None
        if found is None or length is None:
            continue
        stop = _end_of_chars(data, start, found.end(), length)
        text = re.sub(rb"[ -]", b"", data[start:stop]).decode()
        if is_iban(text) and not data[stop : stop + 1].isalnum():
            yield start, stop


def _end_of_chars(data: bytes, start: int, limit: int, count: int) -> int:
    """Where the `count`-th letter or digit from `start` on ends; `limit` if there are fewer."""
    position = start
    while count and position < limit:
        count -= data[position : position + 1].isalnum()
        position += 1
    return position


def find_phones(data: bytes, places: Iterable[Span]) -> Iterator[Span]:
    """Telephone numbers: in a form that only these have, or behind a word that says so."""
    for start, stop in places:
        first = max(0, start - 2)  # the + or the bracket before the first digit
        for found in _within(_PHONE, data, first, stop):
            num_digits = len(_digits(found[0]))
            least = _MIN_PLUS_DIGITS if found[0].startswith(b"+") else _MIN_PHONE_DIGITS
            if least <= num_digits <= _MAX_PHONE_DIGITS + 5 * (b"x" in found[0]):
                yield found.span()
        if not _CALLS.search(data[max(0, first - _CALL_BYTES) : start].rstrip(b"+(")):
            continue
        told = _TOLD_PHONE.search(data, first, stop + _BEYOND)
        if told is None or told.start() > start:
            continue
        if _MIN_PHONE_DIGITS <= len(_digits(told[0])) <= _MAX_PHONE_DIGITS:
            yield told.span()


def _digits(text: bytes) -> str:
    return re.sub(rb"[^0-9]", b"", text).decode()


def _within(
    pattern: re.Pattern[bytes], data: bytes, start: int, stop: int
) -> Iterator[re.Match[bytes]]:
    """Matches that begin in a candidate; what begins behind it is another's."""
    for found in pattern.finditer(data, start, stop + _BEYOND):
        if found.start() < stop:
            yield found
