"""The vocabulary is learned from training text by weight, or loaded and proven."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessemer.config.tokens import MixConfig, TokenizerConfig
from bessemer.core.errors import DataError
from bessemer.core.keyed import derive_key, hash_indices
from bessemer.tokens.corpus import Corpus, draw_documents
from bessemer.tokens.hostile import HOSTILE
from bessemer.tokens.tokenizer import Tokenizer, train_tokenizer
from bessemer.tokens.vocabulary import learn_tokenizer, load_tokenizer

MakeCorpus = Callable[[Sequence[tuple[str, Sequence[tuple[str, str]]]]], Corpus]


def config(sample_bytes: int) -> TokenizerConfig:
    return TokenizerConfig(vocab_size=300, sample_bytes=sample_bytes)


def learn(
    corpus: Corpus, folder: Path, sample_bytes: int, budget_tokens: int = 1, **mix: Any
) -> dict[str, Any]:
    """Learn from web, books and code with some `[mix]`; the summary."""
    sources = ["web", "books", "code"]
    result = learn_tokenizer(
        corpus, sources, MixConfig(**mix), budget_tokens, config(sample_bytes), 0, folder
    )
    return dict(result.summary)


DOC_BYTES = 132  # nineteen words of six letters

# Of 100 documents of the web and 25 books. Budgets of UniMax are in tokens of four bytes.
MIXES = {
    "weights": ({"weights": {"web": 3.0, "books": 1.0, "code": 0.0}}, 1, (0.75, 0.25)),
    "proportional": ({}, 1, (0.8, 0.2)),
    "square root": ({"method": "temperature", "temperature": 2.0}, 1, (2 / 3, 1 / 3)),
    "unimax, all capped": ({"method": "unimax", "max_epochs": 2.0}, 10**9, (0.8, 0.2)),
    "unimax, books capped": (  # 250 documents, of which books may fill no more than 4 x 25
        {"method": "unimax", "max_epochs": 4.0}, 250 * DOC_BYTES // 4, (0.6, 0.4),
    ),
    "unimax, even": ({"method": "unimax", "max_epochs": 4.0}, 40 * DOC_BYTES // 4, (0.5, 0.5)),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXES)
def test_the_vocabulary_is_learned_from_training_text_by_its_share_in_the_mixture(
    make_corpus: MakeCorpus, tmp_path: Path, name: str
) -> None:
    rng = np.random.default_rng(0)
    words = {
        source: ["".join(rng.choice(list(letters), 6)) for _ in range(500)]
        for source, letters in (("web", "abcdefgh"), ("books", "efghijkl"))
    }

    def rows(source: str, side: str, count: int) -> list[tuple[str, str]]:
        return [(" ".join(rng.choice(words[source], 19)), side) for _ in range(count)]

    shards = [
        ("web", rows("web", "train", 100)),
        ("books", rows("books", "train", 25)),
        ("web", rows("web", "heldout", 50)),
    ]
    mix, budget_tokens, shares = MIXES[name]
    num_docs = 30
    texts = []
    for shard, (source, share) in enumerate(zip(("web", "books"), shares, strict=True)):
        ids = (shard << 32) + np.arange(len(shards[shard][1]))
        lots = hash_indices(derive_key(0, "tokenizer", source), ids)
        left = share * num_docs * DOC_BYTES
        drawn = {}
        for row in np.argsort(lots).tolist():
            drawn[row] = shards[shard][1][row][0][: max(0, int(left + 1e-6))]
            left -= DOC_BYTES
        texts += [drawn[row] for row in sorted(drawn) if drawn[row]]
    summary = learn(
        make_corpus(shards), tmp_path / "out", num_docs * DOC_BYTES, budget_tokens, **mix
    )
    found = summary["shares"]
    assert [found[s] for s in ("web", "books", "code")] == pytest.approx([*shares, 0], abs=1e-3)
    assert summary["sample_docs"] == len(texts)
    assert summary["sample_bytes"] == sum(map(len, texts))
    train_tokenizer(iter(texts), 300).save(tmp_path / "tokenizer.json")
    by_hand = (tmp_path / "tokenizer.json").read_bytes()
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == by_hand


def test_a_source_with_too_little_text_gives_what_it_has(
    make_corpus: MakeCorpus, tmp_path: Path
) -> None:
    long, short = "".join(f"{n * n:x} größer {n} " for n in range(500)), "Stahl"
    corpus = make_corpus([("web", [(long, "train")]), ("books", [(short, "train")])])
    summary = learn(corpus, tmp_path, 12_000, method="temperature", temperature=1e12)
    assert summary["sample_bytes"] == pytest.approx(6000 + len(short), abs=1)


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
    summary = learn(corpus, tmp_path, 20_000)
    assert summary["sample_docs"] == 1
    assert 19_999 <= summary["sample_bytes"] <= 20_000


PEAK = """
import sys
from pathlib import Path
from bessemer.config.tokens import MixConfig, TokenizerConfig
from bessemer.tokens.corpus import Corpus
from bessemer.tokens.vocabulary import learn_tokenizer
root = Path(sys.argv[1])
corpus = Corpus(documents=root / "documents", splits=root / "splits")
config = TokenizerConfig(vocab_size=1000, sample_bytes=400_000)
result = learn_tokenizer(corpus, ["web"], MixConfig(), 1, config, 0, root / "out")
print(result.summary["sample_bytes"])
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


@pytest.mark.parametrize(
    ("weights", "why"),
    [
        (None, "no training text is left: "),
        ({"web": 0, "books": 1, "code": 0}, "'books' has weight 1 but no"),
    ],
)
def test_no_training_text_to_learn_from_is_a_data_error(
    make_corpus: MakeCorpus, tmp_path: Path, weights: dict[str, float] | None, why: str
) -> None:
    side = "heldout" if weights is None else "train"
    corpus = make_corpus([("web", [("iron", side)]), ("books", [("Stahl", "heldout")])])
    with pytest.raises(DataError, match=why):
        learn(corpus, tmp_path, 1000, weights=weights)


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
    for index, piece in enumerate(tokenizer.contents):
        if len(piece) == 1:
            by_bytes[piece[0]] = index
    monkeypatch.setattr(
        Tokenizer, "encode", lambda self, text: [by_bytes[n] for n in text.encode()]
    )
    with pytest.raises(DataError, match=r"ids are not those of the saved tokenizer\.json"):
        load_tokenizer(tmp_path / "tokenizer.json", there, tmp_path / "ours")
    assert not (tmp_path / "ours").exists()
