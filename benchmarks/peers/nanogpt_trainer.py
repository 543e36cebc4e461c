"""Training speed of nanoGPT on the shared shape; prints one JSON object.

The model and its optimizer are those of the repository's model.py; the loop is that of its train.py
on a CPU: float32, clipping at 1, the loss printed at every step. Its feed-forward layer is four
times as wide as the model, which is within 3 % of the shared shape in parameters.
"""

from __future__ import annotations

import sys
import time
from contextlib import redirect_stdout

import torch

from benchmarks.measured import matmul_flops, random_batches, read_arguments, report
from benchmarks.shapes import SEQ_LEN, SHAPES, VOCAB_SIZE


def main() -> None:
    options = read_arguments()
    rate = matmul_flops()
    sys.path.insert(0, str(options.source))
    from model import GPT, GPTConfig

    shape = SHAPES[options.shape]
    ends_s = []
    with redirect_stdout(sys.stderr):
        raw_model = GPT(
            GPTConfig(
                block_size=SEQ_LEN,
                vocab_size=VOCAB_SIZE,
                n_layer=shape["num_layers"],
                n_head=shape["num_heads"],
                n_embd=shape["hidden_dim"],
                dropout=0.0,
                bias=False,
            )
        )
        optimizer = raw_model.configure_optimizers(0.1, 6e-4, (0.9, 0.95), "cpu")
        model = torch.compile(raw_model) if options.compile else raw_model
        for step, (inputs_BT, labels_BT) in enumerate(random_batches(options.steps)):
            _, loss = model(inputs_BT, labels_BT)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            print(f"iter {step}: loss {loss.item():.4f}")
            ends_s.append(time.perf_counter())
    num_parameters = sum(p.numel() for p in raw_model.parameters())
    positions = raw_model.transformer.wpe.weight.numel()
    report(
        ends_s=ends_s,
        rate=rate,
        num_parameters=num_parameters,
        num_matmul_parameters=sum(p.numel() for p in raw_model.parameters() if p.ndim == 2)
        - positions,
        version="of the given repository",
    )


if __name__ == "__main__":
    main()
