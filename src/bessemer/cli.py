"""The command line: each verb parses its arguments, calls one function, and shows the result.

Wings are imported inside the verbs, so that `bessemer --help` is instant. Exit codes are those of
core/errors.py.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from bessemer.config.kinds import Kind
from bessemer.core.errors import BessemerError, ConfigError, TrainingError

if TYPE_CHECKING:
    from bessemer.line.drill import DrillResult

app = typer.Typer(
    name="bessemer",
    help="Raw text in, trained and understood language model out: one run file, one command.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

tokenizer_app = typer.Typer(help="The tokenizer of a run.", no_args_is_help=True)
app.add_typer(tokenizer_app, name="tokenizer")
tokens_app = typer.Typer(help="The tokens of a run.", no_args_is_help=True)
app.add_typer(tokens_app, name="tokens")

curate_app = typer.Typer(help="What curation needs beside a run.", no_args_is_help=True)
app.add_typer(curate_app, name="curate")

RunFile = Annotated[Path, typer.Argument(help="The run file (TOML).", metavar="RUN.toml")]
Target = Annotated[
    Path, typer.Argument(help="A run file, or the root folder of a run.", metavar="RUN")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Override a key with a TOML value, e.g. --set train.seq_len=512 or "
        "--set run.root='\"/big/disk\"'. Repeatable.",
        metavar="KEY=VALUE",
    ),
]


@app.command()
def check(run_file: RunFile, overrides: Overrides = None) -> None:
    """Check a run file; show its stages and what would be reused. Changes nothing."""
    from bessemer.line import api, show

    show.check(api.check(run_file, overrides or ()))


@app.command()
def plan(
    run_file: RunFile,
    overrides: Overrides = None,
    measure: Annotated[bool, typer.Option(help="Measure this machine's rate first.")] = True,
) -> None:
    """Show parameters, operations, memory and time of the training, before it is paid for."""
    from bessemer.line import api, show

    show.estimate(api.plan(run_file, overrides or (), measure=measure))


@app.command()
def parity(run_file: RunFile, overrides: Overrides = None) -> None:
    """Prove, before a cluster is paid for, that the layout of a run computes what one process does.

    The model of the run, scaled down, on processes of this machine: loss, every gradient and one
    optimizer step. All layouts of two and four ranks if [cluster] asks for none.
    """
    from bessemer.line import api, show

    found = api.parity(run_file, overrides or ())
    show.parity(found)
    if wrong := sum(not each.holds for each in found):
        raise TrainingError(f"{wrong} of {len(found)} layouts differ from one process")


@app.command()
def dryrun(
    run_file: RunFile,
    world: Annotated[
        int | None, typer.Option(min=1, help="Ranks in all; absent means as the layout has.")
    ] = None,
    rank: Annotated[
        str, typer.Option(help='Which ranks to be, as in "0,5,last".', metavar="RANKS")
    ] = "0,last",
    overrides: Overrides = None,
) -> None:
    """Take one step as one rank of many, without the others: what it holds, what it sends.

    The real model of the run on tensors without memory: no GPU, no data, minutes at most.
    """
    from bessemer.line import api, show_ranks

    names = [name.strip() for name in rank.split(",")]
    if not all(name == "last" or name.isdecimal() for name in names):
        raise ConfigError(f'--rank {rank}: expected numbers and "last", as in 0,5,last')
    show_ranks.dry_run(*api.dry_run(run_file, overrides or (), world=world, ranks=names))


@app.command()
def drill(
    run_file: RunFile,
    kinds: Annotated[
        list[str] | None,
        typer.Option("--fault", help="One kind of fault, as the table names it. Repeatable."),
    ] = None,
    kills: Annotated[
        int, typer.Option(min=0, help="Instead: so many SIGKILLs of random ranks in one long run.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other moments.")] = 0,
    overrides: Overrides = None,
) -> None:
    """Prove, before a cluster is paid for, that a run like this one loses nothing to faults.

    Scaled down, on two ranks of this machine: ranks are killed, stopped and hung, checkpoints
    spoiled, the disk filled. Each run must end as one that nobody disturbed, to the bit.
    """
    from bessemer.core.events import configure_logging
    from bessemer.line import api, show_drill

    configure_logging()
    found: Iterable[DrillResult]
    if kills:
        found = [api.drill_kills(run_file, overrides or (), kills=kills, seed=seed)]
    else:
        found = api.drill(run_file, overrides or (), kinds=kinds or ())
    results = show_drill.drill(found)
    if wrong := sum(not each.is_equal for each in results):
        raise TrainingError(f"{wrong} of {len(results)} runs did not end as undisturbed")


@app.command()
def run(
    run_file: RunFile,
    first: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Make this stage and all after it anew. To go on with what that began, give the "
            "command without it.",
        ),
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Stop after this stage.")] = None,
    overrides: Overrides = None,
) -> None:
    """Run the line, or go on where it stopped. Finished stages are reused.

    If [cluster] lays training out over several ranks, they are started, and after a fault started
    anew. On several machines torchrun starts them: torchrun ... -m bessemer run RUN.toml
    """
    from bessemer.core.events import Silent, Terminal, configure_logging
    from bessemer.line import api, show
    from bessemer.train.launch import is_started_as_rank, read_launch

    launch = read_launch()
    configure_logging(launch.rank)
    if not is_started_as_rank():
        command = [sys.executable, "-m", "bessemer", *sys.argv[1:]]
        code = api.run_on_ranks(run_file, overrides or (), first=first, last=last, command=command)
        if code is not None:
            sys.exit(code)
    display = Terminal() if launch.rank == 0 else Silent()
    workspace, outcomes = api.run(
        run_file, overrides or (), first=first, last=last, display=display, launch=launch
    )
    if launch.rank == 0:
        show.outcome(workspace, outcomes, program=_program())


@app.command()
def status(target: Target) -> None:
    """Show which stages of a run are done, what they cost, and where their output is."""
    from bessemer.line import api, show

    show.status(api.status(target))


@app.command()
def explain(
    target: Target,
    document: Annotated[
        str,
        typer.Argument(help="A document id (file:row), or its URL or path, or the end of it."),
    ],
) -> None:
    """Say why a document was kept, edited, dropped or quarantined: every signal, every rule."""
    from bessemer.line import api, show

    show.explanation(api.explain(target, document))


@app.command()
def whatif(
    target: Target,
    rules: Annotated[
        list[str] | None,
        typer.Option(
            "--rule",
            help="Another bound of a signal: word_count.min=100, or digit_frac=0.25 where there "
            "is one bound only, or word_count.max=none to remove one; language.min=0.5 is the "
            "score that a language must have. Repeatable; together they are one change.",
            metavar="SIGNAL.END=BOUND",
        ),
    ] = None,
    sources: Annotated[
        list[str] | None,
        typer.Option("--source", help="Change and count this source only. Repeatable."),
    ] = None,
    sample: Annotated[
        int, typer.Option(min=0, help="Documents to show that would be newly dropped, and kept.")
    ] = 5,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file as well.")
    ] = None,
) -> None:
    """Show what other bounds would keep and drop, in seconds: signals are stored, nothing is run.

    Documents, bytes and estimated tokens by source and language, now and then; what each rule
    drops, and what it alone drops; a sample of the documents that would change sides. Without
    --rule it tells what the rules do as they are. What masking and deduplication would make
    of other survivors is not known before they are run: figures are those behind the rules.
    """
    from bessemer.core.storage import write_json
    from bessemer.line import api, show_whatif
    from bessemer.line.whatif import as_json

    found = api.what_if(target, rules or (), sources or (), num_samples=sample)
    show_whatif.what_if(found, every_source=not sources)
    if json_file is not None:
        write_json(json_file, as_json(found))


@app.command()
def trace(
    target: Target,
    step: Annotated[int | None, typer.Option(help="An optimizer step, from 1.")] = None,
    doc: Annotated[str | None, typer.Option(help="A document, as for explain.")] = None,
    verify: Annotated[bool, typer.Option(help="All samples, against the record.")] = False,
) -> None:
    """Follow lineage both ways: the documents of a step, or the steps that saw a document; or prove
    that training lost no sample and repeated none."""
    from bessemer.line import api, show

    if [step is not None, doc is not None, verify].count(True) != 1:
        raise ConfigError("trace needs --step N, --doc D or --verify, one of them")
    if step is not None:
        show.step_trace(api.trace_step(target, step))
    elif doc is not None:
        show.document_trace(api.trace_document(target, doc))
    else:
        show.sample_proof(api.verify_samples(target))


@app.command()
def generate(
    target: Target,
    prompt: Annotated[str, typer.Argument(help="What the text begins with.")] = "",
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens to write at most.")] = 200,
    temperature: Annotated[
        float, typer.Option(min=0, help="0 always takes the likeliest token.")
    ] = 0.8,
    top_p: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the likeliest mass to draw from.")
    ] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another text.")] = 0,
) -> None:
    """Let the trained model go on from a prompt."""
    from bessemer.line import api

    pieces = api.generate(
        target,
        prompt,
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
    )
    for number, piece in enumerate(pieces):
        sys.stdout.write(piece if number else prompt + piece)
        sys.stdout.flush()
    sys.stdout.write("\n")


@tokenizer_app.command("report")
def tokenizer_report(
    target: Target,
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="Another tokenizer: NAME=PATH of a file (NAME=PATH:PATTERN for ranks of "
            "tiktoken), an encoding of tiktoken such as cl100k_base, or the run's own with text "
            "split in another way, such as split:gpt2. Repeatable."
        ),
    ] = None,
    sample: Annotated[str, typer.Option(help="How much text to measure on.")] = "16MB",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file as well.")
    ] = None,
) -> None:
    """Show bytes per token by source and by language, and prove that every byte comes back."""
    from bessemer.core.storage import write_json
    from bessemer.core.units import parse_bytes
    from bessemer.line import api, show_tokens
    from bessemer.tokens.compression import as_json

    try:
        sample_bytes = parse_bytes(int(sample) if sample.isdecimal() else sample)
    except ValueError as error:
        raise ConfigError(f"--sample {sample}: {error}") from None
    if not sample_bytes:
        raise ConfigError(f"--sample {sample}: expected more than 0 bytes")
    report = api.tokenizer_report(target, against or (), sample_bytes=sample_bytes)
    show_tokens.tokenizer_report(report)
    if json_file is not None:
        write_json(json_file, as_json(report))


@tokens_app.command("export")
def export_tokens(
    target: Target,
    form: Annotated[
        str, typer.Option("--format", help="bin, npy (as nanoGPT maps them) or arrow (datasets).")
    ],
    output: Annotated[Path, typer.Option(help="A new folder to write to.")],
) -> None:
    """Write a run's tokens in a form that another trainer reads."""
    from bessemer.line import api, show_tokens

    show_tokens.export(output, api.export_tokens(target, form, output))


