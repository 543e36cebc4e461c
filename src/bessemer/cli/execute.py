"""Running the line, and where it stands."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from bessemer.cli.arguments import Overrides, RunFile, Target


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


def status(target: Target) -> None:
    """Show which stages of a run are done, what they cost, and where their output is."""
    from bessemer.line import api, show

    show.status(api.status(target))


def _program() -> str:
    """How this program was called, to be typed again."""
    called = sys.argv[0]
    if Path(called).name == "__main__.py":
        return "python -m bessemer"
    return "bessemer" if called == shutil.which("bessemer") else called
