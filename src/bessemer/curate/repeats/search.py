"""The tasks that find repeated windows over all shards, in memory bounded by a shard or a part.

Windows are parted by their keys (`text/window_keys.py`), in two rounds. In the first only the keys
come together, to tell which stand at two places; most stand at one, and their windows at no other.
In the second come the symbols of what is left, and windows are compared. Both send each key to one
part, so that no part needs another.

The text is that which the stages before left (`curate/edited.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from bessemer.core.storage import atomic_path
from bessemer.curate.edited import read_edited
from bessemer.curate.groups import begins_group
from bessemer.engine.shuffle import gather, read_range, scatter, write_run
from bessemer.text.buffers import Offsets, utf8_buffers
from bessemer.text.repeats import find_repeats
from bessemer.text.tokens import list_tokens
from bessemer.text.window_keys import Symbols, cut_runs, window_runs

KEY_ROW_BYTES = 8
RUN_ROW_BYTES = 24  # beside its symbols
_WINDOW_BYTES = 96  # the most that a window takes which is looked up


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """What is looked at, and what a window is."""

    ingest: Path
    ledgers: tuple[Path, ...]
    unit: str  # bytes | words
    length: int  # of a window, in units

    @property
    def symbol_bytes(self) -> int:
        """What a symbol takes: a byte, or the hash of a word."""
        return 1 if self.unit == "bytes" else 8


class Sequences(NamedTuple):
    """The texts of a shard as symbols: document `i` is `symbols[offsets[i]:offsets[i + 1]]`."""

    offsets: Offsets
    symbols: Symbols  # uint8, or uint64 hashes of words
    starts: np.ndarray | None  # of words, the first byte of each and the one behind it
    stops: np.ndarray | None


def sequences(unit: str, texts: pa.Array | pa.ChunkedArray) -> Sequences:
    """The texts as symbols of the unit."""
    if unit == "bytes":
        return Sequences(*utf8_buffers(texts), None, None)
    return Sequences(*list_tokens(texts, with_signs=False))


def part_keys(search: Search, shard: str, num_parts: int, out: Path) -> dict[str, Any]:
    """Part the keys of one shard's runs of windows: each once for each place, of two at most."""
    _, offsets, symbols = _read(search, shard)
    runs = window_runs(offsets, symbols, search.length)
    keys = np.repeat(runs.keys, runs.places)
    scatter(out, pa.table({"key": keys}), keys, num_parts)
    return {"keys": len(keys)}


def find_repeated_keys(keys: Sequence[Path], part: int, out: Path) -> dict[str, Any]:
    """Write the keys of one part that stand at two places, for each shard that has them.

    The run goes by the position of the shard in `keys`, under the name of "doc_id".
    """
    column = gather(keys, part)["key"]
    shard = np.repeat(np.arange(len(keys)), [len(chunk) for chunk in column.chunks])
    key = column.to_numpy()
    order = np.lexsort((shard, key))
    key, shard = key[order], shard[order]
    is_known = ~begins_group(key)
    is_repeated = is_known | np.append(is_known[1:], False)[: len(key)]
    wanted = np.flatnonzero(is_repeated & begins_group(key, shard))
    wanted = wanted[np.argsort(shard[wanted], kind="stable")]
    write_run(out, pa.table({"doc_id": shard[wanted], "key": key[wanted]}))
    return {"places": int(is_repeated.sum())}


def part_windows(
    search: Search, shard: str, position: int, repeated: Sequence[Path], num_parts: int, out: Path
) -> dict[str, Any]:
    """Part one shard's runs of windows whose keys stand at two places, with their symbols."""
    doc_ids, offsets, symbols = _read(search, shard)
    runs = window_runs(offsets, symbols, search.length)
    wanted = read_range(repeated, position, position)["key"].to_numpy()
    is_wanted = _are_among(runs.keys, wanted)
    keys, sequence, first, num_windows, _ = (column[is_wanted] for column in runs)
    num_symbols = num_windows + search.length - 1
    cuts, data = cut_runs(offsets, symbols, sequence, first, num_symbols)
    rows = {
        "key": keys,
        "doc_id": doc_ids[sequence],
        "first": first,
        "symbols": _binary(cuts * search.symbol_bytes, data),
    }
    scatter(out, pa.table(rows), keys, num_parts)
    return {"runs": len(keys), "symbols": len(data)}


