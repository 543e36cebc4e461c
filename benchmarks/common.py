"""What benchmarks share: medians with their spread, tables, the JSON file, commands in turn."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bessemer.core.hardware import describe_machine

ROOT = Path(__file__).parent.parent
PEER_PYTHON = ROOT / "benchmarks" / ".venv" / "bin" / "python"
LITGPT_PYTHON = ROOT / "benchmarks" / ".venv-litgpt" / "bin" / "python"
DEDUP_PYTHON = ROOT / "benchmarks" / ".venv-dedup" / "bin" / "python"

# The rest of a run file that is run no farther than curation.
UNTRAINED = """
[model]
num_layers = 2
hidden_dim = 64
num_heads = 2
num_kv_heads = 2
ffn_dim = 128
[train]
seq_len = 128
global_batch_tokens = 1024
total_tokens = 100000
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Several measurements of one thing."""

    median: float
    low: float
    high: float
    runs: int


def spread(values: Sequence[float]) -> Spread:
    """Median, least and greatest of some measurements."""
    return Spread(
        median=statistics.median(values), low=min(values), high=max(values), runs=len(values)
    )


def arguments(description: str, **more: tuple[type, Any, str]) -> argparse.Namespace:
    """The command line of a benchmark: `--json FILE`, and `name=(type, default, help)`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    for name, (kind, default, text) in more.items():
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=kind, default=default, help=f"{text} (default {default})")
    return parser.parse_args()


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; all columns but the first are aligned to the right."""
    table = Table(box=None, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console()
    console = console if console.is_terminal else Console(width=140)
    console.print(title, style="italic")
    console.print(table)


def finish(options: argparse.Namespace, figures: dict[str, Any], packages: Sequence[str]) -> None:
    """Write the figures, with the machine and the versions they hold for, if asked to."""
    if options.json is None:
        return
    figures = figures | {
        "machine": asdict(describe_machine()),
        "versions": {name: version(name) for name in packages},
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(figures, indent=2) + "\n")


def run_json(python: Path | str, module: str, *module_arguments: str) -> dict[str, Any]:
    """Run a module by itself and return the JSON object on its last line of output.

    Whatever Python runs it finds bessemer's source, of which it may use what needs no library that
    it lacks. Threads wait as under bessemer's own command line.
    """
    environment = {"OMP_WAIT_POLICY": "passive"} | os.environ
    environment["PYTHONPATH"] = str(ROOT / "src")
    done = subprocess.run(
        [str(python), "-m", module, *module_arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{module} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result
