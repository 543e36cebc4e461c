"""Items are read from rows as published evaluation sets have them."""

from __future__ import annotations

from typing import Any

import pytest

from bessemer.curate.evals.fields import EvalItem, make_items, texts_of


def item_of(row: dict[str, Any], **given: str) -> EvalItem:
    return make_items(0, [row], given)[0]


# Rows of our own, in the shape that the set named has.
SHAPES = {
    "GSM8K": (
        {"question": "How many bolts?", "answer": "Six and six. #### 12"},
        ("0", ("How many bolts?",), (), ("Six and six. #### 12",), ()),
    ),
    "HumanEval": (
        {"task_id": "T/3", "prompt": "def f(x):", "canonical_solution": "    return x"},
        ("T/3", ("def f(x):",), (), ("    return x",), ()),
    ),
    "MMLU": (
        {"question": "Which metal?", "subject": "s", "choices": ["tin", "zinc"], "answer": 1},
        ("0", ("Which metal?",), ("tin", "zinc"), ("zinc",), ()),
    ),
    "MMLU-Pro": (
        {"question_id": 70, "question": "Q", "options": ["a b", "c d"], "answer": "B"},
        ("70", ("Q",), ("a b", "c d"), ("c d",), ()),
    ),
    "ARC": (
        {
            "id": "Mercury_1",
            "question": "Which?",
            "choices": {"text": ["ore", "slag"], "label": ["1", "2"]},
            "answerKey": "2",
        },
        ("Mercury_1", ("Which?",), ("ore", "slag"), ("slag",), ()),
    ),
    "ARC, as first published": (
        {
            "id": "M2",
            "question": {
                "stem": "Which?",
                "choices": [{"text": "ore", "label": "A"}, {"text": "slag", "label": "B"}],
            },
            "answerKey": "A",
        },
        ("M2", ("Which?",), ("ore", "slag"), ("ore",), ()),
    ),
    "HellaSwag": (
        {"ind": 4, "ctx": "A smith lifts", "endings": ["the bar.", "the moon."], "label": "0"},
        ("4", ("A smith lifts",), ("the bar.", "the moon."), ("the bar.",), ()),
    ),
    "PIQA": (
        {"goal": "Cool the iron", "sol1": "in oil", "sol2": "in sand", "label": 1},
        ("0", ("Cool the iron",), ("in oil", "in sand"), ("in sand",), ()),
    ),
    "WinoGrande": (
        {"sentence": "The _ fell.", "option1": "bar", "option2": "rod", "answer": "2"},
        ("0", ("The _ fell.",), ("bar", "rod"), ("rod",), ()),
    ),
    "BoolQ": (
        {"question": "is iron hot", "passage": "Iron is often hot.", "answer": True},
        ("0", ("is iron hot",), (), (), ("Iron is often hot.",)),
    ),
    "SQuAD": (
        {
            "id": "5f",
            "context": "The mill stood by the river.",
            "question": "Where?",
            "answers": {"text": ["by the river", "the river"], "answer_start": [15, 18]},
        },
        ("5f", ("Where?",), (), ("by the river", "the river"), ("The mill stood by the river.",)),
    ),
    "MedQA": (
        {
            "question": "Which metal melts?",
            "answer": "B",
            "options": {"A": "tin", "B": "lead, in part", "C": "", "D": "iron"},
        },
        (
            *("0", ("Which metal melts?",), ("tin", "lead, in part", "iron")),
            *(("lead, in part",), ()),
        ),
    ),
    "LAMBADA": ({"text": "He poured the iron"}, ("0", ("He poured the iron",), (), (), ())),
    "MATH": (
        {"problem": "Let $x$ be.", "solution": "So $1$.", "level": "Level 1"},
        ("0", ("Let $x$ be.",), (), ("So $1$.",), ()),
    ),
    "CommonsenseQA, OpenBookQA": (
        {
            "id": "k1",
            "question_stem": "Heat does",
            "choices": {"label": ["A", "B"], "text": ["melt ice", "freeze it"]},
            "answerKey": "A",
        },
        ("k1", ("Heat does",), ("melt ice", "freeze it"), ("melt ice",), ()),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_of_published_sets(name: str) -> None:
    row, expected = SHAPES[name]
    item = item_of(row)
    parts = tuple(item.of(part) for part in ("question", "choices", "answer", "passage"))
    assert (item.item_id, *parts) == expected


def test_fields_that_are_given_are_taken_and_no_others() -> None:
    row = {"question": "no", "meta": {"q": "yes"}, "right": ["a", "b"], "n": 7}
    item = item_of(row, question="meta.q", answer="right", id="n")
    assert (item.item_id, item.of("question"), item.of("answer")) == ("7", ("yes",), ("a", "b"))
    assert item_of({"question": "left out"}, question="other").of("question") == ()


def test_numbers_of_choices_count_from_one_if_one_of_them_must() -> None:
    rows = [{"question": "q", "choices": ["x", "y"], "answer": number} for number in (1, 2)]
    assert [item.of("answer") for item in make_items(0, rows, {})] == [("x",), ("y",)]
    rows = [{"question": "q", "choices": ["x", "y"], "answer": number} for number in (1, 0)]
    assert [item.of("answer") for item in make_items(0, rows, {})] == [("y",), ("x",)]


@pytest.mark.parametrize(
    ("row", "choices", "answer"),
    [
        ({"choices": ["", "alpha", "beta", "gamma"], "answer": 1}, "alpha beta gamma", "alpha"),
        ({"choices": ["", "alpha", "beta", "gamma"], "answer": "D"}, "alpha beta gamma", "gamma"),
        ({"choices": [None, "x", " ", "z"], "answer": 3}, "x z", "z"),
        (
            {"choices": {"text": ["", "x-y", "z"], "label": ["A", "B", "C"]}, "answer": "B"},
            "x-y z",
            "x-y",
        ),
        ({"choices": [["a", "b"], ["c"], ["d"]], "answer": 1}, "a\nb c d", "c"),
        ({"choices": [{"text": "x"}, {"text": "y", "label": "Q"}], "answer": "Q"}, "x y", "y"),
        ({"options": {"A": None, "B": "x", "C": "y"}, "answer": "C"}, "x y", "y"),
        ({"options": {"1": "x", "2": "y"}, "answer": 2}, "x y", "y"),
        ({"option1": "", "option2": "x", "option3": "y", "answer": "3"}, "x y", "y"),
        ({"choices": ["x", "", "z"], "answer": 1}, "x z", "1"),  # of no text: it stays a number
    ],
)
def test_blank_and_nested_choices_keep_their_place(
    row: dict[str, Any], choices: str, answer: str
) -> None:
    item = item_of({"question": "q", **row})
    assert item.of("choices") == tuple(choices.split(" "))
    assert item.of("answer") == (answer,)


def test_an_answer_that_names_no_choice_is_a_text() -> None:
    row = {"question": "q", "choices": ["4", "5"], "answer": "5"}
    assert item_of(row).of("answer") == ("5",)  # the choice itself, not the number of one
    row = {"question": "q", "choices": ["x", "y"], "answer": "Q"}
    assert item_of(row).of("answer") == ("Q",)
    row = {"question": "q", "choices": ["x", "y"], "answer": 9}
    assert item_of(row).of("answer") == ("9",)


def test_ids_are_unique_within_a_benchmark() -> None:
    rows = [{"id": "a", "question": "1"}, {"id": "a", "question": "2"}, {"question": "3"}]
    assert [item.item_id for item in make_items(0, rows, {})] == ["a", "a#1", "2"]


def test_an_id_that_is_made_is_no_id_that_is_there() -> None:
    rows = [{"id": name, "question": "q"} for name in ("x", "x#2", "x", "x#2", "y", "y", "y#5")]
    ids = [item.item_id for item in make_items(0, rows, {})]
    assert ids == ["x", "x#2", "x#2#2", "x#2#3", "y", "y#5", "y#5#6"]


def test_texts_are_composed_as_documents_are() -> None:
    assert texts_of("cafe\u0301 \ud800") == ("café ?",)
    assert texts_of({"text": None, "value": ["x", "", None, 2.5, True]}) == ("x", "2.5")
    assert texts_of(b"ab") == texts_of([b"ab"]) == ()
    assert item_of({"question": "q", "choices": b"ab"}).of("choices") == ()
    assert texts_of({"unknown": "x"}) == ()
