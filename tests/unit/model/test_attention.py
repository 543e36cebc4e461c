"""What attention is given on a GPU, where autocast does otherwise than on a CPU."""

from __future__ import annotations

import pytest
import torch

from bessemer.config.model import ModelConfig
from bessemer.model import attention as module
from bessemer.model.attention import Attention
from bessemer.model.norm import RMSNorm
from bessemer.model.pieces import whole_pieces
from bessemer.model.rotary import rotary_tables


@pytest.mark.filterwarnings("ignore")  # of norms of bfloat16 by a float32 weight
def test_queries_and_keys_are_as_narrow_as_values(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[torch.dtype] = []

    def see(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *_: object) -> torch.Tensor:
        given.extend((q.dtype, k.dtype, v.dtype))
        return q

    monkeypatch.setattr(module, "attend", see)
    config = ModelConfig(
        num_layers=1, hidden_dim=32, num_heads=4, num_kv_heads=2, ffn_dim=32, qk_norm=True
    )
    attention = Attention(config, 0)
    # Autocast for CUDA computes rms_norm in float32: it is in its list of such operators.
    for norm in (attention.q_norm, attention.k_norm):
        norm.register_forward_hook(lambda _, inputs, output: output.float())
    places_BT = torch.arange(8)[None]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        attention(
            torch.randn(1, 8, 32),
            RMSNorm(32),
            rotary_tables(config, places_BT),
            whole_pieces(places_BT),
        )
    assert given == [torch.bfloat16] * 3
