"""The vocabulary is learned from training text by weight, or loaded and proven."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from bessemer.config.data import TokenizerConfig
from bessemer.core.errors import DataError
from bessemer.core.keyed import derive_key, hash_indices
from bessemer.tokens.corpus import Corpus, draw_documents
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
        draw = draw_documents(corpus, "train", {source: budget * size}, {source: key})
        assert sorted(by_hand.tolist()) == draw.doc_ids.tolist()
        assert draw.limit_bytes == {}
    again = learn_tokenizer(corpus, weights, config(40 * size), 0, tmp_path / "again")
    assert again == result
    first, second = (tmp_path / name / "tokenizer.json" for name in ("weighted", "again"))
    assert first.read_bytes() == second.read_bytes()
    # Without weights, sources count as they are, and the whole is the limit all the same.
    whole = learn_tokenizer(corpus, None, config(50 * size), 0, tmp_path / "even")
    assert whole.summary == {"sample_docs": 50, "sample_bytes": 50 * size}


def test_a_document_longer_than_the_budget_is_cut_to_it(
    make_corpus: MakeCorpus, tmp_path: Path
) -> None:
    text = "".join(f"größer {n * n:x} {n} " for n in range(5000))
    corpus = make_corpus([("web", [(text, "train"), (text, "train")])])
    for budget in (0.1, 1, 3, 1000, 1001, 70_000, 130_000):
        draw = draw_documents(corpus, "train", {"web": budget}, {"web": 0})
        taken = "".join(draw.texts(corpus)).encode()
        assert int(budget) - 1 <= len(taken) <= budget  # a character of two bytes may not fit
        assert len(draw.doc_ids) == 1 + (budget > len(text.encode()))
    result = learn_tokenizer(corpus, None, config(20_000), 0, tmp_path)
    assert result.summary["sample_docs"] == 1
    assert 19_999 <= result.summary["sample_bytes"] <= 20_000


PEAK = """
import sys
from pathlib import Path
from bessemer.config.data import TokenizerConfig
from bessemer.tokens.corpus import Corpus
from bessemer.tokens.vocabulary import learn_tokenizer
root = Path(sys.argv[1])
corpus = Corpus(documents=root / "documents", splits=root / "splits")
config = TokenizerConfig(vocab_size=1000, sample_bytes=400_000)
print(learn_tokenizer(corpus, None, config, 0, root / "out").summary["sample_bytes"])
lines = Path("/proc/self/status").read_text().splitlines()  # ru_maxrss is the parent's too
print(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
"""


def test_memory_of_learning_does_not_grow_with_the_corpus(
    make_corpus: MakeCorpus, tmp_path: Path
) -> None:
    """With 90 MB more of text and the same sample the peak stays where it was."""
    rng = np.random.default_rng(0)
    letters = np.frombuffer(b"abcdefghijklmnopqrst    ", np.uint8)

    def shard(number: int) -> tuple[str, list[tuple[str, str]]]:
        rows = [rng.choice(letters, 100_000).tobytes().decode() for _ in range(30)]
        return "web", [(text, "train") for text in rows]

    peaks = []
    for num_shards in (4, 34):
        corpus = make_corpus([shard(n) for n in range(num_shards)])
        done = subprocess.run(
            [sys.executable, "-c", PEAK, corpus.documents.parent],
            capture_output=True, text=True, check=True,
            env=os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"},  # keeps no pages back
        )  # fmt: skip
        sampled, peak = map(int, done.stdout.split())
        assert sampled == 400_000
        peaks.append(peak * 1024)
    assert peaks[1] - peaks[0] < 30_000_000


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
        "loaded": "tokenizer.json", "left_out": [], "encoder": "bessemer", "vocab_size": 401,
        "begin": "<|begin_of_text|>", "end": "<|end_of_text|>", "hostile_texts": len(HOSTILE),
    }  # fmt: skip
    kept = Tokenizer.load(tmp_path / "ours" / "tokenizer.json")
    assert [kept.encode(text) for text in texts] == [tokenizer.encode(text) for text in texts]
    assert kept._backend.token_to_id("<|user|>") == 400


def test_a_tokenizer_that_breaks_text_is_not_let_in(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    exact = Tokenizer.encode
    there = TokenizerConfig(path="unused")
    for broken, why in (
        (lambda self, text: exact(self, text.replace("\0", "")), "does not give back .*: NUL"),
        (lambda self, text: [*exact(self, text), self.end_id], "a special token of text"),
        (lambda self, text: [2 + n for n in text.encode()], "does not give back"),
    ):
        monkeypatch.setattr(Tokenizer, "encode", broken)
        with pytest.raises(DataError, match=why):
            load_tokenizer(tmp_path / "tokenizer.json", there, tmp_path / "ours")
    by_bytes = [None] * 256
    for index, piece in enumerate(tokenizer.pieces):
        if len(piece) == 1:
            by_bytes[piece[0]] = index
    monkeypatch.setattr(
        Tokenizer, "encode", lambda self, text: [by_bytes[n] for n in text.encode()]
    )
    with pytest.raises(DataError, match=r"ids are not those of the saved tokenizer\.json"):
        load_tokenizer(tmp_path / "tokenizer.json", there, tmp_path / "ours")
    assert not (tmp_path / "ours").exists()
