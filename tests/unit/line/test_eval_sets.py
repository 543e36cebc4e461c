"""Evaluation sets: what is in their files bears identity, where they are does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.line.run_files import PAGES

from bessemer.core.errors import ConfigError
from bessemer.line.check import load_config
from bessemer.line.stages import STAGES
from bessemer.line.workspace import plan_workspace

[STAGE] = (stage for stage in STAGES if stage.name == "decontaminate")
EVAL = """
[[decontaminate.eval]]
name = "forge"
path = "{}"
"""


def write_run(folder: Path, text: str, **files: object) -> Path:
    """A run file with `text` at its end, and a file of one row for each of `files`."""
    folder.mkdir(exist_ok=True)
    (folder / "x.jsonl").write_text('{"text": "a"}\n')
    for name, row in files.items():
        (folder / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    run_file = folder / "run.toml"
    run_file.write_text(PAGES + text)
    return run_file


def identity(run_file: Path) -> str:
    return str(STAGE.settings(load_config(run_file)))


def test_the_contents_of_a_set_bear_identity_its_place_does_not(tmp_path: Path) -> None:
    row = {"question": "Which?"}
    none = identity(write_run(tmp_path / "none", "\n[decontaminate]\neval = []\nngram = 9\n"))
    one = identity(write_run(tmp_path / "one", EVAL.format("a.jsonl"), a=row))
    same = identity(write_run(tmp_path / "same", EVAL.format("b*"), b=row))
    other = identity(write_run(tmp_path / "other", EVAL.format("a.jsonl"), a={"question": "Who?"}))
    field = EVAL.format("a.jsonl") + 'answer = "question"\n'
    named = identity(write_run(tmp_path / "named", field, a=row))
    assert one == same
    assert len({none, one, other, named}) == 4
    assert none == "{}"  # without a set nothing is looked for, however


def test_settings_are_those_of_the_stage_alone(tmp_path: Path) -> None:
    run_file = write_run(tmp_path / "run", EVAL.format("a.jsonl"), a={"question": "Which?"})
    first = plan_workspace(run_file).fingerprints
    second = plan_workspace(run_file, ['decontaminate.action="cut"']).fingerprints
    names = [stage.name for stage in STAGES]
    changed = [name for name in names if first[name] != second[name]]
    assert changed[0] == "decontaminate"
    assert "split" in changed


def test_the_files_are_handed_to_the_stage(tmp_path: Path) -> None:
    run_file = write_run(tmp_path / "run", EVAL.format("a.jsonl"), a={"question": "Which?"})
    workspace = plan_workspace(run_file)
    (given,) = workspace.evals
    (file,) = given.files
    assert (given.name, file.path) == ("forge", "a.jsonl")
    assert workspace.config.decontaminate.eval[0].digests == {"a.jsonl": file.digest}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (EVAL.format("none.jsonl"), r"eval\[0\].path: 'none.jsonl' matches no file below"),
        (EVAL.format("x.jsonl") + 'question = "q"\n', "x.jsonl has no field 'q' for question"),
        (EVAL.format("bad.jsonl"), "bad.jsonl has no field that could be a question"),
        (EVAL.format("x.jsonl") + 'digests = { "x.jsonl" = "0" }\n', "files have the digests"),
    ],
)
def test_what_is_wrong_with_a_set_is_told_before_anything_runs(
    tmp_path: Path, text: str, told: str
) -> None:
    run_file = write_run(tmp_path / "run", text, bad={"foo": "bar"})
    with pytest.raises(ConfigError, match=told):
        load_config(run_file)
