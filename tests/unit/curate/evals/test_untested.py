"""Items that cannot be called clean are counted by what is wrong with them."""

from __future__ import annotations

from bessemer.curate.evals.fields import make_items
from bessemer.curate.evals.needles import make_needles
from bessemer.curate.evals.runs import Matching
from bessemer.curate.evals.untested import count_untestable, without_text

LONG = " ".join(f"word{number}" for number in range(20))
ROWS = [
    {"question": f"first {LONG}"},
    {"question": 7},
    {"question": None},
    {"qq": 1},
    {"passage": f"second {LONG}"},  # tells nothing of what is asked
    {"question": "Why?", "choices": [f"third {LONG}", f"fourth {LONG}"]},
    {"answer": f"fifth {LONG}"},
]


def test_items_without_a_text_are_told_from_those_with_too_little() -> None:
    first = make_items(0, ROWS, {})
    second = make_items(1, [{"id": "a", "question": LONG}], {})
    needles = make_needles(("m", "n"), [*first, *second], Matching("words", 13, 8, 5, 0.5))
    assert count_untestable(needles) == {
        "m": {"missing": 3, "first_missing": "2", "short": 1},
        "n": {"missing": 0, "first_missing": None, "short": 0},
    }
    assert [item.row for item in without_text(first)] == [2, 3, 4]


def test_what_is_in_too_many_items_is_counted_with_what_is_too_short() -> None:
    items = make_items(0, [{"question": LONG}] * 6, {})
    needles = make_needles(("m",), items, Matching("words", 13, 8, 5, 0.5))
    assert count_untestable(needles)["m"] == {"missing": 0, "first_missing": None, "short": 6}
