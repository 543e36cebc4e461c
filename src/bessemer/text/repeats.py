"""Finds the windows that stand at an earlier place already, among windows that have the same key.

Input: runs of windows (`text/window_keys.py`) with their symbols, in the order of the corpus.
Output: stretches of windows that are repeats, each with the run where its first window stands
first; and which of the runs are such a first place for another document.

Invariants: windows are equal if all their symbols are: a hash only tells where to look. Of equal
windows the first in the order given is no repeat, nor is one that overlaps that, so that of a
stretch of one character a window stays. What is found does not depend on `max_windows`.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from bessemer.text.buffers import Bools, Hashes, Offsets, grown, kernel, read_only
from bessemer.text.hashing import STEP, finish, num_slots
from bessemer.text.window_keys import Symbols, leading_factor, symbol_values, value_at

_FREE = -1


class Stretches(NamedTuple):
    """Windows in a row of one run that are repeats, a row each (int64), in no certain order."""

    run: Offsets
    first: Offsets  # window of the run
    end: Offsets  # the window behind the last
    source: Offsets  # the run in which the first window stands first


class _Table(NamedTuple):
    """Windows by their hash: open addressing with linear probing."""

    hashes: Hashes
    places: Offsets  # first symbol; _FREE if there is none
    runs: Offsets


def find_repeats(
    offsets: Offsets,
    symbols: Symbols,
    keys: Hashes,
    doc_ids: Offsets,
    first: Offsets,
    length: int,
    max_windows: int,
) -> tuple[Stretches, Bools]:
    """Return the repeats, and for each run whether a run of another document repeats a window of
    it that stands there first.

    Run `i` is of the document `doc_ids[i]`, from its symbol `first[i]` on, and has the symbols
    `offsets[i]` to `offsets[i + 1]`, at least `length`; all its windows have the key `keys[i]`.

    Windows of one key are looked up `max_windows` at a time: those whose hashes fall in one of as
    many classes as that takes, for each of which all runs of the key are gone through. Memory: at
    most 96 bytes for each of `max_windows`, or of the key with the most if those are fewer; and the
    output.
    """
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(keys)])
    found: tuple[Stretches, Bools] = _find(
        *(
            read_only(offsets),
            read_only(symbols),
            read_only(doc_ids),
            read_only(first),
            order,
            starts,
        ),
        *(symbol_values(), length, max_windows),
    )
    return found


@njit(cache=True, nogil=True)
def _find(
    offsets: Offsets,
    symbols: Symbols,
    doc_ids: Offsets,
    firsts: Offsets,
    order: Offsets,
    starts: Offsets,
    values: Hashes,
    length: int,
    max_windows: int,
) -> tuple[Stretches, Bools]:
    capacity = 16
    found = Stretches(
        np.empty(capacity, np.int64),
        np.empty(capacity, np.int64),
        np.empty(capacity, np.int64),
        np.empty(capacity, np.int64),
    )
    is_source = np.zeros(len(order), np.bool_)
    table = _empty_table(16)
    num_found = 0
    for group in range(len(starts)):
        stop = starts[group + 1] if group + 1 < len(starts) else len(order)
        runs = order[starts[group] : stop]
        num_windows = 0
        for run in runs:
            num_windows += offsets[run + 1] - offsets[run] - length + 1
        num_classes = -(-num_windows // max_windows)
        before = num_found
        number = 0
        while number < num_classes:
            slots = num_slots(-(-num_windows // num_classes))
            if slots > len(table.places):
                table = _empty_table(slots)
            table.places[:slots] = _FREE
            num_held = 0
            for run in runs:
                room = offsets[run + 1] - offsets[run] - length + 1
                if num_found + room > capacity:
                    capacity = max(2 * capacity, num_found + room)
                    found = Stretches(
                        grown(found.run, num_found, capacity),
                        grown(found.first, num_found, capacity),
                        grown(found.end, num_found, capacity),
                        grown(found.source, num_found, capacity),
                    )
                num_found, num_held = _look_up(
                    *(offsets, symbols, doc_ids, firsts, values, length, run, number, num_classes),
                    *(table, slots, num_held, found, num_found, is_source),
                )
                if num_held < 0:
                    break
            if num_held >= 0:
                number += 1
                continue
            # More in one class than the table holds: begin anew with more classes; with a table for
            # all if hashes do not part them, as it can be made of windows of 1024 symbols.
            num_classes = 2 * num_classes if 2 * num_classes <= num_windows else 1
            number, num_found = 0, before
    return (
        Stretches(
            found.run[:num_found].copy(),
            found.first[:num_found].copy(),
            found.end[:num_found].copy(),
            found.source[:num_found].copy(),
        ),
        is_source,
    )


@kernel
def _look_up(
    offsets: Offsets,
    symbols: Symbols,
    doc_ids: Offsets,
    firsts: Offsets,
    values: Hashes,
    length: int,
    run: int,
    number: int,
    num_classes: int,
    table: _Table,
    slots: int,
    num_held: int,
    found: Stretches,
    num_found: int,
    is_source: Bools,
) -> tuple[int, int]:
    """Look up the windows of a run that are of class `number`, and keep those that are new.

    Returns how many stretches and how many windows in the table there are now; -1 for the latter if
    it has no room.
    """
    mask = np.uint64(slots - 1)
    lost = leading_factor(length)
    begin, end = offsets[run], offsets[run + 1]
    state = np.uint64(0)
    for place in range(begin, begin + length - 1):
        state = state * STEP + value_at(symbols, place, values)
    last_place, last_equal = -2, -2  # of the last window that was met before, and where it was
    before = num_found
    for place in range(begin, end - length + 1):
        state = state * STEP + value_at(symbols, place + length - 1, values)
        if place > begin:
            state -= lost * value_at(symbols, place - 1, values)
        hashed = finish(state)
        if num_classes > 1 and np.int64(hashed >> np.uint64(33)) % num_classes != number:
            continue
        slot = hashed & mask
        equal = table.places[slot]
        while equal != _FREE:
            if table.hashes[slot] == hashed:
                # The window before was equal to the one before that: only one symbol is new.
                is_next = last_place == place - 1 and last_equal == equal - 1
                if _are_equal(symbols, place, equal, length, is_next):
                    break
            slot = (slot + np.uint64(1)) & mask
            equal = table.places[slot]
        if equal == _FREE:
            if 4 * num_held >= 3 * slots:
                return num_found, -1
            table.hashes[slot] = hashed
            table.places[slot] = place
            table.runs[slot] = run
            num_held += 1
            continue
        last_place, last_equal = place, equal
        source = table.runs[slot]
        if doc_ids[source] != doc_ids[run]:
            is_source[source] = True
        else:
            apart = (firsts[run] + place - begin) - (firsts[source] + equal - offsets[source])
            if apart < length:
                continue
        if num_found > before and found.end[num_found - 1] == place - begin:
            found.end[num_found - 1] += 1
        else:
            found.run[num_found] = run
            found.first[num_found] = place - begin
            found.end[num_found] = place - begin + 1
            found.source[num_found] = source
            num_found += 1
    return num_found, num_held


@kernel
def _are_equal(symbols: Symbols, left: int, right: int, length: int, is_next: bool) -> bool:
    """Whether two windows are equal; with `is_next` all symbols but the last are known to be."""
    for at in range(length - 1 if is_next else 0, length):
        if symbols[left + at] != symbols[right + at]:
            return False
    return True


@njit(cache=True, nogil=True)
def _empty_table(slots: int) -> _Table:
    return _Table(np.empty(slots, np.uint64), np.empty(slots, np.int64), np.empty(slots, np.int64))