def match_windows(
    search: Search, runs: Sequence[Path], part: int, part_bytes: int, spans: Path, keepers: Path
) -> dict[str, Any]:
    """Compare the windows of one part.

    Writes runs by doc_id: `spans` of symbols that are covered by repeats (`first`, `end`, and
    `evidence_doc_id`, where its first window stands first), and `keepers`, documents with a window
    that another one repeats.
    """
    table = gather(runs, part)
    doc_id, first = table["doc_id"].to_numpy(), table["first"].to_numpy()
    joined = spans.with_suffix(".symbols")
    offsets, symbols = _join(table["symbols"], search.symbol_bytes, part_bytes, joined)
    max_windows = max(1, part_bytes // _WINDOW_BYTES)
    found, is_source = find_repeats(
        *(offsets, symbols, table["key"].to_numpy(), doc_id, first, search.length, max_windows)
    )
    joined.unlink(missing_ok=True)
    starts = first[found.run] + found.first
    rows = {
        "doc_id": doc_id[found.run],
        "first": starts,
        "end": starts + found.end - found.first + search.length - 1,
        "evidence_doc_id": doc_id[found.source],
    }
    write_run(spans, pa.table(rows).take(np.lexsort((starts, rows["doc_id"]))))
    write_run(keepers, pa.table({"doc_id": np.unique(doc_id[is_source])}))
    return {"spans": len(starts)}


def _read(search: Search, shard: str) -> tuple[np.ndarray, Offsets, Symbols]:
    """The ids of one shard's documents, and their texts as symbols."""
    documents = read_edited(search.ingest, search.ledgers, shard).documents
    texts = sequences(search.unit, documents["text"])
    return documents["doc_id"].to_numpy(), texts.offsets, texts.symbols


def _are_among(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """bool per key: whether it is among the distinct ones that are wanted.

    As np.isin, which is several times as slow where there are many.
    """
    if not len(wanted):
        return np.zeros(len(keys), np.bool_)
    wanted = np.sort(wanted)
    found: np.ndarray = wanted[np.searchsorted(wanted, keys).clip(max=len(wanted) - 1)] == keys
    return found


def _binary(offsets: np.ndarray, data: np.ndarray) -> pa.Array:
    """The bytes of `data` as a binary column, cut at `offsets`."""
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)


def _join(
    column: pa.ChunkedArray, symbol_bytes: int, part_bytes: int, scratch: Path
) -> tuple[Offsets, Symbols]:
    """The symbols of all rows one after the other, as offsets and an array.

    A part that came out larger than it should, as all windows of a key are in one, is joined in the
    file `scratch`, which is read where it lies.
    """
    lengths, pieces = [np.zeros(1, np.int64)], []
    for chunk in column.chunks:
        _, offsets_buffer, data = chunk.buffers()
        if len(chunk):
            offsets = np.frombuffer(offsets_buffer, np.int64, len(chunk) + 1, 8 * chunk.offset)
            pieces.append(np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]])
            lengths.append(np.diff(offsets))
    ends = np.cumsum(np.concatenate(lengths))
    if ends[-1] > part_bytes:
        with atomic_path(scratch) as temporary, temporary.open("wb") as file:
            for piece in pieces:
                file.write(piece.data)
        joined = np.memmap(scratch, np.uint8, "r").view(np.ndarray)
    else:
        joined = np.concatenate([np.empty(0, np.uint8), *pieces])
    return ends // symbol_bytes, joined if symbol_bytes == 1 else joined.view(np.uint64)
