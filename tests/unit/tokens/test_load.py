"""Tokenizers from elsewhere give the ids that their own library gives, and every byte back."""

from __future__ import annotations

import base64
import json
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import tiktoken
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend
from tokenizers.processors import TemplateProcessing

from bessemer.core.errors import DataError
from bessemer.tokens.hostile import HOSTILE, prove
from bessemer.tokens.load import LoadedTokenizer, read_tokenizer
from bessemer.tokens.patterns import DIGITS_SPLIT, PATTERNS
from bessemer.tokens.tokenizer import BEGIN, END, Tokenizer

Encode = Callable[[str], list[int]]
# On a million blanks `tokenizers` takes seconds; one test here goes through all.
BRIEF = {name: text for name, text in HOSTILE.items() if len(text) < 10_000}
SHORT = list(BRIEF.values())


def byte_level(
    texts: Sequence[str],
    pre_tokenizer: pre_tokenizers.PreTokenizer,
    special: Sequence[str],
    **model: Any,
) -> Backend:
    """A byte-level BPE of 500 tokens as people publish them."""
    backend = Backend(models.BPE(**model))
    backend.pre_tokenizer = pre_tokenizer
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500 - len(special),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer=trainer)
    backend.add_special_tokens(list(special))
    return backend


def split_by(*patterns: str) -> pre_tokenizers.PreTokenizer:
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([*splits, last])


def write(path: Path, backend: Backend, **changes: Any) -> Path:
    spec = json.loads(backend.to_str())
    for key, value in changes.items():
        spec[key] = spec[key] | value if isinstance(value, dict) and spec[key] else value
    path.write_text(json.dumps(spec))
    return path


def as_gpt2(texts: Sequence[str], path: Path) -> Path:
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend = byte_level(texts, plain, ["<|endoftext|>"])
    merges = [" ".join(pair) for pair in json.loads(backend.to_str())["model"]["merges"]]
    return write(path, backend, model={"merges": merges})  # as files of that time have them


def as_llama3(texts: Sequence[str], path: Path) -> Path:
    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"]
    backend = byte_level(texts, split_by(PATTERNS["llama3"]), special, ignore_merges=True)
    backend.post_processor = TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 497)]
    )
    return write(path, backend)


def as_qwen(texts: Sequence[str], path: Path) -> Path:
    backend = byte_level(texts, split_by(PATTERNS["qwen2"]), ["<|endoftext|>", "<|im_start|>"])
    backend.normalizer = normalizers.NFC()
    backend.add_tokens([AddedToken("<think>", normalized=False, special=False)])
    return write(path, backend)


def as_deepseek(texts: Sequence[str], path: Path) -> Path:
    special = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"]
    patterns = (r"\p{N}{1,3}", "[一-龥]+", PATTERNS["qwen2"])
    return write(path, byte_level(texts, split_by(*patterns), special))


