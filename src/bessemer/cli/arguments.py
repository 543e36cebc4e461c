"""The arguments that many verbs take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunFile = Annotated[Path, typer.Argument(help="The run file (TOML).", metavar="RUN.toml")]
Target = Annotated[
    Path, typer.Argument(help="A run file, or the root folder of a run.", metavar="RUN")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Override a key with a TOML value, e.g. --set train.seq_len=512 or "
        "--set run.root='\"/big/disk\"'. Repeatable.",
        metavar="KEY=VALUE",
    ),
]
