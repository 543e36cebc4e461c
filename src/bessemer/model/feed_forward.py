"""The feed-forward layer of a block: SwiGLU (Shazeer 2020, arXiv 2002.05202)."""

from __future__ import annotations

from torch import Tensor, nn

from bessemer.model.lean import project_normed, project_swiglu


class FeedForward(nn.Module):
    """down(silu(gate(x)) * up(x)), without biases; x is normed first if a norm is given."""

    def __init__(self, hidden_dim: int, ffn_dim: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden_dim, ffn_dim, bias=False)
        self.up_proj = nn.Linear(hidden_dim, ffn_dim, bias=False)
        self.down_proj = nn.Linear(ffn_dim, hidden_dim, bias=False)

    def forward(self, x_BTD: Tensor, norm: nn.RMSNorm | None = None) -> Tensor:
        gate_BTF, up_BTF = project_normed(x_BTD, norm, self.gate_proj, self.up_proj)
        return project_swiglu(gate_BTF, up_BTF, self.down_proj)
