"""The model and batch that training speed is measured on: one place for us and the peers.

Without any import that a peer's environment may lack.
"""

from __future__ import annotations

VOCAB_SIZE = 8192
SEQ_LEN = 256
BATCH_SEQUENCES = 8
SHAPES = {
    "tiny": {"num_layers": 2, "hidden_dim": 64, "num_heads": 2, "num_kv_heads": 2, "ffn_dim": 176},
    "12m": {"num_layers": 8, "hidden_dim": 320, "num_heads": 5, "num_kv_heads": 5, "ffn_dim": 896},
    "50m": {
        "num_layers": 8,
        "hidden_dim": 640,
        "num_heads": 10,
        "num_kv_heads": 10,
        "ffn_dim": 1792,
    },
}


def step_flops(shape: str, num_matmul_parameters: int) -> int:
    """Operations of the matrix products of one step, forward and backward, of any of the models.

    The formula of `bessemer.costs.compute.training_flops` (PaLM, arXiv 2204.02311, appendix B),
    with the parameters that every token is multiplied with as the model itself counts them: the
    models differ in their feed-forward layers, not in depth, width or heads.
    """
    linear = 2 * num_matmul_parameters
    attention = 4 * SHAPES[shape]["num_layers"] * SHAPES[shape]["hidden_dim"] * SEQ_LEN
    return 3 * BATCH_SEQUENCES * SEQ_LEN * (linear + attention)