def as_starcoder(texts: Sequence[str], path: Path) -> Path:
    steps = [pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    return write(path, byte_level(texts, pre_tokenizers.Sequence(steps), ["<|endoftext|>"]))


def as_ours(texts: Sequence[str], path: Path) -> Path:
    return write(path, byte_level(texts, split_by(DIGITS_SPLIT), [BEGIN, END]))


# maker, BEGIN, END, what is left out, whether our kernels encode
KINDS = {
    "gpt2": (as_gpt2, BEGIN, "<|endoftext|>", (), True),
    "llama3": (as_llama3, "<|begin_of_text|>", "<|end_of_text|>", ("post_processor",), True),
    "qwen": (as_qwen, BEGIN, "<|endoftext|>", ("normalizer NFC",), True),
    "deepseek": (as_deepseek, "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", (), False),
    "starcoder": (as_starcoder, BEGIN, "<|endoftext|>", (), False),
    "ours": (as_ours, BEGIN, END, (), True),
}


@pytest.fixture(scope="session", params=KINDS)
def published(
    request: pytest.FixtureRequest, texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, LoadedTokenizer, Tokenizer]:
    path = KINDS[request.param][0](texts, tmp_path_factory.mktemp("their") / "tokenizer.json")
    loaded = read_tokenizer(path)
    return request.param, path, loaded, loaded.build()


def test_a_published_tokenizer_gives_its_own_ids(
    published: tuple[str, Path, LoadedTokenizer, Tokenizer], texts: list[str]
) -> None:
    name, path, loaded, tokenizer = published
    _, begin, end, left_out, is_fast = KINDS[name]
    theirs = Backend.from_file(str(path))
    theirs.encode_special_tokens = True
    assert (loaded.kind, loaded.begin, loaded.end) == ("tokenizer.json", begin, end)
    assert (loaded.left_out, tokenizer.is_fast) == (left_out, is_fast)
    added = BEGIN not in theirs.get_vocab() and begin == BEGIN
    assert tokenizer.vocab_size == loaded.vocab_size == len(theirs.get_vocab()) + added
    assert tokenizer.begin_id == theirs.token_to_id(begin) or tokenizer.vocab_size - 1
    assert tokenizer.end_id == theirs.token_to_id(end)
    assert prove(tokenizer, BRIEF) == len(BRIEF)
    for text in [*texts[:20], *SHORT]:
        known = unicodedata.normalize("NFC", text) if left_out == ("normalizer NFC",) else text
        assert tokenizer.encode(known) == theirs.encode(known, add_special_tokens=False).ids, text


def test_a_published_tokenizer_cuts_every_code_point_as_its_library_does(
    published: tuple[str, Path, LoadedTokenizer, Tokenizer],
) -> None:
    _, _, _, tokenizer = published
    if not tokenizer.is_fast:
        return  # the library itself encodes
    points = [point for point in range(0, 0x30000, 7) if not 0xD800 <= point < 0xE000]
    for at in range(0, len(points), 512):
        text = "".join(f"a{chr(p)}b {chr(p)}1! {chr(p)}?\n'{chr(p)}" for p in points[at : at + 512])
        assert tokenizer.encode(text) == tokenizer.encode_as_saved(text)


@given(
    text=st.text(
        st.one_of(st.characters(codec="utf-8"), st.sampled_from("aehinrst'S \n\r\t.,!?019"))
    )
)
def test_any_text_comes_back_from_a_published_tokenizer(
    published: tuple[str, Path, LoadedTokenizer, Tokenizer], text: str
) -> None:
    tokenizer = published[3]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert int(tokenizer.token_bytes[ids].sum()) == len(text.encode())
    assert ids == tokenizer.encode_as_saved(text)


def test_tokens_that_are_not_special_are_matched_in_text(texts: list[str], tmp_path: Path) -> None:
    path = as_qwen(texts, tmp_path / "tokenizer.json")
    tokenizer = read_tokenizer(path).build()
    thought = tokenizer._backend.token_to_id("<think>")
    ids = tokenizer.encode("a<think>b<|im_start|>")
    assert thought in ids
    assert tokenizer.token_bytes[thought] == 7
    assert tokenizer.decode(ids) == "a<think>b<|im_start|>"
    assert tokenizer.encode_as_saved("a<think>b<|im_start|>") == ids


def test_what_is_saved_of_a_published_tokenizer_is_loaded_again(
    published: tuple[str, Path, LoadedTokenizer, Tokenizer], tmp_path: Path
) -> None:
    tokenizer = published[3]
    tokenizer.save(tmp_path / "tokenizer.json")
    again = Tokenizer.load(tmp_path / "tokenizer.json")
    assert (again.begin_id, again.end_id) == (tokenizer.begin_id, tokenizer.end_id)
    assert again.contents == tokenizer.contents
    assert [again.encode(text) for text in SHORT] == [tokenizer.encode(text) for text in SHORT]
    kept = json.loads((tmp_path / "tokenizer.json").read_text())
    assert not any(kept[key] for key in ("normalizer", "post_processor", "truncation", "padding"))


def test_names_of_begin_and_end(texts: list[str], tmp_path: Path) -> None:
    path = as_gpt2(texts, tmp_path / "tokenizer.json")
    same = read_tokenizer(path, begin="<|endoftext|>")
    assert (same.begin, same.end, same.vocab_size) == ("<|endoftext|>", "<|endoftext|>", 500)
    beside = tmp_path / "tokenizer_config.json"
    beside.write_text(json.dumps({"bos_token": {"content": "<|endoftext|>"}, "eos_token": None}))
    assert read_tokenizer(path).begin == "<|endoftext|>"
    with pytest.raises(DataError, match=r"no special token '<eod>'; it has: <\|endoftext\|>"):
        read_tokenizer(path, end="<eod>")
    more = read_tokenizer(path, special_tokens=("<|user|>", "<|endoftext|>"))
    assert more.vocab_size == 501
    with pytest.raises(DataError, match="'the' is a token that text can produce"):
        spec = json.loads(path.read_text())
        spec["model"]["vocab"]["the"] = 500
        (tmp_path / "other.json").write_text(json.dumps(spec))
        read_tokenizer(tmp_path / "other.json", special_tokens=("the",))


@pytest.fixture(scope="session")
def ranks(texts: list[str]) -> dict[bytes, int]:
    """A vocabulary as tiktoken keeps it: the 256 bytes, then what was learned."""
    backend = byte_level(texts, split_by(PATTERNS["cl100k"]), [])
    kept = Tokenizer(json.loads(backend.to_str()), "a", "b")
    order = sorted(range(500), key=lambda index: (len(kept.contents[index]) > 1, index))
    return {kept.contents[index]: rank for rank, index in enumerate(order)}


def write_ranks(path: Path, ranks: dict[bytes, int]) -> Path:
    lines = [base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items()]
    path.write_bytes(b"".join(lines))
    return path


@pytest.mark.parametrize("pattern", [*PATTERNS, r"\p{L}+|[^\p{L}]", r"\p{L}+"])
def test_ranks_of_tiktoken_give_the_ids_of_tiktoken(
    ranks: dict[bytes, int], texts: list[str], tmp_path: Path, pattern: str
) -> None:
    loaded = read_tokenizer(write_ranks(tmp_path / "some.model", ranks), pattern)
    tokenizer = loaded.build()
    assert (loaded.kind, loaded.begin, loaded.end) == ("tiktoken", BEGIN, END)
    assert (tokenizer.begin_id, tokenizer.end_id, tokenizer.vocab_size) == (500, 501, 502)
    assert tokenizer.is_fast == (pattern in PATTERNS)
    prove(tokenizer, BRIEF)
    theirs = tiktoken.Encoding(
        "theirs",
        pat_str=PATTERNS.get(pattern, pattern),
        mergeable_ranks=ranks,
        special_tokens={},
    )
    covers = pattern != r"\p{L}+"  # else tiktoken drops what lies between words, and we do not
    for text in [*texts[:20], *SHORT]:
        ids = tokenizer.encode(text)
        assert (theirs.encode(text) == ids) == (covers or text.isalpha() or not text), text
        assert ids == tokenizer.encode_as_saved(text)


def test_ranks_with_a_hole_and_tokens_that_nothing_merges_into(tmp_path: Path) -> None:
    """As p50k_base (a hole) and words that are in a vocabulary without the way to them."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    ranks |= {b"ab": 256, b"bc": 258, b"abcd": 259, b"xyz": 260}
    tokenizer = read_tokenizer(write_ranks(tmp_path / "r", ranks), "gpt2", end="<|eos|>").build()
    assert (tokenizer.begin_id, tokenizer.end_id, tokenizer.vocab_size) == (261, 262, 263)
    assert tokenizer.contents[257] == b""
    theirs = tiktoken.Encoding(
        "t", pat_str=PATTERNS["gpt2"], mergeable_ranks=ranks, special_tokens={}
    )
    for text in ("abcd", "xabcd", "xyz", "xyzx", "abc", "bcd abcd xyz"):
        assert tokenizer.encode(text) == theirs.encode(text) == tokenizer.encode_as_saved(text)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_merges_in_any_order_give_the_ids_of_the_library(
    texts: list[str], tmp_path: Path, pattern: str
) -> None:
    """A vocabulary of which no order of tokens tells the order of its merges."""
    backend = byte_level(texts, split_by(PATTERNS[pattern]), [BEGIN, END])
    merges = json.loads(backend.to_str())["model"]["merges"]
    path = write(tmp_path / "t.json", backend, model={"merges": merges[::-1]})
    tokenizer = read_tokenizer(path).build()
    assert tokenizer.is_fast
    assert prove(tokenizer, BRIEF | {text: text for text in texts[:50]}) > 50


def test_a_pattern_that_is_unknown_is_left_to_its_library(
    ranks: dict[bytes, int], texts: list[str], tmp_path: Path
) -> None:
    tokenizer = read_tokenizer(write_ranks(tmp_path / "r", ranks), r"\w+|\W").build()
    assert not tokenizer.is_fast
    for text in texts[:5]:
        assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.fixture(scope="session")
def model_file(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_model(tmp_path_factory.mktemp("sp") / "m", texts)


def train_model(prefix: Path, texts: Sequence[str], **options: Any) -> Path:
    """A SentencePiece model like Llama 2's, but for the blank before every text."""
    settings = {
        "model_type": "bpe", "byte_fallback": True, "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False, "add_dummy_prefix": False, "vocab_size": 600,
        "character_coverage": 0.98, "user_defined_symbols": ["<sep>", "\u2581\u2581"],
        "hard_vocab_limit": False, "minloglevel": 2,
    }  # fmt: skip
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for text in texts for line in text.splitlines()]),
        model_prefix=str(prefix),
        **(settings | options),
    )
    return prefix.with_suffix(".model")


