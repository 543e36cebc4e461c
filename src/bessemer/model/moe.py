"""Mixture of experts: each token passes the experts that its router chooses, none is dropped.

Shapes: B sequences, T tokens, N = B * T, D model width, F width of an expert, E experts, S chosen
by each token, M = N * S, L layers with experts. Tokens are sorted by expert, so that an expert's
tokens are one matrix product (Gale et al. 2022, MegaBlocks, arXiv 2211.15841).

Experts are kept as three stacks [E, F, D] and [E, D, F]: few large parameters that an optimizer
for matrices takes as a batch, and that a later layout can share out by the first dim. On disk
each expert has its own matrices, as in the published models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from bessemer.config.model import ExpertsConfig
from bessemer.model.feed_forward import FeedForward


class LayerRouting(NamedTuple):
    """How one layer's tokens went to experts; padding is not counted."""

    z_loss: Tensor  # scalar: sum over tokens of logsumexp(router logits)^2
    balance_loss: Tensor  # scalar: sum over tokens of their probabilities times the experts' load
    expert_tokens_E: Tensor  # int64: tokens that each expert took


@dataclass(frozen=True, kw_only=True, slots=True)
class Routing:
    """How the tokens of a batch went to experts. Results of the forward pass, not counters kept
    in the layers: a layer that is computed again for its backward pass counts once."""

    z_loss: Tensor  # as in LayerRouting (ST-MoE, arXiv 2202.08906, equation 5), over all layers
    balance_loss: Tensor  # one per token if balanced (Switch, arXiv 2101.03961, equation 4)
    expert_tokens_LE: Tensor


def join_routing(layers: Sequence[LayerRouting]) -> Routing | None:
    """That of all layers with experts; None if there is none."""
    if not layers:
        return None
    return Routing(
        z_loss=torch.stack([layer.z_loss for layer in layers]).sum(),
        balance_loss=torch.stack([layer.balance_loss for layer in layers]).sum(),
        expert_tokens_LE=torch.stack([layer.expert_tokens_E for layer in layers]),
    )


@torch.no_grad()
def update_balance(decoder: nn.Module, expert_tokens_LE: Tensor, rate: float) -> None:
    """Once per optimizer step, with the counts of the whole global batch (all microbatches and
    ranks): lead the next tokens to experts that had few.

    Sigmoid routers: the selection bias of an expert with less than the mean rises by `rate`, that
    of one with more falls (arXiv 2408.15664, algorithm 1). Softmax routers: the load of this step
    becomes the weight in the balance loss of the next; a load that is the same for all microbatches
    keeps the loss independent of how the batch is cut (arXiv 2501.11873 on why it must be global).
    """
    for router, tokens_E in zip(_routers(decoder), expert_tokens_LE, strict=True):
        load_E = tokens_E / tokens_E.double().mean().clamp(min=1)
        if router.config.scoring == "sigmoid":
            router.e_score_correction_bias += rate * (1 - load_E).sign()
        else:
            router.load.copy_(load_E)


def reset_balance(decoder: nn.Module) -> None:
    """As if all experts were balanced."""
    for router in _routers(decoder):
        if router.config.scoring == "sigmoid":
            router.e_score_correction_bias.zero_()
        else:
            router.load.fill_(1.0)


def _routers(decoder: nn.Module) -> list[Router]:
    return [module for module in decoder.modules() if isinstance(module, Router)]


class Router(nn.Module):
    """Which experts a token passes, and how much each counts. Computed in float32."""

    def __init__(self, config: ExpertsConfig, hidden_dim: int) -> None:
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.empty(config.num_experts, hidden_dim))
        if config.scoring == "sigmoid":
            self.e_score_correction_bias: Tensor
            self.register_buffer("e_score_correction_bias", torch.zeros(config.num_experts))
        else:
            self.load: Tensor
            self.register_buffer("load", torch.ones(config.num_experts))

    def forward(self, x_ND: Tensor, real_N: Tensor | None) -> tuple[Tensor, Tensor, LayerRouting]:
        """Weights [N, S] and ids [N, S] of the chosen experts; `real_N` is false for padding."""
        config = self.config
        with torch.autocast(x_ND.device.type, enabled=False):
            logits_NE = functional.linear(x_ND.float(), self.weight.float())
        if config.scoring == "sigmoid":
            scores_NE = logits_NE.sigmoid()
            # The bias decides who is chosen, not how much it counts: no gradient passes here.
            choice_NE = scores_NE.detach() + self.e_score_correction_bias
            balance_N = logits_NE.new_zeros(len(logits_NE))
        else:
            scores_NE = choice_NE = logits_NE.softmax(dim=-1)
            balance_N = scores_NE @ self.load
        ids_NS = choice_NE.topk(config.experts_per_token, dim=-1, sorted=False).indices
        weights_NS = scores_NE.gather(1, ids_NS)
        if config.normalize:
            weights_NS = weights_NS / (weights_NS.sum(dim=-1, keepdim=True) + 1e-20)
        z_N = logits_NE.logsumexp(dim=-1).square()
        counted_NS = torch.ones_like(ids_NS)
        if real_N is not None:
            z_N, balance_N = z_N * real_N, balance_N * real_N
            counted_NS = real_N[:, None].expand_as(ids_NS).long()
        routing = LayerRouting(
            z_loss=z_N.sum(),
            balance_loss=balance_N.sum(),
            expert_tokens_E=_sum_by_expert(counted_NS, ids_NS, config.num_experts),
        )
        return weights_NS * config.scale, ids_NS, routing


