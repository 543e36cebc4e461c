"""Every command that the docs show is run, on the demo corpus with a training of seconds."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Bessemer = Callable[..., CompletedProcess[str]]
ROOT = Path(__file__).parents[2]
PAGES = (
    "docs/tutorial.md",
    "docs/training.md",
    "docs/presets.md",
    "docs/quality.md",
    "docs/languages.md",
)


def commands(page: str) -> list[str]:
    """The lines that begin with `$ bessemer` in the console blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.M | re.S)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@pytest.fixture(scope="module")
def quick(
    tmp_path_factory: pytest.TempPathFactory, bessemer: Bessemer
) -> tuple[Path, tuple[str, ...]]:
    """The quickstart recipe with a training of a few steps: its root, and the overrides."""
    root = tmp_path_factory.mktemp("quick") / "root"
    overrides = (
        *("--set", f'run.root="{root}"', "--set", 'train.total_tokens="256k"'),
        *("--set", 'train.evaluate.tokens_per_source="4k"'),
        *("--set", 'diagnose.tokens_per_source="8k"'),
    )
    done = bessemer("run", str(ROOT / "recipes" / "quickstart.toml"), *overrides)
    assert done.returncode == 0, done.stderr
    return root, overrides


def _in_place(word: str, root: Path) -> str:
    """A word of a command with paths that lead to the demo and away from the checkout."""
    if word == "runs/quickstart":
        return str(root)
    if word.startswith("samples/"):
        return str(ROOT / word)
    return str(root.parent / word) if word.startswith("runs/") else word


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_docs_works(
    page: str, quick: tuple[Path, tuple[str, ...]], bessemer: Bessemer
) -> None:
    root, overrides = quick
    found = commands(page)
    assert found, page
    for command in found:
        program, verb, *arguments = shlex.split(command)
        assert program == "bessemer", command
        arguments = [_in_place(word, root) for word in arguments]
        if arguments[0].endswith(".toml"):
            arguments[0] = str(ROOT / arguments[0])
            arguments += overrides
        done = bessemer(verb, *arguments)
        assert done.returncode == 0, (command, done.stderr)
        assert done.stdout, command


def test_the_demo_shows_what_it_promises(
    quick: tuple[Path, tuple[str, ...]], bessemer: Bessemer
) -> None:
    """Duplicates, other languages and junk go; the funnel says so; answers are as told."""
    from bessemer.line.api import status

    workspace = status(quick[0])
    sums = {
        stage: {row.source: row for row in workspace.manifest(stage).conservation}
        for stage in ("ingest", "rules", "mask", "exact", "fuzzy")
    }
    assert sums["ingest"]["web"].docs_in == 223
    assert sums["ingest"]["books"].bytes_edited > 80_000  # frames of Project Gutenberg
    assert sums["rules"]["web"].docs_dropped > 50
    assert sums["exact"]["code"].docs_dropped > 5
    assert sums["fuzzy"]["books"].docs_dropped == 3  # four copies of one book
    told = bessemer("explain", str(quick[0]), "alice30.txt").stdout
    assert "was dropped" in told
    assert re.search(r"fuzzy +drop +near_duplicate +0\.99", told)
    assert "gutenberg_header" in told


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "samples" / "README.md"]:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not target.startswith("reference/"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
