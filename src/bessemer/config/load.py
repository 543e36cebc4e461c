"""From a TOML file and `--set` overrides to parsed tables, with all faults in one go.

The tables are parsed one by one, so that a fault in one does not hide those of another, and the
cross-checks run on whatever tables parsed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bessemer.config.check import cross_check
from bessemer.config.names import hint_for_key
from bessemer.config.run import RunConfig
from bessemer.core.errors import ConfigError, Fault

_MOST_SHOWN_CHARS = 60  # of a list or table that is wrong

# pydantic speaks of Python, the run file is TOML.
_WORDING = {
    "dict_type": "should be a table",
    "model_type": "should be a table",
    "string_pattern_mismatch": "should be letters, digits, '_', '.' and '-' only",
    "tuple_type": "should be a list",
}


def read_toml(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The file as plain data, overrides applied; ConfigError if it is missing or no TOML."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError([Fault(str(path), "no such run file")]) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError([Fault(str(path), f"not a readable TOML file: {error}")]) from None
    faults = [fault for text in overrides if (fault := _apply_override(data, text))]
    if faults:
        raise ConfigError(faults)
    return data


def parse_sections(data: dict[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """The tables that are right, parsed, and all faults: of single keys, and between tables."""
    fields = RunConfig.model_fields
    sections: dict[str, Any] = {}
    faults = [
        Fault(key, f"unknown section{hint_for_key(key, ())}") for key in data if key not in fields
    ]
    for name, field in fields.items():
        if name not in data:
            if field.is_required():
                faults.append(Fault(name, _missing_section(name)))
            else:
                sections[name] = field.get_default()
            continue
        try:
            adapter = TypeAdapter(field.rebuild_annotation())
            sections[name] = adapter.validate_python(data[name])
        except ValidationError as error:
            faults += [_describe(name, detail) for detail in error.errors()]
    names = _names_as_written(data.get("source"))
    return sections, faults + cross_check(sections | {"source_names": names, "written": data})


def _apply_override(data: dict[str, Any], text: str) -> Fault | None:
    """Set one `section.key=value` in `data`, in place; a fault if it cannot be."""
    where, equals, value = text.partition("=")
    keys = where.strip().split(".")
    if not equals or not all(keys):
        return Fault(f"--set {text}", "expected section.key=value, e.g. --set train.seq_len=256")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return Fault(
            f"--set {text}",
            f"{value!r} is not a TOML value; text needs quotes: --set {where}='\"{value}\"'",
        )
    table = data
    for depth, key in enumerate(keys[:-1], start=1):
        child = table.setdefault(key, {})
        name = ".".join(keys[:depth])
        if isinstance(child, list):
            return Fault(f"--set {text}", f"{name} is a list of tables; change it in the run file")
        if not isinstance(child, dict):
            return Fault(f"--set {text}", f"{name} is a value, not a table")
        table = child
    table[keys[-1]] = parsed
    return None


def _describe(section: str, detail: Any) -> Fault:
    """One pydantic error as a fault in words of the run file."""
    location = [part for part in detail["loc"] if part != "function-before"]
    where = section + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in location
    )
    value, kind, message = detail["input"], detail["type"], detail["msg"]
    if kind == "extra_forbidden":
        table = [section, *(part for part in location[:-1] if isinstance(part, str))]
        return Fault(where, f"unknown key{hint_for_key(str(location[-1]), table)}")
    if kind == "missing":
        return Fault(where, "is required and missing")
    if kind == "tuple_type" and isinstance(value, dict):
        return Fault(where, f"is a list of tables: write [[{where}]] instead of [{where}]")
    message = _WORDING.get(kind, message)
    for prefix in ("Value error, ", "Input ", "Value ", "String "):
        message = message.removeprefix(prefix)
    return Fault(where, message + _as_given(value, kind))


def _as_given(value: Any, kind: str) -> str:
    """What stands there, unless it is a whole table, of which the message says what is wrong, or so
    long that the message would drown in it."""
    is_table = isinstance(value, dict) and kind == "value_error"
    is_long = isinstance(value, dict | list) and len(repr(value)) > _MOST_SHOWN_CHARS
    return "" if is_table or is_long else f" (got {value!r})"


def _names_as_written(sources: Any) -> list[str]:
    tables = sources if isinstance(sources, list) else []
    names = [table.get("name") for table in tables if isinstance(table, dict)]
    return [name for name in names if isinstance(name, str)]


def _missing_section(name: str) -> str:
    table = "[[source]]" if name == "source" else f"[{name}]"
    return f"section {table} is required and missing"
