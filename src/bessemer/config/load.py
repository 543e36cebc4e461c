"""From a TOML file and `--set` overrides to parsed tables, with all faults in one go.

The tables are parsed one by one, so that a fault in one does not hide those of another, and the
cross-checks run on whatever tables parsed.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from bessemer.config.check import cross_check
from bessemer.config.run import RunConfig
from bessemer.core.errors import ConfigError, Fault

MOST_NAMES = 40  # that a message lists

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
        Fault(key, f"unknown section{hint(key, fields)}") for key in data if key not in fields
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
            faults += [_describe(name, field, detail) for detail in error.errors()]
    names = _names_as_written(data.get("source"))
    return sections, faults + cross_check(sections | {"source_names": names})


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


def _describe(section: str, field: FieldInfo, detail: Any) -> Fault:
    """One pydantic error as a fault in words of the run file."""
    location = [part for part in detail["loc"] if part != "function-before"]
    where = section + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in location
    )
    value, kind, message = detail["input"], detail["type"], detail["msg"]
    if kind == "extra_forbidden":
        legal = _legal_keys(field, location[:-1])
        return Fault(where, f"unknown key{hint(str(location[-1]), legal)}")
    if kind == "missing":
        return Fault(where, "is required and missing")
    if kind == "tuple_type" and isinstance(value, dict):
        return Fault(where, f"is a list of tables: write [[{where}]] instead of [{where}]")
    message = _WORDING.get(kind, message)
    for prefix in ("Value error, ", "Input ", "Value ", "String "):
        message = message.removeprefix(prefix)
    return Fault(where, f"{message} (got {value!r})")


def _legal_keys(field: FieldInfo, location: Sequence[Any]) -> Iterable[str]:
    """The keys of the table at `location` below a top-level field."""
    model = _model_in(field.annotation)
    for part in location:
        if isinstance(part, str) and model is not None and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation)
    return model.model_fields if model is not None else ()


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The table type inside an annotation such as `tuple[SourceConfig, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        if (model := _model_in(argument)) is not None:
            return model
    return None


def _names_as_written(sources: Any) -> list[str]:
    tables = sources if isinstance(sources, list) else []
    names = [table.get("name") for table in tables if isinstance(table, dict)]
    return [name for name in names if isinstance(name, str)]


def hint(name: str, known: Iterable[str]) -> str:
    """What to say behind "there is no such name": the nearest one that is known, or all."""
    names = list(known)
    spelt = {each.lower(): each for each in names}
    nearest = difflib.get_close_matches(name.lower(), spelt, n=1, cutoff=0.5)
    if nearest:
        return f"; did you mean {spelt[nearest[0]]!r}?"
    rest = f", ... ({len(names)} in all)" if len(names) > MOST_NAMES else ""
    return f"; known: {', '.join(names[:MOST_NAMES])}{rest}"


def _missing_section(name: str) -> str:
    table = "[[source]]" if name == "source" else f"[{name}]"
    return f"section {table} is required and missing"
