"""Rules that are replayed from signals drop what the stage itself drops, document by document."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.ledgers import read_decisions

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.errors import IntegrityError
from bessemer.core.storage import read_table, write_table
from bessemer.curate.bounds import rules_for
from bessemer.curate.presets import PRESETS
from bessemer.curate.replay import Group, replay
from bessemer.curate.rules import rules
from bessemer.curate.signals import SIGNAL_DEFINITIONS, signals
from bessemer.engine.tasks import Engine

WEB = SourceConfig(name="web", kind="web", path=("*",))
BOOKS = SourceConfig(name="books", kind="books", path=("*",))
CODE = SourceConfig(name="code", kind="code", path=("*",))
SOURCES = (WEB, BOOKS, CODE)
SHARD_DOCS = 400


def values_of(signal: str, rng: np.random.Generator, num: int) -> list[float | None]:
    """Mostly values within every preset; bounds, their neighbours, and what is no number."""
    ends = [end for preset in PRESETS.values() for end in preset.get(signal, {}).values()]
    low = max((p.get(signal, {}).get("min", 0.0) for p in PRESETS.values()), default=0.0)
    odd: list[float | None] = [None, np.nan, np.inf, -np.inf, 0.0, 0.1, 0.25, 0.3, 45.0, 1e9]
    for end in (*ends, 0.1, 0.25):
        near = np.float32(end)
        odd += [float(near), *(float(np.nextafter(near, np.float32(to))) for to in (-9e9, 9e9))]
    picks = rng.random(num) < 0.08
    return [odd[rng.integers(len(odd))] if pick else low + 1e-3 for pick in picks]


@pytest.fixture
def tables(ingest_texts: Callable[..., Path], tmp_path: Path) -> tuple[Path, Path]:
    """Folders of ingest and of signals that were never measured; names that mean something else."""
    rng = np.random.Generator(np.random.PCG64(0))
    shards = [
        (source, [f"{source} {number} " * (number % 7 + 1) for number in range(SHARD_DOCS)])
        for source in ("web", "web", "books", "code")
    ]
    ingested = ingest_texts(*shards)
    moved = tmp_path / "it's a=b" / "in[ge]st*"
    moved.parent.mkdir()
    shutil.move(ingested, moved)
    measured = moved.parent / "sig?"
    for path in sorted((moved / "documents").glob("*.parquet")):
        doc_ids = read_table(path, ["doc_id"])["doc_id"]
        languages = rng.choice(["en", "de", "fr", "", "none"], len(doc_ids)).tolist()
        columns: dict[str, Any] = {
            "doc_id": doc_ids,
            "language": pa.array([None if each == "none" else each for each in languages]),
        }
        for name in SIGNAL_DEFINITIONS:
            columns[name] = pa.array(values_of(name, rng, len(doc_ids)), pa.float32())
        write_table(measured / "signals" / path.name, pa.table(columns))
    return moved, measured


def curate(*rule: dict[str, Any], **settings: Any) -> CurateConfig:
    return CurateConfig.model_validate({"rule": rule, **settings})


def broken(
    ingested: Path, measured: Path, config: CurateConfig, folder: Path
) -> dict[int, tuple[str, ...]]:
    """doc_id -> the rules that the stage `rules` finds broken."""
    rules(ingested, measured, SOURCES, config, folder, Engine()).conservation[0].check("rules")
    found: defaultdict[int, list[str]] = defaultdict(list)
    for row in read_decisions([folder]).to_pylist():
        found[row["doc_id"]].append(row["rule"])
    return {doc_id: tuple(names) for doc_id, names in found.items()}


def expected_groups(
    ingested: Path,
    measured: Path,
    now: dict[int, tuple[str, ...]],
    then: dict[int, tuple[str, ...]],
    sources: Sequence[SourceConfig],
) -> dict[tuple[Any, ...], tuple[int, int, list[int]]]:
    """The groups by a loop over all documents."""
    groups: dict[tuple[Any, ...], tuple[int, int, list[int]]] = {}
    for path in sorted((ingested / "documents").glob("*.parquet")):
        languages = read_table(measured / "signals" / path.name, ["language"])["language"]
        documents = read_table(path, ["doc_id", "source", "num_bytes"]).to_pylist()
        for row, language in zip(documents, languages.to_pylist(), strict=True):
            if row["source"] not in {source.name for source in sources}:
                continue
            mine = now.get(row["doc_id"], ()), then.get(row["doc_id"], ())
            key = (row["source"], language or "", *mine)
            docs, num_bytes, ids = groups.get(key, (0, 0, []))
            moves = [row["doc_id"]] if bool(mine[0]) != bool(mine[1]) else []
            groups[key] = (docs + 1, num_bytes + row["num_bytes"], ids + moves)
    return groups


def as_dict(groups: list[Group]) -> dict[tuple[Any, ...], tuple[int, int, list[int]]]:
    found = {
        (group.source, group.language, group.now, group.then): (
            *(group.docs, group.num_bytes),
            group.doc_ids.tolist(),
        )
        for group in groups
    }
    assert len(found) == len(groups)
    return found


def replayed(
    tables: tuple[Path, Path],
    now: CurateConfig,
    then: CurateConfig,
    scratch: Path,
    sources: Sequence[SourceConfig] = SOURCES,
) -> list[Group]:
    each = (
        {source.name: rules_for(source, config) for source in sources} for config in (now, then)
    )
    return replay(*tables, sources, (now, then), *each, scratch, 2)


OWN = (
    {"name": "digit_frac", "max": 0.3},
    {"name": "dup_line_frac", "max": 0.25, "sources": ["web"]},
)


@pytest.mark.parametrize(
    ("more", "settings"),
    [
        ((), {}),
        (({"name": "word_count", "min": 45, "max": 1000.5},), {}),
        (({"name": "digit_frac", "max": 0.1}, {"name": "alnum_frac", "min": 0.1}), {}),
        (({"name": "language_score", "min": 0.25, "max": 0.3},), {"languages": ["en", "de"]}),
        (({"name": "max_line_chars", "max": 9, "sources": ["code", "books"]},), {}),
        (
            ({"name": "word_count", "min": 1e300},),
            {"languages": ["fr"], "language": {"min_score": 0.1}},
        ),
        (
            ({"name": "word_count", "min": 45},),
            {
                "languages": ["fr", "de"],
                "language": {"min_score": 0.6, "min_scores": {"de": 0.1, "fr": 0.9}},
            },
        ),
    ],
)
def test_replayed_rules_are_those_of_the_stage(
    tables: tuple[Path, Path],
    tmp_path: Path,
    more: tuple[dict[str, Any], ...],
    settings: dict[str, Any],
) -> None:
    ingested, measured = tables
    now, then = curate(*OWN, **settings), curate(*OWN, *more, **settings)
    with np.errstate(over="ignore"):
        ledgers = [
            broken(ingested, measured, config, tmp_path / f"rules{number}")
            for number, config in enumerate((now, then))
        ]
    found = replayed(tables, now, then, tmp_path)
    assert as_dict(found) == expected_groups(ingested, measured, *ledgers, SOURCES)
    changed = sum(len(group.doc_ids) for group in found)
    assert (changed > 0) == bool(more)
    assert 0 < sum(group.docs for group in found if group.now) < 4 * SHARD_DOCS


def test_the_scores_of_languages_may_change(tables: tuple[Path, Path], tmp_path: Path) -> None:
    settings = {"languages": ["fr", "de"]}
    now = curate(*OWN, **settings, language={"min_score": 0.6, "min_scores": {"de": 0.4}})
    then = curate(*OWN, **settings, language={"min_score": 0.2, "min_scores": {"de": 0.4}})
    ledgers = [broken(*tables, each, tmp_path / str(each is then)) for each in (now, then)]
    found = replayed(tables, now, then, tmp_path)
    assert as_dict(found) == expected_groups(*tables, *ledgers, SOURCES)
    assert sum(len(group.doc_ids) for group in found) > 0


def test_sources_may_be_asked_for_alone(tables: tuple[Path, Path], tmp_path: Path) -> None:
    now, then = curate(*OWN), curate(*OWN, {"name": "word_count", "min": 45})
    ledgers = [broken(*tables, each, tmp_path / str(each is then)) for each in (now, then)]
    found = replayed(tables, now, then, tmp_path, [CODE])
    assert as_dict(found) == expected_groups(*tables, *ledgers, [CODE])


def test_a_source_without_documents_has_no_groups(
    tables: tuple[Path, Path], tmp_path: Path
) -> None:
    more = SourceConfig(name="more", kind="web", path=("*",))
    assert replayed(tables, curate(), curate(), tmp_path, [more]) == []


@pytest.mark.parametrize("damage", ["missing", "short", "other"])
@pytest.mark.parametrize("table", ["documents", "signals"])
def test_a_damaged_table_is_an_error(
    tables: tuple[Path, Path], tmp_path: Path, table: str, damage: str
) -> None:
    path = tables[table == "signals"] / table / "00001.parquet"
    if damage == "missing":
        path.unlink()
    elif damage == "short":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        path.write_bytes(b"no table")
    with pytest.raises(IntegrityError, match="delete that folder and run again"):
        replayed(tables, curate(), curate(), tmp_path)


def test_more_rules_than_a_number_has_bits_can_be_compared(
    ingest_texts: Callable[..., Path], tmp_path: Path
) -> None:
    presets = ["fineweb", "gopher@dolma", "gopher@dclm"]
    source = SourceConfig.model_validate(
        {"name": "web", "kind": "web", "path": "*", "presets": presets}
    )
    config = CurateConfig()
    ingested = ingest_texts(("web", ["one two three", "word " * 60, ""]))
    signals(ingested, ["web"], tmp_path / "signals", Engine())
    held = rules_for(source, config)
    assert len(held) > 63
    groups = replay(
        ingested, tmp_path / "signals", [source], (config, config),
        {"web": held}, {"web": held}, tmp_path / "scratch", 1,
    )  # fmt: skip
    rules(ingested, tmp_path / "signals", [source], config, tmp_path / "rules", Engine())
    ledger = read_decisions([tmp_path / "rules"]).to_pylist()
    broken = {frozenset(r["rule"] for r in ledger if r["doc_id"] == n) for n in range(3)}
    assert {frozenset(group.now) for group in groups} == broken
    assert all(group.now == group.then for group in groups)
