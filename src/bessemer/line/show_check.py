"""What `bessemer check` prints: the run in numbers, and what each stage would do."""

from __future__ import annotations

from bessemer.config.timetable import Timetable, make_timetable
from bessemer.core.units import format_bytes, format_count, format_counted
from bessemer.costs.compute import count_parameters, shape_of
from bessemer.curate.duplicates.known_index import read_header
from bessemer.curate.evals.files import EvalSet, read_items
from bessemer.curate.evals.untested import without_text
from bessemer.line import show_near
from bessemer.line.stages import STAGES
from bessemer.line.terminal import make_console, make_facts, make_table
from bessemer.line.workspace import Workspace


def check(workspace: Workspace) -> None:
    """The run in numbers, and what each stage would do."""
    config, timetable = workspace.config, make_timetable(workspace.config.train)
    parameters = count_parameters(shape_of(config.model, config.tokenizer.vocab_size))
    size = sum(file.size_bytes for file in workspace.files)
    console = make_console()
    console.print(f"[bold]{config.run.name}[/bold] is sound.")
    console.print(
        make_facts(
            [
                ("root", str(workspace.root)),
                ("sources", ", ".join(source.name for source in config.source)),
                ("files", f"{len(workspace.files):,}, {format_bytes(size)}"),
                ("model", f"{format_count(parameters.total)} parameters"),
                (
                    "training",
                    f"{timetable.num_steps:,} steps of {_batches(timetable)} tokens = "
                    f"{timetable.num_tokens:,} tokens",
                ),
                ("near-duplicates", show_near.setting_in_words(config.curate.fuzzy)),
                *_known(workspace),
                *_evals(workspace),
            ]
        )
    )
    if config.curate.fuzzy.enabled:
        done = workspace.manifest("fuzzy")
        console.print(
            show_near.collision_table(config.curate.fuzzy, done.summary if done else None)
        )
    table = make_table("stage", "fingerprint", "would be")
    for stage in STAGES:
        state = "reused" if workspace.manifest(stage.name) else "run"
        if not stage.is_on(config):
            state = "off"
        table.add_row(stage.name, workspace.fingerprints[stage.name], state)
    console.print(table)


def _batches(timetable: Timetable) -> str:
    """Tokens of the first step, and of the last one if it is another number."""
    sizes = [timetable.segments[place].batch_tokens for place in (0, -1)]
    return " to ".join(f"{size:,}" for size in dict.fromkeys(sizes))


def _known(workspace: Workspace) -> list[tuple[str, str]]:
    """The runs whose documents are known, if there are any."""
    told = []
    for folder in workspace.known:
        header = read_header(folder)
        num_docs = sum(shard["docs"] for shard in header["shards"])
        told.append(f"{header['name']}, {format_counted(num_docs, 'document')}")
    return [("known documents", "; ".join(told))] if told else []


def _evals(workspace: Workspace) -> list[tuple[str, str]]:
    """The evaluation sets, if there are any, and what becomes of documents that hold them."""
    told = [_items(number, each) for number, each in enumerate(workspace.evals)]
    action = f'action = "{workspace.config.decontaminate.action}"'
    return [("evaluation sets", "; ".join([*told, action]))] if told else []


def _items(number: int, eval_set: EvalSet) -> str:
    items = read_items(number, eval_set)
    told = f"{eval_set.name}, {format_counted(len(items), 'item')}"
    if missing := without_text(items):
        first = f"the first: {missing[0].item_id!r}"
        told += f" ({len(missing):,} without question, choices or answer, {first})"
    return told
