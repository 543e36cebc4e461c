"""How fast this device multiplies matrices: the limit that training speed is measured against."""

from __future__ import annotations

import statistics
import time

import torch

_SIZE = {"cpu": 1024, "cuda": 8192}
_TRIALS, _TRIAL_S = 5, 0.1


def measure_matmul_flops(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """Operations per second of square matrix products with the present number of threads.

    The median of a few trials, about half a second in all.
    """
    size = _SIZE[device.type]
    left = torch.ones(size, size, device=device, dtype=dtype)
    right = torch.ones(size, size, device=device, dtype=dtype)
    rates = []
    for _ in range(_TRIALS + 1):
        count, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < _TRIAL_S:
            torch.mm(left, right)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            count += 1
        rates.append(2 * size**3 * count / (time.perf_counter() - begin))
    return statistics.median(rates[1:])  # the first one warms up
