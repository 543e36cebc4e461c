"""Stage `tokenizer`: the vocabulary, learned from the mixture or loaded from a file.

Output: tokenizer.json, and tokenizer_config.json with the names of BEGIN and END. A loaded one is
held to hostile texts before it is let in. Training takes memory by `sample_bytes`, not by the
corpus.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bessemer.config.data import TokenizerConfig
from bessemer.core.errors import DataError
from bessemer.core.keyed import derive_key
from bessemer.core.layout import TOKENIZER
from bessemer.core.manifest import StageResult
from bessemer.core.schema import TRAIN
from bessemer.tokens.corpus import WHERE_IT_WENT, Corpus, draw_documents
from bessemer.tokens.hostile import prove
from bessemer.tokens.load import read_tokenizer
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
    weights: Mapping[str, float] | None,
    config: TokenizerConfig,
    seed: int,
    folder: Path,
) -> StageResult:
    """Learn the vocabulary from training text only, each source by its weight in the mixture."""
    left = corpus.count(TRAIN)
    shares = {
        source: num_bytes if weights is None else weights.get(source, 0)
        for source, (_, num_bytes) in left.items()
    }
    total = sum(shares.values())
    if not total:
        raise DataError(
            f"no training text is left of the sources that have a weight: {WHERE_IT_WENT}; or "
            "change mix.weights"
        )
    budget = {source: config.sample_bytes * share / total for source, share in shares.items()}
    keys = {source: derive_key(seed, "tokenizer", source) for source in shares}
    draw = draw_documents(corpus, TRAIN, budget, keys)
    fed = Fed(draw.texts(corpus))
    train_tokenizer(fed, config.vocab_size, config.special_tokens).save(folder / TOKENIZER)
    return StageResult(summary={"sample_docs": len(draw.doc_ids), "sample_bytes": fed.num_bytes})


class Fed:
    """Texts passed on one by one, and their bytes counted."""

    def __init__(self, texts: Iterator[str]) -> None:
        self._texts = texts
        self.num_bytes = 0

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            self.num_bytes += len(text.encode())
            yield text
