"""Training speed of transformers' Trainer on the shared shape; prints one JSON object.

Same architecture (LlamaForCausalLM), same batch, AdamW fused, clipping at 1, float32, no
checkpoints, logging off: the best case for the peer.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as bessemer's own command line sets it

import torch
import transformers
from benchmarks.shapes import BATCH_SEQUENCES, SEQ_LEN, SHAPES, VOCAB_SIZE
from torch.utils.data import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments


class RandomTokens(Dataset):
    def __init__(self, size: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.rows = torch.randint(0, VOCAB_SIZE, (size, SEQ_LEN), generator=generator)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.rows[index], "labels": self.rows[index]}


class Clock(TrainerCallback):
    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_begin(self, *_: object, **__: object) -> None:
        self.begin = time.perf_counter()

    def on_step_end(self, *_: object, **__: object) -> None:
        self.seconds.append(time.perf_counter() - self.begin)


def main() -> None:
    name, steps, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    shape = SHAPES[name]
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCAB_SIZE,
            hidden_size=shape["hidden_dim"],
            intermediate_size=shape["ffn_dim"],
            num_hidden_layers=shape["num_layers"],
            num_attention_heads=shape["num_heads"],
            num_key_value_heads=shape["num_kv_heads"],
            tie_word_embeddings=True,
            max_position_embeddings=SEQ_LEN,
        )
    )
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=BATCH_SEQUENCES,
                max_steps=steps,
                learning_rate=3e-4,
                max_grad_norm=1.0,
                optim="adamw_torch_fused",
                save_strategy="no",
                logging_strategy="no",
                report_to=[],
                use_cpu=True,
                disable_tqdm=True,
            ),
            train_dataset=RandomTokens(BATCH_SEQUENCES * steps),
            callbacks=[clock],
        )
        trainer.train()
    print(
        json.dumps(
            {
                "step_s": clock.seconds,
                "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "num_parameters": sum(p.numel() for p in model.parameters()),
                "version": transformers.__version__,
            }
        )
    )


if __name__ == "__main__":
    main()
