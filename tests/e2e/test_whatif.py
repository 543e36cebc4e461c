"""What the verb foretells is what a run with those rules does."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.ledgers import read_decisions

import bessemer as package
from bessemer.core.layout import DOCUMENTS, SHARDS, SIGNALS
from bessemer.core.storage import read_json, read_table
from bessemer.curate.ledger import list_shards
from bessemer.line import show_whatif
from bessemer.line.whatif import WhatIf
from bessemer.line.workspace import Workspace, plan_workspace

Bessemer = Callable[..., CompletedProcess[str]]
Counts = dict[str, tuple[int, int]]  # name -> (documents, bytes)


def drops(workspace: Workspace, *, alone: bool) -> Counter[tuple[str, str]]:
    """(source, rule) -> documents that it dropped, or that it alone dropped, by the ledger."""
    rows = read_decisions([workspace.folder("rules")]).to_pylist()
    broken = Counter(row["doc_id"] for row in rows)
    return Counter(
        (row["source"], row["rule"]) for row in rows if not alone or broken[row["doc_id"]] == 1
    )


def kept_by_language(workspace: Workspace) -> Counter[str]:
    """language -> documents that the rules kept."""
    lost = set(read_decisions([workspace.folder("rules")])["doc_id"].to_pylist())
    signals = workspace.folder("signals") / SIGNALS
    rows = [
        row
        for shard in list_shards(signals)
        for row in read_table(signals / shard, ["doc_id", "language"]).to_pylist()
    ]
    return Counter(row["language"] or "unknown" for row in rows if row["doc_id"] not in lost)


def check_side(found: WhatIf, side: str, workspace: Workspace) -> None:
    """One side of an answer is what the stage `rules` of `workspace` did, in every number."""
    manifest = workspace.manifest("rules")
    assert manifest is not None
    told = {row.name: getattr(row, side) for row in found.by_source}
    for sums in manifest.conservation:
        assert (told[sums.source].docs, told[sums.source].num_bytes) == (
            sums.docs_out,
            sums.bytes_out,
        )
    assert told[""].docs == sum(sums.docs_out for sums in manifest.conservation)
    assert told[""].num_bytes == sum(sums.bytes_out for sums in manifest.conservation)
    languages = {row.name: getattr(row, side).docs for row in found.by_language}
    assert +Counter(languages) == kept_by_language(workspace)
    for alone, name in ((False, f"drops_{side}"), (True, f"alone_{side}")):
        effects = {(row.source, row.rule): getattr(row, name).docs for row in found.rules}
        assert +Counter(effects) == drops(workspace, alone=alone)


def test_without_a_change_the_numbers_are_those_of_the_ledger(finished_run: Path) -> None:
    found = package.what_if(finished_run)
    workspace = plan_workspace(finished_run)
    check_side(found, "now", workspace)
    check_side(found, "then", workspace)
    assert (found.newly_dropped.docs, found.newly_kept.docs) == (0, 0)
    assert found.sample_dropped == found.sample_kept == ()
    assert sum(row.drops_now.docs for row in found.rules) > 0
    assert not any(row.is_changed for row in found.rules)


CHANGES = [
    ("word_count.min=66",),
    ("word_count.min=0",),
    ("unique_word_frac.min=0.6", "word_count.min=1"),
    ("digit_frac=0.0123",),
    ("word_count.min=none",),
    ("word_count.max=none", "word_count.min=66"),  # of which only code has the first
]


@pytest.mark.parametrize("sources", [(), ("notes",), ("pages", "tools")])
def test_with_a_change_the_numbers_are_those_of_a_run_with_that_rule(
    run_file: Path, sources: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """The rule is put into the run file as the answer says that it should be."""
    before, _ = package.run(run_file, last="rules")
    ledger = {"": set(read_decisions([before.folder("rules")])["doc_id"].to_pylist())}
    text = run_file.read_text()
    moved = 0
    for rules in CHANGES:
        run_file.write_text(text)
        if sources and "tools" not in sources and "word_count.max=none" in rules:
            continue  # there is none to be taken away
        found = package.what_if(run_file, rules, sources, num_samples=1000)
        capsys.readouterr()
        show_whatif.what_if(found, every_source=not sources)
        told, _, tables = capsys.readouterr().out.partition("other rules of the run file:\n")
        assert told.endswith("To have it so, put this behind the ")
        run_file.write_text(text.replace("[split]", f"{tables}\n[split]"))
        after, _ = package.run(run_file, last="rules")
        assert after.folder("rules") != before.folder("rules")
        if not sources:
            check_side(found, "now", before)
            check_side(found, "then", after)
        manifest = after.manifest("rules")
        assert manifest is not None
        sums = {each.source: each for each in manifest.conservation}
        for row in found.by_source[:-1]:
            assert (row.then.docs, row.then.num_bytes) == (
                sums[row.name].docs_out,
                sums[row.name].bytes_out,
            )
        others = set(sums) - {row.name for row in found.by_source}
        assert others == (set(sums) - set(sources) if sources else set())
        was = ledger[""]
        now = set(read_decisions([after.folder("rules")])["doc_id"].to_pylist())
        assert [each.doc_id for each in found.sample_dropped] == sorted(now - was)
        assert [each.doc_id for each in found.sample_kept] == sorted(was - now)
        assert found.newly_dropped.docs == len(now - was)
        assert found.newly_kept.docs == len(was - now)
        moved += len(now ^ was)
        values = {
            (row["doc_id"], row["rule"]): (row["value"], row["bound"])
            for row in read_decisions([after.folder("rules"), before.folder("rules")]).to_pylist()
        }
        for each in (*found.sample_dropped, *found.sample_kept):
            for reason in each.reasons:
                assert values[each.doc_id, reason.rule] == (reason.value, reason.bound)
            assert each.reasons
    assert moved > 0


def test_a_sample_is_drawn_from_all_and_is_the_same_again(finished_run: Path) -> None:
    whole = package.what_if(finished_run, ["word_count.min=1e6"], num_samples=10_000)
    some = package.what_if(finished_run, ["word_count.min=1e6"], num_samples=7)
    again = package.what_if(finished_run, ["word_count.min=1e6"], num_samples=7)
    assert some == again
    assert len(some.sample_dropped) == 7
    assert set(some.sample_dropped) < set(whole.sample_dropped)
    assert len({each.source for each in some.sample_dropped}) > 1
    assert package.what_if(finished_run, ["word_count.min=1e6"], num_samples=0).sample_dropped == ()
    workspace = plan_workspace(finished_run)
    documents = workspace.folder("ingest") / DOCUMENTS
    texts = {
        row["doc_id"]: row
        for shard in list_shards(documents)
        for row in read_table(documents / shard).to_pylist()
    }
    for each in whole.sample_dropped:
        assert (each.url, each.text) == (
            texts[each.doc_id]["url"],
            texts[each.doc_id]["text"][:400],
        )


def test_tokens_are_estimated_by_the_rate_of_each_source(finished_run: Path) -> None:
    found = package.what_if(finished_run)
    shards = read_json(plan_workspace(finished_run).folder("encode") / SHARDS)
    assert found.is_encoded
    for row in found.by_source[:-1]:
        mine = [shard for shard in shards if shard["source"] == row.name]
        rate = sum(shard["tokens"] for shard in mine) / sum(shard["bytes"] for shard in mine)
        assert row.now.tokens == pytest.approx(row.now.num_bytes * rate)
    total = sum(row.now.tokens for row in found.by_source[:-1])
    assert found.by_source[-1].now.tokens == pytest.approx(total)
    assert sum(row.now.tokens for row in found.by_language) == pytest.approx(total)


def test_the_verb_answers_in_words_and_figures(
    finished_run: Path, bessemer_here: Bessemer, tmp_path: Path
) -> None:
    out = tmp_path / "whatif.json"
    root = str(finished_run.parent / "out")
    done = bessemer_here(
        *("whatif", root, "--rule", "word_count.min=66", "--rule", "digit_frac=0.5"),
        *("--source", "notes", "--sample", "2", "--json", str(out)),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "what if word_count.min=66, digit_frac.max=0.5" in done.stdout
    assert "before masking and deduplication" in done.stdout
    assert "bytes per token of this run's encode stage" in done.stdout
    assert re.search(r"notes +word_count .*min 20, then min 66", done.stdout)
    assert re.search(r"newly dropped, 2 of \d+", done.stdout)
    assert 'name = "word_count"\nmin = 66\nsources = ["notes"]' in done.stdout
    assert "tools" not in done.stdout
    figures = json.loads(out.read_text())
    assert [row["name"] for row in figures["by_source"]] == ["notes", ""]
    assert figures["changes"][0] == {"name": "word_count", "end": "min", "bound": 66.0}
    assert len(figures["sample_dropped"]) == 2
    assert re.fullmatch(r"\d+:\d+", figures["sample_dropped"][0]["doc_id"])
    plain = bessemer_here("whatif", str(finished_run))
    assert (plain.returncode, plain.stderr) == (0, "")
    assert "newly" not in plain.stdout
    assert "then" not in plain.stdout


def test_before_encoding_tokens_are_a_guess(run_file: Path, bessemer_here: Bessemer) -> None:
    early = bessemer_here("whatif", str(run_file))
    assert early.returncode == 2
    assert (
        "signals are not measured yet; `bessemer run RUN.toml --to rules` does so" in early.stderr
    )
    assert bessemer_here("run", str(run_file), "--to", "signals").returncode == 0
    done = bessemer_here("whatif", str(run_file), "--rule", "word_count.min=none")
    assert (done.returncode, done.stderr) == (0, "")
    assert "a guess, 4 bytes per token, for this run is not encoded yet" in done.stdout
    off = '[[curate.rule]]\nname = "word_count"\noff = true\n'
    assert f'{off}sources = ["notes", "pages"]\n' in done.stdout
    assert f'{off}max = 100000\nsources = ["tools"]\n' in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--rule", "word_cuont.min=3"), "no signal 'word_cuont'; did you mean 'word_count'?"),
        (("--rule", "word_count=3"), "has a lower and an upper bound; say word_count.min=3 or"),
        (("--rule", "word_count.min=few"), "'few' is no bound"),
        (("--source", "note"), "--source note: no such source; did you mean 'notes'?"),
    ],
)
def test_wrong_questions_get_clear_answers(
    finished_run: Path, bessemer_here: Bessemer, arguments: tuple[str, ...], told: str
) -> None:
    done = bessemer_here("whatif", str(finished_run), *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert all(line.startswith("error: ") for line in done.stderr.splitlines())
