"""Lines and paragraphs that are never cut, though other documents have them, too.

Terms of licences are searched for by Arrow's RE2, to which letters beyond ASCII bound a word.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.config.repeats import LinesConfig
from bessemer.curate.licence_terms import CLAUSES, COPYRIGHT, LICENCE
from bessemer.text.buffers import Bools
from bessemer.text.line_units import HEADING, JOINED, Units

_LICENCE = f"{LICENCE}|{CLAUSES}"


def protected_units(texts: pa.Array, units: Units, config: LinesConfig) -> Bools:
    """Whether each of the `units` of `texts` is protected by the settings.

    What a sentence may join to another paragraph is protected always.
    """
    found: Bools = units.traits & JOINED != 0
    if "headings" in config.protect:
        found |= units.traits & HEADING != 0
    if "licences" in config.protect:
        for row, states in zip(*_licence_paragraphs(texts, units), strict=True):
            own = slice(units.offsets[row], units.offsets[row + 1])
            found[own] |= states[_paragraphs(units.starts[own], units.stops[own])]
    return found


def _licence_paragraphs(texts: pa.Array, units: Units) -> tuple[list[int], list[Bools]]:
    """Which texts speak of licences, and of each which paragraphs state one, or are a copyright
    notice right before or behind one that does."""
    rows = np.flatnonzero(_speaks(texts, _LICENCE)).tolist()
    told: list[str] = []
    ends = []
    for row in rows:
        own = slice(units.offsets[row], units.offsets[row + 1])
        starts, stops = units.starts[own], units.stops[own]
        first = np.searchsorted(_paragraphs(starts, stops), np.arange(len(starts)))
        begins = starts[first[first < len(starts)]].tolist()
        text = texts[row].as_py().encode()
        bounds = zip(begins, [*begins[1:], stops[-1]], strict=True)
        told += (text[begin:end].decode() for begin, end in bounds)
        ends.append(len(told))
    paragraphs = pa.array(told, pa.large_string())
    states, owns = _speaks(paragraphs, _LICENCE), _speaks(paragraphs, COPYRIGHT)
    found = []
    for begin, end in zip([0, *ends], ends, strict=False):
        here = states[begin:end]
        around = here.copy()
        around[1:] |= here[:-1]
        around[:-1] |= here[1:]
        found.append(here | (around & owns[begin:end]))
    return rows, found


def _speaks(texts: pa.Array, pattern: str) -> Bools:
    found: Bools = pc.match_substring_regex(texts, pattern, ignore_case=True).to_numpy(
        zero_copy_only=False
    )
    return found


def _paragraphs(starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """The number of the paragraph that each unit of a text is in (int64)."""
    is_apart = np.zeros(len(starts), np.int64)
    is_apart[1:] = starts[1:] > stops[:-1]
    return np.cumsum(is_apart)
