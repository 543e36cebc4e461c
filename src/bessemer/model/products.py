"""Matrix products, by the faster of the two libraries for them that torch has on a CPU.

torch multiplies float32 by MKL, which leaves the widest vectors of AMD's processors unused. oneDNN
uses them; torch has it for compiled inference, as an operator that serves just as well here.
Measured in docs/log.md. On other processors, and for other numbers, it is torch's own product.

Shapes: N tokens, D inputs, P outputs.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bessemer.core.hardware import processor

_ZEN_5 = 26  # AMD's first family whose units are as wide as the vectors, 512 bits
_ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None)  # None in a torch without it
_ATEN = torch.ops.aten
OPERATORS = {
    *(_ATEN.mm.default, _ATEN.bmm.default, _ATEN.addmm.default),
    *(_ATEN._grouped_mm.default, _ATEN._scaled_mm.default),  # of experts, of float8
    *([] if _ONEDNN is None else [_ONEDNN.default]),
}
"""Of torch, those that a layer's matrix products come down to."""


def multiply(left: Tensor, right: Tensor) -> Tensor:
    """`left @ right` of two matrices, not to be differentiated."""
    if left.dtype == torch.float32 and left.device.type == "cpu" and _is_for_onednn(left):
        return multiply_by_onednn(left, right)
    return left @ right


def multiply_by_onednn(left: Tensor, right: Tensor) -> Tensor:
    """`left @ right` of two float32 matrices on a CPU, whoever made it. `right` is read as it
    lies; `left` is copied if it does not lie row by row."""
    assert _ONEDNN is not None
    product: Tensor = _ONEDNN(left, right.T, None, "none", [], "")  # x and W give x W^T
    return product


def project(x_ND: Tensor, weight_PD: Tensor) -> Tensor:
    """`x @ weight.T`, [N, P], to be differentiated once."""
    projected: Tensor = _Project.apply(x_ND, weight_PD)  # type: ignore[no-untyped-call]
    return projected


class _Project(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_ND: Tensor, weight_PD: Tensor) -> Tensor:
        ctx.save_for_backward(x_ND, weight_PD)
        return multiply(x_ND, weight_PD.T)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out_NP: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x_ND, weight_PD = ctx.saved_tensors
        needs_x, needs_weight = ctx.needs_input_grad
        return (
            multiply(d_out_NP, weight_PD) if needs_x else None,
            multiply(d_out_NP.T, x_ND) if needs_weight else None,
        )


def _is_for_onednn(left: Tensor) -> bool:
    """Where a vector takes two turns of a narrower unit, the gain is less than a copy takes."""
    family = _amd_family_with_wide_vectors()
    return family >= _ZEN_5 or (family > 0 and left.is_contiguous())


@cache
def _amd_family_with_wide_vectors() -> int:
    """Which family of AMD's the processor is, if it has AVX-512 and torch has oneDNN; else 0."""
    maker, family = processor()
    is_wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return family if _ONEDNN is not None and is_wide and maker == "AuthenticAMD" else 0
