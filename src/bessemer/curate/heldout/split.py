"""Stage `split`: which documents training sees, which it never does, and a check of it.

Each text is drawn by itself, by a keyed hash of what it says (`curate.draw`): what is drawn is
never trained on, whatever else there is. A drawn document that is linked to one that is trained on
(`curate.links`: the same text, a near-duplicate, another version, a shared passage) is withheld:
dropped, and the ledger names the other. The rest of the drawn is held out. Where nothing is left,
spares are (`curate.spares`). What was written is then searched for leaks on another road
(`curate.leaks`).

Output: `splits/<shard>.parquet`, and the ledger of what is withheld.

Every task holds a shard or a part of the corpus; a fixed size takes 24 bytes in memory for each
document that makes it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from bessemer.config.split import HeldoutConfig, SplitConfig
from bessemer.core.keyed import Key, derive_key
from bessemer.core.manifest import StageResult
from bessemer.core.schema import HELDOUT, SIDES, TRAIN
from bessemer.curate.heldout.draw import Bound, bound_source, draw_shard
from bessemer.curate.heldout.leaks import check_leaks
from bessemer.curate.heldout.links import (
    ROW_BYTES,
    filter_runs,
    link_shard,
    link_trained,
    settle_part,
)
from bessemer.curate.heldout.sides import STAGE, write_sides
from bessemer.curate.heldout.spares import choose_spares
from bessemer.curate.ledger import sources_of_shards, sum_shards
from bessemer.curate.whole_corpus import each_shard, part_key, parts_folder, shard_files
from bessemer.engine.shuffle import count_parts
from bessemer.engine.tasks import Engine, tasks_of

_NONE = {"docs": 0, "bytes": 0}
_KINDS_OF_LINKS = 3  # beside runs of words: at most one of each for a document
_BYTES_PER_RUN = 3  # a letter of scripts without spaces; most words have more


def split(
    ingest: Path,
    ledgers: Sequence[Path],
    fuzzy: Path,
    sources: Sequence[str],
    config: SplitConfig,
    seed: int,
    folder: Path,
    engine: Engine,
    part_bytes: int = 2**27,
) -> StageResult:
    """Write, shard by shard, the documents that training sees and those that are held out.

    Raises DataError if more is to be held out than there is of a source, and IntegrityError if a
    document that is held out is like one that is trained on.
    """
    plan = _Plan(
        ingest=ingest,
        ledgers=tuple(ledgers),
        fuzzy=fuzzy,
        key=derive_key(seed if config.salt is None else config.salt, STAGE),
        words_per_run=config.min_shared_words,
        source_of=sources_of_shards(ingest),
        parts=parts_folder(folder, part_bytes),
        part_bytes=part_bytes,
        engine=engine,
    )
    bounds = _draw(plan, sources, config)
    links, num_parts = _link(plan, bounds)
    withheld = _settle(plan, links, num_parts, ())
    written = _write(plan, bounds, withheld, (), folder)
    sides = {side: _by_source(each[side] for each in written) for side in SIDES}
    moved = choose_spares(
        bounds,
        {name: sides[HELDOUT].get(name, _NONE)["docs"] for name in sources},
        {name: sides[TRAIN].get(name, _NONE)["docs"] for name in sources},
        withheld.unfit,
        withheld.pairs,
    )
    if moved:
        withheld = _settle(plan, links, num_parts, moved)
        written = _write(plan, bounds, withheld, moved, folder)
        sides = {side: _by_source(each[side] for each in written) for side in SIDES}
    told = check_leaks(
        ingest, ledgers, fuzzy, folder, config.min_shared_words, plan.parts, engine, part_bytes
    )
    summary: dict[str, Any] = {**sides}
    summary["withheld"] = dict(sum((Counter(each["withheld"]) for each in written), Counter()))
    summary["drawn_below"] = {name: bound.drawn_below for name, bound in bounds.items()}
    summary["spares_held_out"] = len(moved)
    summary["leak_check"] = told
    return StageResult(conservation=sum_shards(sources, written), summary=summary)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """What all steps of the stage are told."""

    ingest: Path
    ledgers: tuple[Path, ...]
    fuzzy: Path
    key: Key
    words_per_run: int
    source_of: Mapping[str, str]  # shard -> its source
    parts: Path
    part_bytes: int
    engine: Engine

    def paths(self, name: str, source: str | None = None) -> list[Path]:
        """What a step called `name` writes of all shards, or of those of one source."""
        wanted = [shard for shard, of in self.source_of.items() if source in (None, of)]
        return shard_files(self.parts, name, wanted)

    def map(
        self,
        title: str,
        function: Callable[..., dict[str, Any]],
        bounds: Mapping[str, Bound] | None,
        common: Mapping[str, Any],
        outs: Mapping[str, str] = MappingProxyType({}),
    ) -> list[dict[str, Any]]:
        """A task per shard; `outs` are arguments of it that say where it writes, and steps."""
        columns: dict[str, Sequence[Any]] = {n: self.paths(step) for n, step in outs.items()}
        if bounds is not None:
            columns["bound"] = [bounds[source] for source in self.source_of.values()]
        own = each_shard(list(self.source_of), **columns)
        told = {"ingest": self.ingest, "ledgers": self.ledgers, "key": self.key, **common}
        return self.engine.map(title, self.parts, tasks_of(title, function, told, own))


class _Withheld(NamedTuple):
    """Who is withheld: runs of all parts; and what was found of spares."""

    runs: list[Path]
    unfit: list[int]
    pairs: list[list[int]]


def _draw(plan: _Plan, sources: Sequence[str], config: SplitConfig) -> dict[str, Bound]:
    """The bound of each source."""
    plan.map("draw", draw_shard, None, {}, {"out": "draws"})
    of_all = HeldoutConfig(heldout_frac=config.heldout_frac)
    own = {
        name: {
            "source": name,
            "draws": plan.paths("draws", name),
            "size": config.sources.get(name, of_all).model_dump(),
        }
        for name in sources
    }
    found = plan.engine.map("bounds", plan.parts, tasks_of("bound", bound_source, {}, own))
    return {
        name: Bound(**(each | {"spares": tuple(each["spares"])}))
        for name, each in zip(sources, found, strict=True)
    }


def _link(plan: _Plan, bounds: Mapping[str, Bound]) -> tuple[list[list[Path]], list[int]]:
    """List the links of all documents: files of each kind, and how many parts they have."""
    num_docs = sum(bound.num_docs for bound in bounds.values())
    num_parts = count_parts(num_docs * _KINDS_OF_LINKS * ROW_BYTES, plan.part_bytes)
    most_runs = sum(bound.drawn_bytes for bound in bounds.values()) // _BYTES_PER_RUN
    num_run_parts = count_parts(most_runs * ROW_BYTES, plan.part_bytes)
    common: dict[str, Any] = {"words_per_run": plan.words_per_run}
    common["num_run_parts"] = num_run_parts
    listed = plan.map(
        "link",
        link_shard,
        bounds,
        {**common, "fuzzy": plan.fuzzy, "num_parts": num_parts},
        {"out": "links", "runs": "runs"},
    )
    if not plan.words_per_run:
        return [plan.paths("links")], [num_parts]
    made = plan.parts / "runs.filter"
    told = {
        "runs": plan.paths("runs"),
        "num_run_parts": num_run_parts,
        "num_runs": sum(each["runs"] for each in listed),
        "max_bytes": plan.part_bytes,
        "out": made,
    }
    tasks = tasks_of("filter", filter_runs, {}, {"runs": told})
    plan.engine.map("filter", plan.parts, tasks)
    common["filter_path"] = made
    plan.map("match", link_trained, bounds, common, {"runs": "trained-runs"})
    runs = plan.paths("runs") + plan.paths("trained-runs")
    return [plan.paths("links"), runs], [num_parts, num_run_parts]


def _settle(
    plan: _Plan, links: Sequence[Sequence[Path]], num_parts: Sequence[int], moved: Sequence[int]
) -> _Withheld:
    """Bring equal keys together, part by part."""
    title = "settle-anew" if moved else "settle"
    runs: list[Path] = []
    own: dict[str, dict[str, Any]] = {}
    for kind, (paths, num) in enumerate(zip(links, num_parts, strict=True)):
        for part in range(num):
            key = f"{kind}-{part_key(part)}"
            runs.append(plan.parts / title / f"{key}.arrow")
            own[key] = {"links": paths, "part": part, "out": runs[-1]}
    tasks = tasks_of(title, settle_part, {"moved": moved}, own)
    found = plan.engine.map(title, plan.parts, tasks)
    return _Withheld(
        runs=runs,
        unfit=[doc_id for each in found for doc_id in each["unfit"]],
        pairs=[pair for each in found for pair in each["pairs"]],
    )


def _write(
    plan: _Plan,
    bounds: Mapping[str, Bound],
    withheld: _Withheld,
    moved: Sequence[int],
    folder: Path,
) -> list[dict[str, Any]]:
    """Write sides and ledger of all shards, anew if spares moved."""
    told = {"fuzzy": plan.fuzzy, "words_per_run": plan.words_per_run, "folder": folder}
    told |= {"withheld": withheld.runs, "moved": moved}
    return plan.map("write-anew" if moved else "write", write_sides, bounds, told)


def _by_source(counts: Iterable[Mapping[str, Sequence[int]]]) -> dict[str, dict[str, int]]:
    """source -> documents and bytes."""
    total: defaultdict[str, dict[str, int]] = defaultdict(lambda: {"docs": 0, "bytes": 0})
    for part in counts:
        for source, (docs, num_bytes) in part.items():
            total[source]["docs"] += docs
            total[source]["bytes"] += num_bytes
    return dict(total)
