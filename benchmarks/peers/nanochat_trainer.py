"""Training speed of nanochat on the shared shape; prints one JSON object.

Its own model and its own Muon and AdamW, set up and stepped as its base_train.py does it:
compiled, float32 on a CPU, full attention. Depth, width and heads are the shared ones, so the
parameters that tokens are multiplied with agree within 3 %. It has many more in all: its value
embeddings are looked up, and its output projection is not tied.
"""

from __future__ import annotations

import gc
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
    from nanochat.gpt import GPT, GPTConfig

    shape = SHAPES[options.shape]
    ends_s = []
    with redirect_stdout(sys.stderr):
        with torch.device("meta"):
            raw_model = GPT(
                GPTConfig(
                    sequence_len=SEQ_LEN,
                    vocab_size=VOCAB_SIZE,
                    n_layer=shape["num_layers"],
                    n_head=shape["num_heads"],
                    n_kv_head=shape["num_kv_heads"],
                    n_embd=shape["hidden_dim"],
                    window_pattern="L",
                )
            )
        raw_model.to_empty(device="cpu")
        raw_model.init_weights()
        model = torch.compile(raw_model, dynamic=False)
        optimizer = model.setup_optimizer()
        for step, (inputs_BT, labels_BT) in enumerate(random_batches(options.steps)):
            loss = model(inputs_BT, labels_BT)
            loss.backward()
            optimizer.step()
            model.zero_grad(set_to_none=True)
            print(f"step {step:05d} | loss: {loss.item():.6f}")
            ends_s.append(time.perf_counter())
            if step == 0:
                gc.collect()
                gc.freeze()
                gc.disable()
    report(
        ends_s=ends_s,
        rate=rate,
        num_parameters=sum(p.numel() for p in raw_model.parameters()),
        num_matmul_parameters=raw_model.num_matmul_params(),
        version="of the given repository",
    )


if __name__ == "__main__":
    main()
