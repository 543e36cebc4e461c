"""What published laws suggest for training a decoder: tokens, learning rate, batch.

Laws are fits to other people's runs: a place to begin a search, not its result.
"""

from __future__ import annotations

from dataclasses import dataclass

from bessemer.costs.compute import Shape, count_parameters

# Hoffmann et al. 2022 (Chinchilla, arXiv 2203.15556), table 3: compute-optimal models see about
# twenty tokens for each parameter.
TOKENS_PER_PARAMETER = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggestion:
    """What the laws say of a decoder, and of training it for so many tokens."""

    total_tokens: int  # compute-optimal for the decoder
    lr: float  # peak, of AdamW, for the tokens that were asked about
    batch_tokens: int  # likewise


def suggest(shape: Shape, total_tokens: int) -> Suggestion:
    """The suggestions for a decoder that is trained for `total_tokens`.

    Rate and batch are Step Law's (Li et al. 2025, arXiv 2503.04715, equation 1): 1.79 * N^-0.713 *
    D^0.307 and 0.58 * D^0.571 tokens, N the parameters that a token passes without embeddings and
    D the tokens. Far from the sizes of that paper it is extrapolated.
    """
    parameters = count_parameters(shape)
    layers = parameters.attention + parameters.feed_forward + parameters.active_experts
    return Suggestion(
        total_tokens=TOKENS_PER_PARAMETER * parameters.active,
        lr=1.79 * layers**-0.713 * total_tokens**0.307,
        batch_tokens=round(0.58 * total_tokens**0.571),
    )
