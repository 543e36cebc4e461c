"""The line: every stage with its inputs, the settings that bear on it, and the call that does it.

The table at the end is the whole pipeline.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bessemer.config.run import RunConfig
from bessemer.config.timetable import make_timetable, mixed_tokens
from bessemer.core.manifest import StageManifest, StageResult
from bessemer.core.schema import SIDES
from bessemer.curate.alarms import warn_of_rules
from bessemer.curate.duplicates.alarms import warn_of_clusters, warn_of_losses
from bessemer.curate.evals.alarms import warn_of_evals
from bessemer.curate.heldout.alarms import warn_of_split
from bessemer.line.curate_work import (
    run_decontaminate,
    run_exact,
    run_fuzzy,
    run_ingest,
    run_lines,
    run_mask,
    run_rules,
    run_signals,
    run_split,
    run_substrings,
)
from bessemer.line.train_work import (
    run_baselines,
    run_diagnose,
    run_encode,
    run_export,
    run_mix,
    run_pack,
    run_report,
    run_tokenizer,
    run_train,
)
from bessemer.line.work import LEDGERS, Work


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One station of the line."""

    name: str
    version: int  # raised when the same settings come to give other output
    inputs: tuple[str, ...] = ()
    settings: Callable[[RunConfig], dict[str, Any]]
    work: Callable[[Work], StageResult]
    on_all_ranks: bool = False  # under torchrun; the others are rank 0's alone
    warnings: Callable[[RunConfig, StageManifest], Sequence[str]] = lambda *_: ()
    """What to warn of, from settings that do not bear on the output, and what the stage said."""
    is_on: Callable[[RunConfig], bool] = lambda _: True
    """Whether it does anything, or hands on what it is given."""
    says: Callable[[StageManifest], str] = lambda _: ""
    """What to say of a finished stage, beside how many documents it left."""


def _plain(section: Any, *keys: str) -> dict[str, Any]:
    """A table of the run file as plain data, whole or some keys."""
    data: dict[str, Any] = section.model_dump(mode="json")
    return {key: data[key] for key in keys} if keys else data


def _tokenizer_settings(config: RunConfig) -> dict[str, Any]:
    """What bears on a vocabulary that is trained, or on one that is loaded."""
    if config.tokenizer.path is not None:
        names = ("digest", "pattern", "begin_token", "end_token", "special_tokens")
        return _plain(config.tokenizer, *names)
    mix = _plain(config.mix, "weights", "temperature")
    if config.mix.method == "unimax":  # only its shares depend on how much is trained on
        mix |= _plain(config.mix, "max_epochs") | {"tokens": mixed_tokens(config.train)}
    return {
        "seed": config.run.seed,
        "mix": mix,
        **_plain(config.tokenizer, "vocab_size", "sample_bytes", "special_tokens"),
    }


def _signal_settings(config: RunConfig) -> dict[str, Any]:
    """What bears on signals: models and lists by their digests, wherever they lie."""
    from bessemer.curate.families import needed_families

    curate = config.curate
    return {
        **_UNICODE,
        "families": needed_families(config.source, curate),
        "language": curate.language.digest,
        "url_lists": curate.urls.digests,
        **({"quality": curate.quality.digest} if curate.quality else {}),
    }


def _rule_settings(config: RunConfig) -> dict[str, Any]:
    """What bears on decisions: bounds as they come together of presets and rules, so that a preset
    with another number is another stage. Which model found the languages is of the signals."""
    from bessemer.curate.bounds import rules_for
    from bessemer.curate.line_cuts import line_cutter

    return {
        "bounds": [
            [[rule.name, rule.min, rule.max] for rule in rules_for(source, config.curate)]
            for source in config.source
        ],
        "line_cutters": [line_cutter(source) for source in config.source],
        "language": _plain(config.curate.language, "min_score", "min_scores"),
        **_plain(config.curate, "languages", "rule"),
    }


def _warn_of_losses(config: RunConfig, told: StageManifest) -> list[str]:
    return warn_of_losses(told.conservation, config.curate.max_source_loss_frac)


def _priority_settings(config: RunConfig) -> dict[str, Any]:
    """The order of sources as it comes about, given or not."""
    from bessemer.curate.duplicates.keepers import order_sources

    names = [source.name for source in config.source]
    return {"source_priority": list(order_sources(names, config.curate.source_priority))}


def _known_settings(config: RunConfig) -> dict[str, Any]:
    """Documents of other runs by the digests of their indexes, wherever they lie."""
    known = config.curate.known
    return {"known": [each.digest for each in known]} if known else {}


def _decontaminate_settings(config: RunConfig) -> dict[str, Any]:
    """What bears on what is found: evaluation sets by the digests of their files, in their order,
    wherever they lie. Without any, nothing does."""
    given = config.decontaminate
    if not given.eval:
        return {}
    sets = [
        {"name": each.name, "fields": each.fields(), "digests": list(each.digests.values())}
        for each in given.eval
    ]
    return _plain(given) | {"eval": sets, "seed": config.run.seed, **_UNICODE}


def _sides_in_words(told: StageManifest) -> str:
    """How many documents are on each side of the split."""
    train, heldout = (sum(each["docs"] for each in told.summary[side].values()) for side in SIDES)
    return f"{train:,} to train on, {heldout:,} held out"


# Words are cut by the character classes of the running Python's Unicode tables.
_UNICODE = {"unicode": unicodedata.unidata_version}

