"""Cross-entropy in chunks against PyTorch's own, and against the definition of each term.

N tokens, D model width, V vocabulary.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bessemer.core.labels import IGNORED
from bessemer.model import cross_entropy
from bessemer.model.cross_entropy import linear_cross_entropy

N, D, V = 23, 6, 17
TERMS = [
    {},
    {"z_loss": 0.3},
    {"label_smoothing": 0.2},
    {"softcap": 1.5},
    {"z_loss": 0.3, "label_smoothing": 0.2, "softcap": 1.5},
]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_entropy, "_CHUNK_TOKENS", 5)


def make_inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    hidden_ND = 3 * torch.randn(N, D, generator=generator, dtype=torch.float64)
    weight_VD = torch.randn(V, D, generator=generator, dtype=torch.float64)
    labels_N = torch.randint(V, (N,), generator=generator)
    labels_N[[0, 7, 8, N - 1]] = IGNORED
    return hidden_ND.to(dtype).requires_grad_(), weight_VD.to(dtype).requires_grad_(), labels_N


def by_definition(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    labels_N: Tensor,
    z_loss: float = 0.0,
    label_smoothing: float = 0.0,
    softcap: float | None = None,
) -> tuple[Tensor, Tensor]:
    """The same from whole logits, by PyTorch's cross-entropy and autograd."""
    logits_NV = hidden_ND @ weight_VD.T
    if softcap is not None:
        logits_NV = softcap * torch.tanh(logits_NV / softcap)
    total = functional.cross_entropy(
        logits_NV, labels_N, reduction="sum", label_smoothing=label_smoothing
    )
    is_label_N = labels_N != IGNORED
    total = total + z_loss * logits_NV.logsumexp(1)[is_label_N].square().sum()
    return total, functional.cross_entropy(logits_NV, labels_N, reduction="none").detach()


