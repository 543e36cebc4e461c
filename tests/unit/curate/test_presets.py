"""The presets, judged on miniature documents: each is kept, or falls by the rule that means it.

The documents go the whole way: read from a file, measured, judged. Texts are written for the test.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bessemer.config.curate import CurateConfig, RuleConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.layout import DECISIONS
from bessemer.core.storage import read_table
from bessemer.curate.ingest import ingest
from bessemer.curate.inventory import SourceFile
from bessemer.curate.presets import PRESETS
from bessemer.curate.rules import judge_shard
from bessemer.curate.signals import SIGNAL_DEFINITIONS, measure_shard
from bessemer.engine.tasks import Engine

from .miniatures import DOCUMENTS, KEPT

SHARD = "00000.parquet"


def judge(
    folder: Path, kind: Any, texts: list[str], rules: tuple[RuleConfig, ...] = ()
) -> list[str]:
    """The decisive rule of each text, or KEPT."""
    path = folder / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    source = SourceConfig(name="mini", kind=kind, path=(str(path),))
    curate = CurateConfig(rule=rules)
    file = SourceFile(
        file_id=0,
        source="mini",
        path=path.name,
        location=str(path),
        size_bytes=path.stat().st_size,
        digest="",
    )
    ingest([file], [source], curate, folder / "ingest", Engine())
    measure_shard(folder / "ingest", SHARD, folder / "signals")
    judge_shard(
        folder / "ingest", folder / "signals", {"mini": source}, curate, SHARD, folder / "rules"
    )
    found = [KEPT] * len(texts)
    for row in read_table(folder / "rules" / DECISIONS / SHARD).to_pylist():
        if row["decisive"]:
            found[row["doc_id"]] = row["rule"]  # file 0: the id is the row
    return found


@pytest.mark.parametrize("kind", PRESETS)
def test_every_document_falls_by_its_own_rule_or_stays(kind: str, tmp_path: Path) -> None:
    documents = DOCUMENTS[kind]
    found = judge(tmp_path, kind, [text for text, _ in documents.values()])
    assert dict(zip(documents, found, strict=True)) == {
        name: rule for name, (_, rule) in documents.items()
    }


@pytest.mark.parametrize("kind", PRESETS)
def test_every_rule_of_a_preset_is_shown_at_work(kind: str) -> None:
    shown = {rule for _, rule in DOCUMENTS[kind].values()} - {KEPT}
    as_for_web = {"mean_word_chars", "digit_frac"} if kind == "books" else set()
    assert shown | as_for_web == set(PRESETS[kind])


def test_presets_bound_signals_that_exist() -> None:
    for rules in PRESETS.values():
        for name, bounds in rules.items():
            assert name in SIGNAL_DEFINITIONS
            assert bounds
            assert set(bounds) <= {"min", "max"}


def test_the_first_broken_rule_is_the_decisive_one(tmp_path: Path) -> None:
    judge(tmp_path, "web", ["Home\nAbout\nContact\n!!!! ???? ----"])
    rows = read_table(tmp_path / "rules" / DECISIONS / SHARD).to_pylist()
    assert [(row["rule"], row["decisive"]) for row in rows] == [
        ("word_count", True),
        ("running_word_frac", False),
    ]


def test_a_value_on_the_bound_keeps_to_it(tmp_path: Path) -> None:
    """0.1 as a float32 is more than 0.1 as a double, and 0.7 is less."""
    tenth, seven = "# a b c d e f g h i j\n", "a b c d e f g - -- 1 2 3\n"
    on_it = (
        RuleConfig(name="hash_per_word_frac", max=0.1),
        RuleConfig(name="alpha_word_frac", min=0.7),
        RuleConfig(name="whitespace_frac", min=0.0),
    )
    assert judge(tmp_path, "code", [tenth, seven], on_it) == [KEPT, KEPT]
    beyond = (RuleConfig(name="hash_per_word_frac", max=0.0999),)
    assert judge(tmp_path, "code", [tenth, seven], beyond) == ["hash_per_word_frac", KEPT]
