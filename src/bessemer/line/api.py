"""The functions that the command line and notebooks call: paths in, records out.

`target` is a run file or the root folder of a run. Wings are imported when a function needs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import ConfigError
from bessemer.core.events import Display, Silent
from bessemer.line.workspace import (
    Workspace,
    open_workspace,
    plan_workspace,
    require_writable,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.config.axes import Axes
    from bessemer.config.run import RunConfig
    from bessemer.curate.quality_model import QualityModel
    from bessemer.line.drill import DrillResult
    from bessemer.line.dropped import DroppedSample
    from bessemer.line.explain import Explanation
    from bessemer.line.runner import StageOutcome
    from bessemer.line.trace import DocumentTrace, StepTrace
    from bessemer.line.verify import SampleProof
    from bessemer.line.whatif import WhatIf
    from bessemer.planner.estimate import Estimate
    from bessemer.tokens.compression import TokenizerReport
    from bessemer.tokens.order import SampleOrder
    from bessemer.train.launch import Launch
    from bessemer.train.parallel.dryrun import DryRun
    from bessemer.train.parallel.parity import Parity


def check(run_file: Path | str, overrides: Sequence[str] = ()) -> Workspace:
    """The run that a run file asks for, with all its folders; nothing is left behind.

    Raises ConfigError with every fault, and MachineError if the root folder cannot be written to.
    """
    workspace = plan_workspace(Path(run_file), overrides, keep_digests=False)
    require_writable(workspace.root)
    return workspace


def plan(run_file: Path | str, overrides: Sequence[str] = (), *, measure: bool = True) -> Estimate:
    """Parameters, operations, memory and time of a training; `measure` takes this machine's rate.

    Raises ConfigError with every fault.
    """
    from bessemer.line.check import load_config
    from bessemer.planner.estimate import estimate, measure_rate

    config = load_config(Path(run_file), overrides)
    return estimate(config, measure_rate() if measure else None)


def parity(run_file: Path | str, overrides: Sequence[str] = ()) -> list[Parity]:
    """Whether the layout that a run file asks for computes what one process computes; all layouts
    of two and four ranks if it asks for none. The model is scaled down; no data is read.

    Raises ConfigError with every fault, and MachineError if the processes fail.
    """
    from bessemer.line.check import load_config
    from bessemer.train.parallel.parity import compare_layouts
    from bessemer.train.parallel.parity_layouts import layouts_to_try

    config = load_config(Path(run_file), overrides)
    layouts = layouts_to_try(config.cluster, config.model)
    return compare_layouts(config.model, config.train, layouts)


def dry_run(
    run_file: Path | str,
    overrides: Sequence[str] = (),
    *,
    world: int | None = None,
    ranks: Sequence[int | str] = (0,),
) -> tuple[RunConfig, Axes, list[DryRun]]:
    """What each of `ranks` (numbers, or "last") holds and sends in a step of a run of `world`
    ranks, or of as many as its layout has. No other rank, no GPU and no data is needed.

    Returns the run as it would be there, too. Raises ConfigError with every fault, and MachineError
    if a step cannot be taken.
    """
    from bessemer.config.axes import planned_axes
    from bessemer.config.check import axes_of_run
    from bessemer.line.check import load_config
    from bessemer.train.parallel.dryrun import dry_run as take_step

    config = load_config(Path(run_file), overrides)
    num_ranks = world or planned_axes(config.cluster).num_ranks
    axes = axes_of_run(config.model, config.train, config.cluster, num_ranks)
    there = config.cluster.model_copy(update={"dp_replicate": axes.dp_replicate})
    config = config.model_copy(update={"cluster": there})
    numbers = [axes.num_ranks - 1 if rank == "last" else int(rank) for rank in ranks]
    if wrong := [number for number in numbers if not 0 <= number < axes.num_ranks]:
        raise ConfigError(f"there is no rank {wrong[0]}: ranks are 0 to {axes.num_ranks - 1}")
    return config, axes, take_step(config, axes, numbers)


def drill(
    run_file: Path | str, overrides: Sequence[str] = (), *, kinds: Sequence[str] = ()
) -> Iterator[DrillResult]:
    """Whether a run like this one, scaled down, loses anything to each kind of fault, or to those
    named. No data is read, and nothing is left behind.

    Raises ConfigError with every fault, and MachineError if the run cannot be had here at all.
    """
    from bessemer.line.check import load_config
    from bessemer.line.drill import drill as disturb

    return disturb(load_config(Path(run_file), overrides), kinds)


def drill_kills(
    run_file: Path | str, overrides: Sequence[str] = (), *, kills: int, seed: int = 0
) -> DrillResult:
    """Whether it loses anything to so many kills of random ranks at random moments."""
    from bessemer.line.check import load_config
    from bessemer.line.drill import drill_kills as disturb

    return disturb(load_config(Path(run_file), overrides), kills, seed)


def run(
    run_file: Path | str,
    overrides: Sequence[str] = (),
    *,
    first: str | None = None,
    last: str | None = None,
    display: Display | None = None,
    launch: Launch | None = None,
) -> tuple[Workspace, list[StageOutcome]]:
    """Bring a run up to date, or the part of it from stage `first` to stage `last`.

    Returns the run and what became of each stage. Raises ConfigError, DataError, MachineError or
    TrainingError; what was finished by then is kept.
    """
    from bessemer.line.runner import run_stages

    workspace = plan_workspace(Path(run_file), overrides)
    outcomes = run_stages(workspace, display or Silent(), launch, first=first, last=last)
    return workspace, outcomes


def run_on_ranks(
    run_file: Path | str,
    overrides: Sequence[str] = (),
    *,
    first: str | None = None,
    last: str | None = None,
    command: Sequence[str],
) -> int | None:
    """Have several processes do `command`, which comes to `run` with these arguments, as the ranks
    that the layout of the run asks for; after a fault they are started anew.

    Returns the exit code; None, and nothing is done, if one process does. Raises ConfigError.
    """
    from bessemer.line.launch import supervise_ranks

    workspace = plan_workspace(Path(run_file), overrides)
    return supervise_ranks(workspace, first, last, command)


def status(target: Path | str) -> Workspace:
    """A run as it is on disk."""
    return open_workspace(Path(target))


def explain(target: Path | str, document: str) -> Explanation:
    """Everything on record about a document, named by id (`file:row`), URL, path or its end.

    Raises DataError if none or several match.
    """
    from bessemer.line.explain import explain as explain_document

    return explain_document(open_workspace(Path(target)), document)


def sample_dropped(target: Path | str, stage: str, *, num_samples: int = 10) -> DroppedSample:
    """Up to `num_samples` of the documents that a stage dropped (`ingest` quarantines), each with
    the decision that did it; the same ones for the same run.

    Raises ConfigError if `stage` drops none, DataError if it is not finished.
    """
    from bessemer.line.dropped import sample_dropped as sample

    return sample(open_workspace(Path(target)), stage, num_samples)


def audit(target: Path | str) -> Path:
    """Write a page on the near-duplicates of a run: pairs of every similarity side by side, the
    largest clusters, what each source lost. Returns its path, `<root>/audit.html`.

    Raises DataError if the stage `fuzzy` is not finished.
    """
    from bessemer.line.audit import write_audit

    return write_audit(open_workspace(Path(target)))


def index_documents(target: Path | str, out: Path | str, display: Display | None = None) -> int:
    """Write an index of the documents that a run kept into the new folder `out`: runs that name it
    in `[[curate.known]]` drop what is like one of them. Returns how many there are.

    Raises DataError if the stage `fuzzy` is not finished, or `out` holds an index.
    """
    from bessemer.line.known import write_index_of

    return write_index_of(open_workspace(Path(target)), Path(out), display or Silent())


def what_if(
    target: Path | str,
    rules: Sequence[str] = (),
    sources: Sequence[str] = (),
    *,
    num_samples: int = 5,
) -> WhatIf:
    """What other bounds, as in "word_count.min=100", would keep and drop of all or some sources,
    from the stored signals of a run; no stage is run.

    Raises ConfigError if a bound or a source is wrong, or there are no signals yet.
    """
    from bessemer.line.whatif import what_if as answer

    return answer(open_workspace(Path(target)), rules, sources, num_samples)


def train_quality(
    good: Sequence[str],
    background: Sequence[str],
    out: Path | str,
    *,
    kind: str = "web",
    format: str = "auto",
    text_field: str = "text",
    seed: int = 0,
    bucket_bits: int = 20,
    max_bytes: int = 256_000_000,
    display: Display | None = None,
) -> QualityModel:
    """Fit a quality model to the files that the patterns `good` and `background` match, judge it on
    texts held out of both, and write it to `out`, for `[curate.quality]` of a run file.

    `kind`, `format` and `text_field` are those of `[[source]]`. Raises ConfigError, DataError, or
    MachineError without scikit-learn.
    """
    from bessemer.curate.quality_model import refuse_to_replace, save_model
    from bessemer.curate.train_quality import QualitySettings, quality_sources
    from bessemer.curate.train_quality import train_quality as train

    refuse_to_replace(Path(out))
    settings = QualitySettings(seed=seed, bucket_bits=bucket_bits, max_bytes=max_bytes)
    sources = quality_sources(good, background, kind, format, text_field)
    model = train(*sources, Path.cwd(), settings, display or Silent())
    save_model(model, Path(out))
    return model


def trace_step(target: Path | str, step: int) -> StepTrace:
    """The documents that optimizer step `step` (from 1) was trained on, with the proof."""
    from bessemer.line.trace import trace_step as trace

    return trace(open_workspace(Path(target)), step)


def trace_document(target: Path | str, document: str) -> DocumentTrace:
    """Where a document's tokens are, and the steps that saw them."""
    from bessemer.line.explain import find_document
    from bessemer.line.trace import trace_document as trace

    workspace = open_workspace(Path(target))
    return trace(workspace, find_document(workspace, document))