def test_a_sentencepiece_model_gives_the_ids_of_sentencepiece(
    model_file: Path, texts: list[str]
) -> None:
    loaded = read_tokenizer(model_file)
    tokenizer = loaded.build()
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(model_file))
    assert (loaded.kind, loaded.begin, loaded.end) == ("sentencepiece", "<s>", "</s>")
    assert (tokenizer.begin_id, tokenizer.end_id) == (theirs.bos_id(), theirs.eos_id())
    assert tokenizer.vocab_size == theirs.vocab_size()
    assert (loaded.left_out, tokenizer.is_fast) == ((), False)
    assert prove(tokenizer) == len(HOSTILE)
    more = ["a<sep>b  c   d", "    x\n\n\ty", " ", "  ", "鉄鉄 𝔘 <s> ", "x" * 500 + " " * 40]
    for text in [*texts[:40], *SHORT, *more]:
        if "\u2581" not in text and "\0" not in text:  # what SentencePiece itself loses
            assert tokenizer.encode(text) == theirs.encode(text), text
    assert tokenizer.decode(tokenizer.encode("a\u2581b \0")) == "a\u2581b \0"
    assert theirs.decode(theirs.encode("a\u2581b")) != "a\u2581b"


@given(
    text=st.text(
        st.one_of(st.characters(codec="utf-8"), st.sampled_from("aehinrst'S \n<sep>\u2581"))
    )
)
def test_any_text_comes_back_from_a_sentencepiece_model(model_file: Path, text: str) -> None:
    tokenizer = shared(model_file)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(model_file))
    if "\u2581" not in text and "\0" not in text:
        assert tokenizer.encode(text) == theirs.encode(text)


