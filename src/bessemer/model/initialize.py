"""Initial weights as a pure function of (seed, parameter name, index of the element).

So any part of a parameter can be made alone, and the weights are the same for every layout and on
every machine. Matrices are normal with `initial_std`; the projections that write into the residual
stream are narrowed by sqrt(2 * num_layers), as in GPT-2 (Radford et al. 2019, section 2.3); norms
are one. Routers begin without any leaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from bessemer.config.model import ModelConfig
from bessemer.core.keyed import derive_key
from bessemer.model.moe import reset_balance
from bessemer.model.normal import fill_normal
from bessemer.model.parts import held_by_this_rank, part_of_this_rank
from bessemer.model.transformer import Decoder
from bessemer.model.width import initial_spread, is_norm

_CHUNK = 1 << 20  # elements made at a time by one thread: 4 MB


@torch.no_grad()
def initialize(model: Decoder, seed: int) -> None:
    """Fill every parameter and buffer of `model` in place, with as many threads as torch uses; of
    parameters that ranks share out, the part that is here."""
    for tensor in (*model.parameters(), *model.buffers()):
        held_by_this_rank(tensor).fill_(torch.nan)  # what is forgotten below shows
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        for name, parameter in model.named_parameters():
            if isinstance(parameter, DTensor):
                part = part_of_this_rank(parameter)
                here = initial_part(model.config, name, parameter.shape, part, seed)
                held_by_this_rank(parameter).copy_(here)
                continue
            flat = parameter.detach().view(-1)

            def fill(begin: int, name: str = name, flat: Tensor = flat) -> None:
                count = min(_CHUNK, len(flat) - begin)
                values = _draw(model.config, name, seed, np.array([begin]), count)
                flat[begin : begin + count] = values[0]

            list(threads.map(fill, range(0, len(flat), _CHUNK)))
    reset_balance(model)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        here = held_by_this_rank(tensor)
        assert not here.isnan().any(), f"{name} was not initialised"


def initial_part(
    config: ModelConfig, name: str, shape: Sequence[int], part: Sequence[slice], seed: int
) -> Tensor:
    """The part of a parameter's initial value that slices (step 1) cut out: float32, on the CPU.

    Exactly what `initialize` gives there, whatever else is made: a process that holds a shard of
    a parameter needs no more. `shape` is that of the whole parameter, one slice per dim.
    """
    places = [range(*cut.indices(size)) for cut, size in zip(part, shape, strict=True)]
    begins = np.zeros(1, dtype=np.int64)
    for dim, size in zip(places, shape, strict=True):
        is_last = dim is places[-1]
        steps = np.array([dim.start]) if is_last else np.arange(dim.start, dim.stop)
        begins = (begins[:, None] * size + steps).reshape(-1)
    values = _draw(config, name, seed, begins, len(places[-1]))
    return values.view([len(dim) for dim in places])


def _draw(config: ModelConfig, name: str, seed: int, begins: np.ndarray, count: int) -> Tensor:
    """float32 [R, count]: the elements of a parameter from each of R flat indices on."""
    values = np.empty((len(begins), count), dtype=np.float32)
    spread = np.float32(initial_spread(config, name))
    if is_norm(name):
        values.fill(spread)
    else:
        fill_normal(values, derive_key(seed, "initialize", name), begins)
        values *= spread
    return torch.from_numpy(values)
