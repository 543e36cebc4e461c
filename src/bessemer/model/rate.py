"""How fast this device multiplies matrices: the limit that training speed is measured against."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from bessemer.model.products import multiply

_SIZE = {"cpu": 1024, "cuda": 8192}
_TRIALS, _TRIAL_S = 10, 0.05


def measure_matmul_flops(
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    product: Callable[[Tensor, Tensor], Tensor] = multiply,
) -> float:
    """Operations per second of square matrix products with the present number of threads, of the
    library that layers use unless another `product` is given.

    The best of a few trials, about half a second in all: other work on the machine can only make
    a trial slower, and a limit that is too low would make a share of it too high.
    """
    size = _SIZE[device.type]
    left = torch.ones(size, size, device=device, dtype=dtype)
    right = torch.ones(size, size, device=device, dtype=dtype)
    rates = []
    for _ in range(_TRIALS):
        count, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < _TRIAL_S:
            product(left, right)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            count += 1
        rates.append(2 * size**3 * count / (time.perf_counter() - begin))
    return max(rates)


if __name__ == "__main__":
    print(measure_matmul_flops(torch.device("cuda" if torch.cuda.is_available() else "cpu")))  # noqa: T201
