"""Stage `tokenizer`: the vocabulary, learned from the mixture or loaded from a file.

Output: tokenizer.json, and tokenizer_config.json with the names of BEGIN and END. A loaded one is
held to hostile texts before it is let in. Training takes memory by `sample_bytes`, not by the
corpus.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bessemer.config.tokens import MixConfig, TokenizerConfig
from bessemer.core.keyed import derive_key
from bessemer.core.layout import TOKENIZER
from bessemer.core.manifest import StageResult
from bessemer.core.schema import TRAIN
from bessemer.tokens.corpus import Corpus, draw_documents
from bessemer.tokens.hostile import prove
from bessemer.tokens.load import read_tokenizer
from bessemer.tokens.shares import BYTES_PER_TOKEN, mix_shares
from bessemer.tokens.tokenizer import train_tokenizer


def load_tokenizer(path: Path, config: TokenizerConfig, folder: Path) -> StageResult:
    """Bring the tokenizer of another file into `folder`; DataError if it is not exact."""
    loaded = read_tokenizer(
        path, config.pattern, config.begin_token, config.end_token, config.special_tokens
    )
    tokenizer = loaded.build()
    num_texts = prove(tokenizer)
    tokenizer.save(folder / TOKENIZER)
    return StageResult(
        summary={
            "loaded": loaded.kind,
            "left_out": list(loaded.left_out),
            "encoder": "bessemer" if tokenizer.is_fast else "tokenizers",
            "vocab_size": tokenizer.vocab_size,
            "begin": tokenizer.begin,
            "end": tokenizer.end,
            "hostile_texts": num_texts,
        }
    )


def learn_tokenizer(
    corpus: Corpus,
    sources: Sequence[str],
    mix: MixConfig,
    budget_tokens: int,
    config: TokenizerConfig,
    seed: int,
    folder: Path,
) -> StageResult:
    """Learn the vocabulary from training text only, each source by its share in `[mix]`.

    `budget_tokens` is how much is trained on by these shares. They are worked out in bytes, for
    there are no tokens yet. A source with less text than its share of the sample gives all that it
    has, once. DataError if no training text is left, or none of a source that has a weight.
    """
    left = corpus.count(TRAIN)
    available = {name: left[name][1] if name in left else 0 for name in sources}
    shares = mix_shares(mix, available, BYTES_PER_TOKEN * budget_tokens)
    budget = {name: float(config.sample_bytes * share) for name, share in shares.items()}
    keys = {name: derive_key(seed, "tokenizer", name) for name in sources}
    draw = draw_documents(corpus, TRAIN, budget, keys)
    fed = Fed(draw.texts(corpus))
    train_tokenizer(fed, config.vocab_size, config.special_tokens).save(folder / TOKENIZER)
    return StageResult(
        summary={
            "shares": {name: float(share) for name, share in shares.items()},
            "sample_docs": len(draw.doc_ids),
            "sample_bytes": fed.num_bytes,
        }
    )


class Fed:
    """Texts passed on one by one, and their bytes counted."""

    def __init__(self, texts: Iterator[str]) -> None:
        self._texts = texts
        self.num_bytes = 0

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            self.num_bytes += len(text.encode())
            yield text
