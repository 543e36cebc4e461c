"""One optimizer step of a small decoder, alone or by ranks, with all that it makes on its way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.config.train import TrainConfig
from bessemer.core.labels import IGNORED
from bessemer.model.initialize import initialize
from bessemer.model.parts import held_by_this_rank, part_of_this_rank
from bessemer.model.transformer import Block, Decoder
from bessemer.tokens.sample import Sample
from bessemer.train.clip import clip_gradients
from bessemer.train.loader import Batch, make_batch
from bessemer.train.mesh import Ranks
from bessemer.train.objective import accumulate_gradients
from bessemer.train.optim import make_optimizers
from bessemer.train.parallel.apply import build
from bessemer.train.parallel.context import part_of_batch
from bessemer.train.parallel.parity_layouts import MICROBATCH, SEQ_LEN, VOCAB_SIZE
from bessemer.train.updates import UpdateProbe

_SEED = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What one optimizer step made on its way. Tensors are whole."""

    nats: float
    expert_tokens_LE: Tensor | None
    gradients: dict[str, Tensor]
    updates: dict[str, Tensor]
    norm: float
    update_norm: float


def take_step(model: ModelConfig, train: TrainConfig, layout: ClusterConfig, ranks: Ranks) -> Step:
    """The first step of training, on the same batch under every layout. A collective."""
    decoder, lanes = build(
        model, VOCAB_SIZE, train, layout, ranks, "fp32", _SEED, torch.device("cpu")
    )
    initialize(decoder, _SEED)
    share = train.global_batch_tokens // SEQ_LEN // ranks.axes.num_data_ranks
    begin = ranks.data_rank * share
    batches = [part_of_batch(batch, ranks) for batch in make_batches(begin, begin + share)]
    named = dict(decoder.named_parameters())
    optimizers = make_optimizers(decoder, train.optimizer)
    probe = UpdateProbe((each for name, each in named.items() if name not in decoder.copied), ranks)
    nats, expert_tokens_LE = accumulate_gradients(lanes, batches, ranks)
    total = ranks.sum_over_tokens(torch.stack([each.double().sum() for each in nats]).sum())
    gradients = _whole(model, {name: each.grad for name, each in named.items()})
    clip = train.optimizer.clip_grad_norm
    norm = clip_gradients(named.items(), clip, ranks, decoder.copied).norm
    before = _whole(model, named)
    probe.remember()
    optimizers.step()
    after = _whole(model, named)
    return Step(
        nats=float(total),
        expert_tokens_LE=_of_all_layers(decoder, expert_tokens_LE, ranks),
        gradients=gradients,
        updates={name: after[name] - before[name] for name in after},
        norm=norm,
        update_norm=float(probe.squared_norm()) ** 0.5,
    )


@torch.no_grad()
def _whole(model: ModelConfig, here: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
    """Copies of all tensors that are named like parameters, put together from what ranks hold. Not
    by DTensor: it is to be tested, too."""
    with torch.device("meta"):
        shapes = {name: each.shape for name, each in Decoder(model, VOCAB_SIZE).named_parameters()}
    found = {}
    for name, shape in shapes.items():
        whole, counts = torch.zeros(2, *shape, dtype=torch.float64)
        tensor = here.get(name)
        if tensor is not None:
            part = tuple(part_of_this_rank(tensor))
            whole[part], counts[part] = held_by_this_rank(tensor).double(), 1.0
        if dist.is_initialized():
            dist.all_reduce(whole)
            dist.all_reduce(counts)
        found[name] = whole / counts
    return found


def _of_all_layers(
    decoder: Decoder, expert_tokens_LE: Tensor | None, ranks: Ranks
) -> Tensor | None:
    """Tokens per expert of this rank's layers, with those of the ranks that have others."""
    experts = decoder.config.experts
    if experts is None:
        return None
    counts_LE = torch.zeros(decoder.config.num_layers, experts.num_experts, dtype=torch.int64)
    here = [
        index
        for index, layer in enumerate(decoder.layers)
        if isinstance(layer, Block) and decoder.config.has_experts(index)
    ]
    if expert_tokens_LE is not None:
        counts_LE[here] = expert_tokens_LE
    return ranks.sum_over_stages(counts_LE)


def make_batches(begin: int, end: int) -> list[Batch]:
    """Packed documents, and padding of another length in each: ranks predict unequally many."""
    batches = []
    for first in range(begin, end, MICROBATCH):
        numbers = range(first, first + MICROBATCH)
        batches.append(make_batch({number: _make_sample(number) for number in numbers}))
    return batches


def _make_sample(number: int) -> Sample:
    generator = np.random.default_rng(number)
    ids = generator.integers(0, VOCAB_SIZE, SEQ_LEN + 1)
    pieces = np.sort(generator.integers(0, 3, SEQ_LEN))
    labels = np.where(np.diff(pieces, append=pieces[-1]) == 0, ids[1:], IGNORED)
    # An odd number of lengths: however many samples a rank has, others are padded to others.
    padding = np.arange(SEQ_LEN) >= SEQ_LEN - number % (SEQ_LEN - 1)
    labels[padding], pieces[padding] = IGNORED, -1
    return Sample(input_ids=ids[:-1], labels=labels, doc_ids=pieces, pieces=pieces, source=0)
