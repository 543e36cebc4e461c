"""`[curate.language]` in a run: another model, bounds of single languages, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.ledgers import read_decisions
from tests.unit.text.fasttext_files import write_model

import bessemer as package
from bessemer.core.layout import DOCUMENTS, SIGNALS
from bessemer.core.storage import read_table
from bessemer.curate.language import detect_languages, load_language_model, shipped_model
from bessemer.curate.ledger import list_shards
from bessemer.line.workspace import plan_workspace

Bessemer = Callable[..., CompletedProcess[str]]


def set_curate(run_file: Path, keys: str) -> None:
    text = run_file.read_text()
    run_file.write_text(text.replace('shard_bytes = "12kB"', f'shard_bytes = "12kB"\n{keys}', 1))


def test_another_model_finds_other_languages(run_file: Path, bessemer_here: Bessemer) -> None:
    before = plan_workspace(run_file)
    path = write_model(run_file.parent / "glot.bin", ngrams=(2, 4), num_buckets=300)
    set_curate(
        run_file,
        'languages = ["en", "ceb"]\n\n[curate.language]\nmodel = "glot.bin"\nmin_score = 0.0\n'
        "min_scores = { ceb = 0.9 }",
    )
    workspace, _ = package.run(run_file, last="rules")
    assert workspace.folder("signals") != before.folder("signals")
    model = load_language_model(path)
    documents = workspace.folder("ingest") / DOCUMENTS
    for shard in list_shards(documents):
        texts = read_table(documents / shard, ["text"])["text"].combine_chunks()
        found = detect_languages(texts, model)
        table = read_table(workspace.folder("signals") / SIGNALS / shard)
        assert table["language"].to_pylist() == found.codes
        assert table["language_score"].to_pylist() == found.scores.tolist()
        assert table["language_paragraph_frac"].to_pylist() == found.paragraph_fracs.tolist()
    answer = package.what_if(run_file)
    assert sum(row.drops_now.docs for row in answer.rules if row.rule == "language") > 0
    manifest = workspace.manifest("rules")
    assert manifest is not None
    kept = {sums.source: sums.docs_out for sums in manifest.conservation}
    assert {row.name: row.now.docs for row in answer.by_source[:-1]} == kept


def test_what_if_a_language_had_to_be_surer(run_file: Path, bessemer_here: Bessemer) -> None:
    set_curate(run_file, 'languages = ["en"]\n\n[curate.language]\nmin_score = 0.2')
    before, _ = package.run(run_file, last="rules")
    folder = before.folder("signals") / SIGNALS
    tables = [read_table(folder / shard, ["language_score"]) for shard in list_shards(folder)]
    scores = sorted(score for table in tables for score in table["language_score"].to_pylist())
    bound = round(scores[len(scores) // 2], 4)
    found = package.what_if(run_file, [f"language.min={bound}"], num_samples=1000)
    told = bessemer_here("whatif", str(run_file), "--rule", f"language.min={bound}")
    assert f"set min_score = {bound} in [curate.language]" in " ".join(told.stdout.split())
    assert f"min 0.2, then min {bound}" in told.stdout
    run_file.write_text(run_file.read_text().replace("min_score = 0.2", f"min_score = {bound}"))
    after, _ = package.run(run_file, last="rules")
    ledgers = [read_decisions([each.folder("rules")]).to_pylist() for each in (before, after)]
    was, now = ({row["doc_id"] for row in ledger} for ledger in ledgers)
    assert [each.doc_id for each in found.sample_dropped] == sorted(now - was)
    assert found.newly_dropped.docs == len(now - was) > 0
    assert (found.newly_kept.docs, found.sample_kept) == (0, ())
    values = {(row["doc_id"], row["rule"]): (row["value"], row["bound"]) for row in ledgers[1]}
    for each in found.sample_dropped:
        reasons = [reason for reason in each.reasons if reason.rule == "language"]
        told_of = [(reason.value, reason.bound) for reason in reasons]
        assert told_of == [values[each.doc_id, "language"]]
    back = package.what_if(run_file, ["language=0.2"], num_samples=1000)
    assert [each.doc_id for each in back.sample_kept] == sorted(now - was)
    for rule, sources, told_so in (
        ("language.max=1", (), "expected language.min=bound"),
        ("language.min=2", (), "expected language.min=bound"),
        ("language.min=0.5", ("--source", "notes"), "one bound for all sources"),
    ):
        wrong = bessemer_here("whatif", str(run_file), "--rule", rule, *sources)
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert told_so in wrong.stderr


def test_the_model_bears_identity_by_its_bytes(run_file: Path) -> None:
    before = plan_workspace(run_file)
    (run_file.parent / "same.ftz").write_bytes(shipped_model().read_bytes())
    set_curate(run_file, '\n[curate.language]\nmodel = "same.ftz"')
    assert plan_workspace(run_file).fingerprints == before.fingerprints
    write_model(run_file.parent / "same.ftz")
    after = plan_workspace(run_file).fingerprints
    assert after["ingest"] == before.fingerprints["ingest"]
    assert after["signals"] != before.fingerprints["signals"]


WRONG = {
    'languages = ["en", "eng"]': "curate.languages: 'eng' is not known to lid.176.ftz; did you",
    'languages = ["en"]\n\n[curate.language]\nmin_scores = { fr = 0.4 }': (
        "curate.language.min_scores.fr: is not kept; languages: en"
    ),
    "[curate.language]\nmin_score = 0.4": (
        "curate.language.min_score: is for the languages to be kept; give curate.languages as well"
    ),
    'languages = ["en"]\n\n[curate.language]\nmin_scores = { en = 4 }': (
        "curate.language.min_scores.en: should be less than or equal to 1"
    ),
    '[curate.language]\nmodel = "run.toml"': "run.toml is no classifier of fastText that can be",
    '[curate.language]\nmodel = "none.bin"': "curate.language.model: no file ",
    '[curate.language]\ndigest = "00"': "not 00 as curate.language.digest says: another file",
    "min_language_score = 0.4": "curate.min_language_score: unknown key",
}


@pytest.mark.parametrize("keys", WRONG)
def test_what_is_wrong_is_found_by_check(
    run_file: Path, bessemer_here: Bessemer, keys: str
) -> None:
    set_curate(run_file, keys)
    done = bessemer_here("check", str(run_file))
    assert (done.returncode, done.stdout) == (2, "")
    assert WRONG[keys] in done.stderr
    assert all(line.startswith("error: ") for line in done.stderr.splitlines())
