"""Attention itself: who sees whom in a batch, and the one function that computes it.

Shapes: B sequences, T tokens, N = B * T tokens of the whole batch, H query heads, G key-value
heads, K head width, L tokens of one piece. A piece is a run of tokens of one document in one
sequence; a token sees itself and what came before it in its piece, at most `window` tokens in all.

Paths, all exact: on a CPU each piece is attended alone, so that nothing is computed for pairs that
do not see each other; if the pieces are so short that the calls would cost more than that, a mask.
On a GPU in half precision, PyTorch's variable-length kernel; else the mask.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

PADDING = -1  # the document of tokens that belong to none
# What the call for one piece costs, forward and backward, in products of a query's and a key's
# element that a mask would do in that time (docs/log.md).
_CALL_PRODUCTS = 400_000


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """The pieces of a batch: found once, used by every layer."""

    positions_BT: Tensor  # int64: the place of each token in its piece
    starts_S: Tensor  # int32 [pieces + 1]: where pieces begin in the batch as one row of N; last, N
    lengths: tuple[int, ...]  # tokens of each piece
    is_whole: bool  # whether each sequence is one piece
    real_BT: Tensor | None  # bool: false for padding; None if there is none
    _made: dict[tuple[str, int | None, torch.dtype], Tensor] = field(default_factory=dict)

    def mask(self, window: int | None, dtype: torch.dtype) -> Tensor:
        """[B, 1, T, T], to be added to scores: 0 where a token (third dim) sees another (fourth
        dim), else -inf. Made at the first use."""
        key = ("mask", window, dtype)
        if key not in self._made:
            self._made[key] = visibility_mask(self.positions_BT, window, dtype)
        return self._made[key]

    def band(self, window: int, dtype: torch.dtype) -> Tensor:
        """[W, 2 W]: the same for the second of two blocks as long as the window, which sees
        itself and the first. Made at the first use."""
        key = ("band", window, dtype)
        if key not in self._made:
            positions = torch.arange(2 * window, device=self.positions_BT.device)[None]
            self._made[key] = visibility_mask(positions, window, dtype)[0, 0, window:].clone()
        return self._made[key]


def find_pieces(documents_BT: Tensor) -> Pieces:
    """The runs of equal numbers in each sequence, whatever the numbers are; -1 is padding."""
    batch, length = documents_BT.shape
    begins_BT = torch.ones_like(documents_BT, dtype=torch.bool)
    begins_BT[:, 1:] = documents_BT[:, 1:] != documents_BT[:, :-1]
    starts = begins_BT.flatten().nonzero().flatten()
    ends = torch.cat((starts, starts.new_tensor([batch * length])))
    places = torch.arange(batch * length, device=documents_BT.device)
    first = torch.repeat_interleave(starts, ends.diff(), output_size=batch * length)
    lengths = tuple(ends.diff().tolist())
    return Pieces(
        positions_BT=(places - first).view(batch, length),
        starts_S=ends.int(),
        lengths=lengths,
        is_whole=len(lengths) == batch,
        real_BT=documents_BT != PADDING,
    )


def whole_pieces(inputs: Tensor) -> Pieces:
    """Each sequence is one piece. `inputs` are [B, T] or [B, T, D]."""
    (batch, length), device = inputs.shape[:2], inputs.device
    return Pieces(
        positions_BT=torch.arange(length, device=device).expand(batch, length),
        starts_S=torch.arange(0, (batch + 1) * length, length, device=device, dtype=torch.int32),
        lengths=(length,) * batch,
        is_whole=True,
        real_BT=None,
    )


def visibility_mask(positions_BT: Tensor, window: int | None, dtype: torch.dtype) -> Tensor:
    """[B, 1, T, T]: 0 where a token (third dim) sees another (fourth dim), else -inf.

    A token at position p of its piece sees the last p + 1 tokens: no ids need be compared.
    """
    length = positions_BT.shape[1]
    places_T = torch.arange(length, device=positions_BT.device)
    back_TT = places_T[:, None] - places_T[None, :]
    reach_BT1 = positions_BT[:, :, None]
    if window is not None:
        reach_BT1 = reach_BT1.clamp(max=window - 1)
    blocked_BTT = (back_TT < 0) | (back_TT > reach_BT1)
    mask_BTT = torch.zeros(blocked_BTT.shape, dtype=dtype, device=positions_BT.device)
    return mask_BTT.masked_fill_(blocked_BTT, float("-inf"))[:, None]


def attend(
    q_BTHK: Tensor, k_BTGK: Tensor, v_BTGK: Tensor, pieces: Pieces, window: int | None = None
) -> Tensor:
    """Softmax attention [B, T, H, K] within pieces; scores are scaled by 1 / sqrt(K)."""
    if window is not None and window >= q_BTHK.shape[1]:
        window = None
    if q_BTHK.device.type == "cpu":
        if pieces.is_whole:
            return _attend_piece(q_BTHK, k_BTGK, v_BTGK, pieces, window)
        y_BTHK: Tensor = _attend_packed(q_BTHK, k_BTGK, v_BTGK, pieces, window)
        return y_BTHK
    if q_BTHK.dtype in (torch.float16, torch.bfloat16):
        return _attend_varlen(q_BTHK, k_BTGK, v_BTGK, pieces, window)
    return _sdpa(q_BTHK, k_BTGK, v_BTGK, pieces.mask(window, q_BTHK.dtype))


def attend_past(q_B1HK: Tensor, k_BTGK: Tensor, v_BTGK: Tensor) -> Tensor:
    """[B, 1, H, K]: one token each that sees all keys given."""
    return _sdpa(q_B1HK, k_BTGK, v_BTGK, None)


@torch.compiler.disable  # or every batch, cut otherwise, would be compiled anew
def _attend_packed(
    q_BTHK: Tensor, k_BTGK: Tensor, v_BTGK: Tensor, pieces: Pieces, window: int | None
) -> Tensor:
    """Piece by piece, or under a mask if that is cheaper."""
    batch, length, num_heads, head_dim = q_BTHK.shape
    sizes = list(pieces.lengths)
    spared_pairs = batch * length**2 - sum(size**2 for size in sizes)
    if spared_pairs * num_heads * head_dim < len(sizes) * _CALL_PRODUCTS:
        return _sdpa(q_BTHK, k_BTGK, v_BTGK, pieces.mask(window, q_BTHK.dtype))
    parts = [x.flatten(0, 1)[None].split_with_sizes(sizes, 1) for x in (q_BTHK, k_BTGK, v_BTGK)]
    each = [_attend_piece(q, k, v, pieces, window) for q, k, v in zip(*parts, strict=True)]
    return torch.cat(each, dim=1).view_as(q_BTHK)


def _attend_piece(
    q_BLHK: Tensor, k_BLGK: Tensor, v_BLGK: Tensor, pieces: Pieces, window: int | None
) -> Tensor:
    """Each row is one piece. A window is cut into blocks of its own length: a block of queries
    sees its own block of keys and the one before, and nothing else is computed."""
    length = q_BLHK.shape[1]
    if window is None or window >= length:
        return _sdpa(q_BLHK, k_BLGK, v_BLGK, None, is_causal=True)
    band = pieces.band(window, q_BLHK.dtype)
    blocks = [
        _sdpa(q_BLHK[:, :window], k_BLGK[:, :window], v_BLGK[:, :window], None, is_causal=True)
    ]
    for begin in range(window, length, window):
        q, seen = q_BLHK[:, begin : begin + window], slice(begin - window, begin + window)
        k, v = k_BLGK[:, seen], v_BLGK[:, seen]
        blocks.append(_sdpa(q, k, v, band[: q.shape[1], : k.shape[1]]))
    return torch.cat(blocks, dim=1)


def _attend_varlen(
    q_BTHK: Tensor, k_BTGK: Tensor, v_BTGK: Tensor, pieces: Pieces, window: int | None
) -> Tensor:
    """PyTorch's variable-length flash attention: CUDA, half precision."""
    from torch.nn.attention.varlen import varlen_attn  # it imports CUDA-only parts

    q, k, v = (x.flatten(0, 1) for x in (q_BTHK, k_BTGK, v_BTGK))
    longest = max(pieces.lengths)
    y_NHK = varlen_attn(
        q,
        k,
        v,
        pieces.starts_S,
        pieces.starts_S,
        longest,
        longest,
        window_size=(-1 if window is None else window - 1, 0),  # tokens before this one
        enable_gqa=q.shape[1] != k.shape[1],
    )
    assert isinstance(y_NHK, Tensor), type(y_NHK)
    return y_NHK.view_as(q_BTHK)


def _sdpa(
    q_BLHK: Tensor, k_BLGK: Tensor, v_BLGK: Tensor, mask: Tensor | None, *, is_causal: bool = False
) -> Tensor:
    y_BHLK = functional.scaled_dot_product_attention(
        q_BLHK.transpose(1, 2),
        k_BLGK.transpose(1, 2),
        v_BLGK.transpose(1, 2),
        attn_mask=mask,
        is_causal=is_causal,
        enable_gqa=q_BLHK.shape[2] != k_BLGK.shape[2],
    )
    return y_BHLK.transpose(1, 2)
