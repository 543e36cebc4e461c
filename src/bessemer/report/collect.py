"""From the files of a run to the facts of its report. Reads manifests and tables, never a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bessemer.config.curate import CurateConfig
from bessemer.config.model import ModelConfig
from bessemer.config.timetable import make_timetable
from bessemer.config.train import TrainConfig
from bessemer.core.errors import IntegrityError
from bessemer.core.layout import (
    BASELINES,
    DECISIONS,
    DIAGNOSIS,
    EVALUATIONS,
    GUARD,
    METRICS,
    MODEL,
    PACKING,
    PARITY,
    PLAN,
    SHARDS,
    STEPS,
)
from bessemer.core.manifest import StageManifest, read_manifest
from bessemer.core.schema import HELDOUT, TRAIN
from bessemer.core.storage import read_json, read_jsonl, read_table
from bessemer.core.units import format_count
from bessemer.costs.compute import count_parameters, run_flops, shape_of
from bessemer.report.curves import make_curves, make_heldout
from bessemer.report.facts import (
    Amount,
    CollisionPoint,
    Collisions,
    Finding,
    GapRow,
    Language,
    LeakCheck,
    Loss,
    MixRow,
    PackingRow,
    Report,
    Source,
    Training,
    Writing,
)
from bessemer.report.leaks import make_benchmarks
from bessemer.report.lineage import tell_stage
from bessemer.report.losses import count_losses, make_balances, make_gates
from bessemer.report.passages import tell_passages
from bessemer.report.repeats import tell_repeats
from bessemer.report.rules import count_rules
from bessemer.report.samples import draw_samples, fit_samples
from bessemer.report.signals import count_languages, make_histograms
from bessemer.report.tables import Tables, list_shards_by_source, open_tables

CURVES = (
    "loss",
    "bits_per_byte",
    "grad_norm",
    "update_norm",
    "lr",
    "tokens_per_s",
    "mfu",
    "peak_bytes",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportJob:
    """What a report is made of: the run's name and settings, and the folder of every stage."""

    name: str
    config: Mapping[str, Any]  # the run file as plain data
    folders: Mapping[str, Path]  # stage -> its output folder, in the order of the line
    samples_per_rule: int
    price_per_hour: float | None  # USD


def collect(job: ReportJob, scratch: Path) -> Report:
    """Read everything that the report shows; DuckDB spills below `scratch` if it must."""
    folders = job.folders
    manifests = {stage: _manifest(folder) for stage, folder in folders.items()}
    ledgers = [stage for stage, folder in folders.items() if (folder / DECISIONS).exists()]
    names = [source["name"] for source in job.config["source"]]
    metrics = folders["train"] / METRICS
    diagnosis = read_json(folders["diagnose"] / DIAGNOSIS)
    baselines = read_json(folders["baselines"] / BASELINES)
    kinds = {source["name"]: source["kind"] for source in job.config["source"]}
    with open_tables(folders, scratch) as tables:
        losses = count_losses(tables)
        shards = list_shards_by_source(tables, names)
        sources = tuple(
            _source(
                source,
                tables,
                {stage: manifests[stage] for stage in ledgers},
                losses,
                _sides(manifests["split"], folders["encode"], source["name"]),
                count_languages(folders, shards[source["name"]]),
            )
            for source in job.config["source"]
        )
        samples_per_rule = fit_samples(losses, job.samples_per_rule)
        samples = draw_samples(tables, losses, samples_per_rule)
        passages = tell_passages(tables, manifests.get("substrings"))
    max_rule_frac = CurateConfig.model_validate(job.config.get("curate", {})).max_rule_frac
    rules = count_rules(folders, shards, manifests["rules"].summary, max_rule_frac)
    histograms, num_hidden = make_histograms(folders, shards, rules)
    return Report(
        name=job.name,
        price_per_hour=job.price_per_hour,
        verdict=diagnosis["verdict"]["word"],
        findings=tuple(Finding(**finding) for finding in diagnosis["verdict"]["findings"]),
        sources=sources,
        balances=make_balances(manifests, losses, ledgers),
        losses=losses,
        samples=samples,
        samples_per_rule=samples_per_rule,
        rules=rules,
        max_rule_frac=max_rule_frac,
        histograms=histograms,
        num_hidden_histograms=num_hidden,
        repeats=tell_repeats(manifests["lines"]),
        passages=passages,
        collisions=_collisions(job.config, manifests["fuzzy"].summary),
        benchmarks=make_benchmarks(_summary(manifests, "decontaminate")),
        mix=_mix(folders["mix"]),
        packing=_packing(folders["pack"], job.config["train"].get("packing", "concat")),
        training=_training(job, manifests["train"].summary),
        curves=make_curves(read_jsonl(metrics / STEPS), CURVES),
        heldout=make_heldout(read_jsonl(metrics / EVALUATIONS), names, baselines),
        leak_check=_leak_check(manifests["split"]),
        gaps=tuple(_gap(row) for row in diagnosis["sources"]),
        writings=tuple(
            Writing(kind=kinds.get(row["source"], ""), **row) for row in diagnosis["samples"]
        ),
        stages=tuple(tell_stage(manifest) for manifest in manifests.values()),
        parity=_parity(folders),
    )


def _manifest(folder: Path) -> StageManifest:
    manifest = read_manifest(folder)
    if manifest is None:
        raise IntegrityError(f"{folder} is not complete; run its stage again")
    return manifest


def _summary(manifests: Mapping[str, StageManifest], stage: str) -> Mapping[str, Any]:
    return manifests[stage].summary if stage in manifests else {}