_BUILT: dict[Path, Tokenizer] = {}


def shared(path: Path) -> Tokenizer:
    if path not in _BUILT:
        _BUILT[path] = read_tokenizer(path).build()
    return _BUILT[path]


def test_the_blank_before_every_text_is_left_out(texts: list[str], tmp_path: Path) -> None:
    loaded = read_tokenizer(train_model(tmp_path / "m", texts, add_dummy_prefix=True))
    assert loaded.left_out == ("dummy prefix",)
    tokenizer = loaded.build()
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "m.model"))
    for text in texts[:20]:
        line = text.split("\n")[0]
        assert tokenizer.encode(" " + line) == theirs.encode(line)
        assert tokenizer.decode(tokenizer.encode(line)) == line


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"model_type": "unigram"}, "of BPE is needed, this is unigram"),
        ({"byte_fallback": False}, "has no byte fallback"),
        ({"normalization_rule_name": "nmt_nfkc"}, r"changes text .* \(normalization nmt_nfkc\)"),
        ({"remove_extra_whitespaces": True}, "removes blanks"),
    ],
)
def test_a_sentencepiece_model_that_loses_bytes_is_refused(
    texts: list[str], tmp_path: Path, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(DataError, match=why):
        read_tokenizer(train_model(tmp_path / "m", texts, **options))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"normalizer": {"type": "Lowercase"}}, "changes text .* Lowercase"),
        ({"normalizer": {"type": "NFKC"}}, "changes text .* NFKC"),
        ({"model": {"dropout": 0.1}}, "its BPE has dropout"),
        ({"model": {"end_of_word_suffix": "</w>"}}, "its BPE has end_of_word_suffix"),
        ({"model": {"type": "Unigram"}}, "its model is Unigram"),
        ({"decoder": {"type": "Metaspace"}}, "not byte-level"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "not byte-level"),
        ({"pre_tokenizer": {"add_prefix_space": True}}, "puts a blank before every text"),
        (
            {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"String": " "}, "behavior": "Removed",
                 "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
            ]}},
            "splitting by Split loses text",
        ),
        ({"added_tokens": [{"id": 500, "content": "<x>", "special": False, "lstrip": True}]},
         "'<x>' swallows the blanks"),
    ],
)  # fmt: skip
def test_a_tokenizer_json_that_loses_bytes_is_refused(
    texts: list[str], tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False)
    path = write(tmp_path / "t.json", byte_level(texts, plain, ["<|endoftext|>"]), **changes)
    with pytest.raises(DataError, match=why):
        read_tokenizer(path)


