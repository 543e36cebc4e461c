"""Recomputation, compilation and precision change how a step is computed, not what comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.core.errors import MachineError
from bessemer.core.layout import METRICS, PROFILES, STEPS
from bessemer.core.storage import read_json, read_jsonl
from bessemer.model.products import OPERATORS
from bessemer.model.transformer import Decoder
from bessemer.train.job import TrainingJob
from bessemer.train.launch import Launch
from bessemer.train.layers import _KEPT, prepare_layers
from bessemer.train.objective import accumulate_gradients
from bessemer.train.precision import resolve_precision
from bessemer.train.trainer import Trainer

MakeJob = Callable[..., TrainingJob]


def gradients(job: TrainingJob, **cluster: object) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Losses of the first batch and the gradient of every parameter."""
    config = ClusterConfig.model_validate({"device": "cpu", "threads": 1, **cluster})
    trainer = Trainer(replace(job, cluster=config), Launch())
    nats, _ = accumulate_gradients(trainer.learner.lanes, list(trainer.loader.microbatches(0)))
    grads = {name: each.grad for name, each in trainer.learner.decoder.named_parameters()}
    assert all(grad is not None for grad in grads.values())
    return torch.cat(nats), grads


@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of what it does itself
def test_layers_of_other_ranks_stay_as_they_are() -> None:
    model = ModelConfig(num_layers=3, hidden_dim=32, num_heads=4, num_kv_heads=4, ffn_dim=32)
    decoder = Decoder(model, 64)
    decoder.keep([1])
    prepare_layers(decoder.layers, ClusterConfig(recompute="full", compile=True), "fp32")
    changed = ["forward" in vars(layer) for layer in decoder.layers]
    compiled = [layer._compiled_call_impl is not None for layer in decoder.layers]
    assert changed == compiled == [False, True, False]


@pytest.mark.parametrize("mode", ["selective", "full"])
def test_recomputed_activations_give_the_same_bits(make_job: MakeJob, mode: str) -> None:
    job = make_job()
    nats, expected = gradients(job)
    again, found = gradients(job, recompute=mode)
    assert torch.equal(nats, again)
    for name, grad in expected.items():
        assert torch.equal(grad, found[name]), name


def test_less_is_kept_for_the_backward_pass(make_job: MakeJob) -> None:
    job = make_job()
    kept = {}
    for mode in ("none", "selective", "full"):
        config = ClusterConfig.model_validate({"device": "cpu", "threads": 1, "recompute": mode})
        trainer = Trainer(replace(job, cluster=config), Launch())
        (batch,) = trainer.loader.microbatches(0)
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, sizes=sizes: sizes.append(tensor.numel()) or tensor,
            lambda tensor: tensor,
        ):
            trainer.learner.lanes.module(
                batch.input_ids_BT, batch.labels_BT, batch.documents_BT, batch.samples_B
            )
        kept[mode] = sum(sizes)
    # Selective recomputation keeps matrix products in a cache of its own, not in the graph.
    assert kept["full"] <= kept["selective"] < kept["none"] / 2


class Products(TorchDispatchMode):
    """Counts matrix products."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.count += func in OPERATORS
        return func(*args, **(kwargs or {}))


def test_selective_recomputation_computes_no_product_anew(make_job: MakeJob) -> None:
    counts = {}
    for mode in ("none", "selective", "full"):
        config = ClusterConfig.model_validate({"device": "cpu", "threads": 1, "recompute": mode})
        trainer = Trainer(replace(make_job(), cluster=config), Launch())
        (batch,) = trainer.loader.microbatches(0)
        with Products() as products:
            total, *_ = trainer.learner.lanes.module(
                batch.input_ids_BT, batch.labels_BT, batch.documents_BT, batch.samples_B
            )
            total.backward()
        counts[mode] = products.count
    assert counts["none"] == counts["selective"] < counts["full"]


def test_selective_recomputation_keeps_what_gpus_multiply_by() -> None:
    kept = {str(operator) for operator in _KEPT}
    assert {
        "aten._grouped_mm.default",
        "aten._scaled_mm.default",
        "aten._scaled_dot_product_flash_attention.default",
        "torch_attn._varlen_attn.default",
    } <= kept


@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of what it does itself
def test_compiled_layers_give_the_same_gradients(make_job: MakeJob) -> None:
    job = make_job()
    job = replace(job, model=job.model.model_copy(update={"num_layers": 1}))
    nats, expected = gradients(job)
    again, found = gradients(job, compile=True)
    # Fused loops round in another order: a few units in the last place of float32.
    torch.testing.assert_close(again, nats, atol=2e-6, rtol=1e-5)
    for name, grad in expected.items():
        torch.testing.assert_close(found[name], grad, atol=1e-6, rtol=1e-4, msg=name)


def test_bf16_multiplies_coarsely_and_keeps_its_weights_fine(make_job: MakeJob) -> None:
    job = make_job(num_steps=3)
    coarse = replace(
        job,
        folder=job.folder / "bf16",
        train=job.train.model_copy(update={"precision": "bf16"}),
    )
    fine_rows, coarse_rows = [], []
    for each, rows in ((job, fine_rows), (coarse, coarse_rows)):
        trainer = Trainer(each, Launch())
        trainer.run()
        rows += [row["loss"] for row in read_jsonl(each.folder / METRICS / STEPS)]
        for parameter in trainer.learner.decoder.parameters():
            assert parameter.dtype == torch.float32
            assert (
                trainer.learner.optimizers.parts[0].state[parameter]["exp_avg"].dtype
                == torch.float32
            )
    assert coarse_rows != fine_rows
    assert coarse_rows == pytest.approx(fine_rows, rel=0.01)  # bf16 has 8 bits of precision


def test_precision_follows_the_device() -> None:
    assert resolve_precision("auto", torch.device("cpu")) == "fp32"
    assert resolve_precision("auto", torch.device("cuda")) == "bf16"
    assert resolve_precision("fp32", torch.device("cuda")) == "fp32"
    with pytest.raises(MachineError, match=r"train.precision = \"float8\" needs an NVIDIA GPU"):
        resolve_precision("float8", torch.device("cpu"))


def test_a_step_is_profiled_on_demand(make_job: MakeJob) -> None:
    job = make_job(num_steps=3, cluster=ClusterConfig(device="cpu", profile_steps=(2,)))
    Trainer(job, Launch()).run()
    folder = job.folder / METRICS / PROFILES
    assert sorted(path.name for path in folder.iterdir()) == [
        "step-00000002.json",
        "step-00000002.txt",
    ]
    names = {event.get("name") for event in read_json(folder / "step-00000002.json")["traceEvents"]}
    assert "Optimizer.step#AdamW.step" in names
    assert names & {each._schema.name for each in OPERATORS}
