"""Settings of `[decontaminate]`: what stands where nothing is said, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bessemer.config.decontaminate import DecontaminateConfig


@pytest.mark.parametrize(
    ("given", "lengths"),
    [
        ({}, (13, 8)),
        ({"unit": "tokens"}, (8, 8)),
        ({"unit": "words", "ngram": 10}, (10, 8)),
        ({"ngram": 5}, (5, 5)),
        ({"ngram": 5, "min_words": 3}, (5, 3)),
        ({"unit": "tokens", "min_words": 4}, (8, 4)),
    ],
)
def test_lengths_go_by_the_unit(given: dict[str, Any], lengths: tuple[int, int]) -> None:
    config = DecontaminateConfig.model_validate(given)
    assert (config.ngram, config.min_words) == lengths


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"min_words": 14}, r"min_words \(14\) is more than ngram \(13\)"),
        ({"unit": "letters"}, "'words' or 'tokens'"),
        ({"ngram": "13"}, "valid integer"),
        ({"min_overlap_frac": 0}, "greater than 0"),
        ({"act_on": ["title"]}, "'question', 'choices', 'answer' or 'passage'"),
        ({"eval": [{"name": "a/b", "path": "x"}]}, "should match pattern"),
        ({"eval": [{"name": "a", "path": "x", "qestion": "q"}]}, "Extra inputs"),
    ],
)
def test_what_is_wrong_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        DecontaminateConfig.model_validate(given)