def test_files_that_are_no_tokenizer_are_refused(
    ranks: dict[bytes, int], texts: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    with pytest.raises(DataError, match=r"cannot read .*file: No such file"):
        read_tokenizer(path)
    for data, why in (
        (b"", "is no tokenizer: not JSON, no ranks, no model"),
        (b"text", "is no tokenizer: not JSON, no ranks, no model"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "is no tokenizer"),
        (b"{}", r"is no tokenizer\.json: model: Field required"),
        (b"{", r"is no tokenizer\.json: Expecting"),
        (b'{"a":' * 100_000, r"is no tokenizer\.json: maximum recursion depth"),
        (b"YQ== 0\nYQ 1\n", "line 2: no token in base64 and its rank"),
        (b"YQ== 0\nYg== 0\n", "two tokens have the same rank"),
        (b"YQ== 9999999999\n", "the highest id of the vocabulary is 9999999999"),
    ):
        path.write_bytes(data)
        with pytest.raises(DataError, match=why):
            read_tokenizer(path, "gpt2" if data.startswith(b"YQ") else None)
    with pytest.raises(DataError, match=r"give tokenizer\.pattern: gpt2, cl100k"):
        read_tokenizer(write_ranks(path, ranks))
    with pytest.raises(DataError, match=r"says itself how text is split"):
        read_tokenizer(as_gpt2(texts, tmp_path / "tokenizer.json"), "gpt2")
    some = {token: rank for token, rank in ranks.items() if token != b"\0"}
    with pytest.raises(DataError, match="file: lacks a token for 1 of the 256 bytes"):
        read_tokenizer(write_ranks(path, some), "gpt2").build()
    with pytest.raises(DataError, match=r"file: .* end pattern with unmatched parenthesis"):
        read_tokenizer(write_ranks(path, ranks), "(").build()
    for typo in ("cl100", "gpt-2", ""):
        with pytest.raises(DataError, match=rf"no pattern is called '{typo}', .*; known: gpt2, "):
            read_tokenizer(write_ranks(path, ranks), typo)


def test_an_added_token_is_no_byte(texts: list[str], tmp_path: Path) -> None:
    """A line end that is looked for in text does not stand for the byte in other tokens."""
    backend = byte_level(texts, pre_tokenizers.ByteLevel(add_prefix_space=False), [BEGIN, END])
    spec = json.loads(backend.to_str())
    index = len(backend.get_vocab())
    del spec["model"]["vocab"]["Ċ"]
    spec["model"]["merges"] = [pair for pair in spec["model"]["merges"] if "Ċ" not in "".join(pair)]
    plain = {"id": index, "content": "\n", "special": False}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    spec["added_tokens"].append(plain | flags)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(spec))
    with pytest.raises(DataError, match="lacks a token for 1 of the 256 bytes"):
        read_tokenizer(path).build()


@pytest.mark.parametrize(
    ("keys", "value", "why"),
    [
        ("model vocab xyzzy", "7", r"model\.vocab\.xyzzy: Input should be a valid integer"),
        ("model vocab xyzzy", 7.5, r"model\.vocab\.xyzzy: Input should be a valid integer"),
        ("model vocab xyzzy", -1, r"model\.vocab\.xyzzy: .* greater than or equal to 0"),
        ("model vocab xyzzy", 300, r"'xyzzy' both have the id 300"),
        ("model vocab xyzzy", 2**31, "the highest id of the vocabulary is 2147483648"),
        ("model vocab", [["a", 0.5]], r"model\.vocab: Input should be a valid dictionary"),
        ("model merges", [3], r"model\.merges\.0\."),
        ("model merges", [["a"]], r"model\.merges\.0\."),
        ("model type", "Unigram", "its model is Unigram; only BPE can be loaded"),
        ("added_tokens", None, "added_tokens: Input should be a valid list"),
        ("added_tokens", [{"id": 0}], r"added_tokens\.0\.content: Field required"),
        ("added_tokens", [{"id": "0", "content": "a", "special": True}], r"added_tokens\.0\.id: "),
        ("pre_tokenizer", "x", r"pre_tokenizer: Input should be a valid dictionary"),
        ("pre_tokenizer", {}, r"pre_tokenizer\.type: Field required"),
        ("pre_tokenizer", None, "is not byte-level"),
        ("decoder", None, "is not byte-level"),
    ],
)
def test_a_damaged_tokenizer_json_is_refused_with_the_place_of_the_damage(
    texts: list[str], tmp_path: Path, keys: str, value: Any, why: str
) -> None:
    path = as_gpt2(texts, tmp_path / "tokenizer.json")
    spec = json.loads(path.read_text())
    *outer, last = keys.split()
    part = spec
    for key in outer:
        part = part[key]
    part[last] = value
    path.write_text(json.dumps(spec))
    with pytest.raises(DataError, match=rf"tokenizer\.json.*{why}"):
        read_tokenizer(path)
