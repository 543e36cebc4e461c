"""The quotient of two counts, which most signals are."""

import numpy as np
import numpy.typing as npt

from bessemer.text.buffers import Offsets


def share(part: Offsets, whole: Offsets) -> npt.NDArray[np.float64]:
    """Return part / whole, and 0 where there is no whole."""
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole != 0)
