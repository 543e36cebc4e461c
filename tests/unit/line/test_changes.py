"""Changes of bounds: every way to write one, every way to get it wrong, and what they come to."""

from __future__ import annotations

import pytest

from bessemer.config.curate import CurateConfig
from bessemer.config.run import RunConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.errors import ConfigError
from bessemer.curate.bounds import Rule, rules_for
from bessemer.curate.presets import PRESETS
from bessemer.line.changes import (
    Change,
    apply_changes,
    choose_sources,
    parse_changes,
    rules_of,
)

CONFIG = RunConfig.model_validate(
    {
        "run": {"name": "r", "root": "r"},
        "source": [
            {"name": "pages", "kind": "web", "path": "x"},
            {"name": "tools", "kind": "code", "path": "x"},
        ],
        "curate": {"rule": [{"name": "stop_word_count", "min": 2, "sources": ["pages"]}]},
        "model": {"size": "12m"},
        "train": {"seq_len": 64, "global_batch_tokens": 640, "total_tokens": 6400},
    }
)


def parse(*texts: str, sources: tuple[str, ...] = ()) -> tuple[Change, ...]:
    return parse_changes(texts, rules_of(CONFIG, choose_sources(CONFIG, sources)), CONFIG)


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("word_count.min=100", Change(name="word_count", end="min", bound=100)),
        (" word_count.max = 1e5 ", Change(name="word_count", end="max", bound=100_000)),
        ("word_count.max=none", Change(name="word_count", end="max", bound=None)),
        ("dup_line_frac.max=0.25", Change(name="dup_line_frac", end="max", bound=0.25)),
        ("digit_frac=0.25", Change(name="digit_frac", end="max", bound=0.25)),
        ("stop_word_count=none", Change(name="stop_word_count", end="min", bound=None)),
        ("language_score.min=-1", Change(name="language_score", end="min", bound=-1)),
    ],
)
def test_a_bound_is_parsed(text: str, change: Change) -> None:
    assert parse(text) == (change,)
    assert parse(str(change)) == (change,)


def test_the_short_form_goes_by_the_sources_that_are_asked_for() -> None:
    with pytest.raises(
        ConfigError, match=r"a lower and an upper bound; say word_count\.min=40 or wo"
    ):
        parse("word_count=40")  # code has both
    assert parse("word_count=40", sources=("pages",)) == (
        Change(name="word_count", end="min", bound=40),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("word_count", "expected signal.min=bound or signal.max=bound, e.g. word_count.min=100"),
        ("word_count.min", "expected signal.min=bound"),
        ("word_count.min=", "expected signal.min=bound"),
        ("=3", "expected signal.min=bound"),
        (".min=3", "expected signal.min=bound"),
        ("word_cuont.min=3", "no signal 'word_cuont'; did you mean 'word_count'?"),
        ("gopher.word_count=3", "no signal 'gopher'"),
        ("language.min=3", "no signal 'language'; curate.languages says which are kept"),
        (
            "word_count.mni=3",
            "'mni' is no end of a bound; expected word_count.min or word_count.max",
        ),
        ("dup_line_frac=3", "dup_line_frac has no bound yet; say dup_line_frac.min=3 or dup_line_"),
        ("digit_frac.min=none", "digit_frac has no min that could be removed"),
        ("word_count.min=many", "'many' is no bound; expected a number, or none to remove"),
        ("word_count.min=nan", "'nan' is no bound"),
        ("word_count.max=inf", "'inf' is no bound"),
    ],
)
def test_a_wrong_rule_is_told(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert f"--rule {text}: " in str(caught.value)
    assert told in str(caught.value)


def test_all_faults_come_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("word_count.min=1", "alnum=3", "word_count.min=2", "digit_frac.min=none")
    assert [fault.where for fault in caught.value.faults] == [
        "--rule alnum=3",
        "--rule word_count.min=2",
        "--rule digit_frac.min=none",
    ]
    assert "word_count.min is given twice" in str(caught.value)


def test_sources_are_in_the_order_of_the_run_file() -> None:
    assert choose_sources(CONFIG, ()) == ["pages", "tools"]
    assert choose_sources(CONFIG, ("tools", "pages", "tools")) == ["pages", "tools"]
    assert choose_sources(CONFIG, ("tools",)) == ["tools"]
    with pytest.raises(ConfigError) as caught:
        choose_sources(CONFIG, ("page", "x", "tools"))
    assert "--source page: no such source; did you mean 'pages'?" in str(caught.value)
    assert "--source x: no such source; known: pages, tools" in str(caught.value)


@pytest.mark.parametrize("kind", PRESETS)
def test_changes_are_those_of_a_last_table_in_the_run_file(kind: str) -> None:
    source = SourceConfig.model_validate({"name": "s", "kind": kind, "path": "*"})
    own = [{"name": "word_count", "max": 7000}, {"name": "stop_word_count", "min": 2}]
    more = [{"name": "word_count", "min": 3}, {"name": "dup_line_frac", "max": 0.5}]
    changes = (
        Change(name="word_count", end="min", bound=3),
        Change(name="dup_line_frac", end="max", bound=0.5),
    )
    now = rules_for(source, CurateConfig.model_validate({"rule": own}))
    then = rules_for(source, CurateConfig.model_validate({"rule": own + more}))
    assert apply_changes(now, changes) == then
    assert apply_changes(now, ()) == now


def test_a_bound_may_be_removed() -> None:
    rules = (Rule(name="word_count", min=3, max=9), Rule(name="digit_frac", max=0.5))
    changes = (
        Change(name="word_count", end="max", bound=None),
        Change(name="digit_frac", end="max", bound=None),
    )
    assert apply_changes(rules, changes) == (
        Rule(name="word_count", min=3),
        Rule(name="digit_frac"),
    )


def test_what_was_not_measured_is_no_question_for_stored_signals() -> None:
    with pytest.raises(ConfigError) as error:
        parse_changes(["word_count@dolma.min=50"], {}, CONFIG)
    assert "was not measured in this run; add 'dolma' to curate.measure" in str(error.value)
    curate = CONFIG.curate.model_copy(update={"measure": ("dolma",)})
    config = CONFIG.model_copy(update={"curate": curate})
    [change] = parse_changes(["word_count@dolma.min=50"], {}, config)
    assert (change.name, change.end, change.bound) == ("word_count@dolma", "min", 50)
