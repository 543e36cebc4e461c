"""What spaCy's tokenizer looks up by the hash of its characters: exceptions, and units.

An exception (don't, p.m., :-)) has tokens of its own, whatever the other rules say; its slot is its
row in `Tables.pieces`. Units (km, GB) are suffixes behind a digit.
"""

from __future__ import annotations

import numpy as np

from bessemer.text.buffers import Hashes, inline_kernel, kernel
from bessemer.text.datatrove.decoded import Text, hash_between
from bessemer.text.datatrove.tables import FILTER_BITS, MAX_EXCEPTION_CHARS, Tables

_FILTER_SHIFT = np.uint64(64 - FILTER_BITS)


@inline_kernel
def find_exception(text: Text, first: int, last: int, tables: Tables) -> int:
    """The slot of the exception that these characters spell, or -1."""
    if last <= first or last - first > MAX_EXCEPTION_CHARS:
        return -1
    key = hash_between(text, first, last, tables.powers)
    if not tables.may_be_exception[key >> _FILTER_SHIFT]:
        return -1
    return int(_look_up(key, tables.exceptions))


@kernel
def find_affixed(text: Text, first: int, last: int, tables: Tables) -> int:
    """The slot of the exception with affixes that these characters spell, or -1."""
    size = last - first
    sizes = np.int64(tables.affixed_sizes[min(text.codes[first], 127)])
    if not (1 < size <= MAX_EXCEPTION_CHARS and sizes >> size & 1):
        return -1
    exception = int(find_exception(text, first, last, tables))
    return exception if exception >= 0 and tables.is_affixed[exception] else -1


@kernel
def is_unit(text: Text, first: int, last: int, tables: Tables) -> bool:
    """Whether these characters spell a unit."""
    return bool(_look_up(hash_between(text, first, last, tables.powers), tables.units) >= 0)


@kernel
def _look_up(key: np.uint64, slots: Hashes) -> int:
    """The slot of a key in a table of open addressing, or -1."""
    mask = np.uint64(len(slots) - 1)
    slot = key & mask
    while slots[slot] != 0:
        if slots[slot] == key:
            return int(slot)
        slot = (slot + np.uint64(1)) & mask
    return -1
