"""The model and batch that training speed is measured on: one place for us and the peers."""

from __future__ import annotations

VOCAB_SIZE = 8192
SEQ_LEN = 256
BATCH_SEQUENCES = 8
SHAPES = {
    "12m": {"num_layers": 8, "hidden_dim": 320, "num_heads": 5, "num_kv_heads": 5, "ffn_dim": 896},
    "50m": {
        "num_layers": 8,
        "hidden_dim": 640,
        "num_heads": 10,
        "num_kv_heads": 10,
        "ffn_dim": 1792,
    },
}
