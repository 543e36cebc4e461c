"""What spaCy takes for a URL, and so for one word: [scheme://][user@]host[:port][/?# anything]."""

from __future__ import annotations

from bessemer.text.buffers import kernel
from bessemer.text.datatrove.decoded import Text, is_any
from bessemer.text.datatrove.tables import DIGIT, HOST, LOWER, WORD

_DOT, _HYPHEN = 0x2E, 0x2D
_MAX_LABEL_CHARS = 64
_MAX_DOMAIN_CHARS = 63


@kernel
def is_url(text: Text, first: int, last: int) -> bool:
    """Whether spaCy's pattern of URLs matches: [scheme://][user@]host[:port][/?# anything]."""
    codes = text.codes
    begin = first
    place = first
    while place < last and (is_any(text, place, WORD) or codes[place] in (0x2B, _HYPHEN, _DOT)):
        place += 1
    if (
        place - first >= 2
        and place + 2 < last
        and codes[place] == 0x3A
        and codes[place + 1] == 0x2F
        and codes[place + 2] == 0x2F
    ):
        begin = place + 3
    if _is_host(text, begin, last):
        return True
    for at in range(begin + 1, last):
        if codes[at] == 0x40 and _is_host(text, at + 1, last):
            return True
    return begin != first and _is_host(text, first, last)


@kernel
def _is_host(text: Text, first: int, last: int) -> bool:
    """Whether a host, then perhaps a port and a path, fill `first` to `last`."""
    codes = text.codes
    stop = first
    while stop < last and (is_any(text, stop, HOST) or codes[stop] in (_DOT, _HYPHEN, 0x5F)):
        stop += 1
    place = stop
    if place < last and codes[place] == 0x3A:
        place += 1
        digits = place
        while place < last and is_any(text, place, DIGIT) and place - digits < 5:
            place += 1
        if place - digits < 2:
            return False
    if place < last and codes[place] not in (0x2F, 0x3F, 0x23):
        return False
    domain = stop
    while domain > first and codes[domain - 1] != _DOT:
        domain -= 1
    if domain == first or not 2 <= stop - domain <= _MAX_DOMAIN_CHARS:
        return bool(_is_address(text, first, stop))
    for i in range(domain, stop):
        if not is_any(text, i, LOWER):
            return bool(_is_address(text, first, stop))
    label = first
    for i in range(first, domain):
        if codes[i] == _DOT:
            if not 1 <= i - label <= _MAX_LABEL_CHARS:
                return False
            if not (is_any(text, label, HOST) and is_any(text, i - 1, HOST)):
                return False
            label = i + 1
    return True


@kernel
def _is_address(text: Text, first: int, stop: int) -> bool:
    """Whether an IPv4 address that is not private fills the place, as spaCy's pattern has it."""
    number = digits = num_parts = first_number = 0
    for i in range(first, stop + 1):
        if i < stop and is_any(text, i, DIGIT):
            if digits == 3:
                return False
            number = 10 * number + int(text.codes[i]) - 0x30
            digits += 1
            continue
        if digits == 0 or (i < stop and text.codes[i] != _DOT) or number > 255:
            return False
        num_parts += 1
        if num_parts == 1:
            first_number = number
            if not 1 <= number <= 223 or number in (10, 127):
                return False
        elif (
            num_parts == 2
            and (
                (first_number == 169 and number == 254)
                or (first_number == 192 and number == 168)
                or (first_number == 172 and 16 <= number <= 31)
            )
        ) or (num_parts == 4 and not 1 <= number <= 254):
            return False
        number = digits = 0
    return num_parts == 4
