"""A stream is all documents in one row, whatever shards they lie in; samples are cut from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.core.errors import IntegrityError
from bessemer.core.storage import write_json
from bessemer.tokens.stream import TokenRange, TokenStream, open_streams

from .twins import flatten, number_pieces, rows_of, write_shards

SIZES = st.lists(st.lists(st.integers(0, 20), max_size=4), min_size=1, max_size=4)


@settings(max_examples=40)
@given(sizes=SIZES, seq_len=st.integers(1, 30), data=st.data())
def test_what_is_read_is_what_all_documents_in_one_row_hold(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[list[int]],
    seq_len: int,
    data: st.DataObject,
) -> None:
    numbers = iter(range(10_000))
    shards = [[[next(numbers) for _ in range(n)] for n in shard] for shard in sizes]
    folder = tmp_path_factory.mktemp("stream")
    stream = TokenStream(folder, write_shards(folder, "s", shards))
    total = sum(map(sum, sizes))
    assert stream.num_tokens == total
    start = data.draw(st.integers(0, max(0, total - 1)))
    ranges = stream.ranges(start, seq_len)
    sample = stream.read(ranges, seq_len, source=4)
    flat = flatten(shards)
    assert rows_of(sample) == number_pieces(flat[start : start + seq_len], seq_len)
    assert sample.source == 4
    assert all(column.dtype == np.int64 for column in (sample.input_ids, sample.labels))
    located = [
        flat[stream.position_of(part.shard, part.token_start) + offset]
        for part in ranges
        for offset in range(part.num_tokens)
    ]
    assert located == flat[start : start + seq_len]


def test_a_range_across_shards_is_a_range_of_each(tmp_path: Path) -> None:
    entries = write_shards(tmp_path, "s", [[[1, 2, 3]], [], [[4, 5], [6]], [[7, 8, 9, 10]]])
    stream = TokenStream(tmp_path, entries)
    assert stream.ranges(1, 6) == (
        TokenRange(shard="train/s0", token_start=1, num_tokens=2),
        TokenRange(shard="train/s2", token_start=0, num_tokens=3),
        TokenRange(shard="train/s3", token_start=0, num_tokens=1),
    )
    assert stream.ranges(9, 6) == (TokenRange(shard="train/s3", token_start=3, num_tokens=1),)
    assert stream.ranges(10, 6) == ()


def test_a_piece_that_goes_round_is_not_taken_for_its_document(tmp_path: Path) -> None:
    # The end of a document and its beginning meet in one sample: one document, two pieces.
    stream = TokenStream(tmp_path, write_shards(tmp_path, "s", [[[1, 2, 3, 4, 5]]]))
    sample = stream.read(stream.ranges(3, 4) + stream.ranges(0, 2), 4, source=0)
    assert rows_of(sample) == [(4, 5, 0, 0), (5, -100, 0, 0), (1, 2, 0, 1), (2, 3, 0, 1)]


def test_streams_are_opened_by_source_and_side(tmp_path: Path) -> None:
    entries = write_shards(tmp_path, "web", [[[1, 2]], [[3]]])
    entries += write_shards(tmp_path, "books", [[[4, 5, 6]]])
    entries += write_shards(tmp_path, "web", [[[7]]], side="heldout")
    write_json(tmp_path / "shards.json", entries)
    sides = {side: open_streams(tmp_path, side) for side in ("train", "heldout")}
    assert {
        side: {source: (stream.names, stream.num_tokens) for source, stream in streams.items()}
        for side, streams in sides.items()
    } == {
        "train": {"web": (("train/web0", "train/web1"), 3), "books": (("train/books0",), 3)},
        "heldout": {"web": (("heldout/web0",), 1)},
    }


def test_a_shard_that_is_not_the_one_listed_is_refused(tmp_path: Path) -> None:
    entries = write_shards(tmp_path, "s", [[[1, 2]], [[3, 4, 5]]])
    entries[1]["tokens"] = 4
    stream = TokenStream(tmp_path, entries)
    assert len(rows_of(stream.read(stream.ranges(0, 2), 2, 0))) == 2
    with pytest.raises(IntegrityError, match=r"s1 has 3 tokens, shards.json says 4"):
        stream.read(stream.ranges(0, 5), 5, 0)
