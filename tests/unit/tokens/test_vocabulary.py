"""The vocabulary is learned from training text by weight, or loaded and proven."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from bessemer.config.data import TokenizerConfig
from bessemer.core.errors import DataError
from bessemer.core.keyed import derive_key, hash_indices
from bessemer.tokens.corpus import Corpus, sample_documents
from bessemer.tokens.hostile import HOSTILE
from bessemer.tokens.tokenizer import Tokenizer
from bessemer.tokens.vocabulary import learn_tokenizer, load_tokenizer

MakeCorpus = Callable[[Sequence[tuple[str, Sequence[tuple[str, str]]]]], Corpus]


def config(sample_bytes: int) -> TokenizerConfig:
    return TokenizerConfig(vocab_size=300, sample_bytes=sample_bytes)


def test_the_vocabulary_is_learned_from_training_text_by_weight(
    make_corpus: MakeCorpus, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), 6)) for _ in range(500)]

    def rows(side: str, count: int) -> list[tuple[str, str]]:
        return [(" ".join(rng.choice(words, 20)), side) for _ in range(count)]

    corpus = make_corpus(
        [("web", rows("train", 100)), ("books", rows("train", 100)), ("web", rows("heldout", 50))]
    )
    size = 139  # bytes of a document: twenty words of six letters
    weights = {"web": 3.0, "books": 1.0, "code": 0.0}
    result = learn_tokenizer(corpus, weights, config(40 * size), 0, tmp_path / "weighted")
    assert result.summary == {"sample_docs": 40, "sample_bytes": 40 * size}
    for source, budget in (("web", 30), ("books", 10)):
        shard = 0 if source == "web" else 1
        ids = (shard << 32) + np.arange(100)
        key = derive_key(0, "tokenizer", source)
        by_hand = ids[np.argsort(hash_indices(key, ids))[:budget]]
        sample = sample_documents(corpus.sizes(), "train", {source: budget * size}, {source: key})
        assert sorted(by_hand.tolist()) == sample.tolist()
    again = learn_tokenizer(corpus, weights, config(40 * size), 0, tmp_path / "again")
    assert again == result
    first, second = (tmp_path / name / "tokenizer.json" for name in ("weighted", "again"))
    assert first.read_bytes() == second.read_bytes()
    # Without weights, sources count as they are, and the whole is the limit all the same.
    whole = learn_tokenizer(corpus, None, config(50 * size), 0, tmp_path / "even")
    assert whole.summary == {"sample_docs": 50, "sample_bytes": 50 * size}


@pytest.mark.parametrize("weights", [None, {"web": 0.0, "books": 1.0}])
def test_no_training_text_to_learn_from_is_a_data_error(
    make_corpus: MakeCorpus, tmp_path: Path, weights: dict[str, float] | None
) -> None:
    side = "heldout" if weights is None else "train"
    corpus = make_corpus([("web", [("iron", side)]), ("books", [("Stahl", "heldout")])])
    with pytest.raises(
        DataError, match="no training text is left of the sources that have a weight"
    ):
        learn_tokenizer(corpus, weights, config(1000), 0, tmp_path)


def test_a_loaded_tokenizer_is_proven_and_kept(
    tokenizer: Tokenizer, texts: list[str], tmp_path: Path
) -> None:
    tokenizer.save(tmp_path / "theirs" / "tokenizer.json")
    there = TokenizerConfig(path="unused", special_tokens=("<|user|>",))
    result = load_tokenizer(tmp_path / "theirs" / "tokenizer.json", there, tmp_path / "ours")
    assert result.summary == {
        "loaded": "tokenizer.json", "left_out": [], "encoder": "tiktoken", "vocab_size": 401,
        "begin": "<|begin_of_text|>", "end": "<|end_of_text|>", "hostile_texts": len(HOSTILE),
    }  # fmt: skip
    kept = Tokenizer.load(tmp_path / "ours" / "tokenizer.json")
    assert [kept.encode(text) for text in texts] == [tokenizer.encode(text) for text in texts]
    assert kept._backend.token_to_id("<|user|>") == 400


def test_a_tokenizer_that_breaks_text_is_not_let_in(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    exact = Tokenizer._ids
    there = TokenizerConfig(path="unused")
    for broken, why in (
        (lambda self, text: exact(self, text.replace("\0", "")), "does not give back .*: NUL"),
        (lambda self, text: np.append(exact(self, text), self.end_id), "a special token of text"),
        (lambda self, text: np.array([2 + n for n in text.encode()]), "does not give back"),
    ):
        monkeypatch.setattr(Tokenizer, "_ids", broken)
        with pytest.raises(DataError, match=why):
            load_tokenizer(tmp_path / "tokenizer.json", there, tmp_path / "ours")
    by_bytes = [None] * 256
    for index, piece in enumerate(tokenizer.pieces):
        if len(piece) == 1:
            by_bytes[piece[0]] = index
    monkeypatch.setattr(
        Tokenizer, "_ids", lambda self, text: np.array([by_bytes[n] for n in text.encode()], int)
    )
    with pytest.raises(DataError, match=r"ids are not those of the saved tokenizer\.json"):
        load_tokenizer(tmp_path / "tokenizer.json", there, tmp_path / "ours")
    assert not (tmp_path / "ours").exists()
