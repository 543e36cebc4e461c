"""Dropout as a pure function of (seed, sample, place in the decoder, token, element).

Shapes: B sequences, T tokens, D model width. The same sample loses the same elements on any rank,
in a microbatch of any size, and when a layer is computed again for its backward pass; no state of
a generator has to be saved. Arithmetic is modulo 2^64.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bessemer.core.keyed import derive_key
from bessemer.model.parts import held_by_this_rank, part_of_this_rank

# Odd multipliers: 2^64 over the golden ratio, and those of SplitMix64's finalizer (Steele, Lea and
# Flood 2014), as signed numbers.
_GOLDEN = 0x9E3779B97F4A7C15 - 2**64
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64


def dropout_keys(seed: int, samples_B: Tensor) -> Tensor:
    """int64 [B]: what dropout is keyed by, from the seed of a run and the numbers of samples."""
    key = derive_key(seed, "dropout") - 2**63
    return _mix(samples_B * _GOLDEN + key)


def drop(
    x_BTD: Tensor,
    rate: float,
    keys_B: Tensor | None,
    place: int,
    places_T: Tensor | None = None,
) -> Tensor:
    """`x_BTD` with a share `rate` of its elements zero and the others scaled up to make up for it
    (Srivastava et al. 2014), at one `place` of a decoder; unchanged without keys. Where ranks share
    tokens out (DTensor), those that this rank holds. `places_T` says where tokens stand in their
    sequences, if they are not all of them."""
    _, tokens, _ = part_of_this_rank(x_BTD)
    x_BTD = held_by_this_rank(x_BTD)
    if keys_B is None or rate == 0:
        return x_BTD
    if places_T is None:
        places_T = torch.arange(tokens.stop, device=keys_B.device)
    tokens_T = places_T[tokens]
    here_B = _mix(_mix(keys_B) + place)
    rows_BT = _mix(here_B[:, None] + tokens_T * _GOLDEN)
    channels_D = torch.arange(x_BTD.shape[2], device=keys_B.device)
    hashes_BTD = rows_BT[..., None] + channels_D * _GOLDEN
    hashes_BTD = _fold(hashes_BTD, 30) * _FIRST
    is_dropped_BTD = hashes_BTD < round((rate - 0.5) * 2**64)  # the upper bits are the mixed ones
    return x_BTD.masked_fill(is_dropped_BTD, 0.0) * (1 / (1 - rate))


def _mix(x: Tensor) -> Tensor:
    x = _fold(x, 30) * _FIRST
    x = _fold(x, 27) * _SECOND
    return _fold(x, 31)


def _fold(x: Tensor, bits: int) -> Tensor:
    """x xor x shifted right, zeros moving in: of a signed number they must be made."""
    return x ^ ((x >> bits) & ((1 << (64 - bits)) - 1))
