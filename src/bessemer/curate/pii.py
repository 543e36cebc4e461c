"""Personal data and secrets of a document: which kinds there are, and where each stands.

Where ranges of two finders overlap, the one that stands first in FINDERS counts, whole, and the
other is not found: what is proven by more (a frame, a check digit, a form of its own) comes before
what is recognized by its looks. Within a kind the earlier range counts. What is found depends on
the document's text and the kinds asked for, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa

from bessemer.config.curate import PiiKind
from bessemer.curate.personal_data import (
    find_cards,
    find_emails,
    find_ibans,
    find_ips,
    find_phones,
    find_ssns,
)
from bessemer.curate.secrets import find_keys, find_private_keys
from bessemer.text.buffers import utf8_buffers
from bessemer.text.candidates import ARMOUR, AT, COLONS, COUNTRY, NUMBER, TOKEN, candidates

Span = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finder:
    """One kind of personal data, how it is recognized, and what is written in its place."""

    kind: PiiKind
    matches: str
    source: str  # of the rule
    placeholder: str
    candidates: tuple[int, ...]  # classes of text/candidates.py that it reads
    find: Callable[[bytes, Iterable[Span]], Iterator[Span]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """Bytes [start_byte, end_byte) of a document's text that hold personal data."""

    kind: PiiKind
    start_byte: int
    end_byte: int


FINDERS: tuple[Finder, ...] = (
    Finder(
        kind="secret",
        matches="a private key in PEM or OpenPGP armour, with its frame",
        source="RFC 7468; RFC 9580, 6.2",
        placeholder="<SECRET>",
        candidates=(ARMOUR,),
        find=find_private_keys,
    ),
    Finder(
        kind="secret",
        matches="an access key of a known form (AWS, GitHub, GitLab, Stripe, Slack, Google, "
        "OpenAI, Anthropic, Hugging Face, npm, PyPI, SendGrid, DigitalOcean, JSON web tokens); and "
        "what is assigned to a name like `api_key`, `secret`, `token` or `password`, if it is 16 "
        "to 128 characters of at least 3.5 bits each (hexadecimal: 3.0), not made of words",
        source="the issuers' documentation; entropy as in gitleaks (generic-api-key) and "
        "detect-secrets (hexadecimal)",
        placeholder="<SECRET>",
        candidates=(TOKEN,),
        find=find_keys,
    ),
    Finder(
        kind="email",
        matches="an address in a domain that exists: a country, or a top-level domain in use; not "
        "`example.com` and the like, not `git@host:path`",
        source="RFC 5321, 4.5.3.1; RFC 2606; IANA, Root Zone Database",
        placeholder="<EMAIL>",
        candidates=(AT,),
        find=find_emails,
    ),
    Finder(
        kind="iban",
        matches="an account number with the length of its country and remainder 1, in one piece or "
        "in groups",
        source="ISO 13616 (SWIFT, IBAN Registry); ISO 7064, mod 97",
        placeholder="<IBAN>",
        candidates=(COUNTRY,),
        find=find_ibans,
    ),
    Finder(
        kind="card",
        matches="a number with beginning and length of an issuer and the right check digit, in one "
        "piece or in the groups of a card; not 13 digits, which article numbers have",
        source="ISO/IEC 7812-1 (Luhn), ranges as the issuers publish them",
        placeholder="<CARD>",
        candidates=(NUMBER,),
        find=find_cards,
    ),
    Finder(
        kind="ip",
        matches="an IPv4 or IPv6 address that the public internet routes; not a part of a longer "
        "dotted number, not behind `version`, `name/` or `==`, not four numbers below 32",
        source="RFC 791, RFC 4291; IANA, Special-Purpose Address Registries (RFC 6890)",
        placeholder="<IP>",
        candidates=(NUMBER, COLONS),
        find=find_ips,
    ),
    Finder(
        kind="ssn",
        matches="a US social security number written with hyphens; no area 000, 666 or 9xx, no "
        "group 00, no serial 0000",
        source="SSA, Social Security Number Randomization (2011)",
        placeholder="<SSN>",
        candidates=(NUMBER,),
        find=find_ssns,
    ),
    Finder(
        kind="phone",
        matches="a number written for abroad (`+`), in three parts as in North America, or with "
        "its area in brackets; any other only behind a word like `phone`, `tel` or `fax`",
        source="ITU-T E.164, E.123; North American Numbering Plan",
        placeholder="<PHONE>",
        candidates=(NUMBER,),
        find=find_phones,
    ),
)

PLACEHOLDERS: dict[str, str] = {finder.kind: finder.placeholder for finder in FINDERS}


def find_pii(
    texts: pa.Array | pa.ChunkedArray, kinds: Collection[PiiKind]
) -> Iterator[tuple[int, tuple[Found, ...]]]:
    """What personal data of `kinds` the documents of a string array hold.

    Yields (position in the array, findings by place) of those that hold any. Cost: one pass over
    all bytes; finders read the candidates alone.
    """
    finders = [finder for finder in FINDERS if finder.kind in kinds]
    if not finders:
        return
    offsets, data = utf8_buffers(texts)
    places, classes, starts, stops = candidates(texts)
    for document, (first, last) in enumerate(pairwise(places.tolist())):
        if first == last:
            continue
        of_class: dict[int, list[Span]] = {}
        rows = zip(*(part[first:last].tolist() for part in (classes, starts, stops)), strict=True)
        for kind, start, stop in rows:
            of_class.setdefault(kind, []).append((start, stop))
        text = data[offsets[document] : offsets[document + 1]].tobytes()
        found = _search(text, of_class, finders)
        if found:
            yield document, found


def _search(
    text: bytes, of_class: dict[int, list[Span]], finders: Iterable[Finder]
) -> tuple[Found, ...]:
    taken = bytearray()  # a byte for each of the text's, once something is found
    found = []
    for finder in finders:
        for kind in finder.candidates:
            if kind not in of_class:
                continue
            for start, stop in finder.find(text, of_class[kind]):
                taken = taken or bytearray(len(text))
                if taken.find(1, start, stop) < 0:
                    taken[start:stop] = b"\1" * (stop - start)
                    found.append(Found(kind=finder.kind, start_byte=start, end_byte=stop))
    return tuple(sorted(found, key=lambda each: each.start_byte))
