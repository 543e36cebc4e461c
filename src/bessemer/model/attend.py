"""Attention itself: the functions that compute it, on any device.

Shapes: B sequences, T tokens, N = B * T tokens of the whole batch, H query heads, G key-value
heads, K head width, L tokens of one piece. Who sees whom: see `model/pieces.py`; with a window, a
token sees at most `window` tokens, itself among them.

Paths, all exact: on a CPU each piece is attended alone, so that nothing is computed for pairs that
do not see each other; if the pieces are so short that the calls would cost more than that, a mask.
On a GPU in half precision, PyTorch's variable-length kernel if it takes the head width; else the
mask.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from bessemer.model.pieces import Pieces, borders_of_run

# What the call for one piece costs, forward and backward, in products of a query's and a key's
# element that a mask would do in that time (docs/log.md).
_CALL_PRODUCTS = 400_000
_HALF = (torch.float16, torch.bfloat16)
_WIDEST_FLASH = 256  # head width, of multiples of 8 (Dao 2023, the README of flash-attention)


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
    if _is_for_flash(q_BTHK):
        borders_S, longest = pieces.starts_S, max(pieces.lengths)
        return _attend_varlen(q_BTHK, k_BTGK, v_BTGK, (borders_S, borders_S), longest, window)
    return _sdpa(q_BTHK, k_BTGK, v_BTGK, pieces.mask(window, q_BTHK.dtype))


def attend_run(
    q_BQHK: Tensor,
    k_BTGK: Tensor,
    v_BTGK: Tensor,
    pieces: Pieces,
    begin: int,
    window: int | None = None,
) -> Tensor:
    """[B, Q, H, K]: what `attend` gives for the Q tokens from place `begin` of each sequence on.
    Nothing is computed for keys after them, and on a CPU for those before all that they see."""
    end = begin + q_BQHK.shape[1]
    if q_BQHK.device.type != "cpu" and _is_for_flash(q_BQHK):
        k_BEGK, v_BEGK = k_BTGK[:, :end], v_BTGK[:, :end]
        longest = min(end, max(pieces.lengths))
        borders = borders_of_run(pieces, begin, end)
        return _attend_varlen(q_BQHK, k_BEGK, v_BEGK, borders, longest, window)
    first = 0 if pieces.is_whole else begin - int(pieces.positions_BT[:, begin].max())
    if window is not None:
        first = max(first, begin - window + 1)
    queries, keys = slice(begin, end), slice(first, end)
    mask = pieces.mask(window, q_BQHK.dtype, queries, keys)
    return _sdpa(q_BQHK, k_BTGK[:, keys], v_BTGK[:, keys], mask)


def _is_for_flash(q_BTHK: Tensor) -> bool:
    """Whether flash attention on a GPU takes such numbers and heads of such a width."""
    width = q_BTHK.shape[-1]
    return q_BTHK.dtype in _HALF and width % 8 == 0 and width <= _WIDEST_FLASH


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
    q_BQHK: Tensor,
    k_BTGK: Tensor,
    v_BTGK: Tensor,
    borders: tuple[Tensor, Tensor],
    longest: int,
    window: int | None,
) -> Tensor:
    """PyTorch's variable-length flash attention: CUDA, half precision. `borders` say where pieces
    begin among queries and among keys; the last query of a piece sees its last key."""
    from torch.nn.attention.varlen import varlen_attn  # it imports CUDA-only parts

    q, k, v = (x.flatten(0, 1) for x in (q_BQHK, k_BTGK, v_BTGK))
    y_NHK = varlen_attn(
        q,
        k,
        v,
        *borders,
        longest,
        longest,
        window_size=(-1 if window is None else window - 1, 0),  # tokens before this one
        enable_gqa=q.shape[1] != k.shape[1],
    )
    assert isinstance(y_NHK, Tensor), type(y_NHK)
    return y_NHK.view_as(q_BQHK)


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
