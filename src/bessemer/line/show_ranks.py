"""What `dryrun` prints: memory and traffic of single ranks, beside their formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bessemer.config.axes import Axes
from bessemer.config.run import RunConfig
from bessemer.core.units import format_bytes, format_count
from bessemer.costs.communication import Microbatches, step_traffic
from bessemer.costs.compute import count_parameters, shape_of
from bessemer.costs.memory import training_memory
from bessemer.line.terminal import make_console, make_facts, make_table

if TYPE_CHECKING:  # it needs torch
    from bessemer.train.parallel.dryrun import DryRun

_PARTS = {  # as counted: as in costs.memory
    "weights": ("weights",),
    "gathered": ("gathered",),
    "gradients": ("gradients",),
    "optimizer": ("optimizer",),
    "activations": ("activations", "transient"),
}


def dry_run(config: RunConfig, axes: Axes, found: Sequence[DryRun]) -> None:
    """Two tables: bytes held by part, and bytes sent by axis and kind, a column for each rank."""
    first, console = found[0], make_console()
    shape = shape_of(config.model, config.tokenizer.vocab_size)
    work = Microbatches(
        number=first.num_microbatches,
        num_sequences=first.num_sequences,
        seq_len=first.seq_len,
        product_bytes=2 if first.precision == "bf16" else 4,
    )
    console.print(
        make_facts(
            [
                ("layout", f"{axes}: {axes.num_ranks:,} ranks"),
                ("device", _device(config, first)),
                ("model", f"{format_count(count_parameters(shape).total)} parameters"),
                (
                    "step",
                    f"{work.number:,} microbatches of {work.num_sequences:,} x {work.seq_len:,} "
                    f"tokens, products in {first.precision}",
                ),
            ]
        )
    )
    ranks = [f"rank {each.rank:,}" for each in found]
    formula = training_memory(
        shape,
        work.num_sequences,
        work.seq_len,
        optimizer=config.train.optimizer.kind,
        has_average=config.train.ema is not None,
        axes=axes,
        reshard=config.cluster.reshard,
        has_copy=False,
        cp_exchange=config.cluster.cp_exchange,
        recompute=config.cluster.recompute,
        pp_schedule=config.cluster.pp_schedule,
        num_microbatches=work.number,
        document_mask=False,  # every sequence is one document
        product_bytes=work.product_bytes,
    )
    console.print("[bold]memory[/bold]")
    table = make_table("", *ranks, "formula", right=(*ranks, "formula"))
    for part, terms in _PARTS.items():
        expected = sum(getattr(formula, term) for term in terms)
        sizes = [each.memory.get(part, 0) for each in found]
        table.add_row(part, *(format_bytes(size) for size in (*sizes, expected)))
    peaks = [each.peak_bytes for each in found]
    table.add_row("at one time", *(format_bytes(size) for size in (*peaks, formula.total)))
    console.print(table)
    ranks_per_stage = axes.num_ranks // axes.pp  # "pp" is the outermost dim of the mesh
    formulas = [
        step_traffic(shape, axes, work, config.train, config.cluster, each.rank // ranks_per_stage)
        for each in found
    ]
    _traffic(found, formulas)


def _device(config: RunConfig, found: DryRun) -> str:
    if found.device_type == "cuda":
        return "GPU"
    is_open = config.cluster.device == "auto"
    return "CPU" + """, as nothing is asked for; for GPUs --set cluster.device='"cuda"'""" * is_open


def _traffic(found: Sequence[DryRun], formulas: Sequence[Mapping[tuple[str, str], float]]) -> None:
    """Beside each rank's bytes those of its formula; nothing where that leaves them out."""
    console = make_console()
    console.print("[bold]sent in one step[/bold]")
    columns = [word for each in found for word in ("calls", f"rank {each.rank:,}", "formula")]
    table = make_table("along", "kind", *columns, right=columns)
    sent = [{(each.axis, each.kind): each for each in run.traffic} for run in found]
    for key in sorted({key for each in (*sent, *formulas) for key in each}):
        cells = []
        for counted, formula in zip(sent, formulas, strict=True):
            one, expected = counted.get(key), formula.get(key)
            cells += [
                f"{one.calls:,}" if one else "0",
                format_bytes(one.sent_bytes if one else 0),
                "" if expected is None else format_bytes(expected),
            ]
        table.add_row(*key, *cells)
    console.print(table)
