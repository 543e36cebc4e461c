"""Equal keys find their first position, and no step of the hash forgets anything."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bessemer.text.hashing import extend, finish, first_equal, num_slots

from . import twins
from .texts import SETTINGS

UINT64 = st.integers(0, 2**64 - 1)


def firsts(keys: list[int], positions: list[int], scratch: int = 64) -> list[int]:
    out = np.full(len(keys), -7, np.int32)
    slots = np.full(num_slots(scratch), 5, np.int32)  # what a longer document left behind
    first_equal(
        np.array(keys, np.uint64), np.array(positions, np.int32), len(positions), slots, out
    )
    return out.tolist()


def test_first_positions_by_hand() -> None:
    assert firsts([9, 4, 9, 0, 4, 9], [0, 1, 2, 3, 4, 5]) == [0, 1, 0, 3, 1, 0]
    assert firsts([9, 4, 9, 0, 4, 9], [1, 2, 5]) == [-7, 1, 2, -7, -7, 2]
    assert firsts([], []) == []


def test_keys_that_share_every_low_bit() -> None:
    keys = [i << 40 for i in range(30)]
    assert firsts(keys + keys, list(range(60))) == [*range(30), *range(30)]


@SETTINGS
@given(st.lists(st.integers(0, 30), max_size=40))
def test_first_positions_like_a_list(keys: list[int]) -> None:
    assert firsts(keys, list(range(len(keys)))) == [keys.index(key) for key in keys]


def test_half_of_the_slots_stay_free() -> None:
    assert [num_slots(n) for n in (0, 1, 8, 9, 16, 17)] == [16, 16, 16, 32, 32, 64]


@SETTINGS
@given(st.lists(UINT64, max_size=5))
def test_hash_like_big_integers(values: list[int]) -> None:
    state = np.uint64(0x243F6A8885A308D3)
    for value in values:
        state = np.uint64(extend(state, np.uint64(value)))
    assert int(finish(state)) == twins.running_hash(values)


@SETTINGS
@given(UINT64, UINT64)
def test_steps_can_be_undone(state: int, value: int) -> None:
    inverse = pow(0x9E3779B97F4A7C15, -1, 2**64)
    extended = int(extend(np.uint64(state), np.uint64(value)))
    assert (extended * inverse & twins.MASK) ^ value == state
    inverses = [pow(factor, -1, 2**64) for factor in (0xC4CEB9FE1A85EC53, 0xFF51AFD7ED558CCD)]
    finished = int(finish(np.uint64(state)))
    for factor in inverses:
        finished = (finished ^ finished >> 33) * factor & twins.MASK
    assert finished ^ finished >> 33 == state
