"""What verbs print: tables and short texts on standard output, plain when it is not a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from bessemer.core.ids import format_doc_id
from bessemer.core.layout import MODEL, REPORT
from bessemer.core.units import format_bytes, format_count, format_flops, format_seconds
from bessemer.line.runner import StageOutcome
from bessemer.line.stages import STAGES
from bessemer.line.terminal import make_console, make_facts, make_table
from bessemer.line.trace import DocumentTrace, StepTrace
from bessemer.line.verify import SampleProof
from bessemer.line.workspace import Workspace
from bessemer.planner.estimate import Estimate

if TYPE_CHECKING:  # it needs torch
    from bessemer.train.parallel.parity import Parity

_MOST_ROWS = 40


def estimate(found: Estimate) -> None:
    """Parameters, operations, memory by part, and time with its range."""
    parts, memory = found.parameters, found.memory
    console = make_console()
    console.print("[bold]parameters[/bold]")
    console.print(
        make_facts(
            [
                ("embedding", f"{parts.embedding:,}"),
                ("attention", f"{parts.attention:,}"),
                ("feed-forward", f"{parts.feed_forward:,}"),
                *(
                    [("experts", f"{parts.experts:,}, {parts.active_experts:,} for each token")]
                    if parts.experts
                    else []
                ),
                ("norms", f"{parts.norms:,}"),
                ("output head", f"{parts.head:,}" if parts.head else "tied to the embedding"),
                ("total", f"{parts.total:,}"),
                *([("for each token", f"{parts.active:,}")] if parts.experts else []),
            ]
        )
    )
    console.print("[bold]operations[/bold]")
    console.print(
        make_facts(
            [
                ("per step", format_flops(found.flops_per_step)),
                ("in all", f"{format_flops(found.total_flops)} in {found.steps:,} steps"),
                ("convention", "forward + 2 x backward, full attention, nothing recomputed"),
            ]
        )
    )
    hint = found.suggestion
    console.print("[bold]what published laws suggest[/bold]")
    console.print(
        make_facts(
            [
                (
                    "tokens",
                    f"{format_count(hint.total_tokens)}, 20 for each parameter (Chinchilla, "
                    f"arXiv 2203.15556); this run has {format_count(found.tokens)}",
                ),
                (
                    "for these",
                    f"lr {hint.lr:.2g}, a batch of {format_count(hint.batch_tokens)} "
                    "tokens (Step Law, arXiv 2503.04715)",
                ),
            ]
        )
    )
    have = found.machine.memory_bytes
    verdict = {True: "fits", False: "does not fit", None: "unknown whether it fits"}[found.fits]
    whose = "one process" if found.num_ranks == 1 else f"each of {found.num_ranks} processes"
    console.print(
        f"[bold]memory of {whose}[/bold] (microbatch of {found.microbatch_samples} sequences)"
    )
    console.print(
        make_facts(
            [
                ("weights", format_bytes(memory.weights)),
                *([("gathered", format_bytes(memory.gathered))] if memory.gathered else []),
                ("gradients", format_bytes(memory.gradients)),
                ("optimizer", format_bytes(memory.optimizer)),
                ("activations", format_bytes(memory.activations)),
                (
                    "transient",
                    f"{format_bytes(memory.transient)} in the loss, or one layer's backward pass",
                ),
                ("copies", f"{format_bytes(memory.checkpoint)} of what a checkpoint holds"),
                ("process", format_bytes(found.memory_bytes - memory.total)),
                ("total", f"{format_bytes(found.memory_bytes)} at most: {verdict}"),
                ("machine", format_bytes(have) if have else "unknown"),
                ("a checkpoint", f"{format_bytes(found.checkpoint_bytes)} on disk"),
            ]
        )
    )
    console.print("[bold]time of training[/bold]")
    rows = [("machine", f"{found.machine.cpu}, {found.machine.num_cores} cores")]
    if found.matmul_flops and found.step_s and found.total_s:
        fast, usual, slow = found.total_s
        rows += [
            ("rate", f"{format_flops(found.matmul_flops)}/s in matrix products, measured now"),
            ("per step", format_seconds(found.step_s[1])),
            (
                "in all",
                f"{format_seconds(usual)}, between {format_seconds(fast)} and "
                f"{format_seconds(slow)}; checkpoints and evaluations come on top",
            ),
        ]
    else:
        rows.append(("rate", "not measured"))
    console.print(make_facts(rows))


def parity(found: Sequence[Parity]) -> None:
    """A row for each layout: how far it is from one process, at its farthest."""
    table = make_table("layout", "loss", "gradient", "of", "step", "")
    for each in found:
        table.add_row(
            each.layout,
            f"{each.loss:.0e}",
            f"{each.gradient:.0e}",
            each.parameter,
            f"{each.step:.0e}",
            "equal" if each.holds else "DIFFERS" if each.routed_alike else "ROUTED OTHERWISE",
        )
    make_console().print(table)


def outcome(workspace: Workspace, outcomes: Sequence[StageOutcome], program: str) -> None:
    """Where the products of a run are, and what to try next with the command `program`."""
    root = _short(workspace.root)
    names = {outcome.stage for outcome in outcomes}
    console = make_console()
    if "report" in names:
        console.print(f"report  {root / REPORT}")
    if "export" in names:
        console.print(f"model   {root / MODEL}")
        console.print(f'try     {program} generate {root} "The"')


def audit(page: Path) -> None:
    """Where the page on near-duplicates is."""
    make_console().print(f"audit   {_short(page)}")


def indexed(folder: Path, num_documents: int) -> None:
    """Where an index is, and what it is of."""
    make_console().print(f"index   {_short(folder.resolve())}: {num_documents:,} documents")


def status(workspace: Workspace) -> None:
    """One row per stage of a run."""
    table = make_table(
        *("stage", "state", "took", "documents", "text", "files", "fingerprint"),
        right=("took", "documents", "text", "files"),
    )
    for stage in STAGES:
        manifest = workspace.manifest(stage.name)
        print_ = workspace.fingerprints[stage.name]
        if manifest is None:
            begun = workspace.folder(stage.name).exists()
            table.add_row(stage.name, "begun" if begun else "open", "", "", "", "", print_)
            continue
        docs = sum(sums.docs_out for sums in manifest.conservation)
        size = sum(sums.bytes_out for sums in manifest.conservation)
        table.add_row(
            stage.name,
            "done" if stage.is_on(workspace.config) else "off",
            format_seconds(manifest.seconds),
            f"{docs:,}" if manifest.conservation else "",
            format_bytes(size) if manifest.conservation else "",
            f"{len(manifest.files):,}",
            print_,
        )
    console = make_console()
    console.print(f"{workspace.config.run.name} in {_short(workspace.root)}")
    console.print(table)


def sample_proof(found: SampleProof) -> None:
    """That the record of training holds every sample once, in order."""
    make_console().print(
        f"proven: the {found.num_samples:,} samples of the order have the digest {found.digest}, "
        f"as training says at its end, and {found.num_steps:,} recorded steps one after the other"
    )


def step_trace(found: StepTrace) -> None:
    """The documents of a step, and the proof that they are."""
    console = make_console()
    console.print(
        f"step {found.step}: samples {found.samples.start} to {found.samples.stop - 1}, "
        f"{found.num_tokens:,} tokens of {len({r.doc_id for r in found.ranges})} documents"
    )
    table = make_table(
        *("sample", "source", "epoch", "document", "from token", "tokens", "url"),
        right=("sample", "epoch", "from token", "tokens"),
    )
    for part in found.ranges[:_MOST_ROWS]:
        table.add_row(
            *(str(part.sample), part.source, str(part.epoch), format_doc_id(part.doc_id)),
            *(f"{part.first_token:,}", f"{part.num_tokens:,}", escape(part.url)),
        )
    console.print(table)
    if len(found.ranges) > _MOST_ROWS:
        console.print(f"... and {len(found.ranges) - _MOST_ROWS} more pieces")
    word = "proven" if found.is_proven else "NOT PROVEN"
    console.print(
        f"{word}: encoding these documents anew gives {found.num_equal:,} of "
        f"{found.num_tokens:,} tokens of the batch"
    )


def document_trace(found: DocumentTrace) -> None:
    """Where a document's tokens are and which steps saw them."""
    steps = ", ".join(map(str, found.steps[:_MOST_ROWS]))
    if len(found.steps) > _MOST_ROWS:
        steps += f", ... ({len(found.steps)} in all)"
    seen = steps or ("never: it is held out" if found.split != "train" else "none in this run")
    make_console().print(
        make_facts(
            [
                ("document", format_doc_id(found.doc_id)),
                ("split", found.split),
                (
                    "tokens",
                    f"{found.num_tokens:,}, from {found.token_start:,} on in {found.shard}.bin",
                ),
                ("steps", seen),
            ]
        )
    )


def _short(path: Path) -> Path:
    """Relative to the working folder if it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
