"""The whole line as a user runs it: raw text in; model, report and answers out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bessemer.core.layout import (
    DIAGNOSIS,
    EVALUATIONS,
    GUARD,
    METRICS,
    PARITY,
    SHARDS,
    STATE_DIGESTS,
    STEPS,
)
from bessemer.core.storage import read_json, read_jsonl
from bessemer.line.explain import explain
from bessemer.line.trace import trace_document, trace_step
from bessemer.line.workspace import plan_workspace

Bessemer = Callable[..., CompletedProcess[str]]


def test_the_model_loads_in_transformers(finished_run: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = finished_run.parent / "out" / "model"
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompt = tokenizer(tokenizer.bos_token + "the iron", return_tensors="pt")
    with torch.no_grad():
        written = model.generate(**prompt, max_new_tokens=8, do_sample=False)
    assert tokenizer.decode(written[0]).startswith("<|begin_of_text|>the iron")
    parity = read_json(next((finished_run.parent / "out").glob(f"export/*/{PARITY}")))
    assert parity["max_logit_difference"] <= 1e-4
    assert parity["greedy_tokens_equal"] == parity["greedy_tokens"]
    card = (folder / "README.md").read_text()
    for stage, print_ in plan_workspace(finished_run).fingerprints.items():
        if stage in ("ingest", "split", "tokenizer", "mix", "train"):
            assert f"| {stage} | `{print_}` |" in card


def test_the_model_beats_byte_frequencies_on_every_source(finished_run: Path) -> None:
    workspace = plan_workspace(finished_run)
    found = read_json(workspace.folder("diagnose") / DIAGNOSIS)
    assert [row["source"] for row in found["sources"]] == ["notes", "pages", "tools"]
    for row in found["sources"]:
        assert row["heldout"] < row["baselines"]["unigram"]
        assert row["low"] <= row["gap"] <= row["high"]
    assert found["verdict"]["findings"]


def test_tensorboard_shows_the_metrics_of_every_step(finished_run: Path) -> None:
    metrics = plan_workspace(finished_run).folder("train") / METRICS
    board = EventAccumulator(str(metrics / "tensorboard"), {"scalars": 0}).Reload()
    steps = read_jsonl(metrics / STEPS)
    assert len(steps) > 5
    for name in ("loss", "bits_per_byte", "grad_norm", "lr", "tokens_per_s", "peak_bytes"):
        shown = [(event.step, event.value) for event in board.Scalars(f"train/{name}")]
        assert shown == [(row["step"], pytest.approx(row[name], rel=1e-6)) for row in steps]
    for source in ("notes", "pages", "tools"):
        shown = [
            (event.step, event.value) for event in board.Scalars(f"heldout_bits_per_byte/{source}")
        ]
        assert shown == [
            (row["step"], pytest.approx(row["bits_per_byte"], rel=1e-6))
            for row in read_jsonl(metrics / EVALUATIONS)
            if row["source"] == source
        ]


def test_running_again_reuses_everything(finished_run: Path, bessemer: Bessemer) -> None:
    again = bessemer("run", str(finished_run))
    assert again.returncode == 0, again.stderr
    lines = again.stderr.splitlines()
    assert len(lines) == len(plan_workspace(finished_run).fingerprints)
    assert all(" reused " in line for line in lines)
    assert "bessemer generate" in again.stdout


def test_a_changed_setting_remakes_what_depends_on_it_alone(
    finished_run: Path, bessemer_here: Bessemer
) -> None:
    done = bessemer_here("check", str(finished_run), "--set", "train.total_tokens=4096")
    state = dict(re.findall(r"^(\w+) +[0-9a-f]{16} +(\w+)", done.stdout, re.M))
    remade = [stage for stage, would in state.items() if would == "run"]
    assert remade == ["mix", "train", "diagnose", "export", "report"]


def test_every_step_is_proven_by_encoding_its_documents_anew(finished_run: Path) -> None:
    workspace = plan_workspace(finished_run)
    seen: dict[int, set[int]] = {}
    for step in range(1, 21):
        found = trace_step(workspace, step)
        assert found.is_proven
        assert found.num_tokens == 8 * 32
        for part in found.ranges:
            seen.setdefault(part.doc_id, set()).add(step)
    for doc_id, steps in seen.items():
        assert set(trace_document(workspace, doc_id).steps) == steps


def test_training_from_a_copy_of_the_tokens_gives_the_same_weights(
    finished_run: Path, bessemer: Bessemer, tmp_path: Path
) -> None:
    import shutil

    shutil.copytree(finished_run.parent, tmp_path / "copy", symlinks=True)
    path = tmp_path / "copy" / "run.toml"
    workspace = plan_workspace(path)
    before = (workspace.folder("train") / STATE_DIGESTS).read_text()
    workspace.folder("encode").rename(tmp_path / "elsewhere")
    shutil.copytree(tmp_path / "elsewhere", workspace.folder("encode"))
    for token_file in workspace.folder("encode").glob("*/*.bin"):
        token_file.write_bytes(b"")  # what is read must be the copy
    tokens = f'cluster.tokens="file://{tmp_path / "elsewhere"}"'
    anew = ("run", str(path), "--from", "train", "--to", "train", "--set", tokens)
    done = bessemer(*anew)
    assert done.returncode == 0, done.stderr
    assert (workspace.folder("train") / STATE_DIGESTS).read_text() == before
    shards = tmp_path / "elsewhere" / "shards.json"
    shards.write_text(shards.read_text().replace('"tokens": 1', '"tokens": 2'))
    wrong = bessemer(*anew)
    assert wrong.returncode == 3
    assert "holds other shards than" in wrong.stderr


def test_best_fit_packing_is_trained_on_and_proven(curated_run: Path, bessemer: Bessemer) -> None:
    packed = ("--set", 'train.packing="best_fit"')
    done = bessemer("run", str(curated_run), "--to", "train", *packed)
    assert done.returncode == 0, done.stderr
    workspace = plan_workspace(curated_run, packed[1:])
    for step in (1, 7, 20):
        found = trace_step(workspace, step)
        assert found.is_proven
        part = found.ranges[0]
        assert step in trace_document(workspace, part.doc_id).steps


def test_a_wrong_token_breaks_the_proof(finished_run: Path, tmp_path: Path) -> None:
    """The proof can fail: one token changed on disk is found."""
    import shutil

    shutil.copytree(finished_run.parent, tmp_path / "copy", symlinks=True)
    workspace = plan_workspace(tmp_path / "copy" / "run.toml")
    part = trace_step(workspace, 1).ranges[0]
    position = trace_document(workspace, part.doc_id).token_start + part.first_token
    shard = trace_document(workspace, part.doc_id).shard
    path = workspace.folder("encode") / f"{shard}.bin"
    data = bytearray(path.read_bytes())
    data[2 * position] ^= 1
    path.write_bytes(data)
    found = trace_step(workspace, 1)
    assert not found.is_proven
    assert found.num_tokens - 2 <= found.num_equal < found.num_tokens  # as input, and as label


def test_the_samples_that_were_trained_on_are_proven(
    finished_run: Path, bessemer: Bessemer, tmp_path: Path
) -> None:
    done = bessemer("trace", str(finished_run), "--verify")
    assert done.returncode == 0, done.stderr
    assert "proven: the 160 samples" in done.stdout
    assert "20 recorded steps" in done.stdout
    import shutil

    shutil.copytree(finished_run.parent, tmp_path / "copy", symlinks=True)
    steps = plan_workspace(tmp_path / "copy" / "run.toml").folder("train") / METRICS / STEPS
    lines = steps.read_text().splitlines(keepends=True)
    row = json.loads(lines[6])
    row["samples_digest"] = f"{int(row['samples_digest'], 16) ^ 1:016x}"
    steps.write_text("".join([*lines[:6], json.dumps(row) + "\n", *lines[7:]]))
    wrong = bessemer("trace", str(tmp_path / "copy" / "run.toml"), "--verify")
    assert wrong.returncode == 3
    assert "step 7 was trained on other samples" in wrong.stderr
    steps.unlink()
    unrecorded = bessemer("trace", str(tmp_path / "copy" / "run.toml"), "--verify")
    assert "training says at its end, and 0 recorded steps" in unrecorded.stdout
    manifest = steps.parents[1] / "manifest.json"
    written = json.loads(manifest.read_text())
    written["summary"]["samples_digest"] = "0" * 16
    manifest.write_text(json.dumps(written))
    wrong = bessemer("trace", str(tmp_path / "copy" / "run.toml"), "--verify")
    assert wrong.returncode == 3
    assert "training ended with the digest 0000000000000000" in wrong.stderr


@pytest.mark.parametrize(
    ("document", "fate", "rule"),
    [
        ("note/0/stub", "dropped", "word_count"),
        ("note/0/copy", "dropped", "exact_duplicate"),
        ("note/0/near", "kept", None),  # the longer of two near-duplicates is the better one
        ("note/0/1", "dropped", "near_duplicate"),
        ("pages/03.html", "kept", None),
    ],
)
def test_explain_says_what_became_of_a_document(
    finished_run: Path, document: str, fate: str, rule: str | None
) -> None:
    found = explain(plan_workspace(finished_run), document)
    assert found.fate == fate
    decisive = [row["rule"] for row in found.decisions if row["decisive"]]
    assert decisive == ([rule] if rule else [])


def test_verbs_answer_from_the_root_folder_alone(
    finished_run: Path, bessemer_here: Bessemer
) -> None:
    root = str(finished_run.parent / "out")
    status = bessemer_here("status", root)
    states = [status.stdout.count(f" {state} ") for state in ("done", "off")]
    assert states == [len(plan_workspace(finished_run).fingerprints) - 3, 3]
    stub = bessemer_here("explain", root, "note/1/stub")
    assert "was dropped" in stub.stdout
    assert re.search(r"rules +drop +word_count +1 +20", stub.stdout)
    step = bessemer_here("trace", root, "--step", "3")
    assert re.search(r"proven: encoding these documents anew gives (\d+) of \1 tokens", step.stdout)
    text = bessemer_here("generate", root, "the iron", "--max-tokens", "20", "--temperature", "0")
    assert text.stdout.startswith("the iron")
    assert (
        text.stdout
        == bessemer_here(
            *("generate", root, "the iron", "--max-tokens", "20", "--temperature", "0")
        ).stdout
    )
    lost = bessemer_here("explain", root, "--stage", "exact", "--sample", "2")
    assert re.search(r"exact dropped \d+ documents; 2 of them:\n", lost.stdout)
    assert lost.stdout.count(", which was kept") == 2
    for done in (status, stub, step, text, lost):
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("trace", "{root}"), 2, "trace needs --step N, --doc D or --verify"),
        (("trace", "{root}", "--step", "0"), 2, "this run has steps 1 to 20"),
        (("trace", "{root}", "--doc", "note/0/stub"), 3, "was not encoded"),
        (("explain", "{root}"), 2, "explain needs a document or --stage STAGE, one of them"),
        (("explain", "{root}", "0:0", "--stage", "fuzzy"), 2, "one of them"),
        (("explain", "{root}", "nothing/like/it"), 3, "no document 'nothing/like/it'"),
        (("explain", "{root}", "999:0"), 3, "this run has 27 files"),
        (("explain", "{root}", ".html"), 3, "12 documents match '.html'; name one:"),
        (("status", "{root}/nowhere"), 2, "out/nowhere: no such file or folder"),
        (("run", "{root}/../run.toml", "--to", "trian"), 2, "no stage 'trian'; stages: ingest"),
        (("generate", "{root}", "--temperature", "-1"), 2, "temperature"),
    ],
)
def test_wrong_questions_get_clear_answers(
    finished_run: Path, bessemer_here: Bessemer, arguments: tuple[str, ...], code: int, told: str
) -> None:
    root = str(finished_run.parent / "out")
    done = bessemer_here(*(argument.format(root=root) for argument in arguments))
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_plan_predicts_the_real_model(finished_run: Path, bessemer: Bessemer) -> None:
    done = bessemer("plan", str(finished_run), "--no-measure")
    manifest = plan_workspace(finished_run).manifest("train")
    assert manifest is not None
    total = manifest.summary["num_parameters"]
    assert re.search(rf"^total +{total:,} *$", done.stdout, re.M)
    assert "in 20 steps" in done.stdout


def test_from_makes_a_stage_and_all_after_it_anew(run_file: Path, bessemer: Bessemer) -> None:
    assert bessemer("run", str(run_file), "--to", "exact").returncode == 0
    again = bessemer("run", str(run_file), "--from", "rules", "--to", "exact")
    assert again.returncode == 0, again.stderr
    assert [line.split()[1] for line in again.stderr.splitlines()] == ["rules", "mask", "exact"]
    assert "reused" not in again.stderr
    early = bessemer("run", str(run_file), "--from", "train")
    assert early.returncode == 3
    assert "is not finished" in early.stderr


def test_the_tokenizer_report_writes_its_figures(
    finished_run: Path, bessemer_here: Bessemer, tmp_path: Path
) -> None:
    out = tmp_path / "report.json"
    command = ("tokenizer", "report", str(finished_run), "--sample")
    done = bessemer_here(*command, "1MB", "--json", str(out))
    assert done.returncode == 0, done.stderr
    assert "this run: every byte came back" in done.stdout
    found = json.loads(out.read_text())
    assert [row["source"] for row in found["by_source"]] == ["notes", "pages", "tools", ""]
    assert found["by_source"][-1]["bytes_per_token"]["this run"] > 1
    assert found["docs_changed"] == {"this run": 0, "bytes": 0}
    for sample, why in (("much", "expected a size in bytes"), ("0", "expected more than 0 bytes")):
        done = bessemer_here(*command, sample)
        assert (done.returncode, done.stderr.split(":")[0]) == (2, "error")
        assert why in done.stderr
    assert bessemer_here(*command, "65536").returncode == 0


def test_tokens_are_exported_for_other_trainers(
    finished_run: Path, bessemer: Bessemer, tmp_path: Path
) -> None:
    out = tmp_path / "tokens"
    command = ("tokens", "export", str(finished_run), "--format", "bin", "--output", str(out))
    done = bessemer(*command)
    assert done.returncode == 0, done.stderr
    encoded = plan_workspace(finished_run).folder("encode")
    shards = [entry for entry in read_json(encoded / SHARDS) if entry["side"] == "train"]
    parts = [(encoded / (entry["shard"] + ".bin")).read_bytes() for entry in shards]
    assert (out / "train.bin").read_bytes() == b"".join(parts)
    done = bessemer(*command)
    assert (done.returncode, "is there already" in done.stderr) == (2, True)


def test_the_report_is_one_file_that_needs_no_network(finished_run: Path) -> None:
    html = (finished_run.parent / "out" / "report.html").read_text()
    assert html.lower().startswith("<!doctype html>")
    assert not re.search(r"<(?:script|link|img|iframe)[^>]+(?:src|href)\s*=\s*[\"']?https?:", html)
    assert "@import" not in html
    assert "url(http" not in html


@pytest.mark.parametrize("module", ["bessemer", "bessemer.cli", "bessemer.planner.estimate"])
def test_light_things_load_no_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("verb", ["--help", "plan", "whatif"])
def test_light_verbs_load_no_torch(verb: str, finished_run: Path) -> None:
    arguments = {
        "--help": [],
        "plan": [str(finished_run), "--no-measure"],
        "whatif": [str(finished_run)],
    }[verb]
    code = (
        "import sys\n"
        "from bessemer.cli import make_app\n"
        f"make_app()({[verb, *arguments]!r}, standalone_mode=False)\n"
        "sys.exit(1 if 'torch' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 0


def test_metrics_are_at_their_place_as_soon_as_training_begins(
    curated_run: Path, bessemer: Bessemer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not when it is over: they tell why it is, and messages send people there."""
    monkeypatch.setenv("BESSEMER_DRILL_FAULT", "nan:0:3")
    for _ in range(2):
        done = bessemer("run", str(curated_run), "--to", "train")
        assert done.returncode == 5, done.stderr
        rows = read_jsonl(curated_run.parent / "out" / METRICS / GUARD)
        assert [row["step"] for row in rows] == [3]
