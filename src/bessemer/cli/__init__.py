"""The command line: each verb parses its arguments, calls one function, and shows the result.

Verbs before a run are in `prepare`, those that make one in `execute`, those that ask one in
`inquire`, those beside the line in `tools`. Wings are imported inside the verbs, so that
`bessemer --help` is instant. Exit codes are those of core/errors.py.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

import typer

from bessemer.cli.execute import run, status
from bessemer.cli.inquire import audit, explain, generate, trace, whatif
from bessemer.cli.prepare import check, drill, dryrun, parity, plan
from bessemer.cli.tools import export_tokens, index_documents, tokenizer_report, train_quality
from bessemer.core.ending import code_of, leave
from bessemer.core.errors import BessemerError

Verb = Callable[..., None]

VERBS: tuple[Verb, ...] = (
    *(check, plan, parity, dryrun, drill),
    *(run, status),
    *(explain, audit, whatif, trace, generate),
)
"""Under the names of their functions, in the order of the help."""

GROUPS: tuple[tuple[str, str, dict[str, Verb]], ...] = (
    ("tokenizer", "The tokenizer of a run.", {"report": tokenizer_report}),
    ("tokens", "The tokens of a run.", {"export": export_tokens}),
    (
        "curate",
        "What curation needs beside a run.",
        {"train-quality": train_quality, "index": index_documents},
    ),
)
"""Name, help and verbs of each group."""


def make_app() -> typer.Typer:
    """All verbs, as `bessemer --help` lists them."""
    app = typer.Typer(
        name="bessemer",
        help="Raw text in, trained and understood language model out: one run file, one command.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for verb in VERBS:
        app.command()(verb)
    for group_name, text, verbs in GROUPS:
        group = typer.Typer(help=text, no_args_is_help=True)
        for name, verb in verbs.items():
            group.command(name)(verb)
        app.add_typer(group, name=group_name)
    return app


def main() -> NoReturn:
    """Entry point: run a verb, as one rank of several if it was started so."""
    # Threads of torch that wait by spinning make a step ten times slower as soon as anything
    # else runs on the machine; waiting asleep costs 2 % on an idle one.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from bessemer.line.rank import run_as_rank
    from bessemer.train.launch import is_started_as_rank

    if is_started_as_rank():
        run_as_rank(make_app())
    leave(execute())


def execute(arguments: Sequence[str] | None = None) -> int:
    """Run the verb of `arguments`, or of the command line, and return its exit code; errors of the
    user's making are told on standard error."""
    try:
        make_app()(arguments)
    except SystemExit as asked:
        return code_of(asked)
    except BessemerError as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"error: {line}\n")
        return error.exit_code
    return 0
