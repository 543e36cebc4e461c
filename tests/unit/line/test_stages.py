"""What bears on the vocabulary is in the identity of its stage, and nothing else is."""

from __future__ import annotations

from typing import Any

from bessemer.config.run import RunConfig
from bessemer.core.manifest import Conservation, StageManifest
from bessemer.line.stages import STAGES

[TOKENIZER] = (stage for stage in STAGES if stage.name == "tokenizer")


def identity(mix: dict[str, Any], **train: Any) -> dict[str, Any]:
    config = RunConfig.model_validate(
        {
            "run": {"name": "r", "root": "r"},
            "source": [{"name": "web", "kind": "web", "path": "x.jsonl"}],
            "model": {"size": "12m"},
            "train": {"seq_len": 64, "global_batch_tokens": 640, "total_tokens": 6400} | train,
            "mix": mix,
        }
    )
    return TOKENIZER.settings(config)


def test_a_vocabulary_depends_on_the_mixture() -> None:
    mixes = [
        {},
        {"weights": {"web": 1}},
        {"method": "temperature", "temperature": 2},
        {"method": "temperature", "temperature": 3},
        {"method": "unimax"},
        {"method": "unimax", "max_epochs": 2},
    ]
    found = [identity(mix) for mix in mixes]
    assert all(found.count(each) == 1 for each in found)
    assert identity({"weights": {"web": 1}, "method": "weights"}) == found[1]
    assert identity({"method": "proportional"}) == found[0]


def test_a_vocabulary_depends_on_the_length_of_the_run_only_if_its_shares_do() -> None:
    longer = {"total_tokens": 64_000}
    for mix in ({}, {"weights": {"web": 1}}, {"method": "temperature", "temperature": 2}):
        assert identity(mix, **longer) == identity(mix)
    assert identity({"method": "unimax"}, **longer) != identity({"method": "unimax"})
    limits = {"max_epochs": 3, "warn_epochs": 2, "force": True}  # of what is checked, not of shares
    assert identity(limits) == identity({})


def manifest(summary: dict[str, Any], *conservation: Conservation) -> StageManifest:
    """What a stage says of itself, as far as warnings go by it."""
    return StageManifest(
        stage="s",
        version=1,
        fingerprint="f",
        inputs={},
        settings={},
        files=(),
        conservation=conservation,
        summary=summary,
        started="",
        seconds=1.0,
        peak_bytes=1,
        argv=[],
        commit=None,
    )


def test_what_is_only_warned_of_makes_nothing_anew_but_the_report() -> None:
    def settings(max_rule_frac: float, **alarms: float) -> dict[str, Any]:
        config = RunConfig.model_validate(
            {
                "run": {"name": "r", "root": "r"},
                "source": [{"name": "web", "kind": "web", "path": "x.jsonl"}],
                "model": {"size": "12m"},
                "train": {"seq_len": 64, "global_batch_tokens": 640, "total_tokens": 6400},
                "curate": {"max_rule_frac": max_rule_frac, **alarms},
            }
        )
        summary = {
            "sources": {
                "web": {
                    "docs": 200,
                    "rules": {"r": {"broken_docs": 120, "canaries": {}, "is_given": True}},
                }
            },
            "largest_clusters": [{"cluster_id": 0, "docs": 90}],
        }
        half = Conservation(
            source="web", docs_in=200, docs_out=80, docs_dropped=120, bytes_in=2, bytes_out=1
        )
        told = manifest(summary, half)
        warnings = [warning for stage in STAGES for warning in stage.warnings(config, told)]
        # Of rules, of what each of four stages took, of a cluster.
        assert len(warnings) == 6 * (max_rule_frac < 0.6)
        return {stage.name: stage.settings(config) for stage in STAGES}

    low = settings(0.5, max_source_loss_frac=0.5, max_cluster_docs=80)
    high = settings(0.7, max_source_loss_frac=0.7, max_cluster_docs=100)
    assert [stage for stage in low if low[stage] != high[stage]] == ["report"]
