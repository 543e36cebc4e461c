"""All faults of a run file in one go: those of its syntax and types, and those that need to know
more than the file itself: which signals there are, whether any source file is there, and what is in
a tokenizer that is to be loaded."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bessemer.config.data import TokenizerConfig
from bessemer.config.load import parse_sections, read_toml
from bessemer.config.run import RunConfig
from bessemer.core.errors import ConfigError, DataError, Fault
from bessemer.core.fingerprint import digest_file
from bessemer.curate.inventory import matches_nothing
from bessemer.curate.signals import SIGNAL_DEFINITIONS


def load_config(run_file: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The run file with `section.key=value` overrides applied; ConfigError with every fault."""
    data = read_toml(run_file, overrides)
    sections, faults = parse_sections(data)
    faults += _unknown_signals(sections)
    faults += _missing_files(data, run_file.resolve().parent)
    if "tokenizer" in sections and sections["tokenizer"].path is not None:
        try:
            sections["tokenizer"] = _read_file_of(sections["tokenizer"], run_file.resolve().parent)
        except DataError as error:
            faults.append(Fault("tokenizer.path", str(error)))
    if faults:
        raise ConfigError(faults)
    return RunConfig(**sections)


def _read_file_of(tokenizer: TokenizerConfig, base: Path) -> TokenizerConfig:
    """What a tokenizer's file says in the place of keys: its digest, vocab_size, BEGIN and END.

    DataError if it cannot be loaded, or is not the one whose digest the run file gives.
    """
    from bessemer.tokens.load import read_tokenizer

    path = base / str(tokenizer.path)
    loaded = read_tokenizer(
        path,
        tokenizer.pattern,
        tokenizer.begin_token,
        tokenizer.end_token,
        tokenizer.special_tokens,
    )
    digest = digest_file(path)
    if tokenizer.digest not in (None, digest):
        raise DataError(
            f"{tokenizer.path} has the digest {digest}, not {tokenizer.digest} as tokenizer.digest "
            "says: it is another file"
        )
    return tokenizer.model_copy(
        update={
            "vocab_size": loaded.vocab_size,
            "begin_token": loaded.begin,
            "end_token": loaded.end,
            "digest": digest,
        }
    )


def _unknown_signals(sections: dict[str, Any]) -> list[Fault]:
    rules = sections["curate"].rule if "curate" in sections else ()
    faults = []
    for index, rule in enumerate(rules):
        if rule.name not in SIGNAL_DEFINITIONS:
            near = difflib.get_close_matches(rule.name, SIGNAL_DEFINITIONS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else ", ".join(SIGNAL_DEFINITIONS)
            faults.append(Fault(f"curate.rule[{index}].name", f"no signal {rule.name!r}; {hint}"))
    return faults


def _missing_files(data: dict[str, Any], base: Path) -> list[Fault]:
    """Patterns that match nothing, of all sources whose path could be read at all."""
    tables = data.get("source")
    return [
        Fault(
            f"source[{index}].path",
            f"{pattern!r} matches no file below {base}; paths are relative to the run file",
        )
        for index, table in enumerate(tables if isinstance(tables, list) else [])
        for pattern in _patterns(table)
        if matches_nothing(pattern, base)
    ]


def _patterns(table: Any) -> list[str]:
    """The patterns of one source as written, whatever else is wrong with it."""
    paths = table.get("path") if isinstance(table, dict) else None
    listed = paths if isinstance(paths, list) else [paths]
    return [pattern for pattern in listed if isinstance(pattern, str)]
