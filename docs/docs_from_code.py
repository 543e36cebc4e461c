"""Reference pages as Markdown, made from the code they describe."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from signals_from_code import rules_page, signals_page

from bessemer.config.names import model_in
from bessemer.config.run import RunConfig
from bessemer.curate.pii import FINDERS
from bessemer.line.stages import STAGES


def run_file_page() -> str:
    """Every table and key of the run file with its type, default and meaning."""
    parts = [
        "# The run file",
        "",
        "TOML, strict: an unknown key is an error. Token counts may be written as `500k` or "
        '`"1.2B"`, sizes in bytes as `"64MB"` or `"1GiB"`. Paths are relative to the run file.',
        "",
    ]
    for name, field in RunConfig.model_fields.items():
        parts += _table_section(name, field)
    return "\n".join(parts)


def _table_section(name: str, field: FieldInfo) -> list[str]:
    is_list = get_origin(field.annotation) is tuple
    table = model_in(field.annotation)
    assert table is not None, name
    title = f"[[{name}]]" if is_list else f"[{name}]"
    need = "required" if field.is_required() else "optional"
    doc = " ".join((table.__doc__ or "").split())
    lines = [f"## `{title}`", "", f"{doc} ({need})", ""]
    rows, children = [], []
    for key, child in table.model_fields.items():
        if model_in(child.annotation) is not None:
            by_name = ".NAME" if get_origin(child.annotation) is dict else ""
            children.append((f"{name}.{key}{by_name}", child))
            continue
        text = " ".join((child.description or "").split())
        rows.append(
            f"| `{key}` | {_type_name(child.annotation)} | {_default(key, child)} | {text} |"
        )
    if rows:
        lines += ["| key | type | default | meaning |", "| --- | --- | --- | --- |", *rows, ""]
    for child_name, child in children:
        lines += _table_section(child_name, child)
    return lines


_TYPES = {int: "whole number", float: "number", bool: "true or false", str: "text"}


def _type_name(annotation: Any) -> str:
    """A type in words of the run file."""
    if annotation in _TYPES:
        return _TYPES[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{option}`" for option in inner)
    if origin in (tuple, dict):
        one = _type_name(inner[0] if origin is tuple else inner[-1])
        several = one if one.startswith("`") else f"{one}s"
        return f"{'list' if origin is tuple else 'table'} of {several}"
    for each in inner:  # of an optional or an annotated type
        if each is not type(None):
            return _type_name(each)
    raise TypeError(f"no words for the type {annotation}")


def _default(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default()
    if value is None or value == () or value == {}:
        return "none"
    if value is PydanticUndefined:
        return "derived"
    return f"`{_in_toml(name, value)}`"


def _in_toml(name: str, value: Any) -> str:
    """A value as a run file would have it; sizes in bytes in the largest unit that is exact."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(_in_toml(name, each) for each in value)}]"
    if isinstance(value, dict):
        pairs = ", ".join(f"{key} = {_in_toml(name, each)}" for key, each in value.items())
        return f"{{ {pairs} }}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if name.endswith("_bytes") and isinstance(value, int):
        for unit, num_bytes in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
            if value and value % num_bytes == 0:
                return f'"{value // num_bytes}{unit}"'
    return str(value)


def personal_data_page() -> str:
    """The kinds of personal data: what is found, by which rule, and what takes its place."""
    rows = [
        f"| `{finder.kind}` | {finder.matches} | {finder.source} | `{finder.placeholder}` |"
        for finder in FINDERS
    ]
    return "\n".join(
        [
            "# Personal data and secrets",
            "",
            "What the stage `mask` finds, and what is encoded in its place. `[curate.pii]` of the "
            "[run file](run-file.md) says which kinds are masked in which kind of source. Of "
            "ranges that overlap, that of the kind that stands first here counts.",
            "",
            "| kind | matches | source of the rule | placeholder |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def stages_page() -> str:
    """The stages of the line with what they read."""
    rows = [
        f"| `{stage.name}` | {', '.join(f'`{name}`' for name in stage.inputs) or 'source files'} |"
        for stage in STAGES
    ]
    return "\n".join(["# Stages", "", "| stage | reads |", "| --- | --- |", *rows, ""])


PAGES = {
    "run-file": run_file_page,
    "signals": signals_page,
    "rules": rules_page,
    "personal-data": personal_data_page,
    "stages": stages_page,
}
