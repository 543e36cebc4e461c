"""Names, numbers and bounds are said as a reader takes them."""

from __future__ import annotations

import pytest

from bessemer.report.facts import Loss, Reason
from bessemer.report.sentences import (
    name_reason,
    tell_bound,
    tell_similarity,
)


@pytest.mark.parametrize(
    ("value", "told"),
    [(1.0, "1.000"), (0.9999, "> 0.999"), (0.9995, "> 0.999"), (0.9994, "0.999"), (0.25, "0.250")],
)
def test_only_what_is_equal_has_a_similarity_of_one(value: float, told: str) -> None:
    assert tell_similarity(value) == told


def loss(stage: str, rule: str, bound: float | None) -> Loss:
    reason = Reason(stage=stage, rule=rule, action="drop", bound=bound)
    return Loss(reason=reason, source="web", docs=1, num_bytes=1, broken_docs=1)


def test_an_evaluation_set_is_not_taken_for_a_rule() -> None:
    of_set, of_rule = loss("decontaminate", "word_count", 0.5), loss("rules", "word_count", 50.0)
    assert name_reason(of_rule.reason) == "word count"
    assert name_reason(of_set.reason) == "evaluation items: word_count"
    assert "a part of an evaluation item" in tell_bound(of_set)


def test_what_the_split_left_out_was_drawn() -> None:
    passage = loss("split", "passage_in_train", 50.0)
    told = "drawn to be held out; 50 words in a row are trained on"
    assert tell_bound(passage) == told
    assert tell_bound(loss("split", "same_text_in_train", None)) == "drawn to be held out"
