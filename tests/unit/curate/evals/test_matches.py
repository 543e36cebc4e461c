"""What stands where, against a twin in plain Python, and every pitfall of decontamination."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.config.decontaminate import PARTS
from bessemer.curate.evals.fields import EvalItem, make_items
from bessemer.curate.evals.matches import match
from bessemer.curate.evals.needles import make_needles
from bessemer.curate.evals.runs import Matching

from . import twin as eval_twin

USUAL = Matching("words", 13, 8, 5, 0.5)
SMALL = Matching("words", 6, 5, 2, 0.5)
WORD = st.sampled_from("abc")
TEXT = st.lists(WORD, min_size=1, max_size=9).map(" ".join)
TEXT_LIST = st.lists(TEXT, max_size=2).map(tuple)
ITEM = st.tuples(st.integers(0, 1), TEXT_LIST, TEXT_LIST, TEXT_LIST, TEXT_LIST)
DOCUMENT = st.lists(TEXT, max_size=6).map(". ".join)


def items_of(rows: Sequence[tuple[int, tuple[str, ...], ...]]) -> list[EvalItem]:
    """Items of (benchmark, texts of each part), by benchmark."""
    return [
        EvalItem(
            benchmark=benchmark,
            row=number,
            item_id=str(number),
            texts=dict(zip(PARTS, texts, strict=True)),
        )
        for number, (benchmark, *texts) in enumerate(sorted(rows))
    ]


def found_in(
    items: Sequence[EvalItem], texts: Sequence[str], matching: Matching = USUAL
) -> dict[tuple[int, str, str], float]:
    """(document, item_id, part) -> share, of what is found."""
    needles = make_needles(("first", "second"), items, matching)
    shares, _ = match(pa.array(texts, pa.large_string()), needles)
    return {
        (document, items[number].item_id, PARTS[needles.parts[needle]]): share
        for document, needle, share, is_found in zip(
            *(column.tolist() for column in shares), strict=True
        )
        if is_found
        for number in needles.items_with(needle)
    }


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(ITEM, min_size=1, max_size=6), st.lists(DOCUMENT, max_size=3))
def test_shares_are_those_of_sets_of_words(
    rows: list[tuple[int, tuple[str, ...], ...]], texts: list[str]
) -> None:
    items = items_of(rows)
    needles = make_needles(("first", "second"), items, SMALL)
    shares, _ = match(pa.array(texts, pa.large_string()), needles)
    mine = Counter(
        (document, number, PARTS[needles.parts[needle]], share, is_found)
        for document, needle, share, is_found in zip(
            *(column.tolist() for column in shares), strict=True
        )
        for number in needles.items_with(needle)
    )
    told = eval_twin.shares(items, texts, SMALL)
    twin: Counter[tuple[int, int, str, float, bool]] = Counter()
    for (*where, share, enough), times in told.items():
        twin[*where, float(share), enough and share >= Fraction(1, 2)] += times
    assert mine == twin
    evidence = eval_twin.evidence(items, SMALL)
    for number in range(len(items)):
        for part in PARTS:
            assert needles.is_tested(number, part) == any(evidence[number, part])


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.lists(ITEM, min_size=1, max_size=4), st.lists(DOCUMENT, min_size=1, max_size=3))
def test_stretches_hold_all_runs_and_begin_and_end_with_one(
    rows: list[tuple[int, tuple[str, ...], ...]], texts: list[str]
) -> None:
    items = items_of(rows)
    needles = make_needles(("first", "second"), items, SMALL)
    shares, stretches = match(pa.array(texts, pa.large_string()), needles)
    found = {
        (document, needle)
        for document, needle, _, is_found in zip(*(c.tolist() for c in shares), strict=True)
        if is_found
    }
    assert set(zip(stretches.document, stretches.needle, strict=True)) == found
    evidence = eval_twin.evidence(items, SMALL)
    for document, needle in found:
        number, part = needles.items_with(needle)[0], PARTS[needles.parts[needle]]
        spans = [
            (first, end)
            for at, each, first, end in zip(*(c.tolist() for c in stretches), strict=True)
            if (at, each) == (document, needle)
        ]
        assert spans == sorted(spans)
        assert all(a[1] < b[0] for a, b in pairwise(spans))
        inside = [eval_twin.words(texts[document][first:end]) for first, end in spans]
        slot = number * len(PARTS) + PARTS.index(part)
        alternatives = needles.part_needles[slice(*needles.part_offsets[slot : slot + 2])]
        runs = evidence[number, part][alternatives.tolist().index(needle)]
        for run in runs:
            is_there = eval_twin.stands_in(run, eval_twin.words(texts[document]))
            assert is_there == any(eval_twin.stands_in(run, words) for words in inside)
        for words in inside:
            heads = [run for run in runs if words[: len(run[0])] == run[0]]
            assert heads


QUESTION = (
    "A foundry pours nine ladles of bronze every hour, and each ladle fills four moulds; how many "
    "moulds are filled between dawn and noon if the furnace rests for one hour?"
)
ANSWER = "Nine ladles fill thirty-six moulds an hour, so five hours fill one hundred and eighty."
BRONZE = "when nine ladles of bronze are poured by two men at a time"
IRON = "where a furnace of iron stands on a hill of slag near the weir"
GSM = make_items(0, [{"question": QUESTION, "answer": ANSWER}], {})
PAGE = "Notes of the week were few. "


@pytest.mark.parametrize(
    "planted",
    [
        QUESTION,
        QUESTION.upper(),
        QUESTION.replace(" ", "\n"),
        QUESTION.replace(" ", "\n> "),
        "12) " + QUESTION.replace(",", " --").replace(";", "\u2014"),
        "<p><b>" + QUESTION + "</b></p>",
        " * ".join(QUESTION.split()),
    ],
)
def test_a_question_is_found_however_it_is_formatted(planted: str) -> None:
    texts = [PAGE * 20 + planted + PAGE * 20, PAGE * 40]
    assert found_in(GSM, texts) == {(0, "0", "question"): 1.0}


def test_question_and_answer_are_told_apart() -> None:
    texts = [QUESTION, ANSWER, QUESTION + PAGE * 90 + ANSWER]
    assert set(found_in(GSM, texts)) == {
        *((0, "0", "question"), (1, "0", "answer")),
        *((2, "0", "question"), (2, "0", "answer")),
    }


def test_half_of_a_question_counts_and_less_does_not() -> None:
    words = QUESTION.split()
    runs = len(words) - 12
    half = " ".join(words[: 12 + (runs + 1) // 2])
    less = " ".join(words[: 12 + (runs + 1) // 2 - 1])
    assert found_in(GSM, [half, less]) == {(0, "0", "question"): (runs + 1) // 2 / runs}


def test_halves_in_two_documents_are_no_whole() -> None:
    words = QUESTION.split()
    assert found_in(GSM, [" ".join(words[:15]), " ".join(words[15:])]) == {}


def test_what_stands_twice_counts_once() -> None:
    words = QUESTION.split()
    assert found_in(GSM, [(" ".join(words[:14]) + ". ") * 30]) == {}


def test_a_long_passage_does_not_hide_its_question() -> None:
    """Scored as one text, question and passage would come to a share far below the bound."""
    passage = " ".join(f"word{at} stands here" for at in range(400))
    (item,) = make_items(0, [{"passage": passage, "question": QUESTION, "answer": "x"}], {})
    assert found_in([item], [QUESTION]) == {(0, "0", "question"): 1.0}
    assert found_in([item], [passage]) == {(0, "0", "passage"): 1.0}


def test_short_questions_are_found_whole_or_with_their_answer() -> None:
    """A text shorter than an n-gram has none: other tools never find it."""
    rows = [
        {"question": "Which ore gives tin when it is roasted?", "answer": "x"},  # 8 words
        {"question": "Who built the first blast furnace?", "answer": "Nobody knows"},  # 6 and 2
        {"question": "Who built another blast furnace?", "answer": "Anna"},  # 5 and 1
        {"question": "Why?", "answer": "Because the slag had to float above the iron"},
    ]
    items = make_items(0, rows, {})
    texts = [
        "Quiz. which ore gives TIN, when it is roasted",
        "Which ore gives tin when it was roasted?",  # one word of eight is another
        "Q: Who built the first blast furnace? A: nobody knows",
        "Who built the first blast furnace?" + " and then" * 30 + " nobody knows",
        "Who built the first blast furnace? It is disputed.",
        "Who built another blast furnace? Anna",
        "Why? Because the slag had to float above the iron.",
    ]
    assert found_in(items, texts) == {
        (0, "0", "question"): 1.0,
        (2, "1", "question"): 1.0,
        (6, "3", "answer"): 1.0,
    }
    needles = make_needles(("e",), items, USUAL)
    assert needles.why_not[2] == {
        "question": "short", "choices": "missing", "answer": "short", "passage": "missing",
    }  # fmt: skip
    assert needles.why_not[3]["question"] == "short"


def test_a_short_question_with_choices_is_found_with_all_of_them() -> None:
    row = {"question": "What melts at that heat?", "choices": ["tin", "zinc", "iron"], "answer": 2}
    items = make_items(0, [row], {})
    texts = [
        "What melts at that heat? (a) tin (b) zinc (c) iron",
        "WHAT MELTS AT THAT HEAT\n1. Tin\n2. Zinc\n3. Iron",
        "What melts at that heat? (a) tin (b) iron (c) zinc",
        "What melts at that heat? Iron does, they say",
    ]
    assert set(found_in(items, texts)) == {(0, "0", "question"), (1, "0", "question")}


def test_references_are_alternatives_and_equal_ones_are_one() -> None:
    question = "Who won Super Bowl 50?"
    long = ["Bronze " + " ".join(f"{word}{at}" for at in range(length))
            for word, length in (("tin", 29), ("zinc", 59))]  # fmt: skip
    rows = [
        {"question": question, "answers": {"text": ["Denver Broncos"] * 3}},
        {
            "question": "Who cast the bell of that tower?",
            "answer": ["Ann", "Ann Smith", "A. Smith"],
        },
        {"question": "?", "answer": long},
    ]
    items = make_items(0, rows, {})
    assert items[0].of("answer") == ("Denver Broncos",)
    texts = [
        f"Q: {question} A: Denver Broncos",
        "Who cast the bell of that tower? It was Ann Smith, they say",
        "Who cast the bell of that tower? It was A. Smith, they say",
        f"{long[0]} and more",
        f"{long[1]} and more",
        long[1][: len(long[1]) // 3],
    ]
    assert found_in(items, texts) == {
        (0, "0", "question"): 1.0,
        (1, "1", "question"): 1.0,
        (2, "1", "question"): 1.0,
        (3, "2", "answer"): 1.0,
        (4, "2", "answer"): 1.0,
    }
    needles = make_needles(("e",), items, USUAL)
    assert [needles.references(at, "answer") for at in range(3)] == [[], [], [0, 1]]
    assert [needles.references(at, "question") for at in range(3)] == [[0], [0, 1, 2], []]


def test_one_long_choice_is_not_the_choices() -> None:
    food = "the process by which plants make their own food"
    water = "the way in which water goes through the skin of a cell"
    question = "Which one of these is photosynthesis?"
    rows = [
        {"question": question, "choices": ["osmosis", "diffusion", food, "respiration"]},
        {"question": question, "choices": [f"{food} {BRONZE}", f"{water} {IRON}", "none"]},
        {"question": question, "choices": [f"{food} {BRONZE} in it", f"{food} {BRONZE} on it"]},
    ]
    items = make_items(0, rows, {})
    needles = make_needles(("e",), items, USUAL)
    assert [why.get("choices") for why in needles.why_not] == ["short", None, None]
    texts = [
        f"Photosynthesis is {food} from light.",
        f"{food} {BRONZE}",
        f"{food} {BRONZE}, and {water} {IRON}",
        f"{food} {BRONZE} on it",
        "\n".join(rows[0]["choices"]),
    ]
    assert set(found_in(items, texts)) == {(2, "1", "choices")}


def test_choices_count_where_the_answer_is_far_behind_them() -> None:
    metals = ["tin", "zinc", "iron", "lead", "gold", "brass", "coke", "slag", "ore", "steel"]
    choices = [f"a kind of {word} that is sold" for word in metals]
    row = {"question": "Which has the lowest price?", "choices": choices, "answer": 8}
    items = make_items(0, [row], {})
    listed = "\n".join(f"{chr(65 + at)}. {text}" for at, text in enumerate(choices))
    texts = [
        f"Question: Which has the lowest price?\n{listed}\nAnswer: I",
        f"Which has the lowest price? That is {choices[8]}.",
        "Which has the lowest price? That is a kind of tin.",
    ]
    assert set(found_in(items, texts)) == {(0, "0", "question"), (1, "0", "question")}


def test_boilerplate_of_multiple_choice_is_no_evidence() -> None:
    """Instructions that stand in every item would make a page of them hold the whole benchmark."""
    frame = (
        "The following are multiple choice questions with answers about metallurgy. Choose which "
        "of the following statements is the most likely to be correct in the light of this: {}"
    )
    rows = [{"question": frame.format(f"slag {n} cools"), "choices": ["yes", "no"], "answer": 0}
            for n in range(7)]  # fmt: skip
    page = frame.format("something else entirely")
    assert found_in(make_items(0, rows, {}), [page]) == {}
    assert len(found_in(make_items(0, rows[:5], {}), [page])) == 5  # too few to tell that it is one
    items = make_items(0, rows, {})
    assert set(found_in(items, [frame.format("slag 3 cools")])) == {(0, "3", "question")}
    tail = "of this: slag 3 cools"  # the end of a question whose beginning is everybody's
    assert found_in(items, [tail]) == {}


def test_an_item_that_is_all_boilerplate_cannot_be_tested() -> None:
    question = "Which of the following statements is correct in view of the text above?"
    rows = [{"question": question, "choices": ["yes", f"no {n}"], "answer": 0} for n in range(9)]
    items = make_items(0, rows, {})
    needles = make_needles(("e",), items, USUAL)
    assert [why["question"] for why in needles.why_not] == ["common"] * 9
    assert found_in(items, [question]) == {}


def test_common_is_by_benchmark() -> None:
    """Two benchmarks that quote one another are no boilerplate of either."""
    rows = [(benchmark, (QUESTION,), (), (), ()) for benchmark in (0, 1)]
    assert len(found_in(items_of(rows), [QUESTION], USUAL._replace(max_items=1))) == 2


def test_a_passage_of_many_questions_stays_evidence() -> None:
    passage = " ".join(f"the mill at bend {at} of the river stood" for at in range(9))
    rows = [{"context": passage, "question": f"Where is mill {at}?"} for at in range(40)]
    found = found_in(make_items(0, rows, {}), [passage])
    assert found == {(0, str(at), "passage"): 1.0 for at in range(40)}


def test_an_answer_that_is_also_a_choice_is_of_one_item() -> None:
    choices = [ANSWER, "Nothing at all was filled because the furnace rested all that long day."]
    rows = [{"question": QUESTION, "choices": choices, "answer": 0}]
    texts = [ANSWER, "\n".join(choices)]
    found = found_in(make_items(0, rows, {}), texts, USUAL._replace(max_items=1))
    assert set(found) == {(0, "0", "answer"), (1, "0", "answer"), (1, "0", "choices")}


def test_other_words_and_other_languages_are_not_found() -> None:
    """What n-grams cannot see; docs/leaks.md says so."""
    said = (
        "Each hour nine ladles are poured at the foundry, four moulds apiece. With one hour of "
        "rest, how many moulds do they fill from dawn until noon?"
    )
    german = (
        "Eine Gießerei gießt jede Stunde neun Pfannen Bronze, und jede Pfanne füllt vier Formen; "
        "wie viele Formen werden von früh bis Mittag gefüllt, wenn der Ofen eine Stunde ruht?"
    )
    assert found_in(GSM, [said, german]) == {}


def test_eight_tokens_are_words_and_signs() -> None:
    tokens = Matching("tokens", 8, 8, 5, 0.5)
    items = make_items(0, [{"prompt": "return [x for x in items if x > 0]"}], {})
    texts = [
        "    return [x  for x in\titems if x > 0]",
        "return (x for x in items if x < 0)",
        "RETURN [X FOR X IN ITEMS IF X > 0]",
    ]
    assert {at for at, _, _ in found_in(items, texts, tokens)} == {0, 2}
    assert {at for at, _, _ in found_in(items, texts)} == {0, 1, 2}  # words see no signs


def test_signs_do_not_make_a_question_long_enough() -> None:
    rows = [
        {"question": "What is it?", "answer": "a lump of slag"},
        {"question": "What is it now?", "answer": "a lump of slag"},
        {"question": "(What's that?!)", "answer": "a lump of slag"},
    ]
    items = make_items(0, rows, {})
    needles = make_needles(("e",), items, Matching("tokens", 8, 8, 5, 0.5))
    assert [needles.is_tested(at, "question") for at in range(3)] == [False, True, False]
    texts = [f"{row['question']} {row['answer']}" for row in rows]
    found = found_in(items, texts, Matching("tokens", 8, 8, 5, 0.5))
    assert set(found) == {(1, "1", "question")}


def test_composed_and_decomposed_letters_are_one() -> None:
    decomposed = QUESTION.replace("foundry", "fonderie\u0301")
    items = make_items(0, [{"question": decomposed}], {})
    assert set(found_in(items, [QUESTION.replace("foundry", "fonderié")])) == {(0, "0", "question")}


def test_documents_that_are_not_composed_are_not_found() -> None:
    """Those of code, and where `nfc` is left out; docs/leaks.md says so."""
    composed = QUESTION.replace("foundry", "fonderi\u00e9").replace("moulds", "moul\u00e9s")
    items = make_items(0, [{"question": composed}], {})
    assert found_in(items, [unicodedata.normalize("NFD", composed)]) == {}
    assert set(found_in(items, [composed])) == {(0, "0", "question")}


def test_nothing_to_look_for_finds_nothing() -> None:
    assert found_in(make_items(0, [{"question": "Why?"}], {}), ["Why?", ""]) == {}
