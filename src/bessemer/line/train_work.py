"""The stages from the vocabulary to the report: the calls into their wings.

Each imports its wing only when it runs, so that `bessemer check` and `plan` load no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.config.timetable import make_timetable, mixed_tokens
from bessemer.core.errors import IntegrityError
from bessemer.core.layout import BASELINES, CHECKPOINTS, METRICS, OWNER, TOKENIZER
from bessemer.core.manifest import StageResult
from bessemer.line.work import Work, corpus_of

if TYPE_CHECKING:
    from bessemer.tokens.remote import RemotePath


def _tokenizer_file(work: Work) -> Path:
    return work.inputs["tokenizer"] / TOKENIZER


def run_tokenizer(work: Work) -> StageResult:
    """Learn the vocabulary, or load it."""
    from bessemer.tokens.vocabulary import learn_tokenizer, load_tokenizer

    config = work.config
    if work.tokenizer_file is not None:
        return load_tokenizer(work.tokenizer_file, config.tokenizer, work.folder)
    return learn_tokenizer(
        corpus_of(work.inputs),
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

    return encode(
        corpus_of(work.inputs), _tokenizer_file(work), work.source_names, work.folder, work.engine
    )


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
        corpus_of(work.inputs), work.source_names, work.config.run.seed, work.folder, work.engine
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
        corpus=corpus_of(work.inputs),
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
