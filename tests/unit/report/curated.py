"""The tables of ingest to split of a small run, written as those stages would."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from bessemer.core.ids import pack_doc_id
from bessemer.core.manifest import Conservation
from bessemer.core.schema import DECISION, DOCUMENT, SHARD_RANGE, SOURCE_FILE, SPLIT
from bessemer.core.storage import write_table

LEDGERS = ("ingest", "rules", "mask", "exact", "fuzzy", "lines")


@dataclass(frozen=True, kw_only=True)
class Doc:
    """One document, and what becomes of it. `like` is the row (same source) it duplicates."""

    text: str
    fate: str = "train"  # train | heldout | rules | exact | fuzzy | lines | quarantine
    rule: str = "word_count"
    value: float | None = 3.0
    bound: float | None = 50.0
    like: int | None = None
    markup: int = 0  # bytes beside the text
    cut: str = ""  # what an edit removed at the beginning
    error: str = "cannot be decoded"
    language: str | None = "en"  # None: languages were not measured
    title: str = ""
    url: str = "http://example.org/page"
    also_broke: tuple[str, ...] = ()  # rules beside the decisive one

    @property
    def num_bytes(self) -> int:
        return len(self.text.encode())

    @property
    def raw_bytes(self) -> int:
        return self.num_bytes + self.markup + len(self.cut.encode())


def write_curation(
    folders: Mapping[str, Path], sources: Mapping[str, Sequence[Doc]]
) -> dict[str, list[Conservation]]:
    """Tables of ingest to split, a shard per source; returns the sums per stage."""
    files, ranges = [], []
    sums: dict[str, list[Conservation]] = {}
    for file_id, (source, docs) in enumerate(sources.items()):
        shard = f"{file_id:05d}.parquet"
        files.append(
            {
                "file_id": file_id,
                "source": source,
                "path": f"{source}.jsonl",
                "size_bytes": sum(doc.raw_bytes for doc in docs),
                "digest": "0",
                "num_rows": len(docs),
                "license": "CC0-1.0" if file_id == 0 else None,
            }
        )
        first = pack_doc_id(file_id, 0)
        ranges.append(
            {
                "shard": file_id,
                "source": source,
                "first_doc_id": first,
                "last_doc_id": first + len(docs) - 1,
            }
        )
        numbered = [(pack_doc_id(file_id, row), doc) for row, doc in enumerate(docs)]
        texts = [(doc_id, doc) for doc_id, doc in numbered if doc.fate != "quarantine"]
        write_table(folders["ingest"] / "documents" / shard, _documents(source, texts))
        write_table(folders["signals"] / "signals" / shard, _signals(texts))
        for stage in LEDGERS:
            rows = [row for at in numbered for row in _decisions(stage, source, file_id, *at)]
            table = pa.Table.from_pylist(rows, schema=DECISION)
            write_table(folders[stage] / "decisions" / shard, table)
        kept = [(doc_id, doc) for doc_id, doc in texts if doc.fate in ("train", "heldout")]
        write_table(
            folders["split"] / "splits" / shard,
            pa.Table.from_pylist(
                [
                    {
                        "doc_id": doc_id,
                        "source": source,
                        "cluster_id": doc_id,
                        "split": doc.fate,
                        "num_bytes": doc.num_bytes,
                    }
                    for doc_id, doc in kept
                ],
                schema=SPLIT,
            ),
        )
        for stage, total in _sums(source, docs).items():
            sums.setdefault(stage, []).append(total)
    write_table(
        folders["ingest"] / "files.parquet", pa.Table.from_pylist(files, schema=SOURCE_FILE)
    )
    write_table(
        folders["ingest"] / "shards.parquet", pa.Table.from_pylist(ranges, schema=SHARD_RANGE)
    )
    return sums


def _documents(source: str, texts: Iterable[tuple[int, Doc]]) -> pa.Table:
    rows = [
        {
            "doc_id": doc_id,
            "text": doc.text,
            "content_hash": hashlib.md5(doc.text.encode()).digest(),
            "num_bytes": doc.num_bytes,
            "raw_bytes": doc.raw_bytes,
            "source": source,
            "url": doc.url,
            "metadata": json.dumps({"title": doc.title} if doc.title else {}),
        }
        for doc_id, doc in texts
    ]
    return pa.Table.from_pylist(rows, schema=DOCUMENT)


def _signals(texts: Sequence[tuple[int, Doc]]) -> pa.Table:
    columns = {
        "doc_id": pa.array([doc_id for doc_id, _ in texts], pa.int64()),
        "language": pa.array([doc.language for _, doc in texts], pa.string()),
        "word_count": pa.array([len(doc.text.split()) for _, doc in texts], pa.float32()),
        "language_score": pa.array([0.9 for _ in texts], pa.float32()),
    }
    if any(doc.language is None for _, doc in texts):
        del columns["language_score"]
    return pa.table(columns)


def _decisions(
    stage: str, source: str, file_id: int, doc_id: int, doc: Doc
) -> list[dict[str, Any]]:
    blank = dict.fromkeys(DECISION.names) | {"doc_id": doc_id, "source": source, "stage": stage}
    drop = blank | {"action": "drop", "decisive": True, "num_bytes": doc.num_bytes}
    keeper = None if doc.like is None else pack_doc_id(file_id, doc.like)
    if stage == "ingest" and doc.fate == "quarantine":
        error = {"rule": "unreadable", "evidence": doc.error, "num_bytes": doc.raw_bytes}
        return [blank | {"action": "quarantine", "decisive": True} | error]
    if stage == "ingest" and doc.cut:
        edit = {"rule": "header", "evidence": doc.cut, "num_bytes": len(doc.cut.encode())}
        return [blank | {"action": "edit", "decisive": False} | edit]
    if stage == "rules" and doc.fate == "rules":
        measured = {"value": doc.value, "bound": doc.bound}
        evidence = doc.language if doc.rule == "language" else None
        rows = [drop | {"rule": doc.rule, "evidence": evidence} | measured]
        return rows + [drop | {"rule": rule, "decisive": False} for rule in doc.also_broke]
    if stage == "exact" and doc.fate == "exact":
        return [drop | {"rule": "exact_duplicate", "evidence_doc_id": keeper}]
    if stage == "fuzzy" and doc.fate == "fuzzy":
        found = {"value": 0.9, "bound": 0.75, "evidence_doc_id": keeper}
        return [drop | {"rule": "near_duplicate"} | found]
    if stage == "lines" and doc.fate == "lines":
        found = {"value": 0.8, "bound": 0.5, "evidence_doc_id": keeper, "evidence": "Home - About"}
        return [drop | {"rule": "repeated_lines_frac"} | found]
    return []


def _sums(source: str, docs: Sequence[Doc]) -> dict[str, Conservation]:
    """The accounts of one source, stage by stage."""
    bad = [doc for doc in docs if doc.fate == "quarantine"]
    left = [doc for doc in docs if doc.fate != "quarantine"]
    sums = {
        "ingest": Conservation(
            source=source,
            docs_in=len(docs),
            docs_out=len(left),
            docs_quarantined=len(bad),
            bytes_in=sum(doc.raw_bytes for doc in docs),
            bytes_out=sum(doc.num_bytes for doc in left),
            bytes_quarantined=sum(doc.raw_bytes for doc in bad),
            bytes_edited=sum(len(doc.cut.encode()) for doc in left),
            bytes_markup=sum(doc.markup for doc in left),
        )
    }
    for stage in ("signals", "rules", "mask", "exact", "fuzzy", "lines", "split", "encode"):
        stay = [doc for doc in left if doc.fate != stage]
        lost = [doc for doc in left if doc.fate == stage]
        sums[stage] = Conservation(
            source=source,
            docs_in=len(left),
            docs_out=len(stay),
            docs_dropped=len(lost),
            bytes_in=sum(doc.num_bytes for doc in left),
            bytes_out=sum(doc.num_bytes for doc in stay),
            bytes_dropped=sum(doc.num_bytes for doc in lost),
        )
        left = stay
    return sums
