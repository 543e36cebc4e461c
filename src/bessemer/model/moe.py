"""Mixture of experts: each token passes the experts that its router chooses, none is dropped.

Shapes: B sequences, T tokens, N = B * T, D model width, E experts, S chosen by each token, M =
N * S, L layers with experts. Tokens are sorted by expert, so that an expert's tokens are one matrix
product (Gale et al. 2022, MegaBlocks, arXiv 2211.15841).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from bessemer.config.model import ExpertsConfig
from bessemer.model.dispatch import order_by_expert, permute
from bessemer.model.experts import Experts
from bessemer.model.feed_forward import FeedForward
from bessemer.model.parts import as_plain, held_by_this_rank, part_of_this_rank, shared_as


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
            logits_NE = functional.linear(x_ND.float(), as_plain(self.weight).float())
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


class MixtureOfExperts(nn.Module):
    """The chosen experts' outputs, weighted, and that of the shared experts if there are any."""

    def __init__(self, config: ExpertsConfig, hidden_dim: int) -> None:
        super().__init__()
        self.gate = Router(config, hidden_dim)
        self.experts = Experts(config, hidden_dim)
        if config.num_shared:
            self.shared_experts = FeedForward(hidden_dim, config.num_shared * config.ffn_dim)

    def forward(self, x_BTD: Tensor, real_BT: Tensor | None) -> tuple[Tensor, LayerRouting]:
        """`real_BT` is false for padding, which is computed but not counted. Where ranks share
        tokens out (DTensor), each routes those that it holds."""
        here_BTD = held_by_this_rank(x_BTD)
        x_ND = here_BTD.flatten(0, 1)
        real_N = None
        if real_BT is not None:
            real_N = real_BT[:, part_of_this_rank(x_BTD)[1]].flatten()
        weights_NS, ids_NS, routing = self.gate(x_ND, real_N)
        num_chosen, ids_M = ids_NS.shape[1], ids_NS.flatten()
        order_M, place_M = order_by_expert(ids_M)
        counts_E = _sum_by_expert(torch.ones_like(ids_M), ids_M, self.gate.config.num_experts)
        sorted_MD = permute(x_ND.repeat_interleave(num_chosen, dim=0), order_M, place_M)
        y_MD = permute(self.experts(sorted_MD, counts_E), place_M, order_M)
        y_NSD = y_MD.view(len(x_ND), num_chosen, -1) * weights_NS[..., None]
        y_BTD = shared_as(y_NSD.sum(dim=1).to(x_BTD.dtype).view_as(here_BTD), x_BTD)
        if hasattr(self, "shared_experts"):
            y_BTD = y_BTD + self.shared_experts(x_BTD)
        return y_BTD, routing


def _sum_by_expert(values: Tensor, ids: Tensor, num_experts: int) -> Tensor:
    """[E]: unlike bincount, whose shape depends on data, it needs no answer from a GPU."""
    sums_E = values.new_zeros(num_experts)
    return sums_E.scatter_add_(0, ids.flatten(), values.flatten())
