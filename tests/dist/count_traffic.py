"""One rank of a job that takes a step of each of some layouts, and counts what it sends.

Arguments: a JSON list of {run, axes}, and where rank 0 writes what all ranks sent, layout by layout.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from bessemer.config.axes import Axes
from bessemer.config.run import RunConfig
from bessemer.model.initialize import initialize
from bessemer.train.clip import clip_gradients
from bessemer.train.loader import Batch
from bessemer.train.mesh import arrange_ranks
from bessemer.train.objective import accumulate_gradients
from bessemer.train.optim import make_optimizers
from bessemer.train.parallel.apply import build
from bessemer.train.parallel.context import part_of_batch
from bessemer.train.parallel.traffic import TrafficMeter

_CPU = torch.device("cpu")


def count(config: RunConfig, axes: Axes) -> list[dict[str, Any]]:
    """What this rank sends in one step on random tokens, in microbatches of one sequence."""
    ranks, train = arrange_ranks(axes, _CPU), config.train
    vocab_size = config.tokenizer.vocab_size
    decoder, lanes = build(
        config.model, vocab_size, train, config.cluster, ranks, "fp32", config.run.seed, _CPU
    )
    initialize(decoder, config.run.seed)
    number = train.global_batch_tokens // train.seq_len // axes.num_data_ranks
    torch.manual_seed(ranks.data_rank)
    whole = [_batch(train.seq_len, vocab_size) for _ in range(number)]
    batches = [part_of_batch(batch, ranks) for batch in whole]
    named = list(decoder.named_parameters())
    optimizers = make_optimizers(decoder, train.optimizer)
    meter = TrafficMeter(ranks)
    with meter:
        accumulate_gradients(lanes, batches, ranks)
        clip_gradients(named, train.optimizer.clip_grad_norm, ranks, decoder.copied)
        optimizers.step()
    return [asdict(each) for each in meter.traffic()]


def _batch(seq_len: int, vocab_size: int) -> Batch:
    tokens = torch.randint(vocab_size, (1, seq_len + 1))
    one = torch.zeros(1, dtype=torch.int64)
    documents = torch.zeros(1, seq_len, dtype=torch.int64)
    return Batch(
        input_ids_BT=tokens[:, :-1],
        labels_BT=tokens[:, 1:],
        documents_BT=documents,
        doc_ids_BT=documents,
        sources_B=one,
        samples_B=one,
        digest=0,
    )


def main(job: str, answer: str) -> None:
    dist.init_process_group("gloo")
    layouts = json.loads(Path(job).read_text())
    found = [
        count(RunConfig.model_validate(layout["run"]), Axes(**layout["axes"])) for layout in layouts
    ]
    of_ranks: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(of_ranks, found)
    if dist.get_rank() == 0:
        Path(answer).write_text(json.dumps(list(zip(*of_ranks, strict=True))))
    dist.barrier()  # no rank leaves while another still talks
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
