"""The line: every stage with its inputs, the settings that bear on it, and the call that does it.

The table at the end is the whole pipeline. Each call imports its wing only when it runs, so that
`bessemer check` and `plan` load neither torch nor numba.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.config.run import RunConfig
from bessemer.core.layout import BASELINES, CHECKPOINTS, DOCUMENTS, METRICS, SPLITS, TOKENIZER
from bessemer.core.manifest import StageResult
from bessemer.engine.tasks import Engine
from bessemer.train.launch import Launch

if TYPE_CHECKING:
    from bessemer.curate.inventory import SourceFile
    from bessemer.tokens.corpus import Corpus


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What a stage gets to work with."""

    config: RunConfig
    files: tuple[SourceFile, ...]
    inputs: dict[str, Path]  # stage -> its folder
    fingerprints: dict[str, str]  # of the inputs
    folder: Path
    engine: Engine
    launch: Launch

    @property
    def ledgers(self) -> list[Path]:
        """The folders among the inputs whose decisions may have dropped documents."""
        return [self.inputs[name] for name in ("rules", "exact", "fuzzy") if name in self.inputs]

    @property
    def source_names(self) -> list[str]:
        """The sources, in the order of the run file."""
        return [source.name for source in self.config.source]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One station of the line."""

    name: str
    version: int  # raised when the same settings come to give other output
    inputs: tuple[str, ...] = ()
    settings: Callable[[RunConfig], dict[str, Any]]
    work: Callable[[Work], StageResult]
    on_all_ranks: bool = False  # under torchrun; the others are rank 0's alone


def _ingest(work: Work) -> StageResult:
    from bessemer.curate.ingest import ingest

    return ingest(work.files, work.config.source, work.config.curate, work.folder, work.engine)


def _signals(work: Work) -> StageResult:
    from bessemer.curate.signals import signals

    return signals(work.inputs["ingest"], work.source_names, work.folder, work.engine)


def _rules(work: Work) -> StageResult:
    from bessemer.curate.rules import rules

    return rules(
        work.inputs["ingest"],
        work.inputs["signals"],
        work.config.source,
        work.config.curate,
        work.folder,
        work.engine,
    )


def _exact(work: Work) -> StageResult:
    from bessemer.curate.exact_dedup import exact

    return exact(work.inputs["ingest"], work.ledgers, work.source_names, work.folder, work.engine)


def _fuzzy(work: Work) -> StageResult:
    from bessemer.curate.fuzzy_dedup import fuzzy

    return fuzzy(
        work.inputs["ingest"],
        work.ledgers,
        work.source_names,
        work.config.curate.fuzzy,
        work.config.run.seed,
        work.folder,
        work.engine,
    )


def _split(work: Work) -> StageResult:
    from bessemer.curate.split import split

    return split(
        work.inputs["ingest"],
        work.ledgers,
        work.inputs["fuzzy"],
        work.source_names,
        work.config.split.heldout_frac,
        work.config.run.seed,
        work.folder,
    )


def _corpus(work: Work) -> Corpus:
    from bessemer.tokens.corpus import Corpus

    return Corpus(documents=work.inputs["ingest"] / DOCUMENTS, splits=work.inputs["split"] / SPLITS)


def _tokenizer_file(work: Work) -> Path:
    return work.inputs["tokenizer"] / TOKENIZER


def _tokenizer(work: Work) -> StageResult:
    from bessemer.tokens.encode import learn_tokenizer

    config = work.config
    return learn_tokenizer(
        _corpus(work),
        config.mix.weights,
        config.tokenizer.vocab_size,
        config.tokenizer.sample_bytes,
        config.run.seed,
        work.folder,
    )


def _encode(work: Work) -> StageResult:
    from bessemer.tokens.encode import encode

    return encode(_corpus(work), _tokenizer_file(work), work.source_names, work.folder, work.engine)


def _mix(work: Work) -> StageResult:
    from bessemer.tokens.mix import mix

    config = work.config
    return mix(
        work.inputs["encode"],
        work.source_names,
        config.mix.weights,
        config.train.num_samples,
        config.train.seq_len,
        config.mix.max_epochs,
        work.folder,
    )


def _baselines(work: Work) -> StageResult:
    from bessemer.diagnose.baselines import baselines

    return baselines(
        _corpus(work), work.source_names, work.config.run.seed, work.folder, work.engine
    )


def _train(work: Work) -> StageResult:
    from bessemer.core.storage import read_json
    from bessemer.train.mesh import check_ranks, choose_device, process_group
    from bessemer.train.trainer import Trainer, TrainingJob

    config, launch = work.config, work.launch
    check_ranks(config.cluster, launch)
    job = TrainingJob(
        model=config.model,
        train=config.train,
        cluster=config.cluster,
        seed=config.run.seed,
        encoded=work.inputs["encode"],
        plan=work.inputs["mix"],
        tokenizer=_tokenizer_file(work),
        folder=work.folder,
        baselines=read_json(work.inputs["baselines"] / BASELINES),
    )
    with process_group(config.cluster, launch, choose_device(config.cluster, launch)):
        summary = Trainer(job, launch, work.engine.display).run()
    return StageResult(summary=summary, irreproducible=(METRICS, CHECKPOINTS))


def _diagnose(work: Work) -> StageResult:
    from bessemer.diagnose.examine import Examination, diagnose

    exam = Examination(
        model=work.config.model,
        train=work.config.train,
        diagnose=work.config.diagnose,
        seed=work.config.run.seed,
        encoded=work.inputs["encode"],
        plan=work.inputs["mix"],
        trained=work.inputs["train"],
        baselines=work.inputs["baselines"],
        tokenizer=_tokenizer_file(work),
    )
    return diagnose(exam, work.folder, work.engine.display)


def _export(work: Work) -> StageResult:
    from bessemer.export.package import Export, export_model
    from bessemer.line.lineage import trace_lineage

    job = Export(
        model=work.config.model,
        seq_len=work.config.train.seq_len,
        checkpoints=work.inputs["train"] / CHECKPOINTS,
        tokenizer=_tokenizer_file(work),
        corpus=_corpus(work),
        lineage=trace_lineage(work.config, work.inputs, work.fingerprints),
    )
    return export_model(job, work.folder)


def _report(work: Work) -> StageResult:
    from bessemer.report.render import ReportJob, write_report

    job = ReportJob(
        name=work.config.run.name,
        config=work.config.model_dump(mode="json"),
        folders=work.inputs,
        samples_per_rule=work.config.report.samples_per_rule,
        price_per_hour=work.config.report.price_per_hour,
    )
    return write_report(job, work.folder)


def _plain(section: Any, *keys: str) -> dict[str, Any]:
    """A table of the run file as plain data, whole or some keys."""
    data: dict[str, Any] = section.model_dump(mode="json")
    return {key: data[key] for key in keys} if keys else data


# Words are cut by the character classes of the running Python's Unicode tables.
_UNICODE = {"unicode": unicodedata.unidata_version}

STAGES: tuple[Stage, ...] = (
    Stage(
        name="ingest",
        version=1,
        settings=lambda config: {
            "sources": [
                _plain(source, "name", "kind", "format", "text_field", "license")
                for source in config.source
            ],
            **_plain(config.curate, "shard_bytes", "max_document_bytes"),
        },
        work=_ingest,
    ),
    Stage(
        name="signals",
        version=1,
        inputs=("ingest",),
        settings=lambda _: _UNICODE,
        work=_signals,
    ),
    Stage(
        name="rules",
        version=1,
        inputs=("ingest", "signals"),
        settings=lambda config: _plain(config.curate, "languages", "min_language_score", "rule"),
        work=_rules,
    ),
    Stage(name="exact", version=1, inputs=("ingest", "rules"), settings=lambda _: {}, work=_exact),
    Stage(
        name="fuzzy",
        version=1,
        inputs=("ingest", "rules", "exact"),
        settings=lambda config: {
            "seed": config.run.seed,
            **_plain(config.curate.fuzzy),
            **_UNICODE,
        },
        work=_fuzzy,
    ),
    Stage(
        name="split",
        version=1,
        inputs=("ingest", "rules", "exact", "fuzzy"),
        settings=lambda config: {"seed": config.run.seed, **_plain(config.split)},
        work=_split,
    ),
    Stage(
        name="tokenizer",
        version=1,
        inputs=("ingest", "split"),
        settings=lambda config: {
            "seed": config.run.seed,
            "weights": config.mix.weights,
            **_plain(config.tokenizer),
        },
        work=_tokenizer,
    ),
    Stage(
        name="encode",
        version=1,
        inputs=("ingest", "split", "tokenizer"),
        settings=lambda _: {},
        work=_encode,
    ),
    Stage(
        name="mix",
        version=1,
        inputs=("encode",),
        settings=lambda config: {
            "num_samples": config.train.num_samples,
            "seq_len": config.train.seq_len,
            **_plain(config.mix),
        },
        work=_mix,
    ),
    Stage(
        name="baselines",
        version=1,
        inputs=("ingest", "split"),
        settings=lambda config: {"seed": config.run.seed},
        work=_baselines,
    ),
    Stage(
        name="train",
        version=1,
        inputs=("tokenizer", "encode", "mix", "baselines"),
        settings=lambda config: {
            "seed": config.run.seed,
            "model": _plain(config.model),
            "train": _plain(config.train),
        },
        work=_train,
        on_all_ranks=True,
    ),
    Stage(
        name="diagnose",
        version=1,
        inputs=("tokenizer", "encode", "mix", "baselines", "train"),
        settings=lambda config: {"seed": config.run.seed, **_plain(config.diagnose)},
        work=_diagnose,
    ),
    Stage(
        name="export",
        version=1,
        inputs=("ingest", "split", "tokenizer", "mix", "train"),
        settings=lambda config: {"name": config.run.name},
        work=_export,
    ),
    Stage(
        name="report",
        version=1,
        inputs=(
            *("ingest", "signals", "rules", "exact", "fuzzy", "split", "tokenizer", "encode"),
            *("mix", "baselines", "train", "diagnose", "export"),
        ),
        settings=lambda config: {"name": config.run.name, **_plain(config.report)},
        work=_report,
    ),
)
