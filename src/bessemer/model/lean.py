"""Norm with projections, and SwiGLU, that keep less for the backward pass than their parts would.

Shapes: B sequences, T tokens, N = B * T, D model width, F width of a feed-forward layer, P that of
one projection. A projection keeps its input, to find the gradient of its weight. Here that input is
made again from what is kept anyway, at the cost of a few passes over it and no matrix product.

On a CPU in one precision. Elsewhere, and for projections that are more than a matrix (float8,
shared out among ranks), the parts themselves are called: GPUs have fused norms, compilers fuse by
themselves.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.distributed.tensor import DTensor
from torch.nn import functional

from bessemer.model.parts import gathered
from bessemer.model.products import multiply, project


def project_normed(
    x_BTD: Tensor, norm: nn.RMSNorm | None, *projections: nn.Linear
) -> tuple[Tensor, ...]:
    """Each of `projections` of `norm(x_BTD)`, [B, T, P]; what is kept is x and a scale per token.
    Without a norm, of x itself."""
    if not _is_plain(x_BTD, *projections):
        normed_BTD = x_BTD if norm is None else norm(x_BTD)
        # Once for all projections, each of which autocast would give a copy of its own; ranks that
        # share out the sequence then gather, and keep, the narrow one.
        if torch.is_autocast_enabled(x_BTD.device.type):
            normed_BTD = normed_BTD.to(torch.get_autocast_dtype(x_BTD.device.type))
        normed_BTD = gathered(normed_BTD)
        return tuple(each(normed_BTD) for each in projections)
    x_ND, weights = x_BTD.flatten(0, 1), [each.weight for each in projections]
    if norm is None:
        projected = tuple(project(x_ND, weight) for weight in weights)
    else:
        projected = _ProjectNormed.apply(  # type: ignore[no-untyped-call]
            x_ND, norm.weight, norm.eps, *weights
        )
    return tuple(each.view(*x_BTD.shape[:2], -1) for each in projected)


def project_swiglu(gate_BTF: Tensor, up_BTF: Tensor, projection: nn.Linear) -> Tensor:
    """`projection` of `silu(gate) * up`, [B, T, D]; what is kept are these two."""
    if not _is_plain(gate_BTF, projection):
        plain: Tensor = projection(functional.silu(gate_BTF) * up_BTF)
        return plain
    projected: Tensor = _ProjectSwiglu.apply(  # type: ignore[no-untyped-call]
        gate_BTF.flatten(0, 1), up_BTF.flatten(0, 1), projection.weight
    )
    return projected.view(*gate_BTF.shape[:2], -1)


def _is_plain(x: Tensor, *projections: nn.Linear) -> bool:
    """Whether calling `projections` would do no more than multiply matrices here."""
    return (
        x.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and all(
            type(each) is nn.Linear and not isinstance(each.weight, DTensor) for each in projections
        )
    )


class _ProjectNormed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x_ND: Tensor, gain_D: Tensor, eps: float, *weights_PD: Tensor
    ) -> tuple[Tensor, ...]:
        norm_N1 = torch.linalg.vector_norm(x_ND, dim=1, keepdim=True)
        scale_N1 = norm_N1.square_().div_(x_ND.shape[1]).add_(eps).rsqrt_()
        normed_ND = (x_ND * scale_N1).mul_(gain_D)
        ctx.save_for_backward(x_ND, scale_N1, gain_D, *weights_PD)
        return tuple(multiply(normed_ND, weight_PD.T) for weight_PD in weights_PD)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *d_outs_NP: Tensor) -> tuple[Tensor | None, ...]:
        x_ND, scale_N1, gain_D, *weights_PD = ctx.saved_tensors
        unit_ND = x_ND * scale_N1
        normed_ND = unit_ND * gain_D
        d_weights_PD = [multiply(d_out_NP.T, normed_ND) for d_out_NP in d_outs_NP]
        del normed_ND
        d_normed_ND = multiply(d_outs_NP[0], weights_PD[0])
        for d_out_NP, weight_PD in zip(d_outs_NP[1:], weights_PD[1:], strict=True):
            d_normed_ND += multiply(d_out_NP, weight_PD)
        along_ND = d_normed_ND * unit_ND
        d_gain_D = along_ND.sum(dim=0)
        mean_N1 = (along_ND @ gain_D)[:, None] / x_ND.shape[1]
        d_x_ND = d_normed_ND.mul_(gain_D).addcmul_(unit_ND, mean_N1, value=-1).mul_(scale_N1)
        return d_x_ND, d_gain_D, None, *d_weights_PD


class _ProjectSwiglu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_NF: Tensor, up_NF: Tensor, weight_DF: Tensor) -> Tensor:
        ctx.save_for_backward(gate_NF, up_NF, weight_DF)
        return multiply(functional.silu(gate_NF).mul_(up_NF), weight_DF.T)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out_ND: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        gate_NF, up_NF, weight_DF = ctx.saved_tensors
        opened_NF = functional.silu(gate_NF)
        inner_NF = opened_NF * up_NF
        d_weight_DF = multiply(d_out_ND.T, inner_NF)
        del inner_NF
        d_inner_NF = multiply(d_out_ND, weight_DF)
        d_up_NF = opened_NF.mul_(d_inner_NF)
        d_gate_NF = torch.ops.aten.silu_backward(d_inner_NF.mul_(up_NF), gate_NF)
        return d_gate_NF, d_up_NF, d_weight_DF