@pytest.mark.parametrize("terms", TERMS, ids=str)
def test_losses_and_gradients_are_those_of_whole_logits(terms: dict[str, float]) -> None:
    hidden_ND, weight_VD, labels_N = make_inputs()
    expected, expected_nats_N = by_definition(hidden_ND, weight_VD, labels_N, **terms)
    gradients = torch.autograd.grad(0.25 * expected, (hidden_ND, weight_VD))
    total, nats_N = linear_cross_entropy(hidden_ND, weight_VD, labels_N, **terms)
    found = torch.autograd.grad(0.25 * total, (hidden_ND, weight_VD))
    assert not nats_N.requires_grad
    # float64 throughout: only the order of sums differs.
    torch.testing.assert_close(total, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(nats_N, expected_nats_N, rtol=1e-11, atol=1e-13)
    for one, other in zip(found, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("terms", TERMS, ids=str)
def test_gradients_are_those_of_finite_differences(terms: dict[str, float]) -> None:
    hidden_ND, weight_VD, labels_N = make_inputs()
    total, _ = linear_cross_entropy(hidden_ND, weight_VD, labels_N, **terms)
    d_hidden_ND, d_weight_VD = torch.autograd.grad(total, (hidden_ND, weight_VD))
    generator = torch.Generator().manual_seed(4)
    step = 1e-5
    for _ in range(3):
        to_ND = torch.randn(N, D, generator=generator, dtype=torch.float64)
        to_VD = torch.randn(V, D, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            ahead, behind = (
                linear_cross_entropy(
                    hidden_ND + sign * step * to_ND,
                    weight_VD + sign * step * to_VD,
                    labels_N,
                    **terms,
                )[0]
                for sign in (1, -1)
            )
        slope = (d_hidden_ND * to_ND).sum() + (d_weight_VD * to_VD).sum()
        # A central difference errs by the square of its step, 1e-10, times a third derivative.
        torch.testing.assert_close((ahead - behind) / (2 * step), slope, rtol=1e-7, atol=0)


def test_ignored_tokens_have_no_loss_and_no_gradient() -> None:
    hidden_ND, weight_VD, labels_N = make_inputs()
    total, nats_N = linear_cross_entropy(
        hidden_ND, weight_VD, labels_N, z_loss=0.1, label_smoothing=0.1, softcap=2.0
    )
    total.backward()
    is_ignored_N = labels_N == IGNORED
    assert not nats_N[is_ignored_N].any()
    assert not hidden_ND.grad[is_ignored_N].any()
    assert hidden_ND.grad[~is_ignored_N].all()
    alone, _ = linear_cross_entropy(
        hidden_ND, weight_VD, torch.full_like(labels_N, IGNORED), z_loss=0.1, label_smoothing=0.1
    )
    assert alone == 0


def test_float32_stays_close_where_a_probability_underflows() -> None:
    """The loss is far above -log of the smallest float32, 88 nats; logits are in the thousands."""
    hidden_ND, weight_VD, labels_N = make_inputs(torch.float32)
    with torch.no_grad():
        hidden_ND *= 300
    total, nats_N = linear_cross_entropy(hidden_ND, weight_VD, labels_N)
    expected, expected_N = by_definition(hidden_ND.double(), weight_VD.double(), labels_N)
    assert expected_N.max() > 1000
    # Logits of some 2,000 have an error of 1e-4 in float32.
    torch.testing.assert_close(nats_N.double(), expected_N, rtol=1e-6, atol=1e-3)
    torch.testing.assert_close(total.double(), expected, rtol=1e-6, atol=0)


def test_bfloat16_inputs_are_summed_in_float32() -> None:
    hidden_ND, weight_VD, labels_N = make_inputs(torch.bfloat16)
    exact = hidden_ND.detach().double().requires_grad_(), weight_VD.detach().double()
    expected, expected_N = by_definition(exact[0], exact[1].requires_grad_(), labels_N)
    d_hidden_ND, d_weight_VD = torch.autograd.grad(expected, exact)
    total, nats_N = linear_cross_entropy(hidden_ND, weight_VD, labels_N)
    total.backward()
    assert (total.dtype, nats_N.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(nats_N.double(), expected_N, rtol=1e-5, atol=1e-5)
    # Rounded to bfloat16 once, at the end: half a unit in its eighth bit.
    torch.testing.assert_close(hidden_ND.grad.double(), d_hidden_ND, rtol=2**-8, atol=1e-5)
    torch.testing.assert_close(weight_VD.grad.double(), d_weight_VD, rtol=2**-8, atol=1e-5)


def test_master_weights_get_a_float32_gradient_under_autocast() -> None:
    hidden_ND, weight_VD, labels_N = make_inputs(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total, _ = linear_cross_entropy(hidden_ND.bfloat16(), weight_VD, labels_N)
    total.backward()
    expected, _ = by_definition(hidden_ND.bfloat16().float(), weight_VD, labels_N)
    gradients = torch.autograd.grad(expected, (hidden_ND, weight_VD))
    torch.testing.assert_close(weight_VD.grad, gradients[1])
    # On its way back the gradient passes through bfloat16.
    torch.testing.assert_close(hidden_ND.grad, gradients[0], rtol=2**-8, atol=1e-5)


@pytest.mark.parametrize("frozen", ["hidden", "weight", "both", "no_grad"])
def test_what_needs_no_gradient_gets_none(frozen: str) -> None:
    hidden_ND, weight_VD, labels_N = make_inputs()
    expected, _ = by_definition(hidden_ND, weight_VD, labels_N)
    gradients = torch.autograd.grad(expected, (hidden_ND, weight_VD))
    hidden_ND.requires_grad_(frozen not in ("hidden", "both"))
    weight_VD.requires_grad_(frozen not in ("weight", "both"))
    with torch.set_grad_enabled(frozen != "no_grad"):
        total, _ = linear_cross_entropy(hidden_ND, weight_VD, labels_N)
    torch.testing.assert_close(total, expected)
    assert total.requires_grad == (frozen not in ("both", "no_grad"))
    if total.requires_grad:
        total.backward()
        for tensor, gradient in zip((hidden_ND, weight_VD), gradients, strict=True):
            if tensor.requires_grad:
                torch.testing.assert_close(tensor.grad, gradient)
            else:
                assert tensor.grad is None


def test_tied_weights_gather_both_gradients() -> None:
    _, weight_VD, labels_N = make_inputs()
    embedding = nn.Embedding(V, D, _weight=weight_VD.detach().clone())
    ids_N = torch.arange(N) % V

    def hidden() -> Tensor:
        return torch.tanh(embedding(ids_N))

    expected, _ = by_definition(hidden(), embedding.weight, labels_N)
    (gradient,) = torch.autograd.grad(expected, embedding.weight)
    linear_cross_entropy(hidden(), embedding.weight, labels_N)[0].backward()
    torch.testing.assert_close(embedding.weight.grad, gradient)


def test_gradients_are_handed_over_once() -> None:
    hidden_ND, weight_VD, labels_N = make_inputs()
    total, _ = linear_cross_entropy(hidden_ND, weight_VD, labels_N)
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="once"):
        total.backward()


_MEASURE = r"""
import pathlib, re, sys, torch
from torch.nn import functional
from bessemer.model import cross_entropy

def resident_bytes(kind):  # VmRSS: now, VmHWM: at most; unlike ru_maxrss not the parent's too
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(re.search(kind + r":\s+(\d+) kB", status)[1])

torch.set_num_threads(1)
cross_entropy._CHUNK_TOKENS = 64
V, N, D = 128 * 1024, 512, 8
hidden_ND, weight_VD = torch.ones(N, D, requires_grad=True), torch.ones(V, D, requires_grad=True)
labels_N = torch.arange(N)
total, _ = cross_entropy.linear_cross_entropy(hidden_ND[:1], weight_VD[:8], labels_N[:1])
total.backward()  # libraries are loaded now
before = resident_bytes("VmRSS")
if sys.argv[1] == "plain":
    functional.cross_entropy(hidden_ND @ weight_VD.T, labels_N, reduction="sum")
else:
    cross_entropy.linear_cross_entropy(hidden_ND, weight_VD, labels_N)[0].backward()
print(resident_bytes("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measured through /proc")
def test_logits_of_a_large_vocabulary_never_exist_whole() -> None:
    def peak_bytes(path: str) -> int:
        command = [sys.executable, "-c", _MEASURE, path]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    whole_bytes = 512 * 128 * 1024 * 4
    assert peak_bytes("plain") > 1.9 * whole_bytes  # logits and their logarithms
    assert peak_bytes("chunks") < whole_bytes / 4  # an eighth of the tokens, and two gradients


def test_gradients_that_are_asked_for_twice_are_the_same_and_none_is_changed() -> None:
    hidden, weight, labels = make_inputs()
    total, _ = linear_cross_entropy(hidden, weight, labels, is_repeatable=True)
    (first,) = torch.autograd.grad(total / 7, hidden, retain_graph=True)
    kept = first.clone()
    both = torch.autograd.grad(total / 7, (hidden, weight))
    once, _ = linear_cross_entropy(hidden, weight, labels)
    for found, expected in zip(both, torch.autograd.grad(once / 7, (hidden, weight)), strict=True):
        assert torch.equal(found, expected)
    assert torch.equal(first, both[0]) and torch.equal(first, kept)
