"""Rules by source and language, and their signals, as a document by document count has them."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bessemer.report.collect import collect
from bessemer.report.facts import Alarm, Report, RuleRow, RuleTable
from bessemer.report.render import render
from bessemer.report.rules import MAX_LANGUAGES
from bessemer.report.sentences import tell_bounds, tell_often
from bessemer.report.signals import NUM_BINS, _axis

from .curated import Doc
from .pages import Page
from .runs import Run, write_run

CODES = [f"{first}{last}" for first in "abc" for last in "wxyz"]


def random_docs(seed: int, count: int) -> list[Doc]:
    """Documents of 1 to 200 words in a dozen languages; the rules take some, others are lost to
    other stages, and a few broke a second rule."""
    draw = random.Random(seed)
    docs = []
    for _ in range(count):
        words = draw.choice([1, 2, 5, 10, 50, 100, 200])
        rule = draw.choice(["word_count", "language", "alpha_frac"])
        other = draw.choice([(), (), ("digit_frac",), ("digit_frac", "alnum_frac")])
        docs.append(
            Doc(
                text="word " * words,
                fate=draw.choice(["train", "train", "heldout", "rules", "rules", "exact", "fuzzy"]),
                rule=rule,
                language=draw.choices(["", *CODES], [3, *range(1, 13)])[0],
                also_broke=other,
                like=0,
            )
        )
    return [Doc(text="first"), *docs, Doc(text="x", fate="quarantine")]


@pytest.fixture(scope="module")
def sources() -> dict[str, list[Doc]]:
    return {"web": random_docs(1, 300), "books": random_docs(2, 40), "code": random_docs(3, 90)}


@pytest.fixture(scope="module")
def report(sources: dict[str, list[Doc]], tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("rules")
    run = Run(sources=sources, kinds={"code": "code"}, samples_per_rule=0)
    return collect(write_run(folder / "run", run), folder / "report")


def broken(doc: Doc) -> tuple[str, ...]:
    return (doc.rule, *doc.also_broke) if doc.fate == "rules" else ()


def test_rules_are_counted_by_source(report: Report, sources: dict[str, list[Doc]]) -> None:
    assert [table.source for table in report.rules] == list(sources)
    for table, docs in zip(report.rules, sources.values(), strict=True):
        judged = [doc for doc in docs if doc.fate != "quarantine"]
        assert table.docs == len(judged)
        named = [] if table.source == "code" else ["language"]
        names = [row.rule for row in table.rows]
        # Rules of the ledger that the stage did not name are told of all the same.
        assert names[: len(named) + 1] == [*named, "word_count"]
        assert set(names) == {rule for doc in judged for rule in broken(doc)} | set(named)
        for row in table.rows:
            sides = (
                [doc for doc in judged if row.rule in broken(doc)],
                [doc for doc in judged if broken(doc)[:1] == (row.rule,)],
                [doc for doc in judged if broken(doc) == (row.rule,)],
            )
            assert (
                *(row.docs, row.num_bytes, row.decisive_docs),
                *(row.decisive_bytes, row.alone_docs, row.alone_bytes),
            ) == tuple(f(side) for side in sides for f in (len, size))


def size(docs: list[Doc]) -> int:
    return sum(doc.num_bytes for doc in docs)


def test_rules_are_counted_by_language(report: Report, sources: dict[str, list[Doc]]) -> None:
    for table, docs in zip(report.rules, sources.values(), strict=True):
        judged = [doc for doc in docs if doc.fate != "quarantine"]
        found = Counter(doc.language for doc in judged)
        ranked = sorted(found, key=lambda code: (-found[code], code))
        assert [each.code for each in table.languages] == [*ranked[:MAX_LANGUAGES], "other"]
        for each in table.languages:
            mine = [each.code] if each.code in found else ranked[MAX_LANGUAGES:]
            assert each.docs == sum(found[code] for code in mine)
            assert each.broken_docs == tuple(
                sum(doc.language in mine and row.rule in broken(doc) for doc in judged)
                for row in table.rows
            )


def test_each_document_is_once_in_a_histogram(
    report: Report, sources: dict[str, list[Doc]]
) -> None:
    assert [(each.source, each.rule, each.signal, each.bounds) for each in report.histograms] == [
        ("web", "language", "language_score", ((0.5, True),)),
        ("web", "word_count", "word_count", ((50.0, True),)),
        ("books", "language", "language_score", ((0.5, True),)),
        ("books", "word_count", "word_count", ((50.0, True),)),
        ("code", "word_count", "word_count", ((50.0, True),)),
    ]
    for each in report.histograms:
        judged = [doc for doc in sources[each.source] if doc.fate != "quarantine"]
        counts: dict[str, Counter[int]] = {"kept": Counter(), "lost": Counter(), "out": Counter()}
        if each.signal == "word_count":
            assert (each.is_log, each.low, each.high) == (True, 1, 200)
        else:
            assert (each.is_log, each.high) == (False, pytest.approx(0.9))
            # No value lies below the bound: a twelfth or so of the picture shows that none does.
            assert each.low == pytest.approx(0.5 - 0.08 * 0.4)
        for doc in judged:
            value = len(doc.text.split()) if each.signal == "word_count" else 0.9
            begin, end = math.log1p(each.low), math.log1p(each.high)
            place = (math.log1p(value) - begin) / (end - begin) if each.is_log else 1.0
            name = "lost" if each.rule in broken(doc) else "out"
            name = "kept" if doc.fate in ("train", "heldout") else name
            counts[name][min(int(place * NUM_BINS), NUM_BINS - 1)] += 1
        for name, found in (("kept", each.kept), ("lost", each.lost), ("out", each.elsewhere)):
            assert found == tuple(counts[name][number] for number in range(NUM_BINS)), name


def test_a_count_that_spreads_wide_is_drawn_by_its_logarithm_whoever_counts() -> None:
    for signal, is_log in (
        ("word_count", True),
        ("word_count@datatrove", True),
        ("c4_char_count@dclm", True),
        ("max_line_chars@redpajama", True),
        ("dup_line_frac@dclm", False),
    ):
        assert _axis(signal, row(rule=signal), 1.0, 1e6)[0] is is_log, signal


def row(**other: object) -> RuleRow:
    plain = {
        "rule": "word_count", "low": 50.0, "high": None, "is_given": False, "docs": 60,
        "num_bytes": 1, "decisive_docs": 60, "decisive_bytes": 1, "alone_docs": 0, "alone_bytes": 0,
    }  # fmt: skip
    return RuleRow(**(plain | other))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("num_broken", "count", "is_given", "alarm"),
    [
        (51, 100, False, Alarm.OFTEN),
        (50, 100, False, None),
        (51, 99, False, None),  # too few documents to say
        (0, 100, True, Alarm.DEAD),
        (0, 100, False, Alarm.NEVER),
        (0, 99, True, None),
    ],
)
def test_rules_that_ask_for_a_look(
    tmp_path: Path, num_broken: int, count: int, is_given: bool, alarm: Alarm | None
) -> None:
    docs = [Doc(text="a b", fate="rules")] * num_broken + [Doc(text="a b")] * (count - num_broken)
    run = Run(sources={"s": docs}, kinds={"s": "code"}, is_given=is_given, samples_per_rule=0)
    job = write_run(tmp_path / "run", run)
    (table,) = collect(job, tmp_path / "report").rules
    assert [found.alarm for found in table.rows] == [alarm]
    looser = replace(job, config={**job.config, "curate": {"max_rule_frac": 0.6}})
    (table,) = collect(looser, tmp_path / "report").rules
    assert [found.alarm for found in table.rows] == [None if alarm is Alarm.OFTEN else alarm]


def test_the_page_says_what_asks_for_a_look_before_the_table(tmp_path: Path) -> None:
    docs = [
        Doc(text="a b", fate="rules", language=code) for code in ("en", "de") for _ in range(40)
    ]
    docs += [Doc(text="a b", language="</td><b>")] * 40
    run = Run(sources={"web": docs}, is_given=True, samples_per_rule=0)
    html = render(collect(write_run(tmp_path / "run", run), tmp_path / "report"))
    page = Page(html)
    told = (
        "word count is broken by 80 of 120 documents (67%), more than curate.max_rule_frac = 0.5."
    )
    assert told in page.text
    assert "language stands in the run file, and no document of any source" in page.text
    assert page.text.index(told) < page.text.index("break it alone")
    classes = [at.get("class", "") for tag, at in page.elements if tag == "p"]
    assert [name for name in classes if "alarm" in name] == ["alarm", "alarm mild"]
    assert "1 of 2 rules took nothing" in page.text
    assert "at least 50, of the run file" in page.text
    cells = "".join(page.text.split())  # by language; a language's code is no markup
    assert "rule</td><b>40de40en40wordcount·40100%40100%" in cells


def test_values_below_and_above_are_told_apart(tmp_path: Path) -> None:
    """The ledger's values say which end of a rule was broken."""
    docs = [Doc(text="a b", fate="rules", value=3.0, bound=50.0)] * 3
    docs += [Doc(text="a b", fate="rules", value=60.0, bound=50.0)] * 4 + [Doc(text="a b")]
    run = Run(sources={"s": docs}, kinds={"s": "code"}, samples_per_rule=0)
    (table,) = collect(write_run(tmp_path / "run", run), tmp_path / "report").rules
    assert [(found.docs, found.low_docs) for found in table.rows] == [(7, 3)]


def test_a_rule_is_told_in_words() -> None:
    assert tell_bounds(row()) == "at least 50"
    assert tell_bounds(row(low=None, high=100_000.0)) == "at most 100k"
    assert tell_bounds(row(high=0.25)) == "at least 50 and at most 0.25"
    assert tell_bounds(row(low=None)) == ""
    assert tell_bounds(row(rule="language", low=0.3)) == "a wanted one, score at least 0.3"
    table = RuleTable(source="web", docs=100, rows=(row(),), languages=())
    told = tell_often(row(), table, 0.5)
    assert "60 of 100 documents (60%), more than curate.max_rule_frac = 0.5." in told
    assert "--rule word_count.min=..." in told
    assert "word_count.max=" in tell_often(row(low=None, high=9.0), table, 0.5)
    both = row(high=9.0, low_docs=30)
    assert "--rule word_count.min=..." in tell_often(both, table, 0.5)
    assert "--rule word_count.max=..." in tell_often(replace(both, low_docs=29), table, 0.5)
    assert "curate.languages" in tell_often(row(rule="language"), table, 0.5)
