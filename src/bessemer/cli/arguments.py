"""The arguments that many verbs take, and how a size is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bessemer.core.errors import ConfigError

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


def size(option: str, given: str) -> int:
    """Bytes that an option gives, as a number or as "64 MB"; ConfigError names the option."""
    from bessemer.core.units import parse_bytes

    try:
        return parse_bytes(int(given) if given.isdecimal() else given)
    except ValueError as error:
        raise ConfigError(f"{option} {given}: {error}") from None
