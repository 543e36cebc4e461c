"""What is asked of a run that was made: why a document is where it is, what it led to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bessemer.cli.arguments import Target
from bessemer.core.errors import ConfigError


def explain(
    target: Target,
    document: Annotated[
        str | None,
        typer.Argument(help="A document id (file:row), or its URL or path, or the end of it."),
    ] = None,
    stage: Annotated[
        str | None, typer.Option(help="In place of a document: a stage that drops some.")
    ] = None,
    sample: Annotated[int, typer.Option(min=1, help="Documents of the stage to show.")] = 10,
) -> None:
    """Say why a document was kept, edited, dropped or quarantined: every signal, every rule.

    With --stage it shows some of the documents that a stage dropped, each with what did it.
    """
    from bessemer.line import api, show_explain

    if document is not None and stage is None:
        show_explain.explanation(api.explain(target, document))
    elif stage is not None and document is None:
        show_explain.dropped(api.sample_dropped(target, stage, num_samples=sample))
    else:
        raise ConfigError("explain needs a document or --stage STAGE, one of them")


def audit(target: Target) -> None:
    """Write a page on near-duplicates: pairs of every similarity side by side, kept or dropped, the
    largest clusters, and what each source lost. It can be made as soon as `fuzzy` is finished."""
    from bessemer.line import api, show

    show.audit(api.audit(target))


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
