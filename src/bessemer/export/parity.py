"""The proof of an export: what `transformers` loads from the folder computes the same.

Logits in float32 on held-out text, greedy continuations, and token ids of the same text are
compared; an export that fails is not an export.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bessemer.core.errors import DataError
from bessemer.model.generate import generate
from bessemer.model.transformer import Decoder
from bessemer.tokens.tokenizer import Tokenizer

MAX_LOGIT_DIFFERENCE = 1e-4
_GREEDY_TOKENS = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Parity:
    """How the exported model compares with the trained one."""

    num_texts: int
    num_logits: int
    max_logit_difference: float
    greedy_tokens_equal: int  # of `greedy_tokens`
    greedy_tokens: int


def check_parity(
    model: Decoder, tokenizer: Tokenizer, texts: Sequence[str], seq_len: int, folder: Path
) -> Parity:
    """Load `folder` with transformers and compare on `texts`; DataError beyond the tolerance."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    their_tokenizer = AutoTokenizer.from_pretrained(folder)
    model = model.cpu().float().eval()
    differences, num_logits, equal, compared = [], 0, 0, 0
    for text in texts:
        ids = [tokenizer.begin_id, *tokenizer.encode(text)][:seq_len]
        # As in training, a text that spells a special token has not got it.
        their_ids = their_tokenizer(text, add_special_tokens=False, split_special_tokens=True)
        their_ids = their_ids["input_ids"]
        if [tokenizer.begin_id, *their_ids][:seq_len] != ids:
            raise DataError(f"export: transformers tokenizes this text differently: {text[:80]!r}")
        with torch.no_grad():
            ours_TV = model(torch.tensor([ids]))[0]
            theirs_TV = theirs(torch.tensor([ids])).logits[0]
        differences.append((ours_TV - theirs_TV).abs().max())
        num_logits += ours_TV.numel()
        prompt = ids[: max(1, seq_len - _GREEDY_TOKENS)]
        ours = _greedy(model, tokenizer, prompt, seq_len)
        out = theirs.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=len(ours),
            do_sample=False,
            temperature=None,
            top_p=None,
        )[0, len(prompt) :].tolist()
        equal += sum(a == b for a, b in zip(ours, out, strict=False))
        compared += len(ours)
    worst = float(torch.stack(differences).max())  # NaN if any is: Python's max would hide it
    if not worst <= MAX_LOGIT_DIFFERENCE:
        raise DataError(
            f"export: logits differ by {worst:.2g} from the trained model's, more than "
            f"{MAX_LOGIT_DIFFERENCE:g}; the folder is not written"
        )
    return Parity(
        num_texts=len(texts),
        num_logits=num_logits,
        max_logit_difference=worst,
        greedy_tokens_equal=equal,
        greedy_tokens=compared,
    )


def check_equal(model: Decoder, again: Decoder) -> None:
    """DataError unless two decoders have the same weights, bit by bit."""
    for (name, ours), theirs in zip(
        model.state_dict().items(), again.state_dict().values(), strict=True
    ):
        if not torch.equal(ours.cpu(), theirs):
            raise DataError(f"export: {name} is not what was written; the folder is not written")


def _greedy(model: Decoder, tokenizer: Tokenizer, prompt: Sequence[int], window: int) -> list[int]:
    steps = generate(
        model,
        prompt,
        max_new_tokens=window - len(prompt),
        window=window,
        end_id=tokenizer.end_id,
        temperature=0,
    )
    return list(steps)
