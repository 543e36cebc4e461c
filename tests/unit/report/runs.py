"""Whole small runs on disk, written as the stages would, without running any."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from bessemer.config.model import ModelConfig
from bessemer.core.manifest import StageManifest, record_files, write_manifest
from bessemer.core.schema import MIX_PLAN, PACKING_COST
from bessemer.core.storage import write_json, write_table, write_text
from bessemer.costs.compute import count_parameters, shape_of
from bessemer.report.collect import ReportJob

from .curated import Doc, write_curation

VOCAB_SIZE = 300
MODEL = {"num_layers": 1, "hidden_dim": 8, "num_heads": 1, "num_kv_heads": 1, "ffn_dim": 8}
INPUTS = {
    "ingest": (),
    "signals": ("ingest",),
    "rules": ("ingest", "signals"),
    "mask": ("ingest", "rules"),
    "exact": ("ingest", "rules", "mask"),
    "fuzzy": ("ingest", "rules", "mask", "exact"),
    "lines": ("ingest", "rules", "mask", "exact", "fuzzy"),
    "split": ("ingest", "rules", "mask", "exact", "fuzzy", "lines"),
    "tokenizer": ("ingest", "split"),
    "encode": ("ingest", "split", "tokenizer"),
    "pack": ("encode",),
    "mix": ("encode", "pack"),
    "baselines": ("ingest", "split"),
    "train": ("tokenizer", "encode", "mix", "baselines"),
    "diagnose": ("train",),
    "export": ("train",),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "ingest": {"files": [1, 2, 3]},
    "lines": {"unit": "line", "max_docs": 1, "action": "cut", "keep": "first"},
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run consists of; every part has a plain default."""

    sources: Mapping[str, Sequence[Doc]]
    kinds: Mapping[str, str] = field(default_factory=dict)
    name: str = "small"
    steps: Sequence[Mapping[str, Any]] | None = None
    noticed: Sequence[Mapping[str, Any]] = ()  # by the guard
    interventions: int = 0
    baselines: Mapping[str, Mapping[str, float]] | None = None
    verdict: Mapping[str, Any] | None = None
    writings: Sequence[Mapping[str, str]] | None = None
    samples_per_rule: int = 3
    price_per_hour: float | None = None
    is_given: bool = False  # the rules stand in the run file
    lines: Mapping[str, Any] | None = None  # what that stage counted; None: it was not enabled
    collisions: Mapping[str, Any] | None = None  # what the stage `fuzzy` says
    leaks: Mapping[str, Any] | None = None  # what the stage decontaminate says


def rules_summary(run: Run) -> dict[str, Any]:
    """What the stage `rules` says: word_count for all, the language of all but code."""
    told = {"max": None, "is_given": run.is_given, "broken_docs": 10**9}  # counted anew
    return {
        "sources": {
            name: {
                "docs": 10**9,
                "rules": (
                    {} if run.kinds.get(name) == "code" else {"language": {"min": 0.5} | told}
                )
                | {"word_count": {"min": 50.0} | told},
            }
            for name in run.sources
        }
    }


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
    stages = dict(INPUTS)
    if run.leaks is not None:
        stages["decontaminate"] = ("ingest",)
    folders = {stage: root / stage for stage in stages}
    for folder in folders.values():
        folder.mkdir(parents=True)
    sums = write_curation(folders, run.sources)
    summaries = _write_rest(folders, run)
    summaries["decontaminate"] = dict(run.leaks or {})
    for number, (stage, inputs) in enumerate(stages.items()):
        manifest = StageManifest(
            stage=stage,
            version=1,
            fingerprint=hashlib.md5(stage.encode()).hexdigest()[:16],
            inputs={name: hashlib.md5(name.encode()).hexdigest()[:16] for name in inputs},
            settings=SETTINGS.get(stage, {"seed": 1}),
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
            "model": {"size": None, **MODEL},
            "train": {"seq_len": 8, "global_batch_tokens": 64, "total_tokens": 640},
        },
        folders=folders,
        samples_per_rule=run.samples_per_rule,
        price_per_hour=run.price_per_hour,
    )


def _write_rest(folders: Mapping[str, Path], run: Run) -> dict[str, dict[str, Any]]:
    """Stages from split's summary to export; returns the summaries."""
    sides: dict[str, dict[str, Any]] = {"train": {}, "heldout": {}}
    every = [doc.fate for docs in run.sources.values() for doc in docs]
    checked = {side: every.count(side) for side in sides}
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
                "padded_tokens": 0,
                "wrapped_tokens": 0,
                "skipped_tokens": 0,
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
    costs = {"docs": 8, "cut_docs": 2, "samples": 5, "padded_tokens": 4, "wrapped_tokens": 0}
    packing = [
        costs | {"source": source, "packing": way, "seq_len": 8, "unlabelled_tokens": ends}
        for source in run.sources
        for way, ends in (("concat", 6), ("best_fit", 0))
    ]
    table = pa.Table.from_pylist(packing, schema=PACKING_COST)
    write_table(folders["pack"] / "packing.parquet", table)
    write_json(
        folders["baselines"] / "baselines.json",
        baselines if run.baselines is None else dict(run.baselines),
    )
    for name, rows in (("steps", steps), ("evaluations", evaluations), ("guard", run.noticed)):
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
        "rules": rules_summary(run),
        "lines": dict(run.lines or {}),
        "fuzzy": {} if run.collisions is None else run.collisions,
        "split": sides
        | {
            "leak_check": {
                "docs": checked,
                "words_per_run": 50,
                "leaks": {"same_text": 0, "passage": 0},
            }
        },
        "train": trained
        | {"device": "cpu", "matmul_flops": 1e9, "interventions": run.interventions},
        "export": parity,
    }
