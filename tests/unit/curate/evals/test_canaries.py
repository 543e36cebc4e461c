"""The stage measures itself: items in every disguise are planted, and so is what holds none."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bessemer.config.decontaminate import EvalConfig
from bessemer.curate.evals.alarms import warn_of_evals
from bessemer.curate.evals.canaries import measure_canaries
from bessemer.curate.evals.disguises import (
    ANSWER,
    BEGINNING,
    CANARIES,
    CONTROLS,
    LETTERED,
    OTHERS,
    PASSAGE,
    REFORMATTED,
    REPLACED,
    SHUFFLED,
    SPLIT,
    VERBATIM,
    disguise,
)
from bessemer.curate.evals.fields import EvalItem, make_items
from bessemer.curate.evals.files import EvalSet, list_eval_set
from bessemer.curate.evals.runs import Matching

from .twin import words

USUAL = Matching("words", 13, 8, 5, 0.5)
WORDS = [
    "ladle",
    "mould",
    "bronze",
    "furnace",
    "dawn",
    "noon",
    "river",
    "canal",
    "weir",
    "gate",
    "blade",
    "oil",
    "water",
    "steel",
    "smith",
    "forge",
    "anvil",
    "hammer",
    "tongs",
    "bellows",
    "ore",
    "coke",
    "slag",
    "iron",
    "rivet",
    "plate",
    "rod",
    "wire",
    "mill",
    "wheel",
]


def prose(seed: int, num_words: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=num_words)).capitalize()


ROWS = [
    {
        "question": prose(at, 20 + at % 9) + "?",
        "choices": [prose(1000 + at, 9), prose(2000 + at, 10)],
        "answer": at % 2,
        "passage": prose(3000 + at, 60),
    }
    for at in range(30)
]
VOCABULARY = sorted(set(WORDS))


def set_of(base: Path, rows: list[dict[str, Any]]) -> EvalSet:
    (base / "forge.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = EvalConfig.model_validate({"name": "forge", "path": "forge.jsonl"})
    return list_eval_set(config, base)


def measure(
    tmp_path: Path, ingested: Path, rows: list[dict[str, Any]], matching: Matching = USUAL
) -> tuple[dict[str, Any], dict[str, Any]]:
    hosts = [("00000.parquet", at) for at in range(8)]
    found = measure_canaries(ingested, [], (set_of(tmp_path, rows),), matching, 20, hosts, key=3)
    again = measure_canaries(ingested, [], (set_of(tmp_path, rows),), matching, 20, hosts, key=3)
    assert found == again
    return found["canaries"]["forge"], found["controls"]["forge"]


@pytest.fixture
def ingested(ingest_texts: Callable[..., Path]) -> Path:
    texts = [prose(5000 + at, 300) for at in range(7)]
    return ingest_texts(("web", [*texts, "", "é" * 9000]))


def test_recall_is_whole_where_words_stay_and_is_not_where_they_do_not(
    ingested: Path, tmp_path: Path
) -> None:
    canaries, controls = measure(tmp_path, ingested, ROWS)
    assert list(canaries) == list(CANARIES)
    for kind in (VERBATIM, REFORMATTED, SPLIT, LETTERED, ANSWER, PASSAGE):
        assert canaries[kind] == {"planted": 20, "found": 20}, kind
    assert canaries[REPLACED]["planted"] == 20
    assert list(controls) == list(CONTROLS)
    assert all(told == {"planted": 20, "found": 0} for told in controls.values())


def test_a_low_bound_finds_items_with_replaced_words_and_the_measure_says_so(
    ingested: Path, tmp_path: Path
) -> None:
    usual, _ = measure(tmp_path, ingested, ROWS)
    (tmp_path / "low").mkdir()
    low, _ = measure(tmp_path / "low", ingested, ROWS, Matching("words", 4, 4, 5, 0.2))
    assert usual[REPLACED]["found"] < low[REPLACED]["found"] == 20


def test_controls_are_taken_for_items_where_matching_is_too_loose(
    ingested: Path, tmp_path: Path
) -> None:
    """Runs of two of thirty words are everywhere: the measure must not hide it."""
    _, controls = measure(tmp_path, ingested, ROWS, Matching("words", 2, 2, 10_000, 0.01))
    assert controls[OTHERS]["found"] > 15
    assert controls[SHUFFLED]["found"] > 15


def test_what_cannot_be_tested_is_not_planted(ingested: Path, tmp_path: Path) -> None:
    rows = [{"question": "Why?", "answer": prose(1, 9)}, {"question": prose(2, 9), "answer": "x"}]
    canaries, controls = measure(tmp_path, ingested, rows)
    assert canaries[VERBATIM] == {"planted": 2, "found": 2}
    assert canaries[ANSWER] == {"planted": 1, "found": 1}
    assert canaries[PASSAGE] == {"planted": 0, "found": 0}
    assert controls[SHUFFLED] == {"planted": 2, "found": 0}


def test_one_reference_is_planted_by_which_an_item_can_be_found(
    ingested: Path, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [
        {"question": prose(1, 40), "answer": ["x", prose(2, 30), prose(3, 30)]},
        {"question": prose(4, 6), "answer": ["x", "a b", prose(5, 60)]},
    ]
    canaries, _ = measure(tmp_path, ingested, rows)
    for kind in (VERBATIM, ANSWER):
        assert canaries[kind] == {"planted": 2, "found": 2}, kind
    assert canaries[LETTERED] == {"planted": 0, "found": 0}


def test_another_case_makes_no_other_word(ingested: Path, tmp_path: Path) -> None:
    special = "Straße İstanbul ﬁne ǰas ΰps größe ŉthe maß"
    rows = [{"question": f"{special} {at} {prose(at, 6)} {special}"} for at in range(20)]
    canaries, _ = measure(tmp_path, ingested, rows, USUAL._replace(max_items=50))
    assert canaries[REFORMATTED] == {"planted": 20, "found": 20}
    (item,) = make_items(0, [{"question": f"{special} tin iron ore"}], {})
    made = [disguise(item, REFORMATTED, VOCABULARY, key, 0.25) for key in range(20)]
    assert any("TIN" in text and "aße" in text for text in made)  # the others are in another case


def test_choices_are_planted_with_their_letters(ingested: Path, tmp_path: Path) -> None:
    choices = [prose(10 + at, 6) for at in range(10)]
    rows = [{"question": prose(1, 5), "choices": choices, "answer": 8}]
    (item,) = make_items(0, rows, {})
    lines = disguise(item, LETTERED, VOCABULARY, 1, 0.25).splitlines()
    assert lines[:2] == [f"Question: {prose(1, 5)}", f"A. {choices[0]}"]
    assert lines[-2:] == [f"J. {choices[9]}", "Answer: I"]
    canaries, _ = measure(tmp_path, ingested, rows)
    assert canaries[LETTERED] == {"planted": 1, "found": 1}


def test_with_no_host_they_stand_alone(ingested: Path, tmp_path: Path) -> None:
    sets = (set_of(tmp_path, ROWS),)
    found = measure_canaries(ingested, [], sets, USUAL, 20, [], key=3)
    assert found["canaries"]["forge"][VERBATIM] == {"planted": 20, "found": 20}


def test_disguises_are_what_they_are_called() -> None:
    (item,) = make_items(
        0, [ROWS[4] | {"answer": "It isn't so; \u201cnever\u201d said the smith"}], {}
    )
    texts = [*item.of("question"), *item.of("choices"), *item.of("answer")]
    plain = "\n".join(texts)
    made = {kind: disguise(item, kind, VOCABULARY, 1, 0.25) for kind in (*CANARIES, *CONTROLS)}
    assert made[VERBATIM] == plain
    assert made[ANSWER] == item.of("answer")[0]
    assert made[PASSAGE] == item.of("passage")[0]
    straight = made[REFORMATTED].replace("\u2019", "'")
    assert [word for word in words(straight) if not word.isdigit()] == list(words(plain))
    assert made[REFORMATTED].casefold() != plain.casefold()
    assert words(made[SPLIT]) == words(plain)
    assert max(len(line.split()) for line in made[SPLIT].splitlines()) <= 4
    assert sorted(words(made[SHUFFLED])) == sorted(words(plain))
    assert words(made[SHUFFLED]) != words(plain)
    for kind, share in ((REPLACED, 0.9), (OTHERS, 0.0), (BEGINNING, 0.25)):
        both = list(zip(made[kind].split(), plain.split(), strict=True))
        same = sum(a == b for a, b in both) / len(both)
        assert share - 0.1 <= same <= share + 0.06, (kind, same)


def test_disguises_hang_on_their_key_and_item_alone() -> None:
    def made(item: EvalItem, key: int) -> list[str]:
        return [disguise(item, kind, VOCABULARY, key, 0.25) for kind in (*CANARIES, *CONTROLS)]

    items = make_items(0, ROWS, {})
    assert made(items[3], 1) == made(make_items(0, ROWS, {})[3], 1)
    assert made(items[3], 1) != made(items[3], 2)
    assert pa.array(made(items[3], 1)).null_count == 0


def test_what_the_measure_finds_wrong_is_warned_of() -> None:
    fine = {"planted": 5, "found": 5}
    benchmark = {"items": 10}
    fit = {"missing": 0, "first_missing": None, "short": 5}
    canaries = dict.fromkeys(CANARIES, fine)
    controls = {kind: fine | {"found": 0} for kind in CONTROLS}
    summary = {
        "benchmarks": {"e": benchmark},
        "untestable": {"e": fit},
        "canaries": {"e": canaries},
        "controls": {"e": controls},
    }
    assert warn_of_evals(summary) == []
    assert warn_of_evals({}) == []
    bad = {
        "benchmarks": {"e": benchmark},
        "untestable": {"e": {"missing": 1, "first_missing": "q7", "short": 6}},
        "canaries": {"e": canaries | {VERBATIM: {"planted": 5, "found": 4}}},
        "controls": {"e": controls | {OTHERS: {"planted": 5, "found": 2}}},
    }
    first, second, third, fourth = warn_of_evals(bad)
    assert first == (
        "e: of 5 items planted word by word 4 were found; what is called clean may not be"
    )
    assert second.startswith("e: 2 of 15 controls, which hold no item, were taken for one")
    assert third.startswith(
        "e: 1 of 10 items has no question, choices or answer (the first: 'q7') and cannot be called"
    )
    assert fourth.startswith("e: 6 of 10 items are too short or too common")
