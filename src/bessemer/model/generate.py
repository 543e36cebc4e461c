"""Sampling text from a decoder, token by token, with temperature and nucleus (top-p)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from bessemer.model.attention import Past
from bessemer.model.transformer import Decoder


@torch.no_grad()
def generate(
    model: Decoder,
    prompt: Sequence[int],
    *,
    max_new_tokens: int,
    window: int,
    end_id: int,
    vocab_size: int | None = None,
    temperature: float = 0.8,
    top_p: float = 0.95,
    seed: int = 0,
) -> Iterator[int]:
    """Yield token ids after `prompt` (at least one id) until `end_id` or `max_new_tokens`.

    `window` is the length the model was trained on: when it is full, the model goes on with the
    second half of it as its context. Temperature 0 takes the likeliest token. `vocab_size` leaves
    out spare rows of the embedding, from that id on.
    """
    assert prompt, "an empty prompt has no next token; begin with the BEGIN token"
    model.eval()
    device = model.embed_tokens.weight.device
    generator = torch.Generator().manual_seed(seed)
    context = list(prompt)[-window + 1 :]
    past: list[Past] = []
    for _ in range(max_new_tokens):
        fresh = context[-1:]
        if not past or past[0].length >= window:
            context = context[-(window // 2) :] if past else context
            past = [Past() for _ in model.layers]
            fresh = context
        logits_BTV = model(torch.tensor([fresh], device=device), past=past)
        token = _choose(logits_BTV[0, -1, :vocab_size].float().cpu(), temperature, top_p, generator)
        if token == end_id:
            return
        yield token
        context.append(token)


def _choose(logits_V: Tensor, temperature: float, top_p: float, generator: torch.Generator) -> int:
    """One token id: from the smallest set of likeliest tokens that holds `top_p` of the mass."""
    if temperature == 0:
        return int(logits_V.argmax())
    probabilities, ids = torch.softmax(logits_V / temperature, dim=0).sort(descending=True)
    before = probabilities.cumsum(0) - probabilities
    probabilities[before >= top_p] = 0  # the likeliest token always stays
    return int(ids[torch.multinomial(probabilities, 1, generator=generator)])
