"""Lines and paragraphs that are never cut, though other documents have them, too."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.config.lines import LinesConfig
from bessemer.curate.licence_terms import CLAUSES, COPYRIGHT, LICENCE
from bessemer.text.buffers import Bools
from bessemer.text.line_units import HEADING, JOINED, Units

_LICENCE = re.compile(f"{LICENCE}|{CLAUSES}", re.I)
_COPYRIGHT = re.compile(COPYRIGHT, re.I)
# Where these stand is Python's to say: to Arrow's RE2, letters beyond ASCII bound a word.
_ANYWHERE = _LICENCE.pattern.replace(r"\b", "")


def protected_units(texts: pa.Array, units: Units, config: LinesConfig) -> Bools:
    """Whether each of the `units` of `texts` is protected by the settings.

    What a sentence may join to another paragraph is protected always.
    """
    found: Bools = units.traits & JOINED != 0
    if "headings" in config.protect:
        found |= units.traits & HEADING != 0
    if "licences" in config.protect:
        speaks = pc.match_substring_regex(texts, _ANYWHERE, ignore_case=True)
        for row in np.flatnonzero(speaks.to_numpy(zero_copy_only=False)).tolist():
            first, last = units.offsets[row], units.offsets[row + 1]
            starts, stops = units.starts[first:last], units.stops[first:last]
            found[first:last] |= _states_licence(texts[row].as_py().encode(), starts, stops)
    return found


def _states_licence(text: bytes, starts: np.ndarray, stops: np.ndarray) -> Bools:
    """Which units of a text are in a paragraph that states a licence, or in a copyright notice
    right before or behind one."""
    if not len(starts):
        return np.zeros(0, np.bool_)
    paragraph = np.cumsum(np.concatenate([[0], starts[1:] > stops[:-1]]))
    begins = starts[np.searchsorted(paragraph, np.arange(paragraph[-1] + 1))]
    ends = [*begins[1:].tolist(), int(stops[-1])]
    told = [text[a:b].decode() for a, b in zip(begins.tolist(), ends, strict=True)]
    states = [bool(_LICENCE.search(each)) for each in told]
    beside = [
        any(states[max(0, place - 1) : place + 2]) and _COPYRIGHT.search(each) is not None
        for place, each in enumerate(told)
    ]
    found: Bools = (np.array(states) | np.array(beside))[paragraph]
    return found
