"""Cross-entropy straight from hidden states: logits exist for a chunk of tokens at a time.

Shapes: N tokens, C of them in a chunk, D model width, V vocabulary. Gradients are found beside the
loss, while a chunk's logits are at hand; so nothing is computed twice, and memory is that of two
gradients and one chunk (the idea of Liger Kernel, Hsu et al. 2024, arXiv 2410.10989).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributed.tensor import DTensor

from bessemer.core.labels import IGNORED
from bessemer.model.parts import part_of_this_rank
from bessemer.model.products import multiply

# Fewer tokens read the vocabulary's matrix too often. On a CPU more are not faster (docs/log.md); a
# GPU is not filled by so few.
_CHUNK_TOKENS, _CHUNK_TOKENS_GPU = 256, 2048
# Rows of the vocabulary whose gradient of one chunk exists at a time: on a CPU they stay in its
# cache; on a GPU the product with 2,048 tokens is worth a kernel.
_CHUNK_ROWS, _CHUNK_ROWS_GPU = 512, 8192


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """The rows of the vocabulary that this rank has, where the ranks of a group share them out."""

    begin: int
    num_rows: int  # of the whole vocabulary
    group: dist.ProcessGroup


@dataclass(frozen=True, kw_only=True, slots=True)
class _Terms:
    z_loss: float
    label_smoothing: float
    softcap: float | None
    part: _Part | None
    is_repeatable: bool
    is_cpu: bool


def linear_cross_entropy(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    labels_N: Tensor,
    *,
    z_loss: float = 0.0,
    label_smoothing: float = 0.0,
    softcap: float | None = None,
    is_repeatable: bool = False,
    device_type: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The sum of all losses, a scalar to differentiate once unless it `is_repeatable`, and each
    token's plain cross-entropy [N] in nats, detached. Both are float32 (float64 if `hidden_ND` is),
    and 0 where a label is IGNORED.

    Logits are `hidden_ND @ weight_VD.T`, capped to `softcap * tanh(logits / softcap)` (Gemma 2,
    arXiv 2408.00118, section 2). The loss mixes the label with a uniform distribution by
    `label_smoothing` (Szegedy et al. 2016, arXiv 1512.00567, section 7) and adds
    `z_loss * log(Z)^2`, Z the softmax's denominator (PaLM, arXiv 2204.02311, section 5).

    Products take the dtype of autocast, else that of `hidden_ND`; sums are float32. On a CPU
    products are float32 too: few have units for less, and the others are far slower without.
    `device_type` is that of the device whose way this is to be computed in, if the tensors only
    stand for those of another one.

    Where ranks share out the rows of `weight_VD` (DTensor), each computes the logits of its own,
    and the gradient of `hidden_ND` is what these add to it; losses are the same on all. Then it is
    a collective.
    """
    part = None
    if isinstance(weight_VD, DTensor):
        assert weight_VD.device_mesh.mesh_dim_names == ("tp",), "weights must be gathered"
        rows, _ = part_of_this_rank(weight_VD)
        group = weight_VD.device_mesh.get_group()
        part = _Part(begin=rows.start, num_rows=weight_VD.shape[0], group=group)
        weight_VD = weight_VD.to_local()
    terms = _Terms(
        z_loss=z_loss,
        label_smoothing=label_smoothing,
        softcap=softcap,
        part=part,
        is_repeatable=is_repeatable,
        is_cpu=(device_type or hidden_ND.device.type) == "cpu",
    )
    total, nats_N = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden_ND, weight_VD, labels_N, terms, torch.is_grad_enabled()
    )
    return total, nats_N


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        labels_N: Tensor,
        terms: _Terms,
        is_recording: bool,
    ) -> tuple[Tensor, Tensor]:
        needs_hidden, needs_weight = (is_recording and need for need in ctx.needs_input_grad[:2])
        low = _product_dtype(hidden_ND, terms)
        high = torch.promote_types(low, torch.float32)
        chunk_tokens = _CHUNK_TOKENS if terms.is_cpu else _CHUNK_TOKENS_GPU
        chunk_rows = _CHUNK_ROWS if terms.is_cpu else _CHUNK_ROWS_GPU
        num_tokens = len(labels_N)
        nats_N = hidden_ND.new_empty(num_tokens, dtype=high)
        total = nats_N.new_zeros(())
        d_hidden_ND = torch.empty_like(hidden_ND) if needs_hidden else None
        d_weight_VD = torch.zeros_like(weight_VD, dtype=high) if needs_weight else None
        weight_VD = weight_VD.to(low)
        with torch.autocast(hidden_ND.device.type, enabled=False):
            for begin in range(0, max(1, num_tokens), chunk_tokens):
                here = slice(begin, begin + chunk_tokens)
                hidden_CD, labels_C = hidden_ND[here].to(low), labels_N[here]
                logits_CV = _product(hidden_CD, weight_VD.T, high)
                loss, nats_N[here] = _replace_by_gradient(logits_CV, labels_C, terms)
                total += loss
                d_logits_CV = logits_CV.to(low)
                if d_hidden_ND is not None:
                    d_hidden_ND[here] = multiply(d_logits_CV, weight_VD)
                if d_weight_VD is not None:
                    _add_product(d_weight_VD, d_logits_CV, hidden_CD, chunk_rows)
                del logits_CV, d_logits_CV  # before those of the next chunk are made
        # Not save_for_backward: these must be free to be handed over without a copy.
        ctx.gradients, ctx.is_repeatable = (d_hidden_ND, d_weight_VD), terms.is_repeatable
        ctx.mark_non_differentiable(nats_N)
        return total, nats_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_total: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.is_repeatable:
            d_both = (each if each is None else each * d_total for each in ctx.gradients)
            return *d_both, None, None, None
        if ctx.gradients is None:
            raise RuntimeError("linear_cross_entropy gives its gradients once; compute it anew")
        (d_hidden_ND, d_weight_VD), ctx.gradients = ctx.gradients, None
        if d_hidden_ND is not None:
            d_hidden_ND.mul_(d_total)
        if d_weight_VD is not None:
            d_weight_VD.mul_(d_total)
        return d_hidden_ND, d_weight_VD, None, None, None


