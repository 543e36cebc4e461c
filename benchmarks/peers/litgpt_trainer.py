"""Training speed of litgpt's pretraining on the shared shape; prints one JSON object.

litgpt's own `fit` trains a model set up as its pretrain.py does it: compiled, AdamW, float32,
clipping at 1, tied embeddings. The architecture is exactly the shared one.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.loggers import Logger
from litgpt import GPT, Config
from litgpt.args import EvalArgs, TrainArgs
from litgpt.pretrain import fit, initialize_weights
from litgpt.utils import instantiate_torch_optimizer
from torch.utils.data import DataLoader

from benchmarks.measured import matmul_flops, random_tokens, read_arguments, report
from benchmarks.shapes import BATCH_SEQUENCES, SEQ_LEN, SHAPES, VOCAB_SIZE


class _Clock(Logger):
    """Notes when `fit` logs a step, which it does at the end of each."""

    def __init__(self) -> None:
        self.ends_s: list[float] = []

    @property
    def name(self) -> str:
        return "clock"

    @property
    def version(self) -> int:
        return 0

    def log_metrics(self, *_: Any, **__: Any) -> None:
        self.ends_s.append(time.perf_counter())

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        pass


def main() -> None:
    options = read_arguments()
    rate = matmul_flops()
    shape = SHAPES[options.shape]
    config = Config(
        block_size=SEQ_LEN,
        padded_vocab_size=VOCAB_SIZE,
        n_layer=shape["num_layers"],
        n_head=shape["num_heads"],
        n_query_groups=shape["num_kv_heads"],
        n_embd=shape["hidden_dim"],
        intermediate_size=shape["ffn_dim"],
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=False,
        norm_class_name="RMSNorm",
        mlp_class_name="LLaMAMLP",
    )
    clock = _Clock()
    fabric = lightning.Fabric(accelerator="cpu", devices=1, precision="32-true", loggers=[clock])
    with redirect_stdout(sys.stderr), tempfile.TemporaryDirectory() as folder:
        with fabric.init_module(empty_init=True):
            raw_model = GPT(config)
        initialize_weights(fabric, raw_model, n_layer=config.n_layer, n_embd=config.n_embd)
        raw_model.transformer.wte.weight = raw_model.lm_head.weight
        raw_model.max_seq_length = SEQ_LEN
        model = fabric.setup(torch.compile(raw_model))
        optimizer = fabric.setup_optimizers(
            instantiate_torch_optimizer("AdamW", model.parameters(), fused=False)
        )
        rows = random_tokens(options.steps * BATCH_SEQUENCES)
        loader = fabric.setup_dataloaders(DataLoader(rows, batch_size=BATCH_SEQUENCES))
        fit(
            fabric=fabric,
            devices=1,
            state={
                "model": model,
                "optimizer": optimizer,
                "train_dataloader": loader,
                "iter_num": 0,
                "step_count": 0,
            },
            train_dataloader=loader,
            val_dataloader=loader,
            out_dir=Path(folder),
            tokenizer_dir=None,
            train=TrainArgs(
                save_interval=None,
                log_interval=1,
                global_batch_size=BATCH_SEQUENCES,
                micro_batch_size=BATCH_SEQUENCES,
                lr_warmup_steps=2,
                max_tokens=options.steps * BATCH_SEQUENCES * SEQ_LEN,
                max_norm=1.0,
            ),
            eval=EvalArgs(interval=10**6, max_iters=1, final_validation=False),
        )
    report(
        ends_s=clock.ends_s,
        rate=rate,
        num_parameters=sum(p.numel() for p in raw_model.parameters()),
        num_matmul_parameters=sum(p.numel() for p in raw_model.parameters() if p.ndim == 2),
        version=version("litgpt"),
    )


if __name__ == "__main__":
    main()
