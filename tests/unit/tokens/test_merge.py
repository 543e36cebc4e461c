"""Merges are made as the definition says, and as `tokenizers` makes them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import models

from bessemer.text.buffers import utf8_buffers
from bessemer.tokens.merge import make_merges, merge
from bessemer.tokens.spec import spell

BYTES = {spell(bytes([byte])): byte for byte in range(256)}


def model_of(pairs: Sequence[tuple[int, int]], letters: str = "abc") -> dict[str, Any]:
    """A vocabulary whose merges are pairs of tokens, each given by its place among those before."""
    tokens, merges = list(letters), []
    vocab = dict(BYTES)
    for left, right in pairs:
        pair = tokens[left % len(tokens)], tokens[right % len(tokens)]
        if pair not in merges and len("".join(pair)) < 40:
            merges.append(pair)
            tokens.append("".join(pair))
            vocab.setdefault("".join(pair), len(vocab))
    return {"vocab": vocab, "merges": merges}


def encode(model: dict[str, Any], pretokens: Sequence[str], known: Sequence[int] = ()) -> list[Any]:
    offsets, data = utf8_buffers(pa.array(pretokens, pa.large_string()))
    none = np.full(len(pretokens), -1, np.int32)
    none[: len(known)] = known
    ids, starts = merge(offsets, data, none, make_merges(model))
    return [part.tolist() for part in np.split(ids, starts[1:-1])] if pretokens else []


def by_definition(model: dict[str, Any], pretoken: str) -> list[int]:
    """The pair that was learned first is merged, the leftmost of equals, until none is left."""
    rank = {pair: n for n, pair in enumerate(model["merges"])}
    parts = list(pretoken)
    while ranked := [(rank[p], at) for at, p in enumerate(pairwise(parts)) if p in rank]:
        _, at = min(ranked)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return [model["vocab"][part] for part in parts]


PAIRS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=30)


@given(
    pairs=PAIRS,
    order=st.randoms(use_true_random=False),
    pretokens=st.lists(st.text("abc", min_size=1)),
)
def test_merges_follow_the_definition_in_whatever_order_they_were_learned(
    pairs: list[tuple[int, int]], order: Any, pretokens: list[str]
) -> None:
    model = model_of(pairs)
    order.shuffle(model["merges"])
    assert encode(model, pretokens) == [by_definition(model, pretoken) for pretoken in pretokens]


@given(pairs=PAIRS, text=st.text("abc", min_size=1, max_size=400))
def test_merges_are_those_of_the_library(pairs: list[tuple[int, int]], text: str) -> None:
    model = model_of(pairs)
    backend = Backend(models.BPE(model["vocab"], model["merges"]))
    assert encode(model, [text]) == [backend.encode(text).ids]


def test_a_very_long_piece_is_merged_as_by_the_library() -> None:
    draw = np.random.default_rng(0)
    model = model_of(draw.integers(0, 1000, (1000, 2)).tolist())
    backend = Backend(models.BPE(model["vocab"], model["merges"]))
    texts = ["".join(draw.choice(list("abc"), 200_000)), "a" * 200_000]
    assert encode(model, texts) == [backend.encode(text).ids for text in texts]


def test_bytes_without_merges_and_pieces_that_are_known() -> None:
    model = model_of([(0, 1)])
    pretokens = ["é", "ab", "ab", "\0"]
    assert encode(model, pretokens, known=[-1, -1, 7]) == [[0xC3, 0xA9], [256], [7], [0]]
    assert encode(model_of([]), ["ab"]) == [[97, 98]]
    assert encode(model, []) == []
