"""Cross-entropy straight from hidden states: logits exist for a chunk of tokens at a time.

Shapes: N tokens, C of them in a chunk, D model width, V vocabulary. Gradients are found beside the
loss, while a chunk's logits are at hand; so nothing is computed twice, and memory is that of two
gradients and one chunk (the idea of Liger Kernel, Hsu et al. 2024, arXiv 2410.10989).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

IGNORED = -100  # the label of a token that nothing predicts; PyTorch's default
# Fewer tokens re-read the vocabulary's matrix too often; more push a chunk out of a CPU's cache.
_CHUNK_TOKENS = 256


def linear_cross_entropy(
    hidden_ND: Tensor, weight_VD: Tensor, labels_N: Tensor
) -> tuple[Tensor, Tensor]:
    """The sum of all losses (a scalar to differentiate) and each token's loss [N], detached.

    In float32 nats; 0 where the label is IGNORED. The logits are `hidden_ND @ weight_VD.T`.
    """
    total, nats_N = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden_ND, weight_VD, labels_N, torch.is_grad_enabled()
    )
    return total, nats_N


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, labels_N: Tensor, with_gradients: bool
    ) -> tuple[Tensor, Tensor]:
        nats_N = torch.empty(len(labels_N), dtype=torch.float32, device=hidden_ND.device)
        if with_gradients:
            d_hidden_ND = torch.empty_like(hidden_ND)
            d_weight_VD = torch.zeros_like(weight_VD)
        for begin in range(0, len(labels_N), _CHUNK_TOKENS):
            here = slice(begin, begin + _CHUNK_TOKENS)
            hidden_CD, labels_C1 = hidden_ND[here], labels_N[here, None]
            is_label_C1 = labels_C1 != IGNORED
            labels_C1 = labels_C1.clamp(min=0)
            logits_CV = (hidden_CD @ weight_VD.T).float()
            log_sum_C1 = logits_CV.logsumexp(dim=1, keepdim=True)
            nats_C1 = (log_sum_C1 - logits_CV.gather(1, labels_C1)) * is_label_C1
            nats_N[here] = nats_C1[:, 0]
            if with_gradients:  # softmax, less one at the label
                d_logits_CV = logits_CV.sub_(log_sum_C1).exp_().mul_(is_label_C1)
                d_logits_CV.scatter_add_(1, labels_C1, -is_label_C1.to(d_logits_CV.dtype))
                d_logits_CV = d_logits_CV.to(weight_VD.dtype)
                torch.mm(d_logits_CV, weight_VD, out=d_hidden_ND[here])
                d_weight_VD.addmm_(d_logits_CV.T, hidden_CD)
        if with_gradients:
            ctx.save_for_backward(d_hidden_ND, d_weight_VD)
        ctx.mark_non_differentiable(nats_N)
        return nats_N.sum(), nats_N

    @staticmethod
    def backward(ctx: Any, d_total: Tensor, _: Tensor) -> tuple[Tensor, Tensor, None, None]:
        d_hidden_ND, d_weight_VD = ctx.saved_tensors
        return d_hidden_ND * d_total, d_weight_VD * d_total, None, None
