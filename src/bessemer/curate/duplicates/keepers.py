"""Which of documents that are alike is kept: the best by quality, length, source, and then id.

The order is total and hangs on the documents alone, never on which arrived or was compared first:
a higher score of the quality model, if the run has one (a document without a score comes last),
then more bytes of text, then an earlier source in `curate.source_priority`, then the smaller
doc_id.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from bessemer.core.layout import SIGNALS
from bessemer.core.storage import read_table
from bessemer.curate.quality_model import QUALITY_SIGNAL

NO_SCORE = np.float32(-np.inf)

RANKED = pa.schema(  # what the order is by
    [
        ("doc_id", pa.int64()),
        ("num_shingles", pa.int64()),
        ("score", pa.float32()),
        ("num_bytes", pa.int64()),
        ("source_place", pa.int32()),
    ]
)


def order_sources(sources: Sequence[str], source_priority: Sequence[str]) -> tuple[str, ...]:
    """All sources, best first: those with a priority, then the others as the run file has them."""
    others = [source for source in sources if source not in source_priority]
    return (*source_priority, *others)


def source_places(column: pa.ChunkedArray, best_first: Sequence[str]) -> np.ndarray:
    """int32 per document: the place of its source in `best_first`, which has all of them."""
    encoded = column.combine_chunks().dictionary_encode()
    places = np.array([best_first.index(name) for name in encoded.dictionary.to_pylist()], np.int32)
    found: np.ndarray = places[encoded.indices.to_numpy()]
    return found


def read_scores(signals: Path | None, shard: str, doc_ids: np.ndarray) -> np.ndarray:
    """float32 quality score of documents of one shard (sorted `doc_ids`), NO_SCORE where there is
    none: all of them without `signals`, the folder of the stage of that name."""
    if signals is None:
        return np.full(len(doc_ids), NO_SCORE)
    table = read_table(signals / SIGNALS / shard, ["doc_id", QUALITY_SIGNAL])
    places = np.searchsorted(table["doc_id"].to_numpy(), doc_ids)
    scores = table[QUALITY_SIGNAL].to_numpy()[places].astype(np.float32)
    return np.where(np.isnan(scores), NO_SCORE, scores)


def order_best_first(documents: pa.Table, containers_first: bool = False) -> np.ndarray:
    """int64 places of documents (RANKED), the best one's first.

    `containers_first` is for documents of which one may contain the other: then the one with more
    shingles is better whatever its score, for an excerpt has not what it was taken from.
    """
    column = {name: documents[name].to_numpy() for name in documents.column_names}
    keys = [column["doc_id"], column["source_place"], -column["num_bytes"], -column["score"]]
    if containers_first:
        keys.append(-column["num_shingles"])
    return np.lexsort(keys)
