"""Ten and more wrong run files: one clear message per fault, all at once, exit code 2, no trace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Bessemer = Callable[..., CompletedProcess[str]]

# (what stands in the sound file, what replaces it, what the user is told)
WRONG = [
    (
        "[model]",
        "[modle]",
        ["modle: unknown section; did you mean 'model'?", "[model] is required"],
    ),
    ("seq_len = 32", "seqlen = 32", ["train.seqlen: unknown key; did you mean 'seq_len'?"]),
    ("seq_len = 32", 'seq_len = "long"', ["train.seq_len: should be a valid integer (got 'long')"]),
    ("total_tokens = 5120", 'total_tokens = "5MB"', ["train.total_tokens: unit 'mb' is unknown"]),
    ("hidden_dim = 32", "hidden_dim = -32", ["model.hidden_dim: should be greater than"]),
    ('path = "notes/*"', 'path = "notse/*"', ["source[0].path: 'notse/*' matches no file below"]),
    ("notes = 2, pages", "note = 2, pages", ["mix.weights.note: no such source", "'notes' has no"]),
    ("num_heads = 4", "num_heads = 5", ["model.hidden_dim: 32 is not a multiple of num_heads (5)"]),
    (
        "global_batch_tokens = 256",
        "global_batch_tokens = 250",
        ["train.global_batch_tokens: 250 is no multiple of seq_len (32); nearest: 224 or 256"],
    ),
    (
        'name = "word_count"',
        'name = "word_cuont"',
        ["no signal 'word_cuont'; did you mean 'word_c"],
    ),
    ("heldout_frac = 0.2", "heldout_frac = 1.5", ["split.heldout_frac: should be less than 1"]),
    (
        'kind = "web"',
        'kind = "wbe"',
        ["source[1].kind: should be 'web', 'books', 'papers' or 'code'"],
    ),
    ("[run]", "[run", ["not a readable TOML file"]),
    (
        'device = "cpu"',
        'device = "cpu"\nworkers = 2',
        ["cluster.workers: unknown key; belongs in [cluster.engine]"],
    ),
]


@pytest.mark.parametrize(("sound", "wrong", "told"), WRONG, ids=[wrong for _, wrong, _ in WRONG])
@pytest.mark.parametrize("verb", ["check", "run"])
def test_a_wrong_run_file_gives_clear_messages(
    run_file: Path, bessemer_here: Bessemer, verb: str, sound: str, wrong: str, told: list[str]
) -> None:
    text = run_file.read_text()
    assert sound in text
    run_file.write_text(text.replace(sound, wrong, 1))
    done = bessemer_here(verb, str(run_file))
    assert done.returncode == 2
    for message in told:
        assert message in done.stderr
    assert all(line.startswith("error: ") for line in done.stderr.splitlines())
    assert not (run_file.parent / "out").exists()  # nothing was begun


def test_all_faults_come_at_once(run_file: Path, bessemer_here: Bessemer) -> None:
    text = run_file.read_text()
    for sound, wrong, _ in WRONG:
        if wrong not in ("[run", "[modle]", "seqlen = 32"):
            text = text.replace(sound, wrong, 1)
    run_file.write_text(text)
    done = bessemer_here("check", str(run_file))
    assert done.returncode == 2
    for _, wrong, told in WRONG:
        # Batches are compared with the sequence length only if that one could be read.
        if wrong not in ("[run", "[modle]", "seqlen = 32", "global_batch_tokens = 250"):
            if wrong == "num_heads = 5":
                continue  # hidden_dim is wrong in itself in this file
            for message in told:
                assert message in done.stderr


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("train.seq_len", "expected section.key=value"),
        ("run.root=/some/where", "text needs quotes: --set run.root='\"/some/where\"'"),
        ("source.path=1", "source is a list of tables"),
        ("run.name.x=1", "run.name is a value, not a table"),
        ("train.sequence=64", "train.sequence: unknown key"),
        ('cluster.branch_from=["elsewhere"]', "cluster.branch_from[0]: no folder"),
        (
            'train.optimizer.group=[{match = "embed.*", lr_factor = 0.5}]',
            "train.optimizer.group[0].match: 'embed.*' matches no parameter; names are like embed_",
        ),
    ],
)
def test_wrong_overrides(run_file: Path, bessemer_here: Bessemer, override: str, told: str) -> None:
    done = bessemer_here("check", str(run_file), "--set", override)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_missing_run_file(tmp_path: Path, bessemer: Bessemer) -> None:
    done = bessemer("run", str(tmp_path / "none.toml"))
    assert (done.returncode, done.stderr) == (2, f"error: {tmp_path}/none.toml: no such run file\n")


def test_overrides_take_toml_values(run_file: Path, bessemer_here: Bessemer) -> None:
    done = bessemer_here(
        *("check", str(run_file), "--set", "train.total_tokens=512"),
        *("--set", 'curate.languages=["en", "de"]', "--set", 'run.root="else/where"'),
    )
    assert done.returncode == 0, done.stderr
    assert "2 steps of 256 tokens" in done.stdout
    assert "else/where" in done.stdout


def test_check_changes_nothing(run_file: Path, bessemer_here: Bessemer) -> None:
    before = sorted(path for path in run_file.parent.rglob("*"))
    assert bessemer_here("check", str(run_file)).returncode == 0
    assert sorted(path for path in run_file.parent.rglob("*")) == before
