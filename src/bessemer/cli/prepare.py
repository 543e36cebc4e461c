"""What is asked of a run before it is paid for: that it is right, what it costs, that it holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from bessemer.cli.arguments import Overrides, RunFile
from bessemer.core.errors import ConfigError, TrainingError

if TYPE_CHECKING:
    from bessemer.line.drill import DrillResult


def check(run_file: RunFile, overrides: Overrides = None) -> None:
    """Check a run file; show its stages and what would be reused. Changes nothing."""
    from bessemer.line import api, show_check

    show_check.check(api.check(run_file, overrides or ()))


def plan(
    run_file: RunFile,
    overrides: Overrides = None,
    measure: Annotated[bool, typer.Option(help="Measure this machine's rate first.")] = True,
) -> None:
    """Show parameters, operations, memory and time of the training, before it is paid for."""
    from bessemer.line import api, show

    show.estimate(api.plan(run_file, overrides or (), measure=measure))


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
