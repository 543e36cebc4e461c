"""Any text goes through the tokenizer and back unharmed, and no text can end a document."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers, trainers

from bessemer.core.errors import DataError, IntegrityError
from bessemer.tokens.hostile import HOSTILE
from bessemer.tokens.tokenizer import BEGIN, END, Tokenizer, train_tokenizer

TEXTS = [
    *HOSTILE.values(),
    " " * 5000,
    "\ufffd kept as it is",
    BEGIN + END,
    "<|begin_of_text|><|begin_of_text|> [UNK] <s></s> <pad>",
]


def assert_round_trip(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert int(tokenizer.token_bytes[ids].sum()) == len(text.encode())
    assert not {tokenizer.begin_id, tokenizer.end_id} & set(ids)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_hostile_text_comes_back_unharmed(tokenizer: Tokenizer, text: str) -> None:
    assert_round_trip(tokenizer, text)


@given(text=st.text())
def test_any_text_comes_back_unharmed(tokenizer: Tokenizer, text: str) -> None:
    assert_round_trip(tokenizer, text)


@given(text=st.text(st.sampled_from("<|end_of_text|>begin \n")))
@example(text=END * 3)
def test_text_never_gives_a_special_token(tokenizer: Tokenizer, text: str) -> None:
    assert_round_trip(tokenizer, text)


def test_documents_are_framed_once_each_in_order(tokenizer: Tokenizer) -> None:
    documents = [ids.tolist() for ids in tokenizer.encode_documents(TEXTS)]
    assert documents == [[0, *tokenizer.encode(text), 1] for text in TEXTS]
    assert tokenizer.decode([id_ for ids in documents for id_ in ids]) == "".join(TEXTS)
    assert tokenizer.encode_documents([]) == []


def assert_as_exported(tokenizer: Tokenizer, texts: Sequence[str]) -> None:
    """The ids are those that `tokenizers` finds with the exported tokenizer.json."""
    for text in texts:
        assert tokenizer.encode(text) == tokenizer.encode_as_saved(text), text[:80]


def test_ids_are_those_of_the_exported_tokenizer(tokenizer: Tokenizer) -> None:
    runs = [sign * 5000 for sign in ("ab", " \n", "\r\n ", "漢", "!", "' ", "\u0301", "'s")]
    assert_as_exported(tokenizer, TEXTS + runs)


@given(text=st.text(st.one_of(st.characters(), st.sampled_from("aehinrst'S \n\r\t.,!?\u00a0019"))))
def test_ids_of_any_text_are_those_of_the_exported_tokenizer(
    tokenizer: Tokenizer, text: str
) -> None:
    assert_as_exported(tokenizer, [text])


def test_every_code_point_is_cut_as_by_the_exported_tokenizer(tokenizer: Tokenizer) -> None:
    """All that are assigned; of the planes that hold nothing, one in a hundred."""
    points = [*range(0xD800), *range(0xE000, 0x40000), *range(0x40000, 0x110000, 100)]
    texts = [
        "".join(f"a{chr(p)}b {chr(p)}1! {chr(p)}?\n'{chr(p)}" for p in points[at : at + 512])
        for at in range(0, len(points), 512)
    ]
    assert_as_exported(tokenizer, texts)


@given(texts=st.lists(st.text(st.sampled_from("ab 1\n'é鉄"))))
def test_a_text_has_the_same_ids_in_any_batch(tokenizer: Tokenizer, texts: list[str]) -> None:
    alone = [[tokenizer.begin_id, *tokenizer.encode(text), tokenizer.end_id] for text in texts]
    assert [ids.tolist() for ids in tokenizer.encode_documents(iter(texts))] == alone


def test_a_surrogate_has_no_bytes_and_no_ids(tokenizer: Tokenizer) -> None:
    with pytest.raises(UnicodeEncodeError):
        tokenizer.encode("a\ud800")


def spelled(token: str) -> bytes:
    """The bytes of a token in the spelling of GPT-2: printable bytes stand for themselves."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [byte for byte in range(256) if byte not in plain]
    table = {chr(byte): byte for byte in plain} | {chr(256 + n): b for n, b in enumerate(moved)}
    return bytes(table[char] for char in token)


