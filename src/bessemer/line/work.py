"""What a stage gets to work with, and the call into its wing, one per stage.

Each call imports its wing only when it runs, so that `bessemer check` and `plan` load no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.config.run import RunConfig
from bessemer.config.timetable import make_timetable, mixed_tokens
from bessemer.core.errors import IntegrityError
from bessemer.core.layout import (
    BASELINES,
    CHECKPOINTS,
    DOCUMENTS,
    METRICS,
    OWNER,
    SPLITS,
    TOKENIZER,
)
from bessemer.core.manifest import StageResult
from bessemer.engine.tasks import Engine
from bessemer.train.launch import Launch

if TYPE_CHECKING:
    from bessemer.curate.evals.files import EvalSet
    from bessemer.curate.instruments import Instruments
    from bessemer.curate.inventory import SourceFile
    from bessemer.tokens.corpus import Corpus
    from bessemer.tokens.remote import RemotePath


# Stages after ingest whose decisions drop documents or ask for edits.
LEDGERS = ("rules", "mask", "exact", "fuzzy", "lines", "substrings", "decontaminate")


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What a stage gets to work with."""

    config: RunConfig
    files: tuple[SourceFile, ...]
    tokenizer_file: Path | None  # the one to load, if not to be trained
    inputs: dict[str, Path]  # stage -> its folder
    fingerprints: dict[str, str]  # of the inputs
    version: int  # of the stage
    folder: Path
    engine: Engine
    launch: Launch
    instruments: Instruments  # what documents are measured with
    evals: tuple[EvalSet, ...] = ()  # what must not be trained on
    init_from: Path | None = None  # folder of the weights that training begins with
    known: tuple[Path, ...] = ()  # indexes of documents that other runs kept
    earlier: tuple[Path, ...] = ()  # what the same stage made with other settings

    @property
    def ledgers(self) -> list[Path]:
        """The folders among the inputs whose decisions may have dropped documents."""
        return [self.inputs[name] for name in LEDGERS if name in self.inputs]

    @property
    def source_names(self) -> list[str]:
        """The sources, in the order of the run file."""
        return [source.name for source in self.config.source]


def run_ingest(work: Work) -> StageResult:
    """Read every source file."""
    from bessemer.curate.ingest import ingest

    return ingest(work.files, work.config.source, work.config.curate, work.folder, work.engine)


def run_signals(work: Work) -> StageResult:
    """Measure every document."""
    from bessemer.curate.families import holds_code, needed_families
    from bessemer.curate.instruments import check_instruments
    from bessemer.curate.signals import signals

    curate = work.config.curate
    check_instruments(work.instruments, curate)
    return signals(
        work.inputs["ingest"],
        work.source_names,
        work.folder,
        work.engine,
        needed_families(work.config.source, curate),
        work.instruments,
        [source.name for source in work.config.source if holds_code(source)],
    )


def run_rules(work: Work) -> StageResult:
    """Hold the measures against the rules."""
    from bessemer.curate.rules import rules

    return rules(
        work.inputs["ingest"],
        work.inputs["signals"],
        work.config.source,
        work.config.curate,
        work.folder,
        work.engine,
    )


def run_mask(work: Work) -> StageResult:
    """Ask for placeholders in the place of personal data."""
    from bessemer.curate.mask import mask

    return mask(
        work.inputs["ingest"],
        work.ledgers,
        work.config.source,
        work.config.curate.pii,
        work.folder,
        work.engine,
    )


def run_exact(work: Work) -> StageResult:
    """Drop exact duplicates."""
    from bessemer.curate.duplicates.exact import exact
    from bessemer.curate.duplicates.known_index import open_indexes

    return exact(
        work.inputs["ingest"],
        work.ledgers,
        work.source_names,
        work.folder,
        work.engine,
        work.config.curate.part_bytes,
        work.config.curate.source_priority,
        open_indexes(work.known),
    )


