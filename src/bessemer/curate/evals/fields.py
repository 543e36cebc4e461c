"""Which fields of an evaluation set hold question, choices, answer and passage of its items.

Sets name them in their own ways; what the run file does not give is looked for by the names that
published sets use, in the order given here, item by item.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bessemer.config.decontaminate import PARTS, Part

ID_FIELDS = ("id", "task_id", "question_id", "qid", "idx", "ind", "uid")
PART_FIELDS: dict[Part, tuple[str, ...]] = {
    "question": (
        *("question", "problem", "prompt", "query", "input", "goal", "ctx", "sentence"),
        *("question_stem", "instruction", "text"),
    ),
    "choices": ("choices", "options", "endings", "candidates", "question.choices"),
    "answer": (
        *("answer", "answers", "target", "solution", "canonical_solution", "answerKey"),
        *("answer_key", "label", "gold", "output", "completion", "code", "best_answer"),
    ),
    "passage": ("passage", "context", "article", "support", "story"),
}
# Choices that have a field each.
CHOICE_FIELDS = (
    ("option1", "option2", "option3", "option4", "option5"),
    ("sol1", "sol2"),
    ("answerA", "answerB", "answerC", "answerD"),
    ("ending0", "ending1", "ending2", "ending3"),
    ("A", "B", "C", "D", "E"),
)
_INNER = ("stem", "text", "value", "content", "spans")  # of a table, which of it is the text
_LETTER = re.compile(r"\w\d?")  # or number of a choice
_LABELS = ("label", "labels", "key")


@dataclass(frozen=True, kw_only=True, slots=True)
class EvalItem:
    """One item of a benchmark: the texts of each part, in order; a part without any is missing."""

    benchmark: int  # number of the set
    row: int  # of the benchmark, over its files
    item_id: str  # no other item of the benchmark has it
    texts: Mapping[Part, tuple[str, ...]]

    def of(self, part: Part) -> tuple[str, ...]:
        """The texts of a part; none if it has not got it."""
        return self.texts.get(part, ())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Raw:
    """An item whose answer may still be a number of a choice."""

    item_id: str | None
    texts: dict[Part, tuple[str, ...]]
    choices: tuple[str, ...]  # one each, blank ones too, which answers count
    labels: tuple[str, ...]  # of the choices; none, or one each


def make_items(
    benchmark: int, rows: Iterable[Mapping[str, Any]], given: Mapping[str, str]
) -> list[EvalItem]:
    """The items that rows of a benchmark hold; `given` are the fields that the run file names.

    An answer that says which of the choices is right is the text of that choice. Numbers count
    from 0, or from 1 if one of them is as large as the number of choices.
    """
    raw = [_read(row, given) for row in rows]
    first = 1 if any(_number(each) == len(each.choices) for each in raw) else 0
    items, taken = [], set()
    for row, each in enumerate(raw):
        item_id = each.item_id if each.item_id not in (None, "") else str(row)
        assert item_id is not None
        while item_id in taken:
            item_id = f"{item_id}#{row}"
        taken.add(item_id)
        # Several answers are said to be equally right, and often to be the same.
        texts = each.texts | {"answer": tuple(dict.fromkeys(_answer(each, first)))}
        items.append(EvalItem(benchmark=benchmark, row=row, item_id=item_id, texts=texts))
    return items


def find_field(row: Mapping[str, Any], field: str) -> Any:
    """The value of a field, which may be nested ("question.stem"); None if it is not there."""
    if field in row:
        return row[field]
    value: Any = row
    for name in field.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def texts_of(value: Any) -> tuple[str, ...]:
    """The texts within a value: itself, those of a list, or of a table the one that is the text.

    Bytes, dates and the like hold none.
    """
    if isinstance(value, str):
        return (_mended(value),) if value.strip() else ()
    if isinstance(value, bool) or value is None:
        return ()
    if isinstance(value, int | float):
        return (str(value),)
    if isinstance(value, Mapping):
        return texts_of(_inner(value))
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return tuple(text for each in value for text in texts_of(each))
    return ()


def _inner(value: Mapping[str, Any]) -> Any:
    """Of a table, what is the text."""
    return next((value[name] for name in _INNER if value.get(name) is not None), None)


def _read(row: Mapping[str, Any], given: Mapping[str, str]) -> _Raw:
    texts: dict[Part, tuple[str, ...]] = {}
    choices: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    for part in PARTS:
        read = _choices_of if part == "choices" else texts_of
        value = _value(row, given.get(part), PART_FIELDS[part], read)
        texts[part] = texts_of(value)
        if part == "choices":
            choices, labels = _choices_of(value), _labels_of(value)
            if not any(choices) and part not in given:
                choices, labels = _choices_apart(row), ()
            texts[part] = tuple(text for text in choices if text)
    item_id = texts_of(_value(row, given.get("id"), ID_FIELDS, texts_of))
    return _Raw(
        item_id=item_id[0] if item_id else None, texts=texts, choices=choices, labels=labels
    )


def _value(
    row: Mapping[str, Any],
    given: str | None,
    names: tuple[str, ...],
    read: Callable[[Any], tuple[str, ...]],
) -> Any:
    """The value of the field that is given, or of the first one in which `read` finds a text."""
    if given is not None:
        return find_field(row, given)
    found = (find_field(row, name) for name in names)
    return next((value for value in found if any(read(value))), None)


def _choices_apart(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Choices that have a field each, if two or more are there, to the last that is."""
    for names in CHOICE_FIELDS:
        texts = [_joined(row.get(name)) for name in names]
        while texts and not texts[-1]:
            texts.pop()
        if sum(map(bool, texts)) > 1:
            return tuple(texts)
    return ()


