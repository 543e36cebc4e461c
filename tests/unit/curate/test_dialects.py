"""Published rules by name: which bounds a source gets, and what they do to documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.layout import DECISIONS, DOCUMENTS
from bessemer.core.storage import read_table
from bessemer.curate.bounds import Rule, preset_names, rules_for
from bessemer.curate.dialects import DIALECTS, LINE_CUTS
from bessemer.curate.ledger import list_shards
from bessemer.curate.presets import PRESETS
from bessemer.curate.rules import rules
from bessemer.curate.signals import SIGNAL_DEFINITIONS, signals
from bessemer.engine.tasks import Engine
from bessemer.tokens.edits import apply_edits, read_edits

GOLDEN: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "text" / "golden" / "datatrove.json").read_text("utf-8")
)["rows"]


def source(*presets: str, kind: str = "web") -> SourceConfig:
    return SourceConfig.model_validate(
        {"name": "web", "kind": kind, "path": "*", "presets": presets}
    )


def curate(*rule: dict[str, Any]) -> CurateConfig:
    return CurateConfig.model_validate({"rule": rule})


def test_dialects_bound_signals_that_exist() -> None:
    assert not DIALECTS.keys() & PRESETS.keys()
    assert LINE_CUTS.keys() <= DIALECTS.keys()
    for bounds in DIALECTS.values():
        for signal, ends in bounds.items():
            assert signal in SIGNAL_DEFINITIONS
            assert ends
            assert set(ends) <= {"min", "max"}


def test_a_named_preset_takes_the_place_of_that_of_the_kind() -> None:
    found = rules_for(source("gopher@paper"), curate())
    assert found == tuple(
        Rule(name=name, **ends) for name, ends in DIALECTS["gopher@paper"].items()
    )
    assert rules_for(source("none"), curate()) == ()
    assert rules_for(source("code"), curate()) == rules_for(source(kind="code"), curate())
    assert set(preset_names()) == {*PRESETS, *DIALECTS, "none"}


def test_refinedweb_has_the_rules_of_gopher_as_dclm_counts_them() -> None:
    refinedweb, gopher = DIALECTS["refinedweb@dclm"], DIALECTS["gopher@dclm"]
    others = {"url_blocked_domain_count", "url_blocked_string_count", "url_blocked_word_count"}
    others |= {"url_soft_word_count", "removed_word_frac@dclm"}
    assert refinedweb.keys() == gopher.keys() | others
    assert {name: refinedweb[name] for name in gopher} == gopher


def test_of_two_presets_the_stricter_bound_counts() -> None:
    by_name = {rule.name: rule for rule in rules_for(source("web", "gopher@paper"), curate())}
    assert by_name["word_count"] == Rule(name="word_count", min=50, max=100_000)  # web: 30
    assert by_name["mean_word_chars"] == Rule(name="mean_word_chars", min=3, max=10)  # web: 15
    assert by_name["ellipsis_line_frac"].max == 0.3  # web: 0.5
    assert by_name["running_word_frac"].min == 0.1  # web alone
    assert by_name == {
        rule.name: rule for rule in rules_for(source("gopher@paper", "web"), curate())
    }


def test_a_rule_of_the_run_file_may_take_bounds_away() -> None:
    off = {"name": "word_count", "off": True}
    found = {rule.name: rule for rule in rules_for(source(), curate(off))}
    assert set(found) == set(PRESETS["web"]) - {"word_count"}
    found = {rule.name: rule for rule in rules_for(source(), curate(off | {"max": 9}))}
    assert found["word_count"] == Rule(name="word_count", max=9)
    for_others = off | {"sources": ["books"]}
    assert rules_for(source(), curate(for_others)) == rules_for(source(), curate())


def judge(ingest_texts: Callable[..., Path], folder: Path, texts: list[str], *presets: str) -> Path:
    """Measure and judge `texts`; the folder of ingest."""
    ingested = ingest_texts(("web", texts))
    signals(ingested, ["web"], folder / "signals", Engine())
    result = rules(
        ingested, folder / "signals", [source(*presets)], curate(), folder / "rules", Engine()
    )
    [sums] = result.conservation
    sums.check("rules")
    return ingested


@pytest.mark.parametrize("preset", ["gopher@datatrove", "c4@datatrove", "fineweb@datatrove"])
def test_the_stages_decide_as_datatrove_does(
    ingest_texts: Callable[..., Path], tmp_path: Path, preset: str
) -> None:
    rows = [row for row in GOLDEN if row["text"].strip()]
    ingested = judge(ingest_texts, tmp_path, [row["text"] for row in rows], preset)
    [shard] = list_shards(ingested / DOCUMENTS)
    table = read_table(ingested / DOCUMENTS / shard)
    as_read = dict(zip(table["doc_id"].to_pylist(), table["text"].to_pylist(), strict=True))
    ledger = read_table(tmp_path / "rules" / DECISIONS / shard).to_pylist()
    dropped = {row["doc_id"] for row in ledger if row["decisive"]}
    verdicts = {
        "gopher@datatrove": ("gopher_quality", "gopher_repetition"),
        "c4@datatrove": ("c4@datatrove",),
        "fineweb@datatrove": ("fineweb",),
    }
    num_compared = 0
    for index, row in enumerate(rows):
        if as_read[index] == row["text"]:  # ingest makes one kind of line end
            expected = any(row[name] is not None for name in verdicts[preset])
            assert (index in dropped) == expected, row["text"]
            num_compared += 1
    assert num_compared > 50
    assert 0 < len(dropped) < len(rows)


def test_lines_that_c4_takes_out_are_edits_of_what_stays(
    ingest_texts: Callable[..., Path], tmp_path: Path
) -> None:
    rows = [row for row in GOLDEN if row["text"].strip()]
    ingested = judge(ingest_texts, tmp_path, [row["text"] for row in rows], "c4@fineweb")
    [shard] = list_shards(ingested / DOCUMENTS)
    table = read_table(ingested / DOCUMENTS / shard)
    as_read = dict(zip(table["doc_id"].to_pylist(), table["text"].to_pylist(), strict=True))
    edits = read_edits([tmp_path / "rules"], shard)
    ledger = read_table(tmp_path / "rules" / DECISIONS / shard).to_pylist()
    dropped = {row["doc_id"] for row in ledger if row["decisive"]}
    assert not dropped & edits.keys()
    num_edited = 0
    for index, row in enumerate(rows):
        if index not in dropped and as_read[index] == row["text"]:
            text = as_read[index]
            left = apply_edits(index, text, edits[index]).text if index in edits else text
            assert left == row["cut"]
            num_edited += index in edits
    assert num_edited > 10
    for row in ledger:
        if row["action"] == "edit":
            assert row["rule"] == "c4@fineweb"
            assert row["num_bytes"] == sum(s["end_byte"] - s["start_byte"] for s in row["spans"])
