"""Normal numbers as a pure function of (key, index): no state, no order, any part alone.

Only additions, multiplications, divisions and square roots of float64 are used, which IEEE 754
rounds alike on every machine; a library's logarithm would not be.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from bessemer.core.keyed import Key, derive_key

_LN2 = math.log(2)


def fill_normal(out: np.ndarray, key: Key, begins: np.ndarray) -> None:
    """Fill `out` (float32 [R, C]) in place with draws of mean 0 and spread 1.

    Row r holds the numbers of indices begins[r] (int64) to begins[r] + C - 1 under `key`. The GIL
    is released. Index i has the hash of `keyed.hash_indices`; its upper 52 bits, centred, are a
    number in (0, 1), and the inverse of the normal distribution there is the draw.
    """
    second = derive_key("second round", key)
    _fill(out, np.uint64(key), np.uint64(second), begins.astype(np.uint64))


@njit(cache=True, nogil=True)
def _fill(out, key, second_key, begins):  # type: ignore[no-untyped-def]
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            x = _mix(_mix(begins[row] + np.uint64(column) + key) + second_key)
            out[row, column] = _inverse((float(x >> np.uint64(12)) + 0.5) * 2.0**-52)


@njit(cache=True, nogil=True)
def _mix(x):  # type: ignore[no-untyped-def]
    """The finalizer of SplitMix64, as in `core.keyed`."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True, nogil=True)
def _inverse(p):  # type: ignore[no-untyped-def]
    """Inverse of the normal distribution: Wichura 1988, algorithm AS 241 (PPND16)."""
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        return q * (
            (((((((2.5090809287301226727e3 * r + 3.3430575583588128105e4) * r
                  + 6.7265770927008700853e4) * r + 4.5921953931549871457e4) * r
                + 1.3731693765509461125e4) * r + 1.9715909503065514427e3) * r
              + 1.3314166789178437745e2) * r + 3.3871328727963666080e0)
            / (((((((5.2264952788528545610e3 * r + 2.8729085735721942674e4) * r
                    + 3.9307895800092710610e4) * r + 2.1213794301586595867e4) * r
                  + 5.3941960214247511077e3) * r + 6.8718700749205790830e2) * r
                + 4.2313330701600911252e1) * r + 1.0)
        )  # fmt: skip
    r = math.sqrt(-_log(p if q < 0 else 1.0 - p))
    if r <= 5.0:
        r -= 1.6
        x = (
            (((((((7.74545014278341407640e-4 * r + 2.27238449892691845833e-2) * r
                  + 2.41780725177450611770e-1) * r + 1.27045825245236838258e0) * r
                + 3.64784832476320460504e0) * r + 5.76949722146069140550e0) * r
              + 4.63033784615654529590e0) * r + 1.42343711074968357734e0)
            / (((((((1.05075007164441684324e-9 * r + 5.47593808499534494600e-4) * r
                    + 1.51986665636164571966e-2) * r + 1.48103976427480074590e-1) * r
                  + 6.89767334985100004550e-1) * r + 1.67638483018380384940e0) * r
                + 2.05319162663775882187e0) * r + 1.0)
        )  # fmt: skip
    else:
        r -= 5.0
        x = (
            (((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r
                  + 1.24266094738807843860e-3) * r + 2.65321895265761230930e-2) * r
                + 2.96560571828504891230e-1) * r + 1.78482653991729133580e0) * r
              + 5.46378491116411436990e0) * r + 6.65790464350110377720e0)
            / (((((((2.04426310338993978564e-15 * r + 1.42151175831644588870e-7) * r
                    + 1.84631831751005468180e-5) * r + 7.86869131145613259100e-4) * r
                  + 1.48753612908506148525e-2) * r + 1.36929880922735805310e-1) * r
                + 5.99832206555887937690e-1) * r + 1.0)
        )  # fmt: skip
    return -x if q < 0 else x


@njit(cache=True, nogil=True)
def _log(p):  # type: ignore[no-untyped-def]
    """Natural logarithm of p in (0, 1): ln 2^-n + ln m = -n ln 2 + 2 artanh((m - 1) / (m + 1))."""
    doublings = 0
    while p < 0.70710678:
        p *= 2.0
        doublings += 1
    s = (p - 1.0) / (p + 1.0)  # at most 0.172 in size: eleven terms leave less than 1e-18
    square = s * s
    total = 0.0
    for odd in range(21, 0, -2):
        total = total * square + 1.0 / odd
    return 2.0 * s * total - doublings * _LN2
