"""The way through one source: every chunk once per epoch, in a new order each time.

A position counts the tokens gone through since the run began, over all its phases. Chunks have one
length for the whole run, that of its longest sequences; shorter sequences take consecutive parts
of a chunk, so that epochs stay whole when the sequence length changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bessemer.core.keyed import Key, derive_key
from bessemer.tokens.permutation import Permutation

_PERMUTATIONS_HELD = 64
_TURNS_AT_ONCE = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a position is."""

    epoch: int
    chunk: int
    offset: int  # tokens into the chunk


class Walk:
    """The order in which the chunks of one source are visited."""

    def __init__(self, num_chunks: int, chunk_tokens: int, seed: int, source: str) -> None:
        self.num_chunks, self.chunk_tokens = num_chunks, chunk_tokens
        self._key: Key = derive_key(seed, "order", source)
        self._permutation = lru_cache(maxsize=_PERMUTATIONS_HELD)(self._make_permutation)

    @property
    def epoch_tokens(self) -> int:
        """Tokens gone through in an epoch."""
        return self.num_chunks * self.chunk_tokens

    def place_of(self, position: int) -> Place:
        """Where a position is."""
        epoch, within = divmod(position, self.epoch_tokens)
        turn, offset = divmod(within, self.chunk_tokens)
        return Place(epoch=epoch, chunk=self._permutation(epoch).image(turn), offset=offset)

    def begin_of(self, epoch: int, chunk: int) -> int:
        """The position at which a chunk begins in an epoch."""
        turn = self._permutation(epoch).index(chunk)
        return epoch * self.epoch_tokens + turn * self.chunk_tokens

    def visits(self, chunk: int, until: int) -> Iterator[int]:
        """The positions at which a chunk begins, all those before `until`."""
        for epoch in range(-(-until // self.epoch_tokens)):
            begin = self.begin_of(epoch, chunk)
            if begin < until:
                yield begin

    def visited_tail(self, tail_tokens: int, until: int) -> int:
        """How many of the last `tail_tokens` of the last chunk are gone through before `until`."""
        whole = until // self.epoch_tokens
        begin = self.begin_of(whole, self.num_chunks - 1) + self.chunk_tokens - tail_tokens
        return whole * tail_tokens + int(np.clip(until - begin, 0, tail_tokens))

    def chunks_between(self, begin: int, end: int) -> Iterator[np.ndarray]:
        """The chunks (int64) of the turns from position `begin` to `end`, epoch by epoch.

        Both positions are multiples of the chunk's length.
        """
        turn, last = begin // self.chunk_tokens, end // self.chunk_tokens
        while turn < last:
            epoch, within = divmod(turn, self.num_chunks)
            stop = min(last - turn + within, self.num_chunks, within + _TURNS_AT_ONCE)
            yield self._permutation(epoch).images(np.arange(within, stop))
            turn += stop - within

    def _make_permutation(self, epoch: int) -> Permutation:
        return Permutation(self.num_chunks, derive_key(self._key, epoch))
