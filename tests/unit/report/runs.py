"""Whole small runs on disk, written as the stages would, without running any."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from bessemer.config.model import ModelConfig
from bessemer.core.ids import pack_doc_id
from bessemer.core.manifest import Conservation, StageManifest, record_files, write_manifest
from bessemer.core.schema import DECISION, DOCUMENT, MIX_PLAN, SOURCE_FILE, SPLIT
from bessemer.core.storage import write_json, write_table, write_text
from bessemer.costs.compute import count_parameters, shape_of
from bessemer.report.collect import ReportJob

VOCAB_SIZE = 300
MODEL = {"num_layers": 1, "hidden_dim": 8, "num_heads": 1, "num_kv_heads": 1, "ffn_dim": 8}
LEDGERS = ("ingest", "rules", "exact", "fuzzy")
INPUTS = {
    "ingest": (),
    "signals": ("ingest",),
    "rules": ("ingest", "signals"),
    "exact": ("ingest", "rules"),
    "fuzzy": ("ingest", "rules", "exact"),
    "split": ("ingest", "rules", "exact", "fuzzy"),
    "tokenizer": ("ingest", "split"),
    "encode": ("ingest", "split", "tokenizer"),
    "mix": ("encode",),
    "baselines": ("ingest", "split"),
    "train": ("tokenizer", "encode", "mix", "baselines"),
    "diagnose": ("train",),
    "export": ("train",),
}


@dataclass(frozen=True, kw_only=True)
class Doc:
    """One document, and what becomes of it. `like` is the row (same source) it duplicates."""

    text: str
    fate: str = "train"  # train | heldout | rules | exact | fuzzy | quarantine
    rule: str = "word_count"
    value: float | None = 3.0
    bound: float | None = 50.0
    like: int | None = None
    markup: int = 0  # bytes beside the text
    cut: str = ""  # what an edit removed at the beginning
    error: str = "cannot be decoded"
    language: str = "en"
    title: str = ""
    url: str = "http://example.org/page"
    also_broke: tuple[str, ...] = ()  # rules beside the decisive one

    @property
    def num_bytes(self) -> int:
        return len(self.text.encode())

    @property
    def raw_bytes(self) -> int:
        return self.num_bytes + self.markup + len(self.cut.encode())


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run consists of; every part has a plain default."""

    sources: Mapping[str, Sequence[Doc]]
    kinds: Mapping[str, str] = field(default_factory=dict)
    name: str = "small"
    steps: Sequence[Mapping[str, Any]] | None = None
    baselines: Mapping[str, Mapping[str, float]] | None = None
    verdict: Mapping[str, Any] | None = None
    writings: Sequence[Mapping[str, str]] | None = None
    samples_per_rule: int = 3
    price_per_hour: float | None = None


def step_row(step: int, **other: Any) -> dict[str, Any]:
    """One line of steps.jsonl."""
    return {
        "step": step,
        "tokens_seen": step * 64,
        "loss": 5.0 - 0.01 * step,
        "bits_per_byte": 3.0 - 0.005 * step,
        "grad_norm": 1.0,
        "lr": 0.001,
        "step_s": 0.5,
        "tokens_per_s": 128.0,
        "mfu": 0.25,
        "peak_bytes": 10**8,
        **other,
    }


def write_run(root: Path, run: Run) -> ReportJob:
    """Write all stages below `root`; returns the job that reports on them."""
    folders = {stage: root / stage for stage in INPUTS}
    for folder in folders.values():
        folder.mkdir(parents=True)
    sums = _write_curation(folders, run)
    summaries = _write_rest(folders, run)
    for number, (stage, inputs) in enumerate(INPUTS.items()):
        manifest = StageManifest(
            stage=stage,
            version=1,
            fingerprint=hashlib.md5(stage.encode()).hexdigest()[:16],
            inputs={name: hashlib.md5(name.encode()).hexdigest()[:16] for name in inputs},
            settings={"files": [1, 2, 3]} if stage == "ingest" else {"seed": 1},
            files=record_files(folders[stage], ("metrics",)),
            conservation=tuple(sums.get(stage, ())),
            summary=summaries.get(stage, {}),
            started=f"2026-01-02T03:04:{number:02d}Z",
            seconds=2.0 + number,
            peak_bytes=10**8 + number,
            argv=["bessemer", "run", "run file.toml"],
            commit=None,
        )
        write_manifest(folders[stage], manifest)
    return ReportJob(
        name=run.name,
        config={
            "source": [
                {"name": name, "kind": run.kinds.get(name, "web"), "license": None}
                for name in run.sources
            ],
            "model": MODEL,
            "train": {"seq_len": 8, "global_batch_tokens": 64, "total_tokens": 640},
        },
        folders=folders,
        samples_per_rule=run.samples_per_rule,
        price_per_hour=run.price_per_hour,
    )