STAGES: tuple[Stage, ...] = (
    Stage(
        name="ingest",
        version=8,
        settings=lambda config: {
            "sources": [
                _plain(source, "name", "kind", "format", "text_field", "license")
                for source in config.source
            ],
            **_UNICODE,  # NFC goes by its tables
            **_plain(
                config.curate,
                *("shard_bytes", "max_document_bytes"),
                *("max_expanded_bytes", "max_expansion_ratio"),
                *("max_extract_cpu_s", "max_extract_memory_bytes", "extractor", "normalise"),
            ),
        },
        work=run_ingest,
    ),
    Stage(
        name="signals",
        version=4,
        inputs=("ingest",),
        settings=_signal_settings,
        work=run_signals,
    ),
    Stage(
        name="rules",
        version=4,
        inputs=("ingest", "signals"),
        settings=_rule_settings,
        work=run_rules,
        warnings=lambda config, told: warn_of_rules(told.summary, config.curate.max_rule_frac),
    ),
    Stage(
        name="mask",
        version=1,
        inputs=("ingest", "rules"),
        settings=lambda config: _plain(config.curate.pii),
        work=run_mask,
    ),
    Stage(
        name="exact",
        version=2,
        inputs=("ingest", "rules", "mask"),
        settings=lambda config: _priority_settings(config) | _known_settings(config),
        work=run_exact,
        warnings=_warn_of_losses,
    ),
    Stage(
        name="fuzzy",
        version=3,
        inputs=("ingest", "signals", "rules", "mask", "exact"),
        settings=lambda config: {
            "seed": config.run.seed,
            **_priority_settings(config),
            **_known_settings(config),
            **_plain(config.curate.fuzzy),
            **_UNICODE,
        },
        work=run_fuzzy,
        is_on=lambda config: config.curate.fuzzy.enabled,
        warnings=lambda config, told: [
            *_warn_of_losses(config, told),
            *warn_of_clusters(told.summary, config.curate.max_cluster_docs),
        ],
    ),
    Stage(
        name="lines",
        version=2,
        inputs=("ingest", "rules", "mask", "exact", "fuzzy"),
        settings=lambda config: {**_plain(config.curate.lines), **_UNICODE},
        work=run_lines,
        is_on=lambda config: config.curate.lines.enabled,
        warnings=_warn_of_losses,
    ),
    Stage(
        name="substrings",
        version=1,
        inputs=("ingest", "rules", "mask", "exact", "fuzzy", "lines"),
        settings=lambda config: {**_plain(config.curate.substrings), **_UNICODE},
        work=run_substrings,
        is_on=lambda config: config.curate.substrings.enabled,
        warnings=_warn_of_losses,
    ),
    Stage(
        name="decontaminate",
        version=2,
        inputs=("ingest", "rules", "mask", "exact", "fuzzy", "lines", "substrings"),
        settings=_decontaminate_settings,
        work=run_decontaminate,
        is_on=lambda config: bool(config.decontaminate.eval),
        warnings=lambda _, told: warn_of_evals(told.summary),
    ),
    Stage(
        name="split",
        version=2,
        inputs=("ingest", *LEDGERS),
        settings=lambda config: {
            "seed": config.run.seed if config.split.salt is None else None,
            **_plain(config.split),
            **_UNICODE,
        },
        work=run_split,
        says=_sides_in_words,
        warnings=lambda _, told: warn_of_split(told),
    ),
    Stage(
        name="tokenizer",
        version=3,
        inputs=("ingest", *LEDGERS, "split"),
        settings=_tokenizer_settings,
        work=run_tokenizer,
    ),
    Stage(
        name="encode",
        version=1,
        inputs=("ingest", *LEDGERS, "split", "tokenizer"),
        settings=lambda _: {},
        work=run_encode,
    ),
    Stage(
        name="pack",
        version=1,
        inputs=("encode",),
        settings=lambda config: {
            "packing": config.train.packing,
            "seq_lens": sorted({each.seq_len for each in make_timetable(config.train).phases}),
        },
        work=run_pack,
    ),
    Stage(
        name="mix",
        version=4,
        inputs=("encode", "pack"),
        settings=lambda config: {
            "seed": config.run.seed,
            "packing": config.train.packing,
            "phases": [asdict(phase) for phase in make_timetable(config.train).phases],
            "weights_of_phases": [phase.weights for phase in config.train.phases],
            **_plain(config.mix),
        },
        work=run_mix,
    ),
    Stage(
        name="baselines",
        version=1,
        inputs=("ingest", *LEDGERS, "split"),
        settings=lambda config: {"seed": config.run.seed},
        work=run_baselines,
    ),
    Stage(
        name="train",
        version=6,
        inputs=("tokenizer", "encode", "pack", "mix", "baselines"),
        settings=lambda config: {
            "seed": config.run.seed,
            # The digest of `init_from` bears identity, its place does not.
            "model": _plain(config.model) | {"init_from": None},
            "train": _plain(config.train),
        },
        work=run_train,
        on_all_ranks=True,
    ),
    Stage(
        name="diagnose",
        version=2,
        inputs=("tokenizer", "encode", "pack", "mix", "baselines", "train"),
        settings=lambda config: {"seed": config.run.seed, **_plain(config.diagnose)},
        work=run_diagnose,
    ),
    Stage(
        name="export",
        version=2,
        inputs=("ingest", *LEDGERS, "split", "tokenizer", "mix", "train"),
        settings=lambda config: {"name": config.run.name, **_plain(config.export)},
        work=run_export,
    ),
    Stage(
        name="report",
        version=3,
        inputs=(
            *("ingest", "signals", *LEDGERS, "split", "tokenizer", "encode"),
            *("pack", "mix", "baselines", "train", "diagnose", "export"),
        ),
        settings=lambda config: {
            "name": config.run.name,
            **_plain(config.report),
            **_plain(config.curate, "max_rule_frac"),
        },
        work=run_report,
    ),
)
