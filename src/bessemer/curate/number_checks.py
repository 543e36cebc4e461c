"""Whether a number is what it looks like: check digits, issuers, countries, public addresses.

All take digits (and letters) without separators, as text in ASCII, and answer yes or no.
"""

from __future__ import annotations

import ipaddress

# First digits and lengths of card numbers by issuer; ranges of ISO/IEC 7812 as the issuers publish
# them and as https://en.wikipedia.org/wiki/Payment_card_number lists them (2025). Left out are Visa
# cards of 13 digits: none is issued any more, and an article number (EAN-13) is as long.
_ISSUERS: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    # first and last prefix of a range (of equal length), lengths
    (4, 4, (16, 19)),  # Visa
    (51, 55, (16,)),  # Mastercard
    (2221, 2720, (16,)),
    (34, 34, (15,)),  # American Express
    (37, 37, (15,)),
    (300, 305, (14,)),  # Diners Club
    (309, 309, (14,)),
    (36, 36, (14,)),
    (38, 39, (14,)),
    (6011, 6011, (16, 17, 18, 19)),  # Discover
    (644, 649, (16, 17, 18, 19)),
    (65, 65, (16, 17, 18, 19)),
    (62, 62, (16, 17, 18, 19)),  # UnionPay
    (3528, 3589, (16, 17, 18, 19)),  # JCB
    (1800, 1800, (15,)),  # JCB, before 2000
    (2131, 2131, (15,)),
    (5018, 5018, tuple(range(12, 20))),  # Maestro
    (5020, 5020, tuple(range(12, 20))),
    (5038, 5038, tuple(range(12, 20))),
    (5893, 5893, tuple(range(12, 20))),
    (6304, 6304, tuple(range(12, 20))),
    (6759, 6759, tuple(range(12, 20))),
    (6761, 6763, tuple(range(12, 20))),
)

# Length of an IBAN by country: SWIFT, IBAN Registry (ISO 13616), as of 2025.
IBAN_CHARS: dict[str, int] = {
    code: length
    for length, codes in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for code in codes.split()
}

# Addresses that are nobody's on the public internet: IANA, Special-Purpose Address Registries
# (RFC 6890), multicast (RFC 5771) and what is reserved (RFC 1112).
_NOT_PUBLIC_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
    )
)
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")  # global unicast, RFC 4291
_DOCUMENTATION_V6 = (  # RFC 3849, RFC 9637
    ipaddress.IPv6Network("2001:db8::/32"),
    ipaddress.IPv6Network("3fff::/20"),
)

# Numbers that stood on sample cards and in advertisements, and were withdrawn (SSA).
_WITHDRAWN_SSN = frozenset(["078051120", "219099999"])


def passes_luhn(digits: str) -> bool:
    """Luhn's check (ISO/IEC 7812-1, annex B): every second digit from the right is doubled."""
    total = sum(map(int, digits[::-2]))
    total += sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return total % 10 == 0


def is_card_number(digits: str) -> bool:
    """Whether an issuer has numbers of this beginning and length, and the check digit is right."""
    if len(set(digits)) < 2:
        return False
    return any(
        len(digits) in lengths and low <= int(digits[: len(str(low))]) <= high
        for low, high, lengths in _ISSUERS
    ) and passes_luhn(digits)


def is_iban(text: str) -> bool:
    """Whether the country has IBANs of this length and the remainder of ISO 7064 (mod 97) is 1."""
    if IBAN_CHARS.get(text[:2]) != len(text):
        return False
    number = "".join(str(int(char, 36)) for char in text[4:] + text[:4])
    return int(number) % 97 == 1


def is_public_ipv4(text: str) -> bool:
    """Whether a dotted address may be that of one machine on the public internet.

    Four numbers below 32 are taken for a version or a section: of public addresses, one in four
    thousand is such, and those that texts quote (1.1.1.1, 8.8.8.8) are services, no persons.
    """
    address = ipaddress.IPv4Address(text)
    if all(part < 32 for part in address.packed) or address.packed[1:] == b"\0\0\0":
        return False
    return not any(address in network for network in _NOT_PUBLIC_V4)


def is_public_ipv6(text: str) -> bool:
    """Whether a text is an address that the public internet routes; any other text is not."""
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return address in _PUBLIC_V6 and not any(address in net for net in _DOCUMENTATION_V6)


def is_ssn(digits: str) -> bool:
    """Whether nine digits may be a US social security number.

    No area 000, 666 or from 900 on, no group 00, no serial 0000: SSA, Social Security Number
    Randomization (2011), https://www.ssa.gov/employer/randomization.html.
    """
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    if area in ("000", "666") or area >= "900" or group == "00" or serial == "0000":
        return False
    return digits not in _WITHDRAWN_SSN