def test_special_tokens_come_first_then_every_byte_then_the_merges(tokenizer: Tokenizer) -> None:
    vocabulary = json.loads(tokenizer._backend.to_str())["model"]["vocab"]
    by_id = sorted(vocabulary, key=vocabulary.__getitem__)
    assert by_id[:2] == [BEGIN, END]
    assert (tokenizer.begin_id, tokenizer.end_id) == (0, 1)
    assert {spelled(token) for token in by_id[2:258]} == {bytes([byte]) for byte in range(256)}
    assert sorted(vocabulary.values()) == list(range(400))
    assert tokenizer.vocab_size == 400
    merges = [spelled(token) for token in by_id[258:]]
    assert all(len(token) > 1 for token in merges)
    assert tokenizer.token_bytes.tolist() == [0, 0] + [1] * 256 + list(map(len, merges))


def test_no_token_holds_two_digits_or_joins_words(tokenizer: Tokenizer) -> None:
    vocabulary = json.loads(tokenizer._backend.to_str())["model"]["vocab"]
    tokens = [spelled(token) for token in vocabulary if token not in (BEGIN, END)]
    assert not [token for token in tokens if sum(48 <= byte < 58 for byte in token) > 1]
    assert not [token for token in tokens if regex.search(rb"[a-z] ", token)]


