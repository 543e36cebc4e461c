"""Finders of secrets: keys by the marks that their issuers give them, and random-looking values.

They take the document's bytes and the places that may hold a key (`text/candidates.py`), and yield
byte ranges in ASCII. All repetitions are bounded or of one class, so time is linear.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator

Span = tuple[int, int]

# Issuer -> form of its keys, from the issuers' own documentation (2025); that of GitHub's secret
# scanning lists who has which. What a key opens is not asked for: a revoked one looks the same.
KEY_FORMS: dict[str, bytes] = {
    "AWS": rb"(?:AKIA|ASIA)[A-Z0-9]{16}",
    "GitHub": rb"gh[pousr]_[A-Za-z0-9]{36,255}",
    "GitHub, fine-grained": rb"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
    "GitLab": rb"glpat-[A-Za-z0-9_-]{20,64}",
    "Stripe": rb"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,128}",
    "Slack": rb"xox[abeoprs]-[A-Za-z0-9-]{10,160}",
    "Slack, webhook": (
        rb"hooks\.slack\.com/services/T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[A-Za-z0-9]{20,32}"
    ),
    "Google": rb"AIza[A-Za-z0-9_-]{35}",
    "Google, OAuth": rb"ya29\.[A-Za-z0-9_-]{20,512}",
    "OpenAI, Anthropic": (
        rb"sk-(?:(?:proj|svcacct|admin|ant)-[A-Za-z0-9_-]{20,200}|[A-Za-z0-9]{32,64})"
    ),
    "Hugging Face": rb"hf_[A-Za-z0-9]{30,48}",
    "npm": rb"npm_[A-Za-z0-9]{36}",
    "PyPI": rb"pypi-[A-Za-z0-9_-]{50,512}",
    "SendGrid": rb"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",
    "DigitalOcean": rb"do[opr]_v1_[a-f0-9]{64}",
    "JSON Web Token (RFC 7519)": (
        rb"eyJ[A-Za-z0-9_-]{10,2048}\.eyJ[A-Za-z0-9_-]{10,8192}\.[A-Za-z0-9_-]{16,1024}"
    ),
}  # fmt: skip
_KEY = re.compile(rb"(?<![A-Za-z0-9_-])(?:" + b"|".join(KEY_FORMS.values()) + rb")(?![A-Za-z0-9_])")
_KEY_HINT = re.compile(
    rb"A(?:KIA|SIA|Iza)|g(?:h[pousr]_|ithub_pat_|lpat-)|[sr]k[_-]|xox|hooks\.|ya29|hf_|npm_|pypi-"
    rb"|SG\.|do[opr]_v1|eyJ"
)

# RFC 7468 and OpenPGP (RFC 9580, 6.2).
_ARMOUR = re.compile(rb"-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_ARMOUR_END = re.compile(rb"-----END (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_ARMOUR_BODY = re.compile(rb"[A-Za-z0-9+/=\r\n\\]{0,16384}")
_MAX_ARMOUR_BYTES = 16384  # an RSA key of 16,384 bits takes 13,000

# Names under which programs keep what nobody else should know.
_NAMED = re.compile(
    rb"(?:api[_-]?key|secret|(?<!publickey)token(?!i[sz])|passwd|password|passphrase|pwd|private[_-]?key|access[_-]?key"
    rb"|auth[_-]?key|credentials?|authorization)[A-Za-z0-9_-]{0,16}[\"'`]?\]?"
    rb"[ \t]{0,3}(?::=|=>|[=:])[ \t]{0,3}(?:bearer |basic |[bru]?[\"'`])?\Z",
    re.I,
)
_NAME_BYTES = 64
_VALUE = re.compile(rb"[A-Za-z0-9+/_-]{16,128}={0,2}")
_VALUE_ENDS = b"\"'`;,)}]& \t\r\n\\<"
# Of such parts are identifiers, paths and dates made, and no random value.
_WORD = re.compile(rb"[A-Za-z]+[0-9]{0,4}|[0-9]{1,8}[A-Za-z]{0,2}|[A-Za-z0-9]{0,5}")
_BETWEEN_WORDS = re.compile(rb"[_/+-]+")
_HEX = re.compile(rb"[0-9a-f]+|[0-9A-F]+")
_MIN_VALUE_DIGITS = 2
# Bits per character (Shannon, of the value's own characters): gitleaks' generic rule asks for 3.5,
# detect-secrets for 3.0 of hexadecimal digits.
_MIN_BITS, _MIN_HEX_BITS = 3.5, 3.0


def find_keys(data: bytes, places: Iterable[Span]) -> Iterator[Span]:
    """Keys of known form, and random-looking values that are assigned to a telling name."""
    for start, stop in places:
        if _KEY_HINT.search(data, start, stop):
            yield from (found.span() for found in _KEY.finditer(data, start, stop))
        value = _VALUE.match(data, start, stop + 2)
        if value is None or not _is_whole(data, value.end(), stop):
            continue
        if _looks_random(value[0]) and _NAMED.search(data, max(0, start - _NAME_BYTES), start):
            yield value.span()


def find_private_keys(data: bytes, places: Iterable[Span]) -> Iterator[Span]:
    """Private keys in armour, with their frame; without an end, as far as base64 goes."""
    for start, _ in places:
        begin = _ARMOUR.match(data, start)
        if begin is None:
            continue
        end = _ARMOUR_END.search(data, begin.end(), begin.end() + _MAX_ARMOUR_BYTES)
        body = _ARMOUR_BODY.match(data, begin.end())
        yield start, end.end() if end else (body or begin).end()


def bits_per_char(value: bytes) -> float:
    """Shannon entropy of the characters of `value`, which is not empty."""
    total = len(value)
    return -sum(n / total * math.log2(n / total) for n in Counter(value).values())


def _is_whole(data: bytes, end: int, stop: int) -> bool:
    """Whether the value goes to the end of its candidate, and is followed by an end."""
    return end >= stop and (end == len(data) or data[end] in _VALUE_ENDS)


def _looks_random(value: bytes) -> bool:
    core = value.rstrip(b"=")
    if sum(map(core.count, b"0123456789")) < _MIN_VALUE_DIGITS:
        return False
    if all(_WORD.fullmatch(part) for part in _BETWEEN_WORDS.split(core)):
        return False
    return bits_per_char(core) >= (_MIN_HEX_BITS if _HEX.fullmatch(core) else _MIN_BITS)
