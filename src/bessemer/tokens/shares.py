"""How large a share of the tokens each source gets, and how samples are dealt out by such shares.

Shares are fractions that sum to one, exactly; roots are taken in decimal arithmetic, which is the
same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal, localcontext
from fractions import Fraction

from bessemer.config.tokens import MixConfig
from bessemer.core.errors import DataError
from bessemer.tokens.corpus import WHERE_IT_WENT

BYTES_PER_TOKEN = 4  # a guess as long as there is no tokenizer: about that of English
_ROOT_DIGITS = 50

Shares = dict[str, Fraction]


def mix_shares(mix: MixConfig, available: Mapping[str, int], budget: int) -> Shares:
    """Shares by the method of `[mix]`.

    `available` is how much text there is of each source, and `budget` how much is to be trained on
    by these shares: both in tokens, or both in bytes. DataError if there is no text, or none of a
    source that has a weight.
    """
    if mix.weights is not None:
        return weighted_shares(mix.weights, available)
    if mix.method == "unimax":
        raw = unimax_tokens(available, budget, exact(mix.max_epochs))
    elif mix.temperature is not None:
        raw = {name: _root(size, mix.temperature) for name, size in available.items()}
    else:
        raw = {name: Fraction(size) for name, size in available.items()}
    return _normalize(raw)


def weighted_shares(weights: Mapping[str, float], available: Mapping[str, int]) -> Shares:
    """Shares by explicit weights."""
    for name, weight in weights.items():
        if weight and not available[name]:
            raise DataError(
                f"source {name!r} has weight {float(weight):g} but no training text is left of "
                f"it: {WHERE_IT_WENT}; or set its weight to 0"
            )
    return _normalize({name: exact(weights[name]) for name in available})


def unimax_tokens(
    available: Mapping[str, int], budget_tokens: int, max_epochs: Fraction
) -> dict[str, Fraction]:
    """Tokens of each source: as even as can be without repeating one more than `max_epochs` times.

    Algorithm 1 of UniMax (Chung et al. 2023, arXiv 2304.09151), in tokens instead of characters:
    from the smallest source on, each gets an equal part of what is left, or all it may give.
    """
    tokens: dict[str, Fraction] = {}
    left = Fraction(budget_tokens)
    by_size = sorted(available, key=lambda name: available[name])
    for done, name in enumerate(by_size):
        tokens[name] = min(left / (len(by_size) - done), available[name] * max_epochs)
        left -= tokens[name]
    return {name: tokens[name] for name in available}


def apportion(total: int, shares: Mapping[str, Fraction]) -> dict[str, int]:
    """Integers that sum to `total` and are nearest to `shares` of it: the largest remainders
    are rounded up (ties: the earlier source). Exact: shares are fractions that sum to one."""
    exact = {name: share * total for name, share in shares.items()}
    counts = {name: math.floor(quota) for name, quota in exact.items()}
    names = list(shares)
    by_remainder = sorted(names, key=lambda name: (counts[name] - exact[name], names.index(name)))
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def exact(written: float) -> Fraction:
    """A number of the run file as it is written there: 2.3 is 23/10."""
    return Fraction(str(written))


def _root(size: int, temperature: float) -> Fraction:
    """size^(1 / T): 1 is proportional, infinity even (Arivazhagan et al. 2019, arXiv 1907.05019,
    section 4.2; mT5's alpha is 1 / T)."""
    with localcontext(prec=_ROOT_DIGITS):
        return Fraction(Decimal(size) ** (1 / Decimal(str(temperature))))


def _normalize(raw: Mapping[str, Fraction]) -> Shares:
    total = sum(raw.values())
    if not total:
        raise DataError(f"no training text is left: {WHERE_IT_WENT}")
    return {name: weight / total for name, weight in raw.items()}
