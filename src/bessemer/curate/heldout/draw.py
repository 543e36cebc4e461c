"""Who is drawn to be held out: each text by itself, by a keyed hash of what it says.

A text's draw is a number in [0, 1) that depends on its content hash and the key alone; it is drawn
if the number is below its source's bound, which is the share to hold out or, for a fixed size, what
gives that size. So no other document moves it, but for a bound that moves.

The documents next in line above the bound are the source's spares: should nothing that was drawn
be fit to be held out (`curate.links`), it is one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bessemer.config.split import HeldoutConfig
from bessemer.core.errors import DataError
from bessemer.core.keyed import Key, uniform
from bessemer.core.units import format_counted
from bessemer.curate.ledger import content_hashes, read_survivors
from bessemer.engine.shuffle import gather, write_part

NUM_SPARES = 64
TRAINED, SPARE, DRAWN = 0, 1, 2
"""What the draw says of a document; a spare is trained on unless its source needs it."""

Draws = npt.NDArray[np.float64]
Sides = npt.NDArray[np.uint8]


class Bound(NamedTuple):
    """What the draw came to in one source. Plain data, for it goes to tasks as it is."""

    drawn_below: float
    spares: tuple[int, ...]  # doc_ids, next in line first
    num_docs: int
    drawn_bytes: int  # of the drawn and of spares


def draws_of(content_hash: pa.ChunkedArray, key: Key) -> Draws:
    """The draw of each document, by its content hash."""
    return uniform(key, content_hashes(content_hash)[:, 0])


def sides_of(doc_ids: npt.NDArray[np.int64], draws: Draws, bound: Bound) -> Sides:
    """TRAINED, SPARE or DRAWN for each document."""
    sides = np.full(len(doc_ids), TRAINED, np.uint8)
    sides[np.isin(doc_ids, np.array(bound.spares, np.int64))] = SPARE
    sides[draws < bound.drawn_below] = DRAWN
    return sides


def draw_shard(
    ingest: Path, ledgers: Sequence[Path], key: Key, shard: str, out: Path
) -> dict[str, Any]:
    """Write the draws of one shard's documents, the lowest first."""
    table = read_survivors(ingest, ledgers, shard, ["doc_id", "content_hash", "num_bytes"])
    draws = draws_of(table["content_hash"], key)
    order = np.lexsort((table["doc_id"].to_numpy(), draws))
    rows = {"draw": draws, "doc_id": table["doc_id"], "num_bytes": table["num_bytes"]}
    write_part(out, pa.table(rows).take(order).combine_chunks())
    return {"docs": len(table)}


def bound_source(source: str, draws: Sequence[Path], size: Mapping[str, Any]) -> dict[str, Any]:
    """Find the bound of one source from the draws of its shards; `size` is a HeldoutConfig's.

    In memory are a shard's draws, and for a fixed size those of the documents that make it.
    The highest draw is never below it: training needs a document, too. Raises DataError if a fixed
    size is more than there is of the source.
    """
    wanted = HeldoutConfig.model_validate(size)
    num_docs, highest = 0, 0.0
    for path in draws:
        table = gather([path], 0)
        num_docs += len(table)
        if len(table):
            highest = max(highest, table["draw"][-1].as_py())
    drawn_below = wanted.heldout_frac
    if drawn_below is None:
        drawn_below = _bound_of_size(source, draws, wanted)
    drawn_below = min(drawn_below, highest) if num_docs else drawn_below
    spares: pa.Table | None = None
    drawn_bytes = 0
    for path in draws:
        table = gather([path], 0)
        first = int(np.searchsorted(table["draw"].to_numpy(), drawn_below))
        drawn_bytes += int(table["num_bytes"].to_numpy()[:first].sum())
        spares = _lowest(spares, table.slice(first, NUM_SPARES)).slice(0, NUM_SPARES)
    return {
        "drawn_below": drawn_below,
        "spares": spares["doc_id"].to_pylist() if spares else [],
        "num_docs": num_docs,
        "drawn_bytes": drawn_bytes + (sum(spares["num_bytes"].to_pylist()) if spares else 0),
    }


def _bound_of_size(source: str, draws: Sequence[Path], wanted: HeldoutConfig) -> float:
    """What is just above the draw that makes the size full."""
    lowest: pa.Table | None = None
    for path in draws:
        lowest = _lowest(lowest, gather([path], 0))
        lowest = lowest.slice(0, _num_until_full(lowest, wanted))
    there = 0 if lowest is None else int(_amount(lowest, wanted).sum())
    if lowest is None or there < _size(wanted):
        raise DataError(_too_little(source, there, wanted))
    return float(np.nextafter(lowest["draw"][-1].as_py(), 1.0))


def _too_little(source: str, there: int, wanted: HeldoutConfig) -> str:
    is_docs = wanted.heldout_docs is not None
    key, unit = ("heldout_docs", "document") if is_docs else ("heldout_bytes", "byte")
    return (
        f"split.sources.{source}.{key} = {_size(wanted):,}, but after the stages before the split "
        f"the source has {format_counted(there, unit)}; ask for less, or for a share of it by "
        "heldout_frac"
    )


def _num_until_full(table: pa.Table, wanted: HeldoutConfig) -> int:
    full = np.searchsorted(np.cumsum(_amount(table, wanted)), _size(wanted))
    return int(full) + 1


def _amount(table: pa.Table, wanted: HeldoutConfig) -> npt.NDArray[np.int64]:
    """What each document adds to the size."""
    if wanted.heldout_docs is not None:
        return np.ones(len(table), np.int64)
    amount: npt.NDArray[np.int64] = table["num_bytes"].to_numpy()
    return amount


def _size(wanted: HeldoutConfig) -> int:
    size = wanted.heldout_docs if wanted.heldout_docs is not None else wanted.heldout_bytes
    assert size is not None, wanted
    return size


def _lowest(first: pa.Table | None, second: pa.Table) -> pa.Table:
    """The rows of both, by their draws, then doc_ids."""
    table = second if first is None else pa.concat_tables([first, second])
    return table.take(np.lexsort((table["doc_id"].to_numpy(), table["draw"].to_numpy())))
