"""Stage `mask`: personal data and secrets are to be replaced by placeholders when text is encoded.

One row of the ledger per document and kind, action "edit", with a span for each that was found:
`value` is how many. A document with more of them than is allowed is dropped. The ledger does not
repeat what it hides: evidence names the placeholder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from bessemer.config.curate import PiiConfig, PiiKind
from bessemer.config.sources import SourceConfig
from bessemer.core.layout import DOCUMENTS
from bessemer.core.manifest import StageResult
from bessemer.core.schema import DROP, EDIT
from bessemer.curate.ledger import (
    count_shard,
    decision,
    list_shards,
    read_survivors,
    sum_shards,
    write_decisions,
)
from bessemer.curate.pii import PLACEHOLDERS, Found, find_pii
from bessemer.engine.tasks import Engine, Task
from bessemer.text.candidates import candidates

STAGE = "mask"
DROP_RULE = "pii_count"


def mask(
    ingest: Path,
    ledgers: Sequence[Path],
    sources: Sequence[SourceConfig],
    pii: PiiConfig,
    folder: Path,
    engine: Engine,
) -> StageResult:
    """Look for personal data in the documents that `ledgers` left; the summary counts by kind."""
    candidates(pa.array(["a"], pa.large_string()))  # compiled once, before several workers would
    tasks = [
        Task(
            key=shard.removesuffix(".parquet"),
            function=mask_shard,
            arguments={
                "ingest": ingest,
                "ledgers": list(ledgers),
                "kinds_of": {source.name: kinds_for(source, pii) for source in sources},
                "max_per_document": pii.max_per_document,
                "shard": shard,
                "folder": folder,
            },
        )
        for shard in list_shards(ingest / DOCUMENTS)
    ]
    results = engine.map(STAGE, folder, tasks)
    masked: Counter[str] = Counter()
    for result in results:
        masked.update(result["masked"])
    return StageResult(
        conservation=sum_shards([source.name for source in sources], results),
        summary={"masked": dict(sorted(masked.items()))},
    )


def kinds_for(source: SourceConfig, pii: PiiConfig) -> tuple[PiiKind, ...]:
    """The kinds of personal data that are masked in a source, by its own kind."""
    by_kind = {"web": pii.web, "books": pii.books, "papers": pii.papers, "code": pii.code}
    return by_kind[source.kind]


def mask_shard(
    ingest: Path,
    ledgers: Sequence[Path],
    kinds_of: dict[str, tuple[PiiKind, ...]],
    max_per_document: int | None,
    shard: str,
    folder: Path,
) -> dict[str, Any]:
    """Mask one shard (of one source); returns what `count_shard` does, and counts by kind."""
    columns = ["doc_id", "source", "num_bytes"]
    table = read_survivors(ingest, ledgers, shard, [*columns, "text"])
    rows: list[dict[str, Any]] = []
    masked: Counter[str] = Counter()
    if len(table):
        kinds = kinds_of[table["source"][0].as_py()]
        for index, found in find_pii(table["text"].combine_chunks(), kinds):
            about = {name: table[name][index].as_py() for name in columns}
            if max_per_document is not None and len(found) > max_per_document:
                rows.append(_drop(about, found, max_per_document))
                continue
            rows += _edits(about, found)
            masked.update(each.kind for each in found)
    write_decisions(folder, shard, rows)
    return count_shard(table.select(columns), folder, shard) | {"masked": dict(masked)}


def _edits(about: dict[str, Any], found: Sequence[Found]) -> list[dict[str, Any]]:
    """A row for each kind that was found, by name."""
    rows = []
    for kind in sorted({each.kind for each in found}):
        mine = [each for each in found if each.kind == kind]
        placeholder = PLACEHOLDERS[kind]
        rows.append(
            decision(
                doc_id=about["doc_id"],
                source=about["source"],
                stage=STAGE,
                rule=kind,
                action=EDIT,
                value=float(len(mine)),
                num_bytes=sum(each.end_byte - each.start_byte for each in mine),
                evidence=f"{len(mine)} x {placeholder}",
                spans=[
                    {
                        "start_byte": each.start_byte,
                        "end_byte": each.end_byte,
                        "replacement": placeholder,
                    }
                    for each in mine
                ],
            )
        )
    return rows


def _drop(about: dict[str, Any], found: Sequence[Found], bound: int) -> dict[str, Any]:
    counts = Counter(each.kind for each in found)
    return decision(
        **about,
        stage=STAGE,
        rule=DROP_RULE,
        action=DROP,
        value=float(len(found)),
        bound=float(bound),
        evidence=", ".join(f"{counts[kind]} x {PLACEHOLDERS[kind]}" for kind in sorted(counts)),
    )
