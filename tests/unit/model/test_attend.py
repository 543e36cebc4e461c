"""All paths of attention compute the textbook's formula, and see what they should see."""

from __future__ import annotations

import math

import pytest
import torch

from bessemer.model import attend as module
from bessemer.model.attend import attend, attend_past, attend_run
from bessemer.model.pieces import borders_of_run, find_pieces, visibility_mask, whole_pieces


def textbook(q, k, v, documents, window):
    """softmax(q k^T / sqrt(K)) v in float64, token by token."""
    batch, length, num_heads, width = q.shape
    share = num_heads // k.shape[2]
    out = torch.zeros_like(q, dtype=torch.float64)
    for b in range(batch):
        for t in range(length):
            begin = t
            while begin > 0 and documents[b, begin - 1] == documents[b, t]:
                begin -= 1
            seen = slice(max(begin, t - window + 1) if window else begin, t + 1)
            for h in range(num_heads):
                scores = k[b, seen, h // share].double() @ q[b, t, h].double() / math.sqrt(width)
                out[b, t, h] = scores.softmax(0) @ v[b, seen, h // share].double()
    return out


def random_qkv(batch: int, length: int, num_kv_heads: int = 2) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(length)
    return tuple(
        torch.randn(batch, length, heads, 8, generator=generator, requires_grad=True)
        for heads in (4, num_kv_heads, num_kv_heads)
    )


def gradients(y: torch.Tensor, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(0)).to(y.dtype)
    return torch.autograd.grad((y * weights).sum(), inputs)


LONG = [[1] * 20 + [2] * 28, [3] * 47 + [4]]
SHORT = [[1, 1, 2, 3, 3, 3] * 8, [7] * 24 + [8, 9] * 12]
WHOLE = [[5] * 48, [6] * 48]


@pytest.mark.parametrize("documents", [LONG, SHORT, WHOLE], ids=["long", "short", "whole"])
@pytest.mark.parametrize("window", [None, 1, 7, 16, 100])
@pytest.mark.parametrize("num_kv_heads", [1, 4])
@pytest.mark.parametrize("call_products", [0, 10**12], ids=["piece by piece", "under a mask"])
def test_attention_is_the_textbooks(
    documents: list[list[int]],
    window: int | None,
    num_kv_heads: int,
    call_products: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_CALL_PRODUCTS", call_products)
    ids = torch.tensor(documents)
    qkv = random_qkv(2, 48, num_kv_heads)
    found, wanted = attend(*qkv, find_pieces(ids), window), textbook(*qkv, ids, window)
    torch.testing.assert_close(found.double(), wanted, atol=1e-6, rtol=1e-5)
    for ours, theirs in zip(gradients(found, qkv), gradients(wanted, qkv), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("documents", [LONG, SHORT, WHOLE], ids=["long", "short", "whole"])
@pytest.mark.parametrize("window", [None, 1, 7, 100])
@pytest.mark.parametrize(("begin", "end"), [(0, 48), (0, 12), (12, 24), (19, 41), (47, 48)])
def test_attention_of_a_run_of_tokens_is_the_textbooks(
    documents: list[list[int]], window: int | None, begin: int, end: int
) -> None:
    ids = torch.tensor(documents)
    q, k, v = qkv = random_qkv(2, 48)
    found = attend_run(q[:, begin:end], k, v, find_pieces(ids), begin, window)
    wanted = textbook(*qkv, ids, window)[:, begin:end]
    torch.testing.assert_close(found.double(), wanted, atol=1e-6, rtol=1e-5)
    for ours, theirs in zip(gradients(found, qkv), gradients(wanted, qkv), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("documents", [LONG, SHORT, WHOLE], ids=["long", "short", "whole"])
@pytest.mark.parametrize(("begin", "end"), [(0, 48), (0, 12), (12, 24), (19, 41), (47, 48)])
def test_borders_of_a_run_pair_each_query_with_the_keys_it_sees(
    documents: list[list[int]], begin: int, end: int
) -> None:
    """As a kernel of variable length reads them: the last query of a piece sees its last key."""
    pieces = find_pieces(torch.tensor(documents))
    queries, keys = (each.tolist() for each in borders_of_run(pieces, begin, end))
    query_places = [(row, t) for row in range(2) for t in range(begin, end)]
    key_places = [(row, t) for row in range(2) for t in range(end)]
    assert len(queries) == len(keys) == len(pieces.lengths) + 1
    assert (queries[-1], keys[-1]) == (len(query_places), len(key_places))
    seen = {}
    for piece in range(len(pieces.lengths)):
        of_piece = key_places[keys[piece] : keys[piece + 1]]
        asking = query_places[queries[piece] : queries[piece + 1]]
        for back, place in enumerate(reversed(asking)):
            seen[place] = of_piece[: len(of_piece) - back]
    for row, t in query_places:
        first = t
        while first > 0 and documents[row][first - 1] == documents[row][t]:
            first -= 1
        assert seen[row, t] == [(row, place) for place in range(first, t + 1)]


def test_whole_sequences_are_found_to_be_whole() -> None:
    ids = torch.tensor(WHOLE)
    found, plain = find_pieces(ids), whole_pieces(ids)
    assert found.is_whole
    assert plain.is_whole
    assert found.lengths == plain.lengths == (48, 48)
    assert found.starts_S.tolist() == plain.starts_S.tolist() == [0, 48, 96]
    assert torch.equal(found.positions_BT, plain.positions_BT)
    assert not find_pieces(torch.tensor(LONG)).is_whole


@pytest.mark.parametrize(("piece_tokens", "masks"), [(4, 1), (64, 0)])
def test_a_mask_is_made_only_where_calls_would_cost_more(piece_tokens: int, masks: int) -> None:
    documents = torch.arange(1024 // piece_tokens).repeat_interleave(piece_tokens).view(2, 512)
    pieces = find_pieces(documents)
    attend(*random_qkv(2, 512), pieces)
    assert len(pieces._made) == masks


def test_pieces_are_runs_of_equal_numbers_within_a_sequence() -> None:
    pieces = find_pieces(torch.tensor([[4, 4, 9, 9, 9, -1], [-1, -1, 4, 4, 4, 4]]))
    assert pieces.lengths == (2, 3, 1, 2, 4)
    assert pieces.starts_S.tolist() == [0, 2, 5, 6, 8, 12]
    assert pieces.positions_BT.tolist() == [[0, 1, 0, 1, 2, 0], [0, 1, 0, 1, 2, 3]]


def test_the_mask_shows_what_a_token_sees() -> None:
    pieces = find_pieces(torch.tensor([[4, 4, 9, 9, 9, -1]]))
    seen = visibility_mask(pieces.positions_BT, None, torch.float32)[0, 0] == 0
    assert seen.int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 1, 1, 0, 0],
        [0, 0, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]
    windowed = visibility_mask(pieces.positions_BT, 2, torch.float32)[0, 0] == 0
    assert windowed.int().tolist()[4] == [0, 0, 0, 1, 1, 0]


def test_the_newest_token_sees_all_that_is_given() -> None:
    q, k, v = random_qkv(2, 12)
    found = attend_past(q[:, -1:], k, v)
    wanted = textbook(q, k, v, torch.zeros(2, 12), None)[:, -1:]
    torch.testing.assert_close(found.double(), wanted, atol=1e-6, rtol=1e-5)