class Experts(nn.Module):
    """SwiGLU feed-forward layers, stacked."""

    def __init__(self, config: ExpertsConfig, hidden_dim: int) -> None:
        super().__init__()
        narrow = config.num_experts, config.ffn_dim, hidden_dim
        self.gate_proj = nn.Parameter(torch.empty(narrow))
        self.up_proj = nn.Parameter(torch.empty(narrow))
        self.down_proj = nn.Parameter(torch.empty(narrow[0], narrow[2], narrow[1]))

    def forward(self, x_MD: Tensor, counts_E: Tensor) -> Tensor:
        """Rows are sorted by expert; `counts_E` rows belong to each."""
        if x_MD.device.type == "cuda" and torch.is_autocast_enabled("cuda"):
            return self._grouped(x_MD.to(torch.get_autocast_dtype("cuda")), counts_E)
        y_MD: Tensor = self._one_by_one(x_MD, counts_E.tolist())
        return y_MD

    @torch.compiler.disable  # or every batch, divided otherwise, would be compiled anew
    def _one_by_one(self, x_MD: Tensor, counts: list[int]) -> Tensor:
        # Unbound once: selecting one by one would give each a gradient as large as the stack.
        stacks = (stack.unbind() for stack in (self.gate_proj, self.up_proj, self.down_proj))
        parts = zip(x_MD.split_with_sizes(counts), *stacks, strict=True)
        return torch.cat([_swiglu(x, gate, up, down) for x, gate, up, down in parts])

    def _grouped(self, x_MD: Tensor, counts_E: Tensor) -> Tensor:
        """All experts in one kernel: half precision on a GPU. The counts stay on it."""
        ends_E = counts_E.cumsum(0).int()

        def multiply(x: Tensor, stack: Tensor) -> Tensor:
            return functional.grouped_mm(x, stack.to(x.dtype).transpose(1, 2), offs=ends_E)

        gated_MF = functional.silu(multiply(x_MD, self.gate_proj))
        return multiply(gated_MF * multiply(x_MD, self.up_proj), self.down_proj)


def _swiglu(x_CD: Tensor, gate_FD: Tensor, up_FD: Tensor, down_DF: Tensor) -> Tensor:
    inner_CF = functional.silu(functional.linear(x_CD, gate_FD)) * functional.linear(x_CD, up_FD)
    return functional.linear(inner_CF, down_DF)


class MixtureOfExperts(nn.Module):
    """The chosen experts' outputs, weighted, and that of the shared experts if there are any."""

    def __init__(self, config: ExpertsConfig, hidden_dim: int) -> None:
        super().__init__()
        self.gate = Router(config, hidden_dim)
        self.experts = Experts(config, hidden_dim)
        if config.num_shared:
            self.shared_experts = FeedForward(hidden_dim, config.num_shared * config.ffn_dim)

    def forward(self, x_BTD: Tensor, real_BT: Tensor | None) -> tuple[Tensor, LayerRouting]:
        """`real_BT` is false for padding, which is computed but not counted."""
        x_ND = x_BTD.flatten(0, 1)
        real_N = None if real_BT is None else real_BT.flatten()
        weights_NS, ids_NS, routing = self.gate(x_ND, real_N)
        num_chosen, ids_M = ids_NS.shape[1], ids_NS.flatten()
        order_M = ids_M.argsort(stable=True)
        place_M = torch.empty_like(order_M)
        place_M[order_M] = torch.arange(len(order_M), device=order_M.device)
        counts_E = _sum_by_expert(torch.ones_like(ids_M), ids_M, self.gate.config.num_experts)
        sorted_MD = _permute(x_ND.repeat_interleave(num_chosen, dim=0), order_M, place_M)
        y_MD = _permute(self.experts(sorted_MD, counts_E), place_M, order_M)
        y_NSD = y_MD.view(len(x_ND), num_chosen, -1) * weights_NS[..., None]
        y_BTD = y_NSD.sum(dim=1).to(x_BTD.dtype).view_as(x_BTD)
        if hasattr(self, "shared_experts"):
            y_BTD = y_BTD + self.shared_experts(x_BTD)
        return y_BTD, routing


def _sum_by_expert(values: Tensor, ids: Tensor, num_experts: int) -> Tensor:
    """[E]: unlike bincount, whose shape depends on data, it needs no answer from a GPU."""
    sums_E = values.new_zeros(num_experts)
    return sums_E.scatter_add_(0, ids.flatten(), values.flatten())


def _permute(x_MD: Tensor, order_M: Tensor, place_M: Tensor) -> Tensor:
    """x[order]; `place_M` is the inverse of `order_M`."""
    permuted: Tensor = _Permute.apply(x_MD, order_M, place_M)  # type: ignore[no-untyped-call]
    return permuted


class _Permute(torch.autograd.Function):
    """Its backward pass gathers too: PyTorch's would add row by row, slowly, and on a GPU in no
    fixed order."""

    @staticmethod
    def forward(ctx: Any, x_MD: Tensor, order_M: Tensor, place_M: Tensor) -> Tensor:
        ctx.save_for_backward(place_M)
        return x_MD.index_select(0, order_M)

    @staticmethod
    def backward(ctx: Any, gradient_MD: Tensor) -> tuple[Tensor, None, None]:
        (place_M,) = ctx.saved_tensors
        return gradient_MD.index_select(0, place_M), None, None
