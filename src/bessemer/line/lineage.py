"""What a finished run tells of itself in a model card: sources, licences, mixture, training."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from bessemer.config.run import RunConfig
from bessemer.core.errors import IntegrityError
from bessemer.core.layout import EVALUATIONS, FILES, METRICS, PLAN
from bessemer.core.manifest import StageManifest, read_manifest
from bessemer.core.schema import TRAIN
from bessemer.core.storage import read_jsonl, read_table
from bessemer.export.card import Lineage


def trace_lineage(
    config: RunConfig, inputs: Mapping[str, Path], fingerprints: Mapping[str, str]
) -> Lineage:
    """The lineage of a model from the folders of the stages ingest, split, mix and train."""
    files = read_table(inputs["ingest"] / FILES).to_pylist()
    plan = {row["source"]: row for row in read_table(inputs["mix"] / PLAN).to_pylist()}
    kept = _manifest(inputs["split"]).summary[TRAIN]
    trained = _manifest(inputs["train"]).summary
    sources = []
    for source in config.source:
        of_source = [file for file in files if file["source"] == source.name]
        sources.append(
            {
                "name": source.name,
                "kind": source.kind,
                "licenses": sorted({file["license"] for file in of_source if file["license"]}),
                "files": len(of_source),
                "docs": kept.get(source.name, {}).get("docs", 0),
                "bytes": kept.get(source.name, {}).get("bytes", 0),
                "weight": plan[source.name]["weight"],
                "epochs": plan[source.name]["epochs"],
            }
        )
    evaluations = read_jsonl(inputs["train"] / METRICS / EVALUATIONS)
    return Lineage(
        name=config.run.name,
        num_parameters=trained["num_parameters"],
        steps=trained["steps"],
        tokens_seen=trained["tokens_seen"],
        seq_len=config.train.seq_len,
        sources=sources,
        heldout={row["source"]: row["bits_per_byte"] for row in evaluations},
        fingerprints=fingerprints,
        version=version("bessemer"),
    )


def _manifest(folder: Path) -> StageManifest:
    manifest = read_manifest(folder)
    if manifest is None:
        raise IntegrityError(f"{folder} is not complete; run its stage again")
    return manifest
