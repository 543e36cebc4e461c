"""Text from a run's trained model, piece by piece as it is written."""

from __future__ import annotations

from collections.abc import Iterator

from bessemer.config.timetable import make_timetable
from bessemer.core.layout import TOKENIZER
from bessemer.line.workspace import Workspace
from bessemer.model.generate import generate
from bessemer.model.transformer import Decoder
from bessemer.tokens.tokenizer import Tokenizer
from bessemer.train.checkpoints.checkpoint import load_model
from bessemer.train.checkpoints.remote import open_store


def continue_text(
    workspace: Workspace,
    prompt: str,
    *,
    max_tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
) -> Iterator[str]:
    """Yield what the model writes after `prompt`, each character once all its bytes are there."""
    tokenizer = Tokenizer.load(workspace.require("tokenizer") / TOKENIZER)
    model = Decoder(workspace.config.model, tokenizer.vocab_size)
    store = open_store(workspace.require("train"), workspace.config.cluster.checkpoints)
    load_model(store, model, step=make_timetable(workspace.config.train).num_steps)
    tokens = generate(
        model,
        [tokenizer.begin_id, *tokenizer.encode(prompt)],
        max_new_tokens=max_tokens,
        window=workspace.config.train.seq_len,
        end_id=tokenizer.end_id,
        vocab_size=tokenizer.vocab_size,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
    )
    pending: list[int] = []
    for token in tokens:
        pending.append(token)
        text = tokenizer.decode(pending)
        if not text.endswith("\ufffd"):
            yield text
            pending = []
    if pending:
        yield tokenizer.decode(pending)
