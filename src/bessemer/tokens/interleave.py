"""Which source each sample is of, so that every beginning of a run has the mixture of the whole.

The chairman assignment (Tijdeman 1980, "The chairman assignment problem", Discrete Mathematics 32):
source s has a share of n_s N-ths; after m samples it has had x_s(m), and for every m and s

    |x_s(m) - m n_s / N| <= 1 - 1 / (2S - 2),

S being the number of sources that have a share; no other order keeps a smaller bound for all
shares. How long a run is has no part in it: runs of different lengths begin alike.

Each turn of a source has a first and a last place that keep the bound; turns take their places by
the nearest last one, ties by the earlier source. Unit jobs on one machine: whoever goes by the
nearest deadline meets all of them if anybody can (Jackson 1955), and Tijdeman proves that one can.

Nothing is held per sample: turns before every block of 2^16 samples are in a table, and a block is
worked out when it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numba import njit

BLOCK_SAMPLES = 1 << 16
SHARE_UNITS = 1 << 48  # what shares are rounded to: a sample in 10^14, for up to 4,096 sources
_BLOCKS_HELD = 8  # less than a megabyte each


class Interleaving:
    """The order of sources in a run, or in one phase of it. Samples and turns count from 0."""

    def __init__(self, shares: Sequence[int], num_samples: int, turns: np.ndarray) -> None:
        """`shares` of the sources are out of their sum; `turns` is what `count_turns` made."""
        self.shares = tuple(shares)
        self.num_samples = num_samples
        self.planned: tuple[int, ...] = tuple(turns[-1].tolist())
        """Samples of each source."""
        self._turns_before = turns[:-1]
        self._block = lru_cache(maxsize=_BLOCKS_HELD)(self._expand)

    def turn_of(self, sample: int) -> tuple[int, int]:
        """(source, which of its turns it is) of a sample."""
        assert 0 <= sample < self.num_samples, (sample, self.num_samples)
        block, place = divmod(sample, BLOCK_SAMPLES)
        sources, turns = self._block(block)
        return int(sources[place]), int(turns[place])

    def sample_of(self, source: int, turn: int) -> int:
        """The sample that is turn number `turn` of a source."""
        assert 0 <= turn < self.planned[source], (turn, self.planned[source])
        before = self._turns_before[:, source]
        block = int(np.searchsorted(before, turn, side="right")) - 1
        sources, _ = self._block(block)
        place = np.flatnonzero(sources == source)[turn - before[block]]
        return block * BLOCK_SAMPLES + int(place)

    def _expand(self, block: int) -> tuple[np.ndarray, np.ndarray]:
        """(int16 source, int64 turn) of each sample of a block."""
        first = block * BLOCK_SAMPLES
        return _take_turns(
            self.shares,
            first,
            self._turns_before[block].tolist(),
            min(BLOCK_SAMPLES, self.num_samples - first),
        )


def count_turns(shares: Sequence[int], num_samples: int) -> np.ndarray:
    """int64 [blocks + 1, sources]: turns that each source has had before each block of samples,
    and at the end.

    Linear in the number of samples: about a minute for 2 billion.
    """
    rows = [[0] * len(shares)]
    for first in range(0, num_samples, BLOCK_SAMPLES):
        size = min(BLOCK_SAMPLES, num_samples - first)
        sources, _ = _take_turns(shares, first, rows[-1], size)
        had = np.bincount(sources, minlength=len(shares)).tolist()
        rows.append([before + more for before, more in zip(rows[-1], had, strict=True)])
    return np.array(rows, np.int64)


def _take_turns(
    shares: Sequence[int], first: int, turns_before: Sequence[int], num_samples: int
) -> tuple[np.ndarray, np.ndarray]:
    total = sum(shares)
    # The greatest number in the kernel is below 4 S N.
    assert 4 * len(shares) * total < 1 << 62, (len(shares), total)
    debts = [first * n - x * total for n, x in zip(shares, turns_before, strict=True)]
    sources, turns = np.empty(num_samples, np.int16), np.empty(num_samples, np.int64)
    _assign(
        np.array(shares, np.int64),
        np.array(debts, np.int64),
        np.array(turns_before, np.int64),
        sources,
        turns,
    )
    return sources, turns


@njit(cache=True, nogil=True)
def _assign(
    shares: np.ndarray,
    debts: np.ndarray,
    turns_before: np.ndarray,
    out_sources: np.ndarray,
    out_turns: np.ndarray,
) -> None:
    """Give each place to a source. Its debt, in N-ths of a sample, is m n_s - x_s(m) N.

    Debts stay within -N..N. A turn may be taken from the place on where that leaves a debt of at
    least (1 / c - 1) N, and must be taken before waiting makes it exceed (1 - 1 / c) N, where
    c = 2S - 2; both come from one division each, so every number stays below 2 c N.
    """
    total, num_active = np.int64(0), 0
    for n in shares:
        total += n
        num_active += n > 0
    c = max(1, 2 * num_active - 2)
    counts = turns_before.copy()
    debts = debts.copy()
    since = np.zeros(len(shares), np.int64)  # place up to which the debt is reckoned
    begins, ends = np.empty(len(shares), np.int64), np.empty(len(shares), np.int64)
    for s in range(len(shares)):
        if shares[s]:
            begins[s] = -((c * debts[s] - total) // (c * shares[s]))
            ends[s] = (total * (c - 1) - c * debts[s]) // (c * shares[s]) + 1
    for place in range(1, len(out_sources) + 1):
        chosen = -1
        for s in range(len(shares)):
            if shares[s] and begins[s] <= place and (chosen < 0 or ends[s] < ends[chosen]):
                chosen = s
        out_sources[place - 1] = chosen
        out_turns[place - 1] = counts[chosen]
        counts[chosen] += 1
        n = shares[chosen]
        debts[chosen] += (place - since[chosen]) * n - total
        since[chosen] = place
        begins[chosen] = place - (c * debts[chosen] - total) // (c * n)
        ends[chosen] = place + (total * (c - 1) - c * debts[chosen]) // (c * n) + 1