def run_fuzzy(work: Work) -> StageResult:
    """Drop near duplicates."""
    from bessemer.curate.duplicates.fuzzy import fuzzy
    from bessemer.curate.duplicates.known_index import open_indexes

    curate = work.config.curate
    return fuzzy(
        work.inputs["ingest"],
        work.ledgers,
        work.source_names,
        curate.fuzzy,
        work.config.run.seed,
        work.folder,
        work.engine,
        curate.part_bytes,
        curate.source_priority,
        work.inputs["signals"] if curate.quality else None,
        open_indexes(work.known),
    )


def run_lines(work: Work) -> StageResult:
    """Cut what other documents say in the same words."""
    from bessemer.curate.repeats.lines import compared_sources, lines

    config = work.config.curate.lines
    return lines(
        work.inputs["ingest"],
        work.ledgers,
        work.source_names,
        config,
        compared_sources(work.config.source, config),
        work.folder,
        work.engine,
        work.config.curate.part_bytes,
    )


def run_substrings(work: Work) -> StageResult:
    """Cut what is repeated word for word."""
    from bessemer.curate.repeats.substrings import substrings

    return substrings(
        work.inputs["ingest"],
        work.ledgers,
        work.config.source,
        work.config.curate.substrings,
        work.folder,
        work.engine,
        work.config.curate.part_bytes,
    )


def run_decontaminate(work: Work) -> StageResult:
    """Find items of evaluation sets."""
    from bessemer.curate.evals.decontaminate import decontaminate

    return decontaminate(
        work.inputs["ingest"],
        work.ledgers,
        work.source_names,
        work.config.decontaminate,
        work.evals,
        work.config.run.seed,
        work.folder,
        work.engine,
    )


def run_split(work: Work) -> StageResult:
    """Set held-out text aside."""
    from bessemer.curate.heldout.split import split

    return split(
        work.inputs["ingest"],
        work.ledgers,
        work.inputs["fuzzy"],
        work.source_names,
        work.config.split,
        work.config.run.seed,
        work.folder,
        work.engine,
        work.config.curate.part_bytes,
    )


def corpus_of(folders: Mapping[str, Path]) -> Corpus:
    """The corpus that stages of these folders (stage -> folder) left, with all edits made."""
    from bessemer.tokens.corpus import Corpus

    return Corpus(
        documents=folders["ingest"] / DOCUMENTS,
        splits=folders["split"] / SPLITS,
        ledgers=tuple(folders[name] for name in LEDGERS),
    )


def _corpus(work: Work) -> Corpus:
    return corpus_of(work.inputs)


def _tokenizer_file(work: Work) -> Path:
    return work.inputs["tokenizer"] / TOKENIZER


def run_tokenizer(work: Work) -> StageResult:
    """Learn the vocabulary, or load it."""
    from bessemer.tokens.vocabulary import learn_tokenizer, load_tokenizer

    config = work.config
    if work.tokenizer_file is not None:
        return load_tokenizer(work.tokenizer_file, config.tokenizer, work.folder)
    return learn_tokenizer(
        _corpus(work),
        work.source_names,
        config.mix,
        mixed_tokens(config.train),
        config.tokenizer,
        config.run.seed,
        work.folder,
    )


def run_encode(work: Work) -> StageResult:
    """Turn text into token shards."""
    from bessemer.tokens.encode import encode

    return encode(_corpus(work), _tokenizer_file(work), work.source_names, work.folder, work.engine)


def run_pack(work: Work) -> StageResult:
    """Make samples of documents."""
    from bessemer.tokens.pack import pack

    return pack(
        work.inputs["encode"], work.source_names, work.config.train, work.folder, work.engine
    )


def run_mix(work: Work) -> StageResult:
    """Apportion the tokens of training to the sources."""
    from bessemer.tokens.mix import mix

    config = work.config
    return mix(
        work.inputs["encode"],
        work.source_names,
        config.mix,
        config.train,
        config.run.seed,
        work.folder,
        work.inputs["pack"],
    )