@curate_app.command("train-quality")
def train_quality(
    out: Annotated[Path, typer.Option(help="The file to write.", metavar="FILE")],
    good: Annotated[
        list[str] | None,
        typer.Option(
            help="Files of good texts: a path or a quoted pattern ('good/**/*.jsonl.zst'). "
            "Repeatable.",
            metavar="PATH",
        ),
    ] = None,
    background: Annotated[
        list[str] | None,
        typer.Option(help="Files of the texts to choose from. Repeatable.", metavar="PATH"),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(help=f"{', '.join(get_args(Kind))}: as in [[source]], how files are read."),
    ] = "web",
    form: Annotated[str, typer.Option("--format", help="As in [[source]].")] = "auto",
    text_field: Annotated[
        str, typer.Option(help="Field or column that holds the text, as in [[source]].")
    ] = "text",
    max_bytes: Annotated[
        str,
        typer.Option(
            help="Text to learn from, of each side; of more, texts are drawn at random. Takes "
            "three times as much memory."
        ),
    ] = "256MB",
    bucket_bits: Annotated[
        int, typer.Option(help="Weights: 2 to this power, 4 bytes each, 10 to 24.")
    ] = 20,
    seed: Annotated[
        int, typer.Option(min=0, help="Another seed, other texts held out, another order.")
    ] = 0,
) -> None:
    """Learn from examples which texts are good, to a file that a run measures texts with.

    --good are texts as you want them (reference works, answers that were voted for); --background
    are texts as they come, of the corpus that is to be filtered. A logistic regression over hashed
    words and pairs of words tells them apart. A fifth of both is held out: it says how well that
    works (AUC: the odds that a good text scores above a background text; 0.5 is chance), and the
    background part of it becomes the scale: a score of 0.9 is better than 90 % of the background.

    Look at the strongest n-grams before you use it: a model may have learned a site's menu, a
    language or a subject in the place of quality. Then, in the run file:

    [curate.quality] model = "quality.safetensors"

    makes quality_score a signal of every document, and [[curate.rule]] name = "quality_score" with
    min = 0.5 keeps the better half; `bessemer whatif` tells what other bounds would keep.
    """
    from bessemer.core.events import Terminal, configure_logging
    from bessemer.core.units import parse_bytes
    from bessemer.line import api, show_quality

    try:
        most_bytes = parse_bytes(int(max_bytes) if max_bytes.isdecimal() else max_bytes)
    except ValueError as error:
        raise ConfigError(f"--max-bytes {max_bytes}: {error}") from None
    configure_logging()
    model = api.train_quality(
        good or (),
        background or (),
        out,
        kind=kind,
        format=form,
        text_field=text_field,
        seed=seed,
        bucket_bits=bucket_bits,
        max_bytes=most_bytes,
        display=Terminal(),
    )
    show_quality.quality_model(model, out)


def _program() -> str:
    """How this program was called, to be typed again."""
    called = sys.argv[0]
    if Path(called).name == "__main__.py":
        return "python -m bessemer"
    return "bessemer" if called == shutil.which("bessemer") else called


def main() -> None:
    """Entry point: run a verb; errors of the user's making end with a message and their code."""
    # Threads of torch that wait by spinning make a step ten times slower as soon as anything
    # else runs on the machine; waiting asleep costs 2 % on an idle one.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from bessemer.line.rank import run_as_rank
    from bessemer.train.launch import is_started_as_rank

    if is_started_as_rank():
        run_as_rank(app)
    try:
        app()
    except BessemerError as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"error: {line}\n")
        sys.exit(error.exit_code)
