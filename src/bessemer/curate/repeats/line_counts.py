"""How many documents each line stands in, and which copies of it go: the shuffle of `lines`.

Rows of all shards come together by the keys of lines (bessemer.engine.shuffle). A document that has
the first copy of a repeated line is not dropped for what else it loses, so first copies stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.config.lines import LinesConfig
from bessemer.core.layout import SHARD_RANGES
from bessemer.core.storage import read_table
from bessemer.curate.edited import read_edited
from bessemer.curate.ledger import shard_of
from bessemer.curate.repeats.line_protection import protected_units
from bessemer.engine.shuffle import gather, read_range, scatter, write_part, write_run
from bessemer.text.line_units import Units, find_units

NUM_SHOWN = 20
"""Of the most frequent lines, so many are named."""


def units_of(texts: pa.Array, config: LinesConfig) -> Units:
    """The lines or paragraphs of texts, as the settings ask."""
    return find_units(
        texts,
        paragraphs=config.unit == "paragraph",
        words=config.compare == "words",
        fold_digits=config.fold_digits,
    )


def scan_shard(
    ingest: Path,
    ledgers: Sequence[Path],
    config: LinesConfig,
    shard: str,
    num_parts: int,
    out: Path,
    sizes: Path,
) -> dict[str, Any]:
    """Part the keys of one shard's lines; write the sizes of its texts.

    Of a line, `place` counts those before it in its text, and `cut_bytes` are what its cut would
    take: none if it is protected.
    """
    documents = read_edited(ingest, ledgers, shard).documents
    texts, doc_ids = documents["text"].combine_chunks(), documents["doc_id"].to_numpy()
    units = units_of(texts, config)
    num_units = np.diff(units.offsets)
    cut_bytes = np.where(protected_units(texts, units, config), 0, units.stops - units.starts)
    place = np.arange(len(units.starts)) - np.repeat(units.offsets[:-1], num_units)
    rows = pa.table(
        {
            "high": units.highs,
            "low": units.lows,
            "doc_id": np.repeat(doc_ids, num_units),
            "place": place.astype(np.int32),
            "cut_bytes": cut_bytes.astype(np.int32),
        }
    )
    rows = rows.filter(
        (units.num_words >= config.min_words) & (units.num_chars >= config.min_chars)
    )
    scatter(out, rows, rows["low"].to_numpy(), num_parts)
    table = {"doc_id": doc_ids, "text_bytes": pc.binary_length(texts), "num_units": num_units}
    write_run(sizes, pa.table(table))
    return {"lines": len(units.starts), "compared": len(rows)}


def count_part(
    rows: Sequence[Path],
    part: int,
    ingest: Path,
    sources: Sequence[str],
    config: LinesConfig,
    repeats: Path,
    cuts: Path,
) -> dict[str, Any]:
    """Count the documents of each line of one part.

    Writes the copies of those that are repeated, line by line, and what their cut would take of
    each document. Returns counts of all `sources` and the most frequent
    lines: [documents, copies, document and place of the first one].
    """
    table = gather(rows, part)
    # Rows came by doc_id and place, and stay so among equal keys.
    order = np.lexsort((table["low"].to_numpy(), table["high"].to_numpy()))
    table = table.take(order).combine_chunks()
    high, low, doc_id = (table[name].to_numpy() for name in ("high", "low", "doc_id"))
    source = _source_of(ingest, doc_id, sources)
    is_first = _differs(high) | _differs(low)
    line = np.cumsum(is_first) - 1
    starts = np.flatnonzero(is_first)
    num_docs = np.bincount(line[is_first | _differs(doc_id)], minlength=len(starts))
    num_copies = np.diff(starts, append=len(line))
    is_repeat = num_docs > config.max_docs
    copies = table.filter(is_repeat[line]).select(["doc_id", "place", "cut_bytes"])
    copies = copies.append_column("line", pa.array(line[is_repeat[line]]))
    write_part(repeats, copies)
    _write_cuts(cuts, copies, config)
    in_source = is_first | _differs(source)
    frequent = np.flatnonzero(is_repeat)
    first_id, first_place = doc_id[starts[frequent]], table["place"].to_numpy()[starts[frequent]]
    ranked = np.lexsort((first_place, first_id, -num_copies[frequent], -num_docs[frequent]))
    best = ranked[:NUM_SHOWN]
    told = (num_docs[frequent], num_copies[frequent], first_id, first_place)
    return {
        "distinct": len(starts),
        "repeated": len(frequent),
        "by_source": {
            "distinct": _count(source[in_source], sources),
            "repeated": _count(source[is_repeat[line]], sources),
        },
        "most_frequent": np.stack([column[best] for column in told], axis=1).tolist(),
    }


def _write_cuts(path: Path, copies: pa.Table, config: LinesConfig) -> None:
    """A run of the documents with repeated lines: how many of them go, how many bytes with these,
    and how many stay as first copies."""
    line, doc_id, cut_bytes = (copies[name].to_numpy() for name in ("line", "doc_id", "cut_bytes"))
    is_kept = _differs(line) if config.keep == "first" else np.zeros(len(line), np.bool_)
    goes = ~is_kept & (cut_bytes > 0)
    ids, place = np.unique(doc_id, return_inverse=True)
    sums = np.zeros((3, len(ids)), np.int64)
    np.add.at(sums[0], place, goes)
    np.add.at(sums[1], place, np.where(goes, cut_bytes, 0))
    np.add.at(sums[2], place, is_kept)
    names = ("doc_id", "num_units", "cut_bytes", "num_kept")
    write_run(path, pa.table([ids, *sums], names=names))


def weigh_shard(
    sizes: Path, cuts: Sequence[Path], max_cut_frac: float, out: Path
) -> dict[str, Any]:
    """Write which documents of one shard are to be dropped whole, and what share would be cut.

    One that has the first copy of a repeated line is not among them: others may be cut for it.
    """
    table = gather([sizes], 0)
    doc_ids = table["doc_id"].to_numpy()
    first, last = (doc_ids[0], doc_ids[-1]) if len(doc_ids) else (0, -1)
    found = read_range(cuts, first, last)
    place = np.searchsorted(doc_ids, found["doc_id"].to_numpy())
    sums = np.zeros((3, len(doc_ids)), np.int64)
    for total, name in zip(sums, ("num_units", "cut_bytes", "num_kept"), strict=True):
        np.add.at(total, place, found[name].to_numpy())
    cut_frac = sums[1] / np.maximum(table["text_bytes"].to_numpy(), 1)
    is_lost = (cut_frac > max_cut_frac) & (sums[2] == 0)
    is_lost |= sums[0] == table["num_units"].to_numpy()
    is_lost &= sums[0] > 0
    write_run(out, pa.table({"doc_id": doc_ids[is_lost], "cut_frac": cut_frac[is_lost]}))
    return {"lost": int(is_lost.sum())}


def choose_part(
    repeats: Path,
    lost: Sequence[Path],
    ingest: Path,
    sources: Sequence[str],
    config: LinesConfig,
    out: Path,
) -> dict[str, Any]:
    """Write a run of the lines of one part that go, each with the document that keeps a copy.

    Lines of dropped documents are among them: they say why. Returns what became of the copies in
    documents that stay, and how many were in others.
    """
    table = gather([repeats], 0)
    line, doc_id = table["line"].to_numpy(), table["doc_id"].to_numpy()
    dropped = np.concatenate([gather([path], 0)["doc_id"].to_numpy() for path in lost])
    is_lost = np.isin(doc_id, dropped)
    is_kept = np.zeros(len(line), np.bool_)
    if config.keep == "first":
        is_kept = _differs(line)
    keeper = np.full(line[-1] + 1 if len(line) else 0, -1)
    keeper[line[is_kept]] = doc_id[is_kept]
    goes = ~is_kept & (table["cut_bytes"].to_numpy() > 0)
    place = table["place"].to_numpy()[goes]
    order = np.lexsort((place, doc_id[goes]))
    columns = (doc_id[goes], place, keeper[line[goes]])
    names = ("doc_id", "place", "keeper")
    write_run(out, pa.table([column[order] for column in columns], names=names))
    source = _source_of(ingest, doc_id, sources)
    fates = {
        "cut": goes & ~is_lost,
        "kept": is_kept,
        "protected": ~goes & ~is_kept & ~is_lost,
        "dropped": is_lost,
    }
    return {"by_source": {name: _count(source[mask], sources) for name, mask in fates.items()}}


def _differs(values: np.ndarray) -> np.ndarray:
    """Whether each value is another than the one before; the first one is."""
    found = np.ones(len(values), np.bool_)
    found[1:] = values[1:] != values[:-1]
    return found


def _source_of(ingest: Path, doc_ids: np.ndarray, sources: Sequence[str]) -> np.ndarray:
    """The place of each document's source among `sources` (int64)."""
    names = read_table(ingest / SHARD_RANGES, ["source"])["source"].to_pylist()
    number = np.array([sources.index(name) if name in sources else -1 for name in names])
    found: np.ndarray = number[shard_of(ingest, doc_ids)]
    return found


def _count(source: np.ndarray, sources: Sequence[str]) -> dict[str, int]:
    return dict(zip(sources, np.bincount(source, minlength=len(sources)).tolist(), strict=True))
