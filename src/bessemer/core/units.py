"""Numbers with units, as people write them in a run file, and back again for people to read.

Token counts take decimal suffixes (k, M, B, T); sizes take B, kB, MB, GB, TB (powers of 1000)
and KiB, MiB, GiB, TiB (powers of 1024). All are exact.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

TOKEN_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}
BYTE_UNITS = {
    "b": 1,
    **{f"{prefix}b": 1000**power for power, prefix in enumerate("kmgtp", start=1)},
    **{f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgtp", start=1)},
}
_QUANTITY = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?)\s*([a-z]*)", re.IGNORECASE)


def parse_tokens(value: object) -> int:
    """Tokens from an integer or from text such as "500k" or "1.2B"; ValueError says the rule."""
    return _parse_count(value, TOKEN_UNITS, 'a number of tokens, e.g. 4096, "500k", "1.2B"')


def parse_bytes(value: object) -> int:
    """Bytes from an integer or from text such as "64MB" or "1GiB"; ValueError says the rule."""
    return _parse_count(value, BYTE_UNITS, 'a size in bytes, e.g. 65536, "64MB", "1GiB"')


def _parse_count(value: object, units: dict[str, int], rule: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    amount, unit = _split(value, rule)
    if unit not in units:
        raise ValueError(f"unit {unit!r} is unknown; expected {rule}")
    count = amount * units[unit]
    if count.denominator != 1:
        raise ValueError(f"{value!r} is not a whole number; expected {rule}")
    return int(count)


def _split(value: object, rule: str) -> tuple[Fraction, str]:
    match = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"expected {rule}")
    return Fraction(match[1].replace("_", "")), match[2].lower()


def format_bytes(count: float) -> str:
    """`count` bytes for people, in powers of 1000: 8.1 MB."""
    return _scaled(count, ("B", "kB", "MB", "GB", "TB", "PB"), gap=" ")


def format_count(count: float) -> str:
    """A count for people, in powers of 1000: 1.25M."""
    return _scaled(count, ("", "k", "M", "B", "T", "Q"), gap="")


def format_flops(count: float) -> str:
    """Floating-point operations for people: 75.2 GFLOP."""
    return _scaled(count, ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP"), gap=" ")


def format_seconds(seconds: float) -> str:
    """A duration for people: 0.42 s, 38 s, 4 m 10 s, 3 h 5 m, 2 d 4 h."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} m"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def format_counted(count: int, noun: str) -> str:
    """A number and its noun, which takes an s: 1 document, 2,000 documents."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def format_list(words: Sequence[str]) -> str:
    """Words, one at least, as people list them: a, b and c."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def _scaled(count: float, suffixes: tuple[str, ...], gap: str) -> str:
    power = 0
    scaled = float(count)
    while abs(scaled) >= 999.5 and power < len(suffixes) - 1:
        scaled /= 1000
        power += 1
    is_whole = scaled == int(scaled) or abs(scaled) >= 999.5  # .3g would write the latter as 1e+03
    digits = f"{scaled:.0f}" if is_whole else f"{scaled:.3g}"
    return f"{digits}{gap}{suffixes[power]}".rstrip()
