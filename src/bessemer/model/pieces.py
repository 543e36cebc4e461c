"""Who sees whom in a batch.

Shapes: B sequences, T tokens, N = B * T tokens of the whole batch. A piece is a run of tokens of
one document in one sequence; a token sees itself and what came before it in its piece.

Where other processes compute other parts of the same sequences, pieces are those of whole
sequences, and an `Exchange` says which tokens are computed here and attends to the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

PADDING = -1  # the document of tokens that belong to none
_ALL = slice(None)


class Exchange(Protocol):
    """How this process attends to tokens of its sequences that others compute."""

    @property
    def num_parts(self) -> int:
        """Processes among which each sequence is shared out, evenly."""

    def places(self, length: int, device: torch.device) -> Tensor:
        """int64 [T]: where the tokens computed here stand in sequences of `length` tokens."""

    def attend(
        self, q_BTHK: Tensor, k_BTGK: Tensor, v_BTGK: Tensor, pieces: Pieces, window: int | None
    ) -> Tensor:
        """As the function `attend`, of the tokens computed here among all of their sequences."""


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """The pieces of a batch: found once, used by every layer."""

    positions_BT: Tensor  # int64: the place of each token in its piece
    starts_S: Tensor  # int32 [pieces + 1]: where pieces begin in the batch as one row of N; last, N
    lengths: tuple[int, ...]  # tokens of each piece
    is_whole: bool  # whether each sequence is one piece
    real_BT: Tensor | None  # bool: false for padding; None if there is none
    """Of tokens computed here alone; all else is of whole sequences."""
    exchange: Exchange | None = None  # None if all tokens are computed here
    places_T: Tensor | None = None  # as the exchange has them
    _made: dict[tuple[object, ...], Tensor] = field(default_factory=dict)

    def here(self, values_BT: Tensor) -> Tensor:
        """Of values for all tokens, those for tokens computed here."""
        return values_BT if self.places_T is None else values_BT[:, self.places_T]

    def mask(
        self,
        window: int | None,
        dtype: torch.dtype,
        queries: slice = _ALL,
        keys: slice = _ALL,
    ) -> Tensor:
        """[B, 1, Q, L], to be added to scores: 0 where a token among `queries` (third dim) sees one
        among `keys` (fourth dim), else -inf; B is 1 if sequences are whole. Made at the first use.
        """
        key = ("mask", window, dtype, queries.start, queries.stop, keys.start, keys.stop)
        if key not in self._made:
            positions_BT = self.positions_BT[:1] if self.is_whole else self.positions_BT
            self._made[key] = visibility_mask(positions_BT, window, dtype, queries, keys)
        return self._made[key]

    def band(self, window: int, dtype: torch.dtype) -> Tensor:
        """[W, 2 W]: the same for the second of two blocks as long as the window, which sees
        itself and the first. Made at the first use."""
        key = ("band", window, dtype)
        if key not in self._made:
            positions = torch.arange(2 * window, device=self.positions_BT.device)[None]
            self._made[key] = visibility_mask(positions, window, dtype)[0, 0, window:].clone()
        return self._made[key]


def find_pieces(documents_BT: Tensor, exchange: Exchange | None = None) -> Pieces:
    """The runs of equal numbers in each sequence, whatever the numbers are; -1 is padding. They are
    those of all tokens, with an `exchange` too."""
    batch, length = documents_BT.shape
    begins_BT = torch.ones_like(documents_BT, dtype=torch.bool)
    begins_BT[:, 1:] = documents_BT[:, 1:] != documents_BT[:, :-1]
    starts = begins_BT.flatten().nonzero().flatten()
    ends = torch.cat((starts, starts.new_tensor([batch * length])))
    places = torch.arange(batch * length, device=documents_BT.device)
    first = torch.repeat_interleave(starts, ends.diff(), output_size=batch * length)
    lengths = tuple(ends.diff().tolist())
    places_T = exchange.places(length, documents_BT.device) if exchange else None
    real_BT = documents_BT != PADDING
    return Pieces(
        positions_BT=(places - first).view(batch, length),
        starts_S=ends.int(),
        lengths=lengths,
        is_whole=len(lengths) == batch,
        real_BT=real_BT if places_T is None else real_BT[:, places_T],
        exchange=exchange,
        places_T=places_T,
    )


def whole_pieces(like_BT: Tensor, exchange: Exchange | None = None) -> Pieces:
    """Each sequence is one piece. `like_BT` has the shape of whole sequences."""
    (batch, length), device = like_BT.shape, like_BT.device
    return Pieces(
        positions_BT=torch.arange(length, device=device).expand(batch, length),
        starts_S=torch.arange(0, (batch + 1) * length, length, device=device, dtype=torch.int32),
        lengths=(length,) * batch,
        is_whole=True,
        real_BT=None,
        exchange=exchange,
        places_T=exchange.places(length, device) if exchange else None,
    )


def visibility_mask(
    positions_BT: Tensor,
    window: int | None,
    dtype: torch.dtype,
    queries: slice = _ALL,
    keys: slice = _ALL,
) -> Tensor:
    """[B, 1, Q, L]: 0 where a token among `queries` (third dim) sees one among `keys` (fourth dim),
    else -inf.

    A token at position p of its piece sees the last p + 1 tokens: no ids need be compared.
    """
    places_T = torch.arange(positions_BT.shape[1], device=positions_BT.device)
    back_QL = places_T[queries, None] - places_T[None, keys]
    reach_BQ1 = positions_BT[:, queries, None]
    if window is not None:
        reach_BQ1 = reach_BQ1.clamp(max=window - 1)
    blocked_BQL = (back_QL < 0) | (back_QL > reach_BQ1)
    mask_BQL = torch.zeros(blocked_BQL.shape, dtype=dtype, device=positions_BT.device)
    return mask_BQL.masked_fill_(blocked_BQL, float("-inf"))[:, None]


def borders_of_run(pieces: Pieces, begin: int, end: int) -> tuple[Tensor, Tensor]:
    """int32 [pieces + 1] each: where pieces begin among the tokens at places `begin` to `end` of
    all sequences as one row, and among those at places 0 to `end`. Where a piece has any of the
    former, its last token is the same in both."""
    length = pieces.positions_BT.shape[1]
    lengths_S = pieces.starts_S.diff()
    first_S = pieces.starts_S[:-1] % length
    last_S = (first_S + lengths_S).clamp(max=end)
    counts = (last_S - first_S.clamp(min=begin), last_S - first_S)
    queries_S, keys_S = (
        functional.pad(count_S.clamp(min=0).cumsum(0), (1, 0)).int() for count_S in counts
    )
    return queries_S, keys_S
