"""Sequences cut for ranks: against a cutting chunk by chunk, and by what each rank has to do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bessemer.config.axes import Axes
from bessemer.core.labels import IGNORED
from bessemer.model.dropout import drop, dropout_keys
from bessemer.model.pieces import find_pieces, whole_pieces
from bessemer.tokens.sample import Sample
from bessemer.train.loader import Batch, make_batch
from bessemer.train.mesh import Ranks
from bessemer.train.parallel.context import AllGather, part_of_batch, to_parts, to_whole

SECOND_OF_TWO = AllGather(group=None, num_parts=2, rank=1)  # sends nothing here


def places_of(rank: int, num_parts: int, length: int) -> list[int]:
    """Chunk `rank` from the beginning and chunk `rank` from the end."""
    chunk = length // (2 * num_parts)
    front, back = rank * chunk, length - (rank + 1) * chunk
    return [*range(front, front + chunk), *range(back, back + chunk)]


@pytest.mark.parametrize(("num_parts", "length"), [(1, 2), (2, 4), (2, 24), (3, 12), (4, 64)])
def test_a_part_is_one_chunk_from_each_end(num_parts: int, length: int) -> None:
    whole = torch.randn(3, length, 2)
    parts = to_parts(whole, num_parts)
    assert parts.shape == (num_parts, 3, length // num_parts, 2)
    for rank in range(num_parts):
        assert torch.equal(parts[rank], whole[:, places_of(rank, num_parts, length)])
    assert torch.equal(to_whole(parts), whole)


@pytest.mark.parametrize("num_parts", [2, 3, 8])
def test_all_parts_have_as_much_to_attend_to(num_parts: int) -> None:
    seen_1S = torch.arange(1, 48 * num_parts + 1)[None]  # by the token at each place
    assert len(set(to_parts(seen_1S, num_parts).sum(dim=(1, 2)).tolist())) == 1


def make_samples(num_samples: int, seq_len: int) -> Batch:
    generator = np.random.default_rng(0)
    samples = {}
    for number in range(num_samples):
        pieces = np.sort(generator.integers(0, 3, seq_len))
        ids = generator.integers(0, 50, seq_len)
        labels = np.where(generator.random(seq_len) < 0.3, IGNORED, ids)
        doc_ids = pieces + 100 * number
        samples[number] = Sample(
            input_ids=ids, labels=labels, doc_ids=doc_ids, pieces=pieces, source=number % 2
        )
    return make_batch(samples)


def test_a_part_of_a_batch_has_its_tokens_and_all_documents() -> None:
    batch, axes = make_samples(3, 24), Axes(cp=3, dp_shard=2)
    parts = [part_of_batch(batch, Ranks(axes=axes, context_rank=rank)) for rank in range(3)]
    for rank, part in enumerate(parts):
        here = places_of(rank, 3, 24)
        for name in ("input_ids_BT", "labels_BT", "doc_ids_BT"):
            assert torch.equal(getattr(part, name), getattr(batch, name)[:, here]), name
        for name in ("documents_BT", "sources_B", "samples_B"):
            assert torch.equal(getattr(part, name), getattr(batch, name)), name
    assert sum(part.num_labels for part in parts) == batch.num_labels
    assert [part.digest for part in parts] == [batch.digest, 0, 0]  # each sample counts once
    assert part_of_batch(batch, Ranks(axes=Axes(dp_shard=2))) is batch


def test_positions_and_padding_are_those_of_whole_sequences() -> None:
    documents = torch.tensor([[0] * 5 + [1] * 6 + [-1] * 5, [2] * 16])
    whole, cut = find_pieces(documents), find_pieces(documents, SECOND_OF_TWO)
    here = places_of(1, 2, 16)
    assert cut.places_T is not None
    assert cut.places_T.tolist() == here
    assert torch.equal(cut.positions_BT, whole.positions_BT)
    assert torch.equal(cut.here(cut.positions_BT), whole.positions_BT[:, here])
    assert cut.real_BT is not None
    assert torch.equal(cut.real_BT, whole.real_BT[:, here])
    plain = whole_pieces(documents, SECOND_OF_TWO)
    assert plain.lengths == (16, 16)
    assert plain.here(plain.positions_BT).tolist() == [here, here]


def test_a_part_loses_what_the_whole_loses_there() -> None:
    x, keys = torch.ones(2, 16, 8), dropout_keys(3, torch.tensor([4, 9]))
    whole = drop(x, 0.4, keys, 5)
    for rank in range(2):
        here = places_of(rank, 2, 16)
        part = drop(x[:, here], 0.4, keys, 5, torch.tensor(here))
        assert torch.equal(part, whole[:, here])
