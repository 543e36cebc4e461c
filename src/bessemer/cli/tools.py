"""Verbs beside the line: of tokenizers, of tokens, of models that curation needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from bessemer.cli.arguments import Target, size
from bessemer.config.kinds import Kind
from bessemer.core.errors import ConfigError


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
    from bessemer.line import api, show_tokens
    from bessemer.tokens.compression import as_json

    sample_bytes = size("--sample", sample)
    if not sample_bytes:
        raise ConfigError(f"--sample {sample}: expected more than 0 bytes")
    report = api.tokenizer_report(target, against or (), sample_bytes=sample_bytes)
    show_tokens.tokenizer_report(report)
    if json_file is not None:
        write_json(json_file, as_json(report))


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


def index_documents(
    target: Target,
    out: Annotated[Path, typer.Option(help="A new folder to write to.", metavar="DIR")],
) -> None:
    """Write an index of the documents that a run kept, for runs that come after it: they name it in
    `[[curate.known]]`, and what is like one of these documents is dropped there."""
    from bessemer.core.events import Terminal
    from bessemer.line import api, show

    show.indexed(out, api.index_documents(target, out, Terminal()))


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
    from bessemer.line import api, show_quality

    most_bytes = size("--max-bytes", max_bytes)
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
