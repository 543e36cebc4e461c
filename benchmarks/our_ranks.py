"""Steps of one layout on local ranks, or of one process; rank 0 prints one JSON object.

Started by torchrun, or alone. Random tokens, float32, AdamW: forward, backward, clip, update; no
loader, no record. Every rank has as many threads as it is told.
"""

from __future__ import annotations

import argparse
import json
import os
import time

import torch
import torch.distributed as dist

from bessemer.config.axes import planned_axes
from bessemer.config.cluster import ClusterConfig
from bessemer.config.microbatch import microbatch_samples
from bessemer.config.model import ModelConfig
from bessemer.config.timetable import make_timetable
from bessemer.config.train import TrainConfig
from bessemer.costs.communication import Microbatches, step_traffic
from bessemer.costs.compute import shape_of
from bessemer.model.initialize import initialize
from bessemer.train.clip import clip_gradients
from bessemer.train.heap import keep_less_of_what_is_freed
from bessemer.train.loader import Batch
from bessemer.train.mesh import Ranks, arrange_ranks
from bessemer.train.objective import accumulate_gradients
from bessemer.train.optim import make_optimizers
from bessemer.train.parallel.apply import build
from bessemer.train.parallel.context import part_of_batch
from bessemer.train.parallel.traffic import TrafficMeter

_CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "train", "cluster"):
        parser.add_argument(f"--{name}", type=json.loads, required=True)
    for name in ("vocab-size", "steps", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    model = ModelConfig.model_validate(options.model)
    train = TrainConfig.model_validate(options.train)
    cluster = ClusterConfig.model_validate(options.cluster)
    keep_less_of_what_is_freed()
    torch.set_num_threads(options.threads)
    axes = planned_axes(cluster)
    if axes.num_ranks > 1:
        dist.init_process_group("gloo")
    ranks = arrange_ranks(axes, _CPU)
    decoder, lanes = build(model, options.vocab_size, train, cluster, ranks, "fp32", 0, _CPU)
    initialize(decoder, 0)
    (segment,) = make_timetable(train).segments
    size = microbatch_samples(segment, model.hidden_dim, cluster, axes, "cpu")
    number = segment.batch_samples // axes.num_data_ranks // size
    torch.manual_seed(ranks.data_rank)
    whole = [_batch(size, train.seq_len, options.vocab_size) for _ in range(number)]
    batches = [part_of_batch(batch, ranks) for batch in whole]
    named = list(decoder.named_parameters())
    optimizers = make_optimizers(decoder, train.optimizer)

    def step() -> None:
        accumulate_gradients(lanes, batches, ranks)
        clip_gradients(named, train.optimizer.clip_grad_norm, ranks, decoder.copied)
        optimizers.step()
        optimizers.zero_grad()

    meter = TrafficMeter(ranks)
    with meter:  # it takes time itself; this step is the first, too
        step()
    ends_s = [time.perf_counter()]
    for _ in range(options.steps):
        step()
        ends_s.append(time.perf_counter())
    work = Microbatches(number=number, num_sequences=size, seq_len=train.seq_len)
    place = ranks.along("pp").get_local_rank() if axes.pp > 1 else 0
    shape = shape_of(model, options.vocab_size)
    expected = step_traffic(shape, axes, work, train, cluster, place)
    sent = [sum(each.sent_bytes for each in meter.traffic()), sum(expected.values())]
    counted, formula = _mean_over_ranks(sent, ranks)
    if not dist.is_initialized() or dist.get_rank() == 0:
        print(json.dumps({"ends_s": ends_s, "sent_bytes": counted, "formula_bytes": formula}))
    if dist.is_initialized():
        dist.barrier()
        os._exit(0)  # torch 2.13 now and then aborts when it takes gloo and FSDP2 down


def _mean_over_ranks(values: list[float], ranks: Ranks) -> list[float]:
    sums = torch.tensor(values, dtype=torch.float64)
    if dist.is_initialized():
        dist.all_reduce(sums)
    return [float(each) / ranks.axes.num_ranks for each in sums]


def _batch(num_sequences: int, seq_len: int, vocab_size: int) -> Batch:
    """Each sequence is one document."""
    tokens = torch.randint(vocab_size, (num_sequences, seq_len + 1))
    each, documents = torch.arange(num_sequences), torch.zeros(num_sequences, seq_len).long()
    return Batch(
        input_ids_BT=tokens[:, :-1],
        labels_BT=tokens[:, 1:],
        documents_BT=documents,
        doc_ids_BT=documents,
        sources_B=torch.zeros_like(each),
        samples_B=each,
        digest=0,
    )


if __name__ == "__main__":
    main()
