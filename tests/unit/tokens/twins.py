"""Streams of documents as plain lists, and samples of them made token by token: the slow twins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bessemer.tokens.sample import Sample
from bessemer.tokens.shard import write_shard

Shards = Sequence[Sequence[Sequence[int]]]  # tokens of documents of shards
Row = tuple[int, int, int, int]  # token, label, document, piece
PADDING: Row = (0, -100, -1, -1)


def write_shards(
    folder: Path, source: str, shards: Shards, side: str = "train"
) -> list[dict[str, Any]]:
    """Write shards as the encode stage does; their entries in shards.json.

    Document `row` of shard `number` has the id 1000 * number + row.
    """
    entries = []
    for number, documents in enumerate(shards):
        name = f"{side}/{source}{number}"
        doc_ids = [1000 * number + row for row in range(len(documents))]
        write_shard(folder / name, documents, doc_ids, [1] * len(documents), 70_000)
        entries.append(
            {
                "shard": name,
                "side": side,
                "source": source,
                "docs": len(documents),
                "tokens": sum(map(len, documents)),
            }
        )
    return entries


def flatten(shards: Shards) -> list[tuple[int, int, int]]:
    """(token, label, document) of every token of a stream, in order."""
    return [
        (token, document[place + 1] if place + 1 < len(document) else -100, 1000 * number + row)
        for number, documents in enumerate(shards)
        for row, document in enumerate(documents)
        for place, token in enumerate(document)
    ]


def number_pieces(tokens: Sequence[tuple[int, int, int]], seq_len: int) -> list[Row]:
    """Some tokens as a sample: a new piece after every end of a document, then padding."""
    rows: list[Row] = []
    piece = 0
    for token, label, document in tokens:
        rows.append((token, label, document, piece))
        piece += label == -100
    return rows + [PADDING] * (seq_len - len(rows))


def circular_rows(shards: Shards, start: int, seq_len: int) -> list[Row]:
    """A sample that goes on at the stream's beginning; padded if the stream is too short."""
    flat = flatten(shards)
    if len(flat) <= seq_len:
        return number_pieces(flat, seq_len)
    return number_pieces([*flat, *flat][start : start + seq_len], seq_len)


def rows_of(sample: Sample) -> list[Row]:
    """A sample token by token."""
    columns = (sample.input_ids, sample.labels, sample.doc_ids, sample.pieces)
    return list(zip(*(column.tolist() for column in columns), strict=True))
