"""How fast a quality model scores texts, by its number of weights.

`--text FILE`: JSONL (.zst too) with `text`. Megabytes per second of one core's processor time, the
median of five rounds; the weights are random, which is as good for this as learned ones.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.common import Spread, arguments, finish, show, spread
from benchmarks.pii import read_texts
from bessemer.curate.quality_model import NUM_QUANTILES, QualityModel

BITS = (18, 20, 22)


def measure(texts: pa.Array, bucket_bits: int) -> Spread:
    """Megabytes per second over five rounds."""
    draw = np.random.Generator(np.random.PCG64(0))
    model = QualityModel(
        weights=draw.normal(size=1 << bucket_bits).astype(np.float32),
        intercept=np.float32(0),
        quantiles=np.sort(draw.normal(size=NUM_QUANTILES)).astype(np.float32),
        about={},
    )
    num_bytes = sum(len(text.as_py().encode()) for text in texts)
    model.scores(texts[:1])  # compiles
    rates = []
    for _ in range(5):
        begin = time.process_time()
        model.scores(texts)
        rates.append(num_bytes / 1e6 / (time.process_time() - begin))
    return spread(rates)


def main() -> None:
    """Print the rates."""
    options = arguments(__doc__ or "", text=(Path, None, "JSONL to measure on"))
    texts = read_texts(options.text)
    rates = {bits: measure(texts, bits) for bits in BITS}
    rows = [
        (f"2^{bits}", f"{rate.median:.0f}", f"{rate.low:.0f} to {rate.high:.0f}")
        for bits, rate in rates.items()
    ]
    show("MB/s of one core", ("weights", "median", "range"), rows)
    finish(options, {str(bits): rate.median for bits, rate in rates.items()}, ("bessemer", "numba"))


if __name__ == "__main__":
    main()
