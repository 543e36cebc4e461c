"""Training speed of transformers' Trainer on the shared shape; prints one JSON object.

Same architecture (LlamaForCausalLM), same batch, AdamW fused, clipping at 1, float32, no
checkpoints, logging off: the best case for the peer.
"""

from __future__ import annotations

import tempfile
import time

import transformers
from torch import Tensor
from torch.utils.data import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

from benchmarks.measured import matmul_flops, random_tokens, read_arguments, report
from benchmarks.shapes import BATCH_SEQUENCES, SEQ_LEN, SHAPES, VOCAB_SIZE


class _Rows(Dataset[dict[str, Tensor]]):
    def __init__(self, num_rows: int) -> None:
        self.rows = random_tokens(num_rows)[:, :-1]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"input_ids": self.rows[index], "labels": self.rows[index]}  # it shifts them itself


class _Clock(TrainerCallback):
    def __init__(self) -> None:
        self.ends_s: list[float] = []

    def on_step_end(self, *_: object, **__: object) -> None:
        self.ends_s.append(time.perf_counter())


def main() -> None:
    options = read_arguments()
    rate = matmul_flops()
    shape = SHAPES[options.shape]
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
    clock = _Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=BATCH_SEQUENCES,
                max_steps=options.steps,
                learning_rate=3e-4,
                max_grad_norm=1.0,
                optim="adamw_torch_fused",
                torch_compile=options.compile,
                save_strategy="no",
                logging_strategy="no",
                report_to=[],
                use_cpu=True,
                disable_tqdm=True,
            ),
            train_dataset=_Rows(BATCH_SEQUENCES * options.steps),
            callbacks=[clock],
        )
        trainer.train()
    report(
        ends_s=clock.ends_s,
        rate=rate,
        num_parameters=model.num_parameters(),
        num_matmul_parameters=sum(p.numel() for p in model.parameters() if p.ndim == 2),
        version=transformers.__version__,
    )


if __name__ == "__main__":
    main()
