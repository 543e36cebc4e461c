"""What tests of the whole line share: a small corpus on disk, its run file, and a way to run it."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from bessemer.cli import execute

WORDS = (  # noqa: SIM905
    "the iron was poured into the mould and the men stood back from the heat of it while "
    "sparks rose to the roof of the mill where nobody had swept for years and that was well "
    "because to be near such a blow with dust above is a thing no master would have allowed"
).split()

RUN_FILE = """
[run]
name = "tiny"
root = "out"
seed = 3

[[source]]
name = "notes"
kind = "books"
path = "notes/*"

[[source]]
name = "pages"
kind = "web"
path = "pages/*.html"

[[source]]
name = "tools"
kind = "code"
path = "tools/**/*.py"

[curate]
shard_bytes = "12kB"

[[curate.rule]]
name = "word_count"
min = 20

[split]
heldout_frac = 0.2

[tokenizer]
vocab_size = 320

[mix]
weights = { notes = 2, pages = 1, tools = 1 }
max_epochs = 1000

[model]
num_layers = 2
hidden_dim = 32
num_heads = 4
num_kv_heads = 2
ffn_dim = 64

[train]
seq_len = 32
global_batch_tokens = 256
total_tokens = 5120

[train.optimizer]
lr = 5e-3

[train.checkpoint]
every_steps = 4

[train.evaluate]
every_steps = 10
tokens_per_source = 512

[diagnose]
tokens_per_source = 1024
bootstrap_samples = 100

[cluster]
device = "cpu"
threads = 1

[cluster.engine]
runner = "inline"
"""


def prose(seed: int, num_words: int = 60) -> str:
    """Sentences that differ from seed to seed and share hardly a run of five words."""
    words = random.Random(seed).choices(WORDS, k=num_words)
    lines = [" ".join(words[at : at + 12]) for at in range(0, num_words, 12)]
    return f"Note {seed} of the mill. " + ".\n".join(lines) + ".\n"


def write_corpus(folder: Path) -> None:
    """Notes in JSONL (with duplicates and a stub), HTML pages, and a small source tree."""
    (folder / "notes").mkdir(parents=True)
    for part in range(3):
        rows = [{"text": prose(part * 20 + row), "url": f"note/{part}/{row}"} for row in range(20)]
        rows.append({"text": prose(part * 20), "url": f"note/{part}/copy"})
        rows.append({"text": prose(part * 20 + 1) + " Once more.", "url": f"note/{part}/near"})
        rows.append({"text": "Moved.", "url": f"note/{part}/stub"})
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "notes" / f"{part}.jsonl").write_text(text)
    (folder / "pages").mkdir()
    for page in range(12):
        body = "".join(f"<p>{line}</p>" for line in prose(200 + page, 120).splitlines())
        html = (
            f"<html><head><title>Page {page}</title></head><body><main>{body}</main></body></html>"
        )
        (folder / "pages" / f"{page:02d}.html").write_text(html)
    for tool in range(12):
        path = folder / "tools" / f"kit{tool % 3}" / f"tool{tool}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        names = prose(300 + tool, 40).replace(".", "").split()
        lines = [
            f"def {name}_{at}(value):\n    return value + {at}\n" for at, name in enumerate(names)
        ]
        path.write_text(f'"""Tool {tool}."""\n\n' + "\n\n".join(lines))


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    """A run file beside a small corpus, in a folder of its own."""
    write_corpus(tmp_path)
    path = tmp_path / "run.toml"
    path.write_text(RUN_FILE)
    return path


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run file of a run that was carried through to the end; not to be written to."""
    folder = tmp_path_factory.mktemp("finished")
    write_corpus(folder)
    path = folder / "run.toml"
    path.write_text(RUN_FILE)
    done = bessemer("run", str(path))
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def curated_run(tmp_path: Path, finished_run: Path) -> Path:
    """A run file of one's own, beside its corpus, with all done that comes before training."""
    folder = tmp_path / "curated"
    shutil.copytree(finished_run.parent, folder, symlinks=True)
    for link in (folder / "out").iterdir():
        if link.is_symlink():
            link.unlink()
    for stage in ("train", "diagnose", "export", "report"):
        shutil.rmtree(folder / "out" / stage)
    return folder / "run.toml"


def bessemer(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does, in a process of its own."""
    environment = os.environ | {"PYTHONWARNINGS": "error::UserWarning:bessemer"}
    return subprocess.run(
        [sys.executable, "-m", "bessemer", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=environment,
        **options,
    )


def bessemer_here(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in this process, which has what it loads: for verbs that only answer."""
    with redirect_stdout(io.StringIO()) as told, redirect_stderr(io.StringIO()) as errors:
        code = execute(arguments)
    return subprocess.CompletedProcess(arguments, code, told.getvalue(), errors.getvalue())


@pytest.fixture(scope="session", name="bessemer_here")
def bessemer_here_fixture() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line without a start of its own."""
    return bessemer_here


@pytest.fixture(scope="session", name="bessemer")
def bessemer_fixture() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line."""
    return bessemer
