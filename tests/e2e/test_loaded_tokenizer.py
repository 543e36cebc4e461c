"""A run with a tokenizer from elsewhere: its size, identity, ids and names hold to the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import xxhash
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, trainers

from bessemer.core.errors import ConfigError
from bessemer.line import api
from bessemer.line.trace import trace_step

Bessemer = Callable[..., CompletedProcess[str]]


@pytest.fixture
def loading_run(run_file: Path) -> Path:
    """A run file that loads a vocabulary like GPT-2's, learned from the notes."""
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=350,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train([str(path) for path in run_file.parent.glob("notes/*")], trainer)
    backend.add_special_tokens(["<|endoftext|>"])
    (run_file.parent / "gpt2").mkdir()
    backend.save(str(run_file.parent / "gpt2" / "tokenizer.json"))
    text = run_file.read_text()
    text = text.replace("vocab_size = 320", 'path = "gpt2/tokenizer.json"')
    run_file.write_text(text.replace("total_tokens = 5120", "total_tokens = 1024"))
    return run_file


def test_the_line_runs_with_a_loaded_tokenizer(loading_run: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    workspace, _ = api.run(loading_run)
    summary = workspace.manifest("tokenizer").summary
    assert (summary["loaded"], summary["encoder"]) == ("tokenizer.json", "bessemer")
    assert (summary["begin"], summary["end"]) == ("<|begin_of_text|>", "<|endoftext|>")
    assert trace_step(workspace, 1).is_proven
    folder = workspace.root / "model"
    theirs = AutoTokenizer.from_pretrained(folder)
    assert (theirs.bos_token_id, theirs.eos_token_id, len(theirs)) == (351, 350, 352)
    original = Backend.from_file(str(loading_run.parent / "gpt2" / "tokenizer.json"))
    text = "The iron was poured, 1856: é\n\n  鉄 don't"
    assert theirs(text, add_special_tokens=False)["input_ids"] == original.encode(text).ids
    assert AutoModelForCausalLM.from_pretrained(folder).config.vocab_size == 352
    assert "".join(api.generate(workspace.root, "the iron", max_tokens=5)) is not None
    opened = api.status(workspace.root).config.tokenizer
    assert opened == workspace.config.tokenizer


def test_the_files_content_is_part_of_the_identity_and_its_place_is_not(loading_run: Path) -> None:
    before = api.check(loading_run)
    path = loading_run.parent / "gpt2" / "tokenizer.json"
    assert before.config.tokenizer.vocab_size == 352
    assert before.config.tokenizer.digest == xxhash.xxh3_128_hexdigest(path.read_bytes())
    assert api.plan(loading_run, measure=False).parameters.embedding == 352 * 32
    path.rename(loading_run.parent / "other.json")
    moved = api.check(loading_run, ['tokenizer.path="other.json"'])
    assert moved.fingerprints == before.fingerprints
    content = (loading_run.parent / "other.json").read_bytes()
    (loading_run.parent / "other.json").write_bytes(content + b"\n")
    changed = api.check(loading_run, ['tokenizer.path="other.json"'])
    differing = {
        s for s in before.fingerprints if changed.fingerprints[s] != before.fingerprints[s]
    }
    assert differing == {
        "tokenizer",
        "encode",
        "pack",
        "mix",
        "train",
        "diagnose",
        "export",
        "report",
    }


def faults(run_file: Path, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        api.check(run_file, overrides)
    return [str(fault) for fault in error.value.faults]


def test_faults_of_a_loaded_tokenizer_are_told_before_anything_runs(
    loading_run: Path, bessemer: Bessemer
) -> None:
    assert faults(loading_run, "tokenizer.vocab_size=400") == [
        "tokenizer.vocab_size: is for a tokenizer that is trained; path loads one"
    ]
    [fault] = faults(loading_run, 'tokenizer.end_token="<eod>"')
    assert fault.startswith("tokenizer.path: tokenizer.json has no special token '<eod>'; it has")
    [fault] = faults(loading_run, 'tokenizer.digest="0"')
    assert "not 0 as tokenizer.digest says: it is another file" in fault
    [fault] = faults(loading_run, 'tokenizer.path="none.json"')
    assert fault.startswith("tokenizer.path: cannot read") and "No such file" in fault
    spec = json.loads((loading_run.parent / "gpt2" / "tokenizer.json").read_text())
    merges = [*spec["model"]["merges"], ["iron", "nowhere"]]
    wrong = loading_run.parent / "gpt2" / "wrong.json"
    wrong.write_text(json.dumps(spec | {"model": spec["model"] | {"merges": merges}}))
    [fault] = faults(loading_run, 'tokenizer.path="gpt2/wrong.json"')
    assert fault.startswith("tokenizer.path: wrong.json: ") and "out of vocabulary" in fault
    (loading_run.parent / "gpt2" / "tokenizer.json").write_text(
        json.dumps(spec | {"normalizer": {"type": "Lowercase"}})
    )
    done = bessemer("check", str(loading_run))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: tokenizer.path: tokenizer.json changes text before encoding it "
        "(normalizer Lowercase)\n"
    )


def test_keys_of_loading_need_a_path(run_file: Path) -> None:
    assert faults(run_file, 'tokenizer.pattern="gpt2"', 'tokenizer.begin_token="<s>"') == [
        "tokenizer.begin_token: is for a tokenizer that is loaded; give path as well",
        "tokenizer.pattern: is for a tokenizer that is loaded; give path as well",
    ]
