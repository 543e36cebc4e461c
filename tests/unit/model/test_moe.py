"""Experts get the tokens that the router chose, all are counted once, and balance comes about."""

from __future__ import annotations

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from bessemer.config.model import ExpertsConfig
from bessemer.model.moe import MixtureOfExperts, Routing, update_balance
from bessemer.model.transformer import Decoder

from .decoders import make_decoder, random_ids

SHARED = ExpertsConfig(num_experts=5, experts_per_token=2, ffn_dim=12, scale=1.5)
SOFTMAX = ExpertsConfig(
    num_experts=5, experts_per_token=3, ffn_dim=12, num_shared=0, scoring="softmax", normalize=False
)
WIDTH = 8


def make_layer(config: ExpertsConfig) -> MixtureOfExperts:
    layer = MixtureOfExperts(config, WIDTH)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in (*layer.parameters(), *layer.buffers()):
            tensor.normal_(0, 0.5, generator=generator)
    return layer


def random_x(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(*shape, WIDTH, generator=generator, requires_grad=True)


def token_by_token(layer: MixtureOfExperts, x_TD: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
    """The layer's definition, one token and one expert at a time, in float64."""
    config, experts = layer.gate.config, layer.experts
    outputs, taken = [], [0] * config.num_experts
    for x in x_TD.double():
        logits = layer.gate.weight.double() @ x
        if config.scoring == "sigmoid":
            scores, bias = 1 / (1 + torch.exp(-logits)), layer.gate.e_score_correction_bias
            chosen = sorted(range(config.num_experts), key=lambda e: -(scores[e] + bias[e]).item())
        else:
            scores = torch.exp(logits) / torch.exp(logits).sum()
            chosen = sorted(range(config.num_experts), key=lambda e: -scores[e].item())
        chosen = chosen[: config.experts_per_token]
        whole = sum(scores[e] for e in chosen) if config.normalize else 1.0
        y = torch.zeros_like(x)
        stacks = [stack.double() for stack in experts.parameters()]
        for e in chosen:
            taken[e] += 1
            gate, up, down = (stack[e] for stack in stacks)
            inner = gate @ x / (1 + torch.exp(-(gate @ x))) * (up @ x)
            y = y + config.scale * scores[e] / whole * (down @ inner)
        if config.num_shared:
            gate, up, down = (p.double() for p in layer.shared_experts.parameters())
            y = y + down @ (gate @ x / (1 + torch.exp(-(gate @ x))) * (up @ x))
        outputs.append(y)
    return torch.stack(outputs), taken


@pytest.mark.parametrize("config", [SHARED, SOFTMAX], ids=["shared", "softmax"])
def test_a_layer_computes_what_its_definition_says(config: ExpertsConfig) -> None:
    layer, x = make_layer(config), random_x(2, 16)
    y, routing = layer(x, None)
    wanted, taken = token_by_token(layer, x.flatten(0, 1))
    torch.testing.assert_close(y.flatten(0, 1).double(), wanted, atol=1e-5, rtol=1e-5)
    assert routing.expert_tokens_E.tolist() == taken
    parameters = [x, *layer.parameters()]
    found = torch.autograd.grad(y.square().sum(), parameters)
    for ours, theirs in zip(
        found, torch.autograd.grad(wanted.square().sum(), parameters), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("config", [SHARED, SOFTMAX], ids=["shared", "softmax"])
def test_losses_of_the_router_follow_their_formulas(config: ExpertsConfig) -> None:
    layer, x = make_layer(config), random_x(1, 9)
    _, routing = layer(x, None)
    logits = x[0].double() @ layer.gate.weight.double().T
    z = torch.log(torch.exp(logits).sum(dim=1)).square().sum()
    torch.testing.assert_close(routing.z_loss, z.float())
    if config.scoring == "softmax":
        shares = torch.exp(logits) / torch.exp(logits).sum(dim=1, keepdim=True)
        balance = (shares * layer.gate.load).sum()
        torch.testing.assert_close(routing.balance_loss, balance.float())
        layer.gate.load.fill_(1.0)  # balanced: one per token
        assert layer(x, None)[1].balance_loss.item() == pytest.approx(9)
    else:
        assert routing.balance_loss.item() == 0


def test_the_balance_loss_is_that_of_the_switch_transformer() -> None:
    """E * sum of f_e P_e per token, with f the share of tokens in the step before."""
    model = make_decoder("qwen3_moe")
    ids = random_ids(2, 16)
    _, before = model.hidden_states(ids)
    assert isinstance(before, Routing)
    update_balance(model, before.expert_tokens_LE, rate=0.1)
    gates = [model.layers[index].mlp.gate for index in (1, 2)]
    f_LE = before.expert_tokens_LE / before.expert_tokens_LE.sum(dim=1, keepdim=True)
    for gate, f_E in zip(gates, f_LE, strict=True):
        torch.testing.assert_close(gate.load, 6 * f_E)


def test_padding_is_not_counted() -> None:
    layer, x = make_layer(SHARED), random_x(2, 8)
    real = torch.arange(8).expand(2, 8) < torch.tensor([[5], [8]])
    _, routing = layer(x, real)
    _, alone = layer(x[real][None], None)
    assert routing.expert_tokens_E.tolist() == alone.expert_tokens_E.tolist()
    torch.testing.assert_close(routing.z_loss, alone.z_loss)
    assert routing.expert_tokens_E.sum() == 13 * 2


@pytest.mark.parametrize("family", ["qwen3_moe", "dots1"])
def test_losses_and_gradients_do_not_depend_on_how_a_batch_is_cut(family: str) -> None:
    model, ids = make_decoder(family), random_ids(4, 10)

    def run(*parts: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        model.zero_grad()
        counts = torch.zeros(1, dtype=torch.int64)
        for part in parts:
            x_BTD, routing = model.hidden_states(part)
            (x_BTD.sin().sum() + routing.z_loss + routing.balance_loss).backward()
            counts = counts + routing.expert_tokens_LE
        return counts, {name: p.grad for name, p in model.named_parameters() if "head" not in name}

    counts, whole = run(ids)
    cut_counts, cut = run(ids[:1], ids[1:])
    assert torch.equal(counts, cut_counts)
    for name, gradient in whole.items():
        # Sums of 40 tokens in another order.
        torch.testing.assert_close(cut[name], gradient, atol=2e-4, rtol=1e-4)


def test_a_layer_that_is_computed_again_counts_once() -> None:
    """Activation checkpointing runs the forward pass twice."""
    plain, again = make_decoder("dots1"), make_decoder("dots1")
    for layer in again.layers:
        forward = layer.forward
        layer.forward = lambda *args, forward=forward: checkpoint(
            forward, *args, use_reentrant=False
        )
    ids = random_ids(2, 12)
    counts = []
    for model in (plain, again):
        x_BTD, routing = model.hidden_states(ids)
        (x_BTD.sum() + routing.z_loss).backward()
        update_balance(model, routing.expert_tokens_LE, rate=0.25)
        counts.append(routing.expert_tokens_LE)
    assert torch.equal(*counts)
    assert counts[0].sum(dim=1).tolist() == [2 * 12 * 2] * 3
    for (name, ours), theirs in zip(plain.named_parameters(), again.parameters(), strict=True):
        assert ours.grad is None or torch.equal(ours.grad, theirs.grad), name
    for ours, theirs in zip(plain.buffers(), again.buffers(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_bias_moves_by_the_sign_of_what_an_expert_lacks() -> None:
    model = make_decoder("dots1")
    before = [buffer.clone() for buffer in model.buffers()]
    counts = torch.tensor([[6, 2, 4, 4, 0, 8]]).expand(3, 6)  # four on average
    update_balance(model, counts, rate=0.5)
    for was, now in zip(before, model.buffers(), strict=True):
        torch.testing.assert_close(now - was, torch.tensor([-0.5, 0.5, 0, 0, 0.5, -0.5]))


def most_over_mean(model: Decoder, ids: torch.Tensor, num_updates: int) -> float:
    for _ in range(num_updates):
        _, routing = model.hidden_states(ids)
        update_balance(model, routing.expert_tokens_LE, rate=0.02)
    counts = model.hidden_states(ids)[1].expert_tokens_LE.double()
    return float((counts.max(dim=1).values / counts.mean(dim=1)).max())


def test_selection_biases_balance_the_experts_of_an_uneven_model() -> None:
    model, ids = make_decoder("dots1"), random_ids(8, 64)
    with torch.no_grad():
        assert most_over_mean(model, ids, 0) > 1.5
        assert most_over_mean(model, ids, 120) < 1.15


def test_the_selection_bias_counts_for_nothing_but_the_choice() -> None:
    """Lifting all biases alike changes no choice, so it changes nothing at all."""
    layer, x = make_layer(SHARED), random_x(1, 20)
    y, _ = layer(x, None)
    layer.gate.e_score_correction_bias += 3
    lifted, _ = layer(x, None)
    torch.testing.assert_close(y, lifted)