def _write_curation(folders: Mapping[str, Path], run: Run) -> dict[str, list[Conservation]]:
    """Tables of ingest to split, a shard per source; returns the sums per stage."""
    files = []
    sums: dict[str, list[Conservation]] = {}
    for file_id, (source, docs) in enumerate(run.sources.items()):
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
                "shard": file_id,
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
    return pa.table(
        {
            "doc_id": pa.array([doc_id for doc_id, _ in texts], pa.int64()),
            "language": pa.array([doc.language for _, doc in texts], pa.string()),
            "word_count": pa.array([len(doc.text.split()) for _, doc in texts], pa.float32()),
            "language_score": pa.array([0.9 for _ in texts], pa.float32()),
        }
    )


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
    for stage in ("signals", "rules", "exact", "fuzzy", "split", "encode"):
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


def _write_rest(folders: Mapping[str, Path], run: Run) -> dict[str, dict[str, Any]]:
    """Stages from split's summary to export; returns the summaries."""
    sides: dict[str, dict[str, Any]] = {"train": {}, "heldout": {}}
    shards, plan, evaluations, gaps = [], [], [], []
    baselines: dict[str, Any] = {}
    for source, docs in run.sources.items():
        for side in sides:
            mine = [doc for doc in docs if doc.fate == side]
            if not mine:
                continue
            size = sum(doc.num_bytes for doc in mine)
            sides[side][source] = {"docs": len(mine), "bytes": size}
            about = {"docs": len(mine), "tokens": size // 3 + 1, "bytes": size}
            shards.append({"shard": f"{side}/{source}", "side": side, "source": source, **about})
        tokens = sum(row["tokens"] for row in shards if row["source"] == source)
        plan.append(
            {
                "source": source,
                "weight": 1 / len(run.sources),
                "available_tokens": tokens,
                "planned_samples": 40,
                "planned_tokens": 320,
                "epochs": 320 / tokens if tokens else 0.0,
                "effective_tokens": 300.0,
            }
        )
        if source in sides["heldout"]:
            baselines[source] = {"unigram": 4.5, "lzma": 2.0}
            evaluations += [
                {"step": 0, "tokens_seen": 0, "source": source, "bits_per_byte": 4.0},
                {"step": 10, "tokens_seen": 640, "source": source, "bits_per_byte": 3.0},
            ]
            gaps.append(
                {
                    "source": source,
                    "train": 2.9,
                    "heldout": 3.0,
                    "gap": 0.1,
                    "low": -0.05,
                    "high": 0.25,
                    "unit": "chunks",
                    "train_units": 40,
                    "heldout_units": 4,
                    "epochs": 1.5,
                    "baselines": {},
                }
            )
    steps = [step_row(step) for step in range(1, 11)] if run.steps is None else run.steps
    parameters = count_parameters(shape_of(ModelConfig(**MODEL), VOCAB_SIZE)).total
    write_json(folders["encode"] / "shards.json", shards)
    write_table(folders["mix"] / "plan.parquet", pa.Table.from_pylist(plan, schema=MIX_PLAN))
    write_json(
        folders["baselines"] / "baselines.json",
        baselines if run.baselines is None else dict(run.baselines),
    )
    for name, rows in (("steps", steps), ("evaluations", evaluations)):
        path = folders["train"] / "metrics" / f"{name}.jsonl"
        write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
    healthy = {"kind": "healthy", "evidence": "no spike", "advice": "nothing to mend"}
    writings = [
        {"source": gap["source"], "prompt": "Once", "written": " upon", "original": " more"}
        for gap in gaps
    ]
    write_json(
        folders["diagnose"] / "diagnosis.json",
        {
            "verdict": run.verdict or {"word": "healthy", "findings": [healthy]},
            "sources": gaps,
            "samples": writings if run.writings is None else list(run.writings),
        },
    )
    write_json(folders["export"] / "model" / "config.json", {"vocab_size": VOCAB_SIZE})
    parity = {
        "num_texts": 2,
        "num_logits": 600,
        "max_logit_difference": 1e-6,
        "greedy_tokens_equal": 8,
        "greedy_tokens": 8,
    }
    write_json(folders["export"] / "parity.json", parity)
    trained = {"num_parameters": parameters, "steps": 10, "tokens_seen": 640, "num_ranks": 1}
    return {
        "split": sides,
        "train": trained | {"device": "cpu", "matmul_flops": 1e9},
        "export": parity,
    }
