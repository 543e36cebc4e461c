"""Names that a run file has wrong: which keys its tables have, and which one was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from bessemer.config.run import RunConfig

MOST_NAMES = 40  # that a message lists
_LIKE = 0.7  # ratio of difflib; below it, names of other things are taken for misspelt ones
_FEWEST_CHARS = 3  # of a beginning that tells a name
_ANY = "NAME"  # stands for a key that the user chooses


def hint(name: str, known: Iterable[str]) -> str:
    """What to say behind "there is no such name": the nearest one that is known, or all."""
    names = list(known)
    if nearest := _nearest(name, names):
        return f"; did you mean {nearest!r}?"
    rest = f", ... ({len(names)} in all)" if len(names) > MOST_NAMES else ""
    return f"; known: {', '.join(names[:MOST_NAMES])}{rest}"


def hint_for_key(key: str, table: Sequence[str]) -> str:
    """The same for a key of `table`, given by its names from the top of the run file: `()`, or as
    in `("split", "sources", "web")`.

    A key that a table above or below this one has belongs there, whatever is spelt alike here; so
    does one that is like none here, and that a single table has.
    """
    known = _keys_of(table)
    tables = [where for where, keys in _tables(RunConfig) if key in keys]
    around = [each for each in tables if _is_around(each, table)]
    if around:
        return f"; belongs in {' or '.join(map(_in_brackets, around))}"
    if len(tables) == 1 and not _nearest(key, known):
        return f"; belongs in {_in_brackets(tables[0])}"
    return hint(key, known)


def _nearest(name: str, names: Sequence[str]) -> str | None:
    """The name that is spelt most alike, or the only one that begins as `name` does, or with it."""
    given, spelt = name.lower(), {each.lower(): each for each in names}
    near = difflib.get_close_matches(given, spelt, n=1, cutoff=_LIKE) or [
        each
        for each in spelt
        if (each.startswith(given) or given.startswith(each))
        and min(len(each), len(given)) >= _FEWEST_CHARS
    ]
    return spelt[near[0]] if len(near) == 1 else None


# A table by its names from the top: keys that the user chooses are `_ANY`, and a list of tables has
# "[]" behind its name.
_Table = tuple[str, ...]


def _tables(model: type[BaseModel], where: _Table = ()) -> Iterator[tuple[_Table, Iterable[str]]]:
    """Every table of the run file, with its keys."""
    for name, field in model.model_fields.items():
        inner = model_in(field.annotation)
        if inner is not None:
            origin = get_origin(field.annotation)
            below = (*where, f"{name}[]" if origin is tuple else name, *[_ANY] * (origin is dict))
            yield below, inner.model_fields
            yield from _tables(inner, below)


def _in_brackets(table: _Table) -> str:
    name = ".".join(table).replace("[]", "")
    return f"[[{name}]]" if table[-1].endswith("[]") else f"[{name}]"


def _is_around(table: _Table, other: Sequence[str]) -> bool:
    """Whether one of two tables is within the other."""
    pairs = list(zip(table, other, strict=False))
    return bool(pairs) and all(one.removesuffix("[]") in (_ANY, two) for one, two in pairs)


def _keys_of(table: Sequence[str]) -> list[str]:
    """The keys of a table; none if they are the user's to choose."""
    model: type[BaseModel] | None = RunConfig
    for name in table:
        if model is not None and name in model.model_fields:
            model = model_in(model.model_fields[name].annotation)
    return list(model.model_fields) if model is not None else []


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The table type inside an annotation such as `tuple[SourceConfig, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        if (model := model_in(argument)) is not None:
            return model
    return None