def _choices_of(value: Any) -> tuple[str, ...]:
    """One text for each choice, in order: a blank one if it has none."""
    if isinstance(value, Mapping):
        lettered = _by_letter(value)
        return tuple(map(_joined, lettered.values())) if lettered else _choices_of(_inner(value))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return tuple(_joined(each) for each in value)
    return texts_of(value)


def _by_letter(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Choices by their letters, as in {"A": "...", "B": "..."}; none if it is another table."""
    if not all(_LETTER.fullmatch(name) for name in value):
        return {}
    return value if sum(bool(texts_of(each)) for each in value.values()) > 1 else {}


def _joined(value: Any) -> str:
    return "\n".join(texts_of(value))


def _labels_of(choices: Any) -> tuple[str, ...]:
    """The labels of choices, as in {"text": [...], "label": [...]} or [{"label", "text"}, ...]."""
    found: tuple[str, ...] = ()
    if isinstance(choices, Mapping) and _by_letter(choices):
        found = tuple(choices)
    elif isinstance(choices, Mapping):
        found = next((_choices_of(choices[name]) for name in _LABELS if name in choices), ())
    elif isinstance(choices, Sequence) and not isinstance(choices, str):
        tables = (each if isinstance(each, Mapping) else {} for each in choices)
        found = tuple(
            next((_joined(each[name]) for name in _LABELS if name in each), "") for each in tables
        )
    return found if any(found) else ()


def _number(item: _Raw) -> int | None:
    """The number that an answer is, if it may be that of a choice."""
    answer = item.texts["answer"]
    if item.labels or not any(item.choices) or len(answer) != 1:
        return None
    text = answer[0].strip()
    if not (text.isascii() and text.isdigit()) or text in item.choices:
        return None
    return int(text)


def _answer(item: _Raw, first: int) -> tuple[str, ...]:
    """The texts of the answer, where it is a label, letter or number those of its choice."""
    answer, choices = item.texts["answer"], item.choices
    if len(answer) != 1 or not any(choices):
        return answer
    text = answer[0].strip()
    number = _number(item)
    if text in item.labels:
        at = item.labels.index(text)
    elif number is not None:
        at = number - first
    elif len(text) == 1 and "A" <= text <= "Z" and text not in choices:
        at = ord(text) - ord("A")
    else:
        return answer
    return (choices[at],) if 0 <= at < len(choices) and choices[at] else answer


def _mended(text: str) -> str:
    """`text` as a document would have it: composed (NFC), and "?" for lone surrogates."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode())
