"""The tensors of a training run by name, and copies of them that training does not move.

Names are those of parameters in the plain model, whatever wraps it: `model.<parameter or buffer>`,
`optimizer.<parameter>.<moment>`, `average.<parameter>`. Under pipeline parallelism ranks have
different names; under all layouts the same name is the same tensor.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from bessemer.core.errors import TrainingError
from bessemer.core.fingerprint import digest_bytes
from bessemer.model.parts import held_by_this_rank
from bessemer.train.checkpoints.index import SavedTensor
from bessemer.train.optim import plain_name

_MODEL, _OPTIMIZER, _AVERAGE = "model.", "optimizer.", "average."


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainState:
    """All tensors of a training run; loading fills them in place."""

    model: nn.Module
    optimizers: Sequence[torch.optim.Optimizer]
    average: Mapping[str, Tensor] = field(default_factory=dict)  # see train.average

    def tensors(self) -> dict[str, Tensor]:
        """The tensors themselves, not copies; DTensors where ranks share them out."""
        tensors = model_tensors(self.model)  # first: FSDP2 lets go of gathered weights here
        names = self._names()
        for optimizer in self.optimizers:
            for parameter, moments in optimizer.state.items():
                for moment, value in moments.items():
                    tensors[f"{_OPTIMIZER}{names[parameter]}.{moment}"] = value
        return tensors | average_tensors(self.average)

    def make_room(self, saved: Mapping[str, SavedTensor]) -> None:
        """Give each optimizer the moments that a checkpoint holds, to be filled, and no others.

        Those of a parameter's shape are shared out among ranks as it is.
        """
        held: dict[str, dict[str, SavedTensor]] = defaultdict(dict)
        for name, tensor in saved.items():
            if name.startswith(_OPTIMIZER):
                parameter_name, _, moment = name.removeprefix(_OPTIMIZER).rpartition(".")
                held[parameter_name][moment] = tensor
        model_tensors(self.model)  # as above
        names = self._names()
        for optimizer in self.optimizers:
            for parameter in (each for group in optimizer.param_groups for each in group["params"]):
                before = optimizer.state.pop(parameter, {})
                moments = held[names[parameter]]
                if moments:
                    optimizer.state[parameter] = {
                        moment: before[moment] if moment in before else _empty(each, parameter)
                        for moment, each in moments.items()
                    }

    def _names(self) -> dict[Tensor, str]:
        return {each: plain_name(name) for name, each in self.model.named_parameters()}


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers under the names that checkpoints have; they share its memory."""
    return {f"{_MODEL}{plain_name(name)}": each for name, each in model.state_dict().items()}


def average_tensors(average: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Averages of parameters by name under the names that checkpoints have."""
    return {f"{_AVERAGE}{plain_name(name)}": each for name, each in average.items()}


class Snapshot:
    """Copies of this rank's parts of tensors in main memory, in the same buffers every time."""

    def __init__(self) -> None:
        self._copies: dict[str, Tensor] = {}

    def take(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Copies by name, good until the next call; returns when they are made."""
        parts = parts_of_this_rank(tensors)
        copies = {}
        for name, part in parts.items():
            copy = self._copies.get(name)
            if copy is None or (copy.shape, copy.dtype) != (part.shape, part.dtype):
                copy = torch.empty(part.shape, dtype=part.dtype, pin_memory=part.is_cuda)
            copies[name] = copy.copy_(part, non_blocking=True)
        self._copies = copies
        if any(part.is_cuda for part in parts.values()):
            torch.cuda.current_stream().synchronize()
        return copies


def parts_of_this_rank(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What this rank holds of each tensor."""
    return {name: held_by_this_rank(each.detach()) for name, each in tensors.items()}


def digest_state(state: TrainState) -> dict[str, str]:
    """xxh3-128 of the bytes of every tensor of weights, optimizer state and average, by name.

    Called by all ranks, and the same on all: what they share out is gathered, a tensor at a time.
    Raises TrainingError if ranks that should hold the same tensor do not: one computes wrongly.
    """
    digests = {}
    for name, value in sorted(state.tensors().items()):
        whole = value.full_tensor() if isinstance(value, DTensor) else value
        digests[name] = digest_bytes(whole.detach().cpu().contiguous().numpy().tobytes())
    if dist.is_initialized():
        by_rank: list[dict[str, str]] = [{}] * dist.get_world_size()
        dist.all_gather_object(by_rank, digests)
        digests = {name: digest for found in by_rank for name, digest in found.items()}
        for name, digest in digests.items():
            others = [r for r, found in enumerate(by_rank) if found.get(name, digest) != digest]
            if others:
                raise TrainingError(
                    f"ranks differ in {name}, which they should have alike, rank {others[0]} from "
                    "the last of them: a machine computes wrongly. Replace it and go on from the "
                    "last checkpoint that was saved before"
                )
    return dict(sorted(digests.items()))


def _empty(saved: SavedTensor, parameter: Tensor) -> Tensor:
    if saved.shape == tuple(parameter.shape):
        return torch.zeros_like(parameter, dtype=saved.dtype, requires_grad=False)
    return torch.zeros(saved.shape, dtype=saved.dtype, device=parameter.device)