# The published pattern of cl100k_base (tiktoken), with \p{N}{1,3} cut down to one digit.
PATTERN = (
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|"""
    r"""\s*[\r\n]|\s+(?!\S)|\s+"""
)


class Twin:
    """Byte-pair encoding by its definition: merge the earliest-learned pair until none is left."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        model = json.loads(tokenizer._backend.to_str())["model"]
        self.ids = {spelled(t): n for t, n in model["vocab"].items() if t not in (BEGIN, END)}
        pairs = [(spelled(left), spelled(right)) for left, right in model["merges"]]
        self.rank = {pair: rank for rank, pair in enumerate(pairs)}

    def encode(self, text: str) -> list[int]:
        found = []
        for word in regex.findall(PATTERN, text):
            parts = [bytes([byte]) for byte in word.encode()]
            while ranked := [self.rank[pair] for pair in pairwise(parts) if pair in self.rank]:
                best = min(ranked)
                merged, at = [], 0
                while at < len(parts):
                    is_best = self.rank.get(tuple(parts[at : at + 2])) == best  # type: ignore[call-overload]
                    merged.append(b"".join(parts[at : at + 2]) if is_best else parts[at])
                    at += 2 if is_best else 1
                parts = merged
            found += [self.ids[part] for part in parts]
        return found


@pytest.fixture(scope="session")
def twin(tokenizer: Tokenizer) -> Twin:
    return Twin(tokenizer)


@pytest.mark.parametrize("text", [t for t in TEXTS if len(t) < 10_000], ids=len)
def test_ids_equal_those_of_the_definition(tokenizer: Tokenizer, twin: Twin, text: str) -> None:
    assert tokenizer.encode(text) == twin.encode(text)


WORDS = st.sampled_from(
    ["iron", "men", "'s", "Stahl", "металл", "鉄", " ", "  ", "\n", "7", "e", "!", "é"]
)


@given(text=st.lists(WORDS | st.characters(), max_size=30).map("".join))
def test_ids_of_any_text_equal_those_of_the_definition(
    tokenizer: Tokenizer, twin: Twin, text: str
) -> None:
    assert tokenizer.encode(text) == twin.encode(text)


def test_a_saved_tokenizer_is_the_same_and_saves_to_the_same_bytes(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    tokenizer.save(tmp_path / "first.json")
    loaded = Tokenizer.load(tmp_path / "first.json")
    loaded.save(tmp_path / "second.json")
    assert (tmp_path / "first.json").read_bytes() == (tmp_path / "second.json").read_bytes()
    assert list(map(loaded.encode, TEXTS)) == list(map(tokenizer.encode, TEXTS))
    assert loaded.token_bytes.tolist() == tokenizer.token_bytes.tolist()


def test_the_tokenizers_library_reads_the_file_and_agrees(
    tokenizer: Tokenizer, texts: list[str], tmp_path: Path
) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    peer = Backend.from_file(str(tmp_path / "tokenizer.json"))
    for text in texts[:20]:
        assert peer.encode(text).ids == tokenizer.encode(text)
        assert peer.decode(peer.encode(text).ids) == text


# Words as frequent as each other: merges are full of ties, which a race would break by chance.
TRAIN = """
import random, sys
from pathlib import Path
from bessemer.tokens.hostile import HOSTILE
from bessemer.tokens.tokenizer import train_tokenizer
draw = random.Random(0)
words = ["".join(draw.choices("abcdefghé鉄", k=6)) for _ in range(3000)]
texts = (" ".join(draw.sample(words, 50)) for _ in range(3000))
train_tokenizer(texts, 2000).save(Path(sys.argv[1]))
"""


def test_training_does_not_depend_on_threads_or_hash_seeds(tmp_path: Path) -> None:
    written = set()
    for number, (threads, seed) in enumerate([("1", "0"), ("2", "1"), ("5", "2")]):
        path = tmp_path / f"{number}.json"
        environment = os.environ | {
            "RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": seed, "TOKENIZERS_PARALLELISM": "true",
        }  # fmt: skip
        subprocess.run([sys.executable, "-c", TRAIN, path], env=environment, check=True)
        written.add(path.read_bytes())
    assert len(written) == 1


@pytest.mark.parametrize("texts", [[], [""], ["iron iron iron"], ["<|end_of_text|>"]])
def test_too_little_text_for_the_vocabulary_is_a_data_error(texts: list[str]) -> None:
    with pytest.raises(DataError, match=r"the sample yields only \d+ tokens of the 300 asked for"):
        train_tokenizer(iter(texts), 300)


def test_what_is_no_tokenizer_of_ours_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    for text in ("", "{", "{}", "[1]"):
        path.write_text(text)
        with pytest.raises(IntegrityError, match=r"is (damaged|no tokenizer of ours)"):
            Tokenizer.load(path)
    with pytest.raises(IntegrityError, match=r"none\.json is missing"):
        Tokenizer.load(tmp_path / "none.json")
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel()
    backend.train_from_iterator(["iron"], trainers.BpeTrainer(special_tokens=[BEGIN]))
    backend.save(str(path))
    with pytest.raises(IntegrityError, match=r"lacks the special token <\|end_of_text\|>"):
        Tokenizer.load(path)
    trainer = trainers.BpeTrainer(special_tokens=[BEGIN, END])
    backend.train_from_iterator(["iron"], trainer=trainer)
    backend.save(str(path))
    with pytest.raises(IntegrityError, match="lacks a token for 251 of the 256 bytes"):
        Tokenizer.load(path)


def test_special_tokens_in_reserve_stand_behind_begin_and_end(texts: list[str]) -> None:
    tokenizer = train_tokenizer(iter(texts), 300, ["<|user|>", "<|assistant|>"])
    assert [tokenizer._backend.id_to_token(n) for n in range(4)] == [
        BEGIN, END, "<|user|>", "<|assistant|>",
    ]  # fmt: skip
    assert tokenizer.vocab_size == 300
    assert_round_trip(tokenizer, "<|user|> said <|assistant|>")
    assert not {2, 3} & set(tokenizer.encode("<|user|> said <|assistant|>"))


def test_a_special_token_that_text_can_produce_is_refused(texts: list[str]) -> None:
    texts = ["the", *texts] * 20
    with pytest.raises(DataError, match=r"text can produce 'the'; .*, such as '<\|the\|>'"):
        train_tokenizer(iter(texts), 450, ["the"])
    assert len(train_tokenizer(iter(texts), 450, ["<|the|>"]).encode("the")) == 1
