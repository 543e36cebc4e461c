"""Every command that the docs show is run, on the demo corpus with a training of seconds."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Bessemer = Callable[..., CompletedProcess[str]]
ROOT = Path(__file__).parents[2]
FILTERING = "docs/filtering.md"
PAGES = (
    "docs/tutorial.md",
    "docs/training.md",
    "docs/presets.md",
    "docs/quality.md",
    "docs/languages.md",
    "docs/duplicates.md",
    "docs/cluster.md",
)


def blocks(page: str) -> list[tuple[str, list[str]]]:
    """("console" or "diff", lines) of the blocks of a page; a line that ends in a backslash and
    the one behind it are one."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"^```(console|diff)\n(.*?)^```", text, re.M | re.S)
    return [(kind, re.sub(r" *\\\n *", " ", block).splitlines()) for kind, block in found]


def commands(page: str) -> list[str]:
    """What follows a `$` in the console blocks of a page."""
    return [step for kind, step in steps(page) if kind == "command"]


def steps(page: str) -> list[tuple[str, str]]:
    """What a page asks for, in its order: ("command", line) and ("edit", lines of a diff)."""
    found = []
    for kind, lines in blocks(page):
        if kind == "diff":
            found.append(("edit", "\n".join(lines)))
        else:
            found += [("command", line[2:]) for line in lines if line.startswith("$ ")]
    return found


def edited(text: str, diff: str) -> str:
    """A text with the lines of a diff, whose context must be there, and no second time."""
    lines = [(line[:1], line[1:]) for line in diff.splitlines()]
    before = "".join(f"{line}\n" for sign, line in lines if sign in "- ")
    after = "".join(f"{line}\n" for sign, line in lines if sign in "+ ")
    assert text.count(before) == 1, diff
    return text.replace(before, after)


@pytest.fixture(scope="module")
def quick(
    tmp_path_factory: pytest.TempPathFactory, bessemer: Bessemer
) -> tuple[Path, tuple[str, ...]]:
    """The quickstart recipe with a training of a few steps: its root, and the overrides."""
    root = tmp_path_factory.mktemp("quick") / "root"
    overrides = (
        *("--set", f'run.root="{root}"', "--set", 'train.total_tokens="112k"'),
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
    return str(root.parent / word) if word.startswith(("runs/", "indexes/")) else word


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
        assert done.stdout + done.stderr, command


@pytest.fixture(scope="module")
def filtered(
    tmp_path_factory: pytest.TempPathFactory, bessemer: Bessemer
) -> tuple[Path, dict[str, list[str]]]:
    """The page on filtering, done as it says in a folder like the checkout: the folder, and what
    each command printed."""
    folder = tmp_path_factory.mktemp("filter")
    (folder / "runs").mkdir()
    (folder / "recipes").mkdir()
    (folder / "samples").symlink_to(ROOT / "samples")
    shutil.copy(ROOT / "recipes" / "quickstart.toml", folder / "recipes")
    mine, printed = folder / "recipes" / "mine.toml", {}
    for kind, step in steps(FILTERING):
        if kind == "edit":
            mine.write_text(edited(mine.read_text(), step))
        elif step.startswith("bessemer "):
            done = bessemer(*shlex.split(step)[1:], cwd=folder)
            assert done.returncode == 0, (step, done.stderr)
            printed.setdefault(step, []).append(done.stdout + done.stderr)
        else:
            subprocess.run(step, shell=True, check=True, cwd=folder)
    return folder, printed


def test_the_page_on_filtering_shows_what_its_commands_print(
    filtered: tuple[Path, dict[str, list[str]]],
) -> None:
    """Lines of a table that a page shows are those printed, but for blanks, times and what is cut
    off by an ellipsis."""
    answers = {command: list(outputs) for command, outputs in filtered[1].items()}
    shown = 0
    wrong: list[str] = []
    for _, lines in (block for block in blocks(FILTERING) if block[0] == "console"):
        printed = ""
        for line in lines:
            if line.startswith("$ "):
                printed = _bare(answers[line[2:]].pop(0)) if line[2:] in answers else ""
            elif line.strip():
                shown += 1
                if any(part.strip() not in printed for part in _bare(line).split("...")):
                    wrong.append(line)
    assert wrong == []
    assert shown > 40
    assert not any(answers.values())  # every command of the page has its place in a block


def _bare(text: str) -> str:
    """A text without what differs from run to run or from version to version: runs of blanks, clock
    times, durations and fingerprints."""
    text = re.sub(r"\b\d\d:\d\d:\d\d\b|\b[\d.]+ (ms|s|m|h)\b", "", text)
    return " ".join(re.sub(r"\b[0-9a-f]{16}\b", "", text).split())


def test_the_demo_shows_what_it_promises(
    quick: tuple[Path, tuple[str, ...]], bessemer: Bessemer
) -> None:
    """Duplicates, other languages and junk go; the funnel says so; answers are as told."""
    from bessemer.line.api import status

    workspace = status(quick[0])
    sums = {
        stage: {row.source: row for row in workspace.manifest(stage).conservation}
        for stage in ("ingest", "rules", "mask", "exact", "fuzzy", "lines")
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
