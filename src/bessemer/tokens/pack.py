"""Stage `pack`: which pieces of documents make a sample, and what each way of packing costs.

Output: `packing.parquet`, per source, packing and sequence length what an epoch cuts, pads and
repeats; and under best-fit `<source>/<group>.pieces.npy` and `.bounds.npy`, listed in `packs.json`.
A group is some consecutive shards, packed by itself: so memory is bounded, and groups are tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bessemer.config.timetable import make_timetable
from bessemer.config.train import TrainConfig
from bessemer.core.layout import PACKING, PACKS
from bessemer.core.manifest import StageResult
from bessemer.core.schema import PACKING_COST, TRAIN
from bessemer.core.storage import write_json, write_table
from bessemer.engine.tasks import Engine, Task
from bessemer.tokens.packing import pack_documents, write_packing
from bessemer.tokens.shard import TokenShard
from bessemer.tokens.stream import list_shards

GROUP_DOCS = 1 << 22  # about 400 MB of memory while they are packed
CONCAT, BEST_FIT = "concat", "best_fit"
_SUMS = ("docs", "cut_docs", "samples", "padded_tokens", "unlabelled_tokens", "wrapped_tokens")


def pack(
    encoded: Path, sources: Sequence[str], train: TrainConfig, folder: Path, engine: Engine
) -> StageResult:
    """Measure both packings; write the pieces of every sample if it is to be best-fit."""
    seq_lens = sorted({phase.seq_len for phase in make_timetable(train).phases})
    entries = [entry for entry in list_shards(encoded) if entry["side"] == TRAIN]
    tasks, owners = [], []
    for source in sources:
        mine = [entry for entry in entries if entry["source"] == source]
        total, position = sum(entry["tokens"] for entry in mine), 0
        for number, group in enumerate(_groups(mine)):
            name = f"{source}/{number:05d}"
            tasks.append(
                Task(
                    key=name.replace("/", "-"),
                    function=pack_group,
                    arguments={
                        "encoded": encoded,
                        "shards": [entry["shard"] for entry in group],
                        "first_position": position,
                        "total_tokens": total,
                        "seq_lens": seq_lens,
                        "prefix": folder / name if train.packing == BEST_FIT else None,
                    },
                )
            )
            owners.append((source, name))
            position += sum(entry["tokens"] for entry in group)
    results = engine.map("pack", folder, tasks)
    rows = []
    for source in sources:
        costs = [
            result["costs"]
            for (owner, _), result in zip(owners, results, strict=True)
            if owner == source
        ]
        for same in zip(*costs, strict=True):  # one packing and length, over all groups
            row = same[0] | {name: sum(each[name] for each in same) for name in _SUMS}
            rows.append({"source": source, **row})
    write_table(folder / PACKING, pa.Table.from_pylist(rows, schema=PACKING_COST))
    packs = [
        {"source": source, "pack": name, "samples": result["samples"]}
        for (source, name), result in zip(owners, results, strict=True)
        if train.packing == BEST_FIT
    ]
    write_json(folder / PACKS, packs)
    chosen = [row for row in rows if row["packing"] == train.packing]
    return StageResult(
        summary={
            "cut_docs_frac": _shares(chosen, "cut_docs", "docs", 1),
            "padded_frac": _shares(chosen, "padded_tokens", "samples", max(seq_lens)),
        }
    )


def pack_group(
    encoded: Path,
    shards: Sequence[str],
    first_position: int,
    total_tokens: int,
    seq_lens: Sequence[int],
    prefix: Path | None,
) -> dict[str, Any]:
    """Both packings of some consecutive shards of a stream of `total_tokens`, whose first token is
    at `first_position`; writes the best-fit one to `prefix`, if any."""
    lengths = np.concatenate(
        [np.diff(TokenShard(encoded / name).ends, prepend=0) for name in shards]
    ).astype(np.int64)
    ends = first_position + np.cumsum(lengths)
    costs, samples = [], 0
    for seq_len in seq_lens:
        costs.append(_concat_cost(ends, lengths, first_position, total_tokens, seq_len))
        packing = pack_documents(ends - lengths, lengths, seq_len)
        samples = packing.num_samples
        costs.append(
            {
                "packing": BEST_FIT,
                "seq_len": seq_len,
                "docs": len(lengths),
                "cut_docs": int((lengths - 1 > seq_len).sum()),
                "samples": samples,
                "padded_tokens": samples * seq_len - int(packing.tokens().sum()),
                "unlabelled_tokens": 0,
                "wrapped_tokens": 0,
            }
        )
        if prefix is not None:
            write_packing(prefix, packing)
    return {"costs": costs, "samples": samples}


def _concat_cost(
    ends: np.ndarray, lengths: np.ndarray, first_position: int, total_tokens: int, seq_len: int
) -> dict[str, Any]:
    """What concat-and-cut costs in an epoch; sums over groups are those of the source.

    What belongs to the source as a whole (samples, padding, wrapping) is in that of its first.
    """
    samples = max(1, -(-(total_tokens - 1) // seq_len))
    read = min(total_tokens, samples * seq_len)
    is_padded = total_tokens <= seq_len
    wrapped = 0 if is_padded else max(0, samples * seq_len - total_tokens)
    starts = ends - lengths
    # Inputs with a label are all tokens of a document but its last; it is cut if they lie apart.
    is_cut = (lengths > 1) & (starts // seq_len != (ends - 2) // seq_len)
    # An END is read as an input, and predicts nothing; once more in what is wrapped.
    unlabelled = int((ends <= read).sum()) + int((ends <= wrapped).sum())
    is_first = first_position == 0
    return {
        "packing": CONCAT,
        "seq_len": seq_len,
        "docs": len(lengths),
        "cut_docs": int(is_cut.sum()),
        "samples": samples if is_first else 0,
        "padded_tokens": max(0, seq_len - total_tokens) if is_first else 0,
        "unlabelled_tokens": unlabelled,
        "wrapped_tokens": wrapped if is_first else 0,
    }


def _groups(entries: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Consecutive shards of up to GROUP_DOCS documents, at least one shard in each."""
    group: list[dict[str, Any]] = []
    docs = 0
    for entry in entries:
        if group and docs + entry["docs"] > GROUP_DOCS:
            yield group
            group, docs = [], 0
        group.append(entry)
        docs += entry["docs"]
    if group:
        yield group


def _shares(rows: Sequence[dict[str, Any]], part: str, whole: str, unit: int) -> dict[str, float]:
    """Of each source, `part` over `unit` times `whole`; of its longest samples."""
    return {row["source"]: row[part] / max(1, unit * row[whole]) for row in rows}