def _source(
    config: Mapping[str, Any],
    tables: Tables,
    manifests: Mapping[str, StageManifest],
    losses: Sequence[Loss],
    sides: tuple[Amount, Amount],
    languages: tuple[Language, ...],
) -> Source:
    name = config["name"]
    files = tables.rows(
        "SELECT count(*) AS num_files, coalesce(sum(size_bytes), 0)::BIGINT AS file_bytes "
        "FROM files WHERE source = ?",
        name,
    )[0]
    licenses = tables.rows(
        "SELECT DISTINCT license FROM files WHERE source = ? AND license IS NOT NULL "
        "ORDER BY license",
        name,
    )
    return Source(
        name=name,
        kind=config["kind"],
        licenses=tuple(row["license"] for row in licenses),
        num_files=files["num_files"],
        file_bytes=files["file_bytes"],
        gates=make_gates(name, manifests, losses),
        train=sides[0],
        heldout=sides[1],
        languages=languages,
    )


def _collisions(config: Mapping[str, Any], summary: Mapping[str, Any]) -> Collisions | None:
    fuzzy = CurateConfig.model_validate(config.get("curate", {})).fuzzy
    if not fuzzy.enabled or "collision_curve" not in summary:
        return None
    return Collisions(
        unit=fuzzy.shingle_unit,
        shingle_size=fuzzy.shingle_size,
        num_bands=fuzzy.num_bands,
        rows_per_band=fuzzy.rows_per_band,
        verify=fuzzy.verify,
        bound=fuzzy.min_similarity,
        curve=tuple((at, share) for at, share in summary["collision_curve"]),
        points=tuple(CollisionPoint(**point) for point in summary["collision_points"]),
        num_candidates=summary["num_candidates"],
        num_verified=summary["num_verified"],
        num_passed_over=summary["num_passed_over"],
    )


def _sides(split: StageManifest, encoded: Path, source: str) -> tuple[Amount, Amount]:
    """What of a source is on either side of the split, train first."""
    shards = [row for row in read_json(encoded / SHARDS) if row["source"] == source]
    train, heldout = (
        Amount(
            docs=split.summary.get(side, {}).get(source, {}).get("docs", 0),
            num_bytes=split.summary.get(side, {}).get(source, {}).get("bytes", 0),
            num_tokens=sum(row["tokens"] for row in shards if row["side"] == side),
        )
        for side in (TRAIN, HELDOUT)
    )
    return train, heldout


def _leak_check(split: StageManifest) -> LeakCheck | None:
    told = split.summary.get("leak_check")
    if told is None:
        return None
    return LeakCheck(
        train_docs=told["docs"][TRAIN],
        heldout_docs=told["docs"][HELDOUT],
        words_per_run=told["words_per_run"],
        leaks=told["leaks"],
    )


def _mix(folder: Path) -> tuple[MixRow, ...]:
    names = ("source", "weight", "available_tokens", "planned_tokens", "epochs", "effective_tokens")
    return tuple(
        MixRow(**{name: row[name] for name in names})
        for row in read_table(folder / PLAN).to_pylist()
    )


def _packing(folder: Path, chosen: str) -> tuple[PackingRow, ...]:
    rows = []
    for row in read_table(folder / PACKING).to_pylist():
        places = row["samples"] * row["seq_len"]
        wasted = row["padded_tokens"] + row["unlabelled_tokens"]
        rows.append(
            PackingRow(
                source=row["source"],
                packing=row["packing"],
                is_chosen=row["packing"] == chosen,
                seq_len=row["seq_len"],
                cut_frac=row["cut_docs"] / max(1, row["docs"]),
                padded_frac=row["padded_tokens"] / max(1, places),
                wasted_frac=wasted / max(1, places),
            )
        )
    return tuple(rows)


def _training(job: ReportJob, summary: Mapping[str, Any]) -> Training:
    dimensions = {name: value for name, value in job.config["model"].items() if value is not None}
    model = ModelConfig.model_validate(dimensions)  # a size that is not given is no size's name
    train = TrainConfig.model_validate(job.config["train"])
    return Training(
        num_parameters=summary["num_parameters"],
        steps=summary["steps"],
        tokens_seen=summary["tokens_seen"],
        num_ranks=summary.get("num_ranks", 1),
        device=summary.get("device", ""),
        seq_len=train.seq_len,
        batch_tokens=train.global_batch_tokens,
        shape=f"{model.num_layers} layers, width {format_count(model.hidden_dim)}, "
        f"{model.num_heads} heads",
        total_flops=_total_flops(job.folders, model, train, summary),
        matmul_flops=summary.get("matmul_flops"),
        noticed_steps=len(read_jsonl(job.folders["train"] / METRICS / GUARD)),
        interventions=summary.get("interventions", 0),
    )


def _total_flops(
    folders: Mapping[str, Path], model: ModelConfig, train: TrainConfig, summary: Mapping[str, Any]
) -> int | None:
    """Operations of the whole training; None unless the formulas' parameters are the model's."""
    exported = folders["export"] / MODEL / "config.json"
    if not exported.exists():
        return None
    shape = shape_of(model, read_json(exported)["vocab_size"])
    if count_parameters(shape).total != summary["num_parameters"]:
        return None
    return run_flops(shape, make_timetable(train))


def _gap(row: Mapping[str, Any]) -> GapRow:
    return GapRow(**{name: row[name] for name in GapRow.__dataclass_fields__})


def _parity(folders: Mapping[str, Path]) -> dict[str, float]:
    path = folders["export"] / PARITY
    found: dict[str, float] = read_json(path) if path.exists() else {}
    return found
