"""Run by torchrun: ranks together have the loss, gradients and optimizer step of one process.

Every rank computes the whole batch by itself, then its part with the others, and compares.
"""

from __future__ import annotations

import os
import sys
from itertools import product

import numpy as np
import torch
import torch.distributed as dist

from bessemer.config.axes import Axes
from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.config.train import OptimizerConfig, TrainConfig
from bessemer.core.labels import IGNORED
from bessemer.model.initialize import initialize
from bessemer.model.transformer import Decoder
from bessemer.tokens.sample import Sample
from bessemer.train.clip import clip_gradients
from bessemer.train.lanes import Lanes
from bessemer.train.loader import Batch, make_batch
from bessemer.train.mesh import LONE, Ranks, arrange_ranks
from bessemer.train.objective import Objective, accumulate_gradients
from bessemer.train.optim import make_optimizers
from bessemer.train.parallel.apply import share_out, wrap
from bessemer.train.updates import UpdateProbe

VOCAB_SIZE, SEQ_LEN, BATCH, MICROBATCH = 64, 16, 16, 2
DENSE = {"num_layers": 2, "hidden_dim": 32, "num_heads": 8, "num_kv_heads": 4, "ffn_dim": 40}
EXPERTS = {"num_experts": 3, "experts_per_token": 2, "ffn_dim": 16, "num_dense_layers": 1}
KINDS = {"dense": {}, "dense with QK-norm": {"qk_norm": True}, "experts": {"experts": EXPERTS}}
TRAIN = TrainConfig(
    seq_len=SEQ_LEN,
    global_batch_tokens=BATCH * SEQ_LEN,
    total_tokens=BATCH * SEQ_LEN,
    z_loss=1e-3,
)
LAYOUTS = {
    2: [Axes(dp_replicate=2), Axes(dp_shard=2), Axes(tp=2)],
    4: [
        Axes(dp_replicate=4),
        Axes(dp_shard=4),
        Axes(dp_replicate=2, dp_shard=2),
        Axes(tp=4),
        Axes(dp_replicate=2, tp=2),
        Axes(dp_shard=2, tp=2),
    ],
}


def make_samples() -> list[Sample]:
    """Packed documents, and padding of another length in each: ranks predict unequally many."""
    generator = np.random.default_rng(0)
    samples = []
    for index in range(BATCH):
        ids = generator.integers(0, VOCAB_SIZE, SEQ_LEN + 1)
        pieces = np.sort(generator.integers(0, 3, SEQ_LEN))
        labels = np.where(np.diff(pieces, append=pieces[-1]) == 0, ids[1:], IGNORED)
        padding = np.arange(SEQ_LEN) >= SEQ_LEN - index
        labels[padding], pieces[padding] = IGNORED, -1
        samples.append(
            Sample(input_ids=ids[:-1], labels=labels, doc_ids=pieces, pieces=pieces, source=0)
        )
    return samples


def cut(samples: list[Sample], begin: int, end: int) -> list[Batch]:
    return [
        make_batch({number: samples[number] for number in range(first, first + MICROBATCH)})
        for first in range(begin, end, MICROBATCH)
    ]


def step(
    objective: torch.nn.Module, decoder: Decoder, batches: list[Batch], ranks: Ranks
) -> dict[str, object]:
    """One optimizer step; what came of it on the way."""
    # With a small eps the first step of AdamW is the sign of what may be rounding alone.
    optimizers = make_optimizers(decoder, OptimizerConfig(lr=1e-2, eps=1e-3))
    probe = UpdateProbe(decoder.parameters())
    nats, expert_tokens = accumulate_gradients(Lanes(objective, 1), batches, ranks)
    sums = ranks.sum_over_data(torch.stack([each.double().sum() for each in nats]).sum())
    gradients = {name: whole(each.grad) for name, each in decoder.named_parameters()}
    norm = clip_gradients(list(decoder.named_parameters()), 0.1).norm
    probe.remember()
    optimizers.step()
    return {
        "nats": sums,
        "expert_tokens": expert_tokens,
        "norm": norm,
        "update": float(probe.squared_norm()),
        "gradients": gradients,
        "weights": {name: whole(each.detach()) for name, each in decoder.named_parameters()},
    }


def whole(tensor: torch.Tensor) -> torch.Tensor:
    return (tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor).clone()


def compare(alone: dict[str, object], together: dict[str, object]) -> None:
    torch.testing.assert_close(together["nats"], alone["nats"], rtol=1e-6, atol=0)
    if alone["expert_tokens"] is not None:
        assert torch.equal(together["expert_tokens"], alone["expert_tokens"])
    for name in ("norm", "update"):
        assert abs(together[name] / alone[name] - 1) < 1e-5, (name, together[name], alone[name])
    for what in ("gradients", "weights"):
        for name, tensor in alone[what].items():
            other = together[what][name]
            far = (other - tensor).norm() / tensor.norm()
            assert far < 1e-5, f"{what} of {name}: {far:.1e} off"


def step_alone(config: ModelConfig, samples: list[Sample]) -> dict[str, object]:
    decoder = Decoder(config, VOCAB_SIZE)
    initialize(decoder, 3)
    return step(Objective(decoder, TRAIN, "fp32"), decoder, cut(samples, 0, BATCH), LONE)


def step_together(
    config: ModelConfig, axes: Axes, reshard: bool, samples: list[Sample]
) -> dict[str, object]:
    ranks = arrange_ranks(axes, torch.device("cpu"))
    with torch.device("meta" if axes.shares_weights else "cpu"):
        decoder = Decoder(config, VOCAB_SIZE)
    share_out(decoder, ranks, ClusterConfig(reshard=reshard), "fp32")
    if axes.shares_weights:
        decoder.to_empty(device="cpu")
        decoder.tie()
    initialize(decoder, 3)
    objective = wrap(Objective(decoder, TRAIN, "fp32"), ranks)
    share = BATCH // axes.num_data_ranks
    begin = ranks.data_rank * share
    return step(objective, decoder, cut(samples, begin, begin + share), ranks)


def main() -> None:
    torch.set_num_threads(1)
    samples = make_samples()
    models = {
        f"{kind}, {'tied' if tie else 'untied'}": ModelConfig.model_validate(
            DENSE | changes | {"tie_embeddings": tie}
        )
        for kind, changes in KINDS.items()
        for tie in (True, False)
    }
    alone = {name: step_alone(config, samples) for name, config in models.items()}
    dist.init_process_group("gloo")
    for axes, (name, config), reshard in product(
        LAYOUTS[dist.get_world_size()], models.items(), (True, False)
    ):
        is_possible = axes.tp == 1 or config.experts is None
        if not is_possible or (axes.dp_shard == 1 and not reshard):
            continue
        compare(alone[name], step_together(config, axes, reshard, samples))
        if dist.get_rank() == 0:
            sys.stdout.write(f"equal: {axes}, {name}, reshard {reshard}\n")
    dist.barrier()
    sys.stdout.flush()
    os._exit(0)  # torch 2.13 now and then aborts when it takes gloo and FSDP2 down


if __name__ == "__main__":
    main()
