"""Reference pages as Markdown, made from the code they describe."""

from __future__ import annotations

from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from signals_from_code import rules_page, signals_page

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
    table = _model_in(field.annotation)
    assert table is not None, name
    title = f"[[{name}]]" if is_list else f"[{name}]"
    need = "required" if field.is_required() else "optional"
    doc = " ".join((table.__doc__ or "").split())
    lines = [f"## `{title}`", "", f"{doc} ({need})", ""]
    rows, children = [], []
    for key, child in table.model_fields.items():
        if _model_in(child.annotation) is not None:
            children.append((f"{name}.{key}", child))
            continue
        text = " ".join((child.description or "").split())
        rows.append(f"| `{key}` | {_type_name(child)} | {_default(child)} | {text} |")
    if rows:
        lines += ["| key | type | default | meaning |", "| --- | --- | --- | --- |", *rows, ""]
    for child_name, child in children:
        lines += _table_section(child_name, child)
    return lines


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        if (found := _model_in(argument)) is not None:
            return found
    return None


def _type_name(field: FieldInfo) -> str:
    annotation = field.annotation
    options = [arg for arg in get_args(annotation) if isinstance(arg, str)]
    if options:
        return " or ".join(f"`{option}`" for option in options)
    text = str(annotation).replace("typing.", "")
    words = {
        "int": "whole number",
        "float": "number",
        "str": "text",
        "bool": "true or false",
        "dict": "table of numbers",
        "tuple": "list of texts",
    }
    for word, name in words.items():
        if word in text:
            return name
    return f"`{text}`"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default()
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"


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
