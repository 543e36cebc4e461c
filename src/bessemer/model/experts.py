"""The experts of one layer: SwiGLU feed-forward layers (Shazeer 2020, arXiv 2002.05202), stacked.

Shapes: M rows (a token for one of its experts), D model width, F width of an expert, E experts, C
rows of one. Three stacks [E, F, D] and [E, D, F] are few large parameters, which an optimizer for
matrices takes as a batch, and which ranks can share out by the first dim: each then has some of the
experts, whole.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn import functional

from bessemer.config.model import ExpertsConfig
from bessemer.model.dispatch import compute_on_ranks
from bessemer.model.parts import held_by_this_rank

_ALIGNED = 8  # numbers of half precision in the 16 bytes that grouped_mm wants rows to begin at


class Experts(nn.Module):
    """Each row passes the one expert that it is sorted to."""

    def __init__(self, config: ExpertsConfig, hidden_dim: int) -> None:
        super().__init__()
        narrow = config.num_experts, config.ffn_dim, hidden_dim
        self.gate_proj = nn.Parameter(torch.empty(narrow))
        self.up_proj = nn.Parameter(torch.empty(narrow))
        self.down_proj = nn.Parameter(torch.empty(narrow[0], narrow[2], narrow[1]))

    def forward(self, x_MD: Tensor, counts_E: Tensor) -> Tensor:
        """Rows are sorted by expert; `counts_E` rows belong to each. Where ranks have different
        experts (DTensor), rows go there and come back; then it is a collective."""
        if x_MD.device.type == "cuda" and torch.is_autocast_enabled("cuda"):
            x_MD = x_MD.to(torch.get_autocast_dtype("cuda"))
        if isinstance(self.gate_proj, DTensor):
            group = self.gate_proj.device_mesh.get_group()
            y_MD: Tensor = compute_on_ranks(self._compute, x_MD, counts_E, group)
            return y_MD
        return self._compute(x_MD, counts_E)

    def _compute(self, x_MD: Tensor, counts_E: Tensor) -> Tensor:
        """By the experts that are here, for which alone there are counts."""
        is_half = x_MD.dtype in (torch.float16, torch.bfloat16)
        widths = self.gate_proj.shape[1:]
        is_aligned = all(width % _ALIGNED == 0 for width in widths)
        # The kernel is not asked to multiply no rows at all, which a rank may have got.
        if x_MD.device.type == "cuda" and is_half and is_aligned and len(x_MD):
            return self._grouped(x_MD, counts_E)
        y_MD: Tensor = self._one_by_one(x_MD, counts_E.tolist())
        return y_MD

    def _stacks(self) -> tuple[Tensor, Tensor, Tensor]:
        gate_EFD, up_EFD, down_EDF = (
            held_by_this_rank(stack) for stack in (self.gate_proj, self.up_proj, self.down_proj)
        )
        return gate_EFD, up_EFD, down_EDF

    @torch.compiler.disable  # or every batch, divided otherwise, would be compiled anew
    def _one_by_one(self, x_MD: Tensor, counts: list[int]) -> Tensor:
        # Unbound once: selecting one by one would give each a gradient as large as the stack.
        stacks = (stack.unbind() for stack in self._stacks())
        parts = zip(x_MD.split_with_sizes(counts), *stacks, strict=True)
        return torch.cat([_swiglu(x, gate, up, down) for x, gate, up, down in parts])

    def _grouped(self, x_MD: Tensor, counts_E: Tensor) -> Tensor:
        """All experts in one kernel: half precision on a GPU. The counts stay on it."""
        gate_EFD, up_EFD, down_EDF = self._stacks()
        ends_E = counts_E.cumsum(0).int()

        def multiply(x: Tensor, stack: Tensor) -> Tensor:
            return functional.grouped_mm(x, stack.to(x.dtype).transpose(1, 2), offs=ends_E)

        gated_MF = functional.silu(multiply(x_MD, gate_EFD))
        return multiply(gated_MF * multiply(x_MD, up_EFD), down_EDF)


def _swiglu(x_CD: Tensor, gate_FD: Tensor, up_FD: Tensor, down_DF: Tensor) -> Tensor:
    inner_CF = functional.silu(functional.linear(x_CD, gate_FD)) * functional.linear(x_CD, up_FD)
    return functional.linear(inner_CF, down_DF)