def verify_samples(target: Path | str) -> SampleProof:
    """The proof that training lost no sample and repeated none.

    Raises IntegrityError naming the first step whose record differs.
    """
    from bessemer.line.verify import verify_samples as verify

    return verify(open_workspace(Path(target)))


def generate(
    target: Path | str,
    prompt: str = "",
    *,
    max_tokens: int = 200,
    temperature: float = 0.8,
    top_p: float = 0.95,
    seed: int = 0,
) -> Iterator[str]:
    """What the trained model writes after `prompt`, piece by piece."""
    from bessemer.line.generate import continue_text

    return continue_text(
        open_workspace(Path(target)),
        prompt,
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
    )


def tokenizer_report(
    target: Path | str, against: Sequence[str] = (), *, sample_bytes: int = 16_000_000
) -> TokenizerReport:
    """Bytes per token of a run's tokenizer by source and language, and that every byte comes back.

    `against` names other tokenizers, as `bessemer.tokens.references.gather` takes them.
    """
    from bessemer.core.layout import SIGNALS, TOKENIZER
    from bessemer.tokens.compression import measure
    from bessemer.tokens.references import gather
    from bessemer.tokens.tokenizer import Tokenizer

    workspace = open_workspace(Path(target))
    return measure(
        workspace.corpus(),
        workspace.require("signals") / SIGNALS,
        gather(Tokenizer.load(workspace.require("tokenizer") / TOKENIZER), against),
        sample_bytes,
        workspace.config.run.seed,
    )


