"""Training speed of bessemer's own Trainer on the shared shape; prints one JSON object."""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line sets it

import numpy as np
import pyarrow as pa
import torch

from benchmarks.shapes import BATCH_SEQUENCES, SEQ_LEN, SHAPES, VOCAB_SIZE
from bessemer.config.cluster import ClusterConfig
from bessemer.config.model import ModelConfig
from bessemer.config.train import CheckpointConfig, EvaluateConfig, TrainConfig
from bessemer.core.layout import METRICS, PLAN, SHARDS, STEPS, TOKENIZER
from bessemer.core.schema import MIX_PLAN
from bessemer.core.storage import read_jsonl, write_json, write_table
from bessemer.tokens.shard import write_shard
from bessemer.tokens.tokenizer import train_tokenizer
from bessemer.train.launch import Launch
from bessemer.train.mesh import process_group
from bessemer.train.trainer import Trainer, TrainingJob


def make_tokens(folder: Path, num_tokens: int) -> None:
    """A training and a held-out shard of random tokens, a plan, and a tokenizer of that size."""
    draws = np.random.Generator(np.random.PCG64(0))
    words = (
        "".join(chr(97 + letter) for letter in draws.integers(0, 26, 8)) for _ in range(60_000)
    )
    train_tokenizer(iter([" ".join(words)]), VOCAB_SIZE).save(folder / TOKENIZER)
    shards = []
    for side, size in (("train", num_tokens), ("heldout", SEQ_LEN)):
        tokens = draws.integers(0, VOCAB_SIZE, (size // SEQ_LEN, SEQ_LEN)).tolist()
        ids = list(range(len(tokens)))
        write_shard(folder / side / "00000", tokens, ids, [SEQ_LEN] * len(ids), VOCAB_SIZE)
        shards.append(
            {
                "shard": f"{side}/00000",
                "side": side,
                "source": "random",
                "tokens": len(ids) * SEQ_LEN,
            }
        )
    write_json(folder / SHARDS, shards)
    row = dict.fromkeys(MIX_PLAN.names, 1) | {
        "source": "random",
        "planned_samples": num_tokens // SEQ_LEN,
    }
    write_table(folder / PLAN, pa.Table.from_pylist([row], schema=MIX_PLAN))


def main() -> None:
    name, steps, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    batch = BATCH_SEQUENCES * SEQ_LEN
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_tokens(folder, steps * batch)
        job = TrainingJob(
            model=ModelConfig(**SHAPES[name]),
            train=TrainConfig(
                seq_len=SEQ_LEN,
                global_batch_tokens=batch,
                total_tokens=steps * batch,
                document_mask=False,  # the peer has none
                checkpoint=CheckpointConfig(every_steps=10**6),
                evaluate=EvaluateConfig(every_steps=10**6, tokens_per_source=SEQ_LEN),
            ),
            cluster=ClusterConfig(device="cpu", threads=threads),
            seed=0,
            encoded=folder,
            plan=folder,
            tokenizer=folder / TOKENIZER,
            folder=folder / "run",
        )
        with process_group(job.cluster, Launch(), torch.device("cpu")):
            summary = Trainer(job, Launch()).run()
        rows = read_jsonl(job.folder / METRICS / STEPS)
    print(
        json.dumps(
            {
                "step_s": [row["step_s"] for row in rows],
                "mfu": [row["mfu"] for row in rows],
                "matmul_flops": summary["matmul_flops"],
                "num_parameters": summary["num_parameters"],
                "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
