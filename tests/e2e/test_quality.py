"""A quality model from examples to a rule: trained, named in a run file, measured, replayed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
from tests.conftest import prose

import bessemer as package
from bessemer.config.kinds import Kind
from bessemer.core.layout import DOCUMENTS, SIGNALS
from bessemer.core.storage import read_table
from bessemer.curate.ledger import list_shards
from bessemer.curate.quality_model import load_model
from bessemer.line.stages import STAGES
from bessemer.line.workspace import Workspace, plan_workspace

Bessemer = Callable[..., CompletedProcess[str]]


def write_examples(folder: Path) -> None:
    """Good texts are the mill's notes, background texts notes of which half speak of offers."""
    good = [prose(1000 + at) for at in range(150)]
    background = [
        prose(2000 + at) + (" Click here for a cheap offer." if at % 2 else "") for at in range(200)
    ]
    for name, texts in (("good", good), ("background", background)):
        rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (folder / f"{name}.jsonl").write_text(rows)


@pytest.fixture
def model_file(run_file: Path) -> Path:
    write_examples(run_file.parent)
    path = run_file.parent / "models" / "quality.safetensors"
    package.train_quality(
        [str(run_file.parent / "good.jsonl")],
        [str(run_file.parent / "background.jsonl")],
        path,
        bucket_bits=12,
    )
    return path


def add_to(run_file: Path, tables: str) -> None:
    run_file.write_text(run_file.read_text().replace("[split]", f"{tables}\n\n[split]"))


MODEL = '[curate.quality]\nmodel = "models/quality.safetensors"'
RULE = '[[curate.rule]]\nname = "quality_score"\nmin = 0.9'


def measured(workspace: Workspace) -> dict[int, float]:
    folder = workspace.folder("signals") / SIGNALS
    rows = [row for shard in list_shards(folder) for row in read_table(folder / shard).to_pylist()]
    return {row["doc_id"]: row["quality_score"] for row in rows}


def test_the_score_is_a_signal_that_rules_bound(
    run_file: Path, model_file: Path, bessemer: Bessemer
) -> None:
    plain = plan_workspace(run_file)
    add_to(run_file, f"{RULE}\n\n{MODEL}")
    workspace, _ = package.run(run_file, last="rules")
    assert workspace.folder("signals") != plain.folder("signals")
    model = load_model(model_file)
    documents = workspace.folder("ingest") / DOCUMENTS
    for shard in list_shards(documents):
        table = read_table(documents / shard)
        scores = model.scores(table["text"].combine_chunks())
        found = measured(workspace)
        assert [found[doc_id] for doc_id in table["doc_id"].to_pylist()] == scores.tolist()
    scores = np.array(list(measured(workspace).values()))
    dropped = scores < np.float32(0.9)
    answer = package.what_if(run_file)
    effects = [row.drops_now.docs for row in answer.rules if row.rule == "quality_score"]
    assert sum(effects) == dropped.sum() > 0
    done = bessemer("whatif", str(run_file), "--rule", "quality_score.min=0.97")
    assert (done.returncode, done.stderr) == (0, "")
    assert "newly dropped" in done.stdout
    told = bessemer("explain", str(run_file.parent / "out"), "note/0/3")
    assert re.search(r"quality_score +[0-9.]+ +0\.9", told.stdout)


def test_the_model_bears_identity_by_its_bytes(run_file: Path, model_file: Path) -> None:
    add_to(run_file, MODEL)
    before = plan_workspace(run_file)
    assert before.instruments.quality_file == model_file
    moved = model_file.with_name("elsewhere.safetensors")
    model_file.rename(moved)
    run_file.write_text(run_file.read_text().replace("quality.safetensors", moved.name))
    assert plan_workspace(run_file).fingerprints == before.fingerprints
    folder = run_file.parent
    package.train_quality(
        [str(folder / "good.jsonl")],
        [str(folder / "background.jsonl")],
        moved,
        bucket_bits=12,
        seed=1,
    )
    after = plan_workspace(run_file)
    changed = {
        name for name, each in after.fingerprints.items() if each != before.fingerprints[name]
    }
    assert changed == {stage.name for stage in STAGES} - {"ingest"}


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        (RULE, "curate.rule[1].name: quality_score needs a quality model; name its file in"),
        ('[curate.quality]\nmodel = "none"', "curate.quality.model: no file "),
        ('[curate.quality]\nmodel = "run.toml"', "is no quality model, or a damaged one"),
        ("[curate.quality]", "curate.quality.model: is required and missing"),
        (f'{MODEL}\ndigest = "00"', "not 00 as curate.quality.digest says: another file"),
    ],
)
def test_wrong_models_are_found_by_check(
    run_file: Path, model_file: Path, bessemer_here: Bessemer, tables: str, told: str
) -> None:
    add_to(run_file, tables)
    done = bessemer_here("check", str(run_file))
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert all(line.startswith("error: ") for line in done.stderr.splitlines())


def test_a_question_about_a_score_that_is_not_measured(
    finished_run: Path, bessemer_here: Bessemer
) -> None:
    done = bessemer_here("whatif", str(finished_run), "--rule", "quality_score.min=0.5")
    assert done.returncode == 2
    assert "quality_score needs a quality model" in done.stderr


def test_the_help_of_the_verb_names_all_kinds(bessemer: Bessemer) -> None:
    told = " ".join(bessemer("curate", "train-quality", "--help").stdout.split())
    assert f"{', '.join(get_args(Kind))}: as in [[source]]" in told


def test_the_verb_tells_what_was_learned(run_file: Path, bessemer_here: Bessemer) -> None:
    folder = run_file.parent
    write_examples(folder)
    arguments = (
        *("curate", "train-quality", "--out", str(folder / "q"), "--bucket-bits", "12"),
        *("--good", str(folder / "good.jsonl")),
    )
    done = bessemer_here(*arguments, "--background", str(folder / "background.jsonl"))
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"good +120 texts to learn from, 30 held out", done.stdout)
    assert re.search(r"held-out AUC +0\.\d{4}, between 0\.\d{4} and 0\.\d{4} \(95 %\)", done.stdout)
    assert re.search(r"^ *0\.9 +10% +\d", done.stdout, re.M)
    assert "cheap offer" in done.stdout.split("speaks for background")[1]
    for wrong, told in (
        ((), "--background: is required"),
        (("--background", str(folder / "good.jsonl")), "is the same file as"),
        (("--background", str(folder / "none")), "no file matches"),
        (("--background", "x", "--max-bytes", "lots"), "--max-bytes lots: expected a size"),
        (("--background", "x", "--out", str(folder)), "is there and is no quality model"),
        (("--background", "x", "--out", str(folder / "good.jsonl")), "it is not overwritten"),
    ):
        failed = bessemer_here(*arguments, *wrong)
        assert (failed.returncode, failed.stdout) == (2, "")
        assert told in failed.stderr
        assert all(line.startswith("error: ") for line in failed.stderr.splitlines())
    assert pa.array(load_model(folder / "q").weights).null_count == 0