def run_baselines(work: Work) -> StageResult:
    """Measure what held-out text costs without a model."""
    from bessemer.diagnose.baselines import baselines

    return baselines(
        _corpus(work), work.source_names, work.config.run.seed, work.folder, work.engine
    )


def _token_root(work: Work) -> Path | RemotePath:
    """Where training reads tokens; IntegrityError if they are not those of this run."""
    from bessemer.tokens.remote import open_root
    from bessemer.tokens.stream import list_shards

    encoded = work.inputs["encode"]
    if work.config.cluster.tokens is None:
        return encoded
    root = open_root(work.config.cluster.tokens)
    if list_shards(root) != list_shards(encoded):
        raise IntegrityError(
            f"cluster.tokens = {work.config.cluster.tokens!r} holds other shards than {encoded}; "
            "copy that folder there"
        )
    return root


def run_train(work: Work) -> StageResult:
    """Train, on every rank."""
    from bessemer.core.storage import read_json
    from bessemer.train.job import TrainingJob
    from bessemer.train.mesh import choose_device, process_group
    from bessemer.train.trainer import Trainer
    from bessemer.train.watchdog import watched

    config, launch = work.config, work.launch
    job = TrainingJob(
        model=config.model,
        train=config.train,
        cluster=config.cluster,
        seed=config.run.seed,
        encoded=_token_root(work),
        packed=work.inputs["pack"],
        plan=work.inputs["mix"],
        tokenizer=_tokenizer_file(work),
        folder=work.folder,
        baselines=read_json(work.inputs["baselines"] / BASELINES),
        init_from=work.init_from,
        inputs={"version": work.version}
        | {name: work.fingerprints[name] for name in ("tokenizer", "encode", "pack")},
        earlier=work.earlier,
    )
    with (
        process_group(config.cluster, launch, choose_device(config.cluster, launch)),
        watched(launch, work.folder / METRICS, config.cluster.hang_timeout_s),
    ):
        summary = Trainer(job, launch, work.engine.display).run()
    return StageResult(summary=summary, irreproducible=(METRICS, CHECKPOINTS, OWNER))


def run_diagnose(work: Work) -> StageResult:
    """Measure the model and judge it."""
    from bessemer.diagnose.examine import Examination, diagnose
    from bessemer.train.checkpoints.remote import open_store

    exam = Examination(
        model=work.config.model,
        train=work.config.train,
        diagnose=work.config.diagnose,
        seed=work.config.run.seed,
        encoded=work.inputs["encode"],
        packed=work.inputs["pack"],
        plan=work.inputs["mix"],
        trained=work.inputs["train"],
        checkpoints=open_store(work.inputs["train"], work.config.cluster.checkpoints),
        baselines=work.inputs["baselines"],
        tokenizer=_tokenizer_file(work),
    )
    return diagnose(exam, work.folder, work.engine.display)


def run_export(work: Work) -> StageResult:
    """Write the Hugging Face folder and prove it."""
    from bessemer.export.package import Export, export_model
    from bessemer.line.lineage import trace_lineage
    from bessemer.train.checkpoints.remote import open_store

    job = Export(
        model=work.config.model,
        export=work.config.export,
        init_from=work.init_from,
        seq_len=work.config.train.seq_len,
        num_steps=make_timetable(work.config.train).num_steps,
        checkpoints=open_store(work.inputs["train"], work.config.cluster.checkpoints),
        tokenizer=_tokenizer_file(work),
        corpus=_corpus(work),
        lineage=trace_lineage(work.config, work.inputs, work.fingerprints),
    )
    return export_model(job, work.folder)


def run_report(work: Work) -> StageResult:
    """Write the report."""
    from bessemer.report.render import ReportJob, write_report

    job = ReportJob(
        name=work.config.run.name,
        config=work.config.model_dump(mode="json"),
        folders=work.inputs,
        samples_per_rule=work.config.report.samples_per_rule,
        price_per_hour=work.config.report.price_per_hour,
    )
    return write_report(job, work.folder)