def export_tokens(target: Path | str, form: str, output: Path | str) -> dict[str, Any]:
    """Write a run's tokens as `bin`, `npy` or `arrow` to a new folder; what tokens.json says there.

    Raises ConfigError if the form is unknown or the folder is not empty.
    """
    from bessemer.core.layout import TOKENIZER
    from bessemer.tokens.formats import export_tokens as export

    workspace = open_workspace(Path(target))
    tokenizer = workspace.require("tokenizer") / TOKENIZER
    return export(workspace.require("encode"), tokenizer, form, Path(output))


def open_documents(target: Path | str) -> Iterator[pa.Table]:
    """The curated documents, a table per shard: the columns of DOCUMENT, and `split`."""
    from bessemer.core.layout import DOCUMENTS, SPLITS
    from bessemer.core.storage import read_table

    workspace = open_workspace(Path(target))
    documents = workspace.require("ingest") / DOCUMENTS
    splits = workspace.require("split") / SPLITS
    for path in sorted(splits.glob("*.parquet")):
        sides = read_table(path, ["doc_id", "split"])
        table = read_table(documents / path.name)
        yield table.join(sides, "doc_id", join_type="inner").sort_by("doc_id")


def open_tokens(target: Path | str) -> SampleOrder:
    """Every training sample of a run by number: `locate(i)` says where its tokens lie, `read(i)`
    gives them."""
    from bessemer.line.trace import open_order

    return open_order(open_workspace(Path(target)))