def _product_dtype(hidden_ND: Tensor, terms: _Terms) -> torch.dtype:
    device = hidden_ND.device.type
    is_cast = torch.is_autocast_enabled(device) and hidden_ND.dtype != torch.float64
    dtype = torch.get_autocast_dtype(device) if is_cast else hidden_ND.dtype
    return torch.promote_types(dtype, torch.float32) if terms.is_cpu else dtype


def _product(left: Tensor, right: Tensor, dtype: torch.dtype) -> Tensor:
    """`left @ right` in `dtype`, which may be float32 for operands of less."""
    if left.dtype == dtype:
        return multiply(left, right)
    return torch.mm(left, right, out_dtype=dtype)


def _add_product(out_VD: Tensor, d_logits_CV: Tensor, hidden_CD: Tensor, rows: int) -> None:
    """Add `d_logits.T @ hidden`, in the dtype of the sum; so many rows at a time, so that this
    product does not exist whole either."""
    for begin in range(0, len(out_VD), rows):
        here = slice(begin, begin + rows)
        out_VD[here] += _product(d_logits_CV[:, here].T, hidden_CD, out_VD.dtype)


def _replace_by_gradient(
    logits_CV: Tensor, labels_C: Tensor, terms: _Terms
) -> tuple[Tensor, Tensor]:
    """The sum of losses and the cross-entropy of each token [C]; `logits_CV`, before the cap,
    becomes the gradient of that sum by itself."""
    part = terms.part
    num_rows = logits_CV.shape[1] if part is None else part.num_rows
    valid_C1 = (labels_C != IGNORED).to(logits_CV.dtype)[:, None]  # 1 or 0
    labels_C1, here_C1 = labels_C[:, None].clamp(min=0), valid_C1
    if part is not None:
        labels_C1 = labels_C1 - part.begin
        is_here_C1 = (labels_C1 >= 0) & (labels_C1 < logits_CV.shape[1])
        labels_C1, here_C1 = labels_C1.where(is_here_C1, 0), valid_C1 * is_here_C1
    kept = 1 - terms.label_smoothing
    slope_CV = mean_C1 = None
    if terms.softcap is not None:
        logits_CV.div_(terms.softcap).tanh_()
        slope_CV = 1 - logits_CV.square()
        logits_CV.mul_(terms.softcap)
    if terms.label_smoothing:
        mean_C1 = _add_up(logits_CV.sum(dim=1, keepdim=True), part) / num_rows
    label_logit_C1 = _add_up(logits_CV.gather(1, labels_C1) * here_C1, part)
    log_z_C1 = _become_probabilities(logits_CV, part)
    nats_C1 = (log_z_C1 - label_logit_C1) * valid_C1
    loss_C1 = nats_C1 + terms.z_loss * log_z_C1.square() * valid_C1
    d_logits_CV = logits_CV.mul_((1 + 2 * terms.z_loss * log_z_C1) * valid_C1)
    d_logits_CV.scatter_add_(1, labels_C1, -kept * here_C1)
    if mean_C1 is not None:
        loss_C1 += terms.label_smoothing * (label_logit_C1 - mean_C1) * valid_C1
        d_logits_CV.sub_(terms.label_smoothing / num_rows * valid_C1)
    if slope_CV is not None:
        d_logits_CV.mul_(slope_CV)
    return loss_C1.sum(), nats_C1[:, 0]


def _become_probabilities(logits_CV: Tensor, part: _Part | None) -> Tensor:
    """Softmax in place; returns the logarithm of its denominator [C, 1]."""
    top_C1 = logits_CV.amax(dim=1, keepdim=True)
    if part is not None:
        dist.all_reduce(top_C1, dist.ReduceOp.MAX, group=part.group)
        sum_C1 = _add_up(logits_CV.sub_(top_C1).exp_().sum(dim=1, keepdim=True), part)
        logits_CV.div_(sum_C1)
        return top_C1 + sum_C1.log()
    # In place, which the kernels allow: an element is written after its row was read. The largest
    # probability, at least 1 / V, gives the denominator back without another pass of exponentials.
    torch.softmax(logits_CV, dim=1, out=logits_CV)
    return top_C1 - logits_CV.amax(dim=1, keepdim=True).log()


def _add_up(values_C1: Tensor, part: _Part | None) -> Tensor:
    """Over all parts of the vocabulary."""
    if part is not None:
        dist.all_reduce(values_C1, group=part.group)
    return values_C1
