"""The reference of signals, and of the presets and dialects that bound them, from the code.

Both pages lead to each other by anchors: a signal's is its name with hyphens, a preset's that which
the docs make of its heading. A definition ends, behind a semicolon, in its source.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from inspect import getsource
from typing import Any

from bessemer.config.curate import CurateConfig
from bessemer.curate.dialects import DIALECTS, LINE_CUTS, ORIGINS, Bounds
from bessemer.curate.families import FAMILIES
from bessemer.curate.presets import PRESETS
from bessemer.curate.signals import SIGNAL_DEFINITIONS

# What a definition may name as its source -> where that is.
SOURCES = {
    "Rae et al. 2021": "https://arxiv.org/abs/2112.11446",
    "Raffel et al. 2020": "https://arxiv.org/abs/1910.10683",
    "Penedo et al. 2023": "https://arxiv.org/abs/2306.01116",
    "Penedo et al. 2024": "https://arxiv.org/abs/2406.17557",
    "Li et al. 2023": "https://arxiv.org/abs/2305.06161",
    "Lozhkov et al. 2024": "https://arxiv.org/abs/2402.19173",
    "RedPajama v1": "https://github.com/togethercomputer/RedPajama-Data/tree/rp_v1",
    "RedPajama v2": "https://github.com/togethercomputer/RedPajama-Data",
    "datatrove 0.10.1": "https://github.com/huggingface/datatrove/tree/v0.10.1",
    "NeMo Curator": "https://github.com/NVIDIA-NeMo/Curator",
    "DCLM": "https://github.com/mlfoundations/dclm",
    "dolma": "https://github.com/allenai/dolma",
    "Joulin et al. 2016": "https://arxiv.org/abs/1607.01759",
    "Unicode": "https://www.unicode.org/reports/tr44/",
}
# The program behind the @ of a signal whose definition does not name it.
PEERS = {"dclm": "DCLM", "dolma": "dolma", "datatrove": "datatrove 0.10.1"}
OURS = "ours"

_TITLES = {
    "surface": ("Words, lines and characters", "What is measured of any text."),
    "repetition": ("Repetition", "How much of a text was said before in it."),
    "lines": ("Lines of web pages", "Menus, counters, buttons and notices."),
    "redpajama": (
        "As RedPajama measures",
        "The signals of RedPajama v2, whose name there begins with `rps_`. Its words are those of "
        "a text in small letters, without punctuation; its raw words are as they stand.",
    ),
    "datatrove": (
        "As datatrove measures",
        "Words are those of spaCy's English tokenizer, as datatrove has it by default.",
    ),
    "dclm": (
        "As DCLM measures",
        "Words of n-grams are those of Unicode's word boundaries, others those of fastText's "
        "tokenizer; sentences are NLTK's, but for its lists of words.",
    ),
    "dolma": ("As dolma measures", "Words are what stands between white space."),
    "code": (
        "Files of code",
        "Some go by the extension of the file, and mean nothing where it is not known.",
    ),
    "scripts": ("Scripts and classes of characters", "By the tables of Unicode."),
    "urls": (
        "URLs",
        "What stands in the lists that `[curate.urls]` names; 0 without a list, and for files.",
    ),
    "language": ("Language", "[Which languages are told apart, and by what](../languages.md)."),
    "model": ("Quality model", "[Learned from examples](../quality.md)."),
}
_LONGEST_CONSTANT_CHARS = 60
_NAME = re.compile(r"(?:\w+\.)*[A-Z][A-Z0-9]+(?:_[A-Z]+)+\b|(?:\w+\.)+[A-Z]{3,}\b|\bBULLETS\b")
_CODE = re.compile(
    rf"`([^`]+)`|(?<![\w`])(rps_\w+|(?:bessemer|curate|str)\.[\w.]*\w|{_NAME.pattern})"
)


def signals_page() -> str:
    """Every signal, family by family: definition, source, and who bounds it where."""
    families = {name: family.definitions for name, family in FAMILIES.items()}
    lines = [
        "# Signals",
        "",
        f"{len(SIGNAL_DEFINITIONS)} measures, in families. A run takes those of the families that "
        "`curate.measure` names, and of each family of which a rule bounds a signal; that of the "
        "quality model needs one. What was measured of a document is kept in "
        "`signals/<shard>.parquet`, in float32, and a rule may bound any of it. A name says what "
        "is counted and ends in its unit: `_count` and `_chars` are numbers, `_frac` a share from "
        "0 to 1 unless it says otherwise. Behind an @ stands the program whose way of counting it "
        "is; names without are ours. Where a measure has no meaning for a document it is null, and "
        "breaks no bound.",
        "",
        "| family | in `curate.measure` | signals | measured |",
        "| --- | --- | ---: | --- |",
    ]
    lines += [
        f"| [{_title(name)}](#{heading_anchor(_title(name))}) | `{name}` | {len(table)} "
        f"| {_when_measured(name)} |"
        for name, table in families.items()
    ]
    lines.append("")
    for name, table in families.items():
        lines += [f"## {_title(name)}", ""]
        if name in _TITLES:
            lines += [_TITLES[name][1], ""]
        for signal, definition in table.items():
            lines += _entry(signal, definition)
        lines += _constants(table)
    return "\n".join(lines)


def rules_page() -> str:
    """Every preset and published dialect: where it is from, and its bounds."""
    lines = [
        "# Presets and dialects",
        "",
        "The rules that a source begins with: those of its `kind`, or those that its `presets` "
        "name. A `[[curate.rule]]` replaces a bound of the same name. Why ours are as they are, "
        "and what the published ones do to a corpus: [how the presets were chosen](../presets.md).",
        "",
        "| name | rules | takes out lines |",
        "| --- | ---: | --- |",
    ]
    lines += [
        f"| {preset_link(name, '')} | {len(bounds)} | {'yes' if name in LINE_CUTS else ''} |"
        for name, bounds in (PRESETS | DIALECTS).items()
    ]
    lines += ["", "## By kind of source", "", "In the order in which they are judged.", ""]
    for name, bounds in PRESETS.items():
        lines += [f"### {name}", "", *_table(bounds)]
    lines += ["## Published, by name", ""]
    for name, bounds in DIALECTS.items():
        cuts = " It also takes lines out of the documents that it keeps." * (name in LINE_CUTS)
        lines += [f"### {name}", "", f"{_linked(ORIGINS[name])}.{cuts}", "", *_table(bounds)]
    return "\n".join(lines)


def signal_anchor(name: str) -> str:
    """The anchor of a signal on its page."""
    return re.sub(r"[^a-z0-9]+", "-", name)


def heading_anchor(heading: str) -> str:
    """The anchor that MyST makes of a heading, as GitHub does."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def preset_link(name: str, page: str = "rules.md") -> str:
    """A link to the bounds of a preset or dialect."""
    return f"[`{name}`]({page}#{heading_anchor(name)})"


def source_of(name: str, definition: str) -> tuple[str, str]:
    """What a definition says, and the source behind it: what it names, its peer, or us."""
    says, semicolon, tail = definition.rpartition(";")
    if semicolon and tail.strip().removeprefix("after ").startswith((*SOURCES, OURS)):
        return says, tail.strip()
    return definition, PEERS.get(name.partition("@")[2], OURS)


def bounds_of(signal: str) -> list[tuple[str, dict[str, float]]]:
    """The presets and dialects that bound a signal, with its bounds."""
    return [
        (name, bounds[signal]) for name, bounds in (PRESETS | DIALECTS).items() if signal in bounds
    ]


def _title(family: str) -> str:
    return _TITLES[family][0] if family in _TITLES else family.capitalize()


def _when_measured(family: str) -> str:
    """What a run file that does not say `curate.measure` gets of a family."""
    if family not in CurateConfig().measure:
        return "if a rule bounds one"
    return "with a model" if family == "model" else "by default"


def _entry(signal: str, definition: str) -> list[str]:
    """A term of a definition list, with its anchor."""
    says, source = source_of(signal, " ".join(definition.split()))
    told = f": {_in_markdown(says)}. *Source:* {_linked(_in_markdown(source))}."
    lines = [f"[`{signal}`]{{#{signal_anchor(signal)}}}", told, ""]
    if bounded := bounds_of(signal):
        bounds = ", ".join(f"{preset_link(name)} {_ends(ends)}" for name, ends in bounded)
        lines += [f"  *Bounds:* {bounds}.", ""]
    return lines


def _in_markdown(text: str) -> str:
    """A definition with names as code, and with signs that Markdown would read as its own."""
    parts, end = [], 0
    for found in _CODE.finditer(text):
        parts += [_escaped(text[end : found.start()]), f"`{found[1] or found[2]}`"]
        end = found.end()
    return "".join([*parts, _escaped(text[end:])])


def _escaped(text: str) -> str:
    return re.sub(r"([\\*_<>\[\]$#|~`])", r"\\\1", text)


def _linked(text: str) -> str:
    names = "|".join(map(re.escape, sorted(SOURCES, key=len, reverse=True)))
    return re.sub(
        rf"(?<![\w/-])({names})(?![\w/-])", lambda found: f"[{found[0]}]({SOURCES[found[0]]})", text
    )


def _ends(ends: dict[str, float]) -> str:
    return " and ".join(f"{end} {_number(bound)}" for end, bound in sorted(ends.items())[::-1])


def _number(bound: float) -> str:
    return f"{bound:.12g}"


def _table(bounds: Bounds) -> list[str]:
    rows = [
        f"| [`{name}`](signals.md#{signal_anchor(name)}) "
        f"| {_number(ends['min']) if 'min' in ends else ''} "
        f"| {_number(ends['max']) if 'max' in ends else ''} |"
        for name, ends in bounds.items()
    ]
    return ["| signal | min | max |", "| --- | ---: | ---: |", *rows, ""]


def _constants(table: dict[str, str]) -> list[str]:
    """What the names in capitals in the definitions of a family stand for."""
    names = dict.fromkeys(_NAME.findall(" ".join(table.values())))
    told = [f"`{name}` is {_constant(name, table)}" for name in names if "." not in name]
    return [f"Here {', '.join(told)}.", ""] if told else []


def _constant(name: str, table: dict[str, str]) -> str:
    """A constant as the definitions of `table` mean it: that of their module, or the only one."""
    there = [
        module
        for path, module in sorted(sys.modules.items())
        if path.startswith("bessemer.") and hasattr(module, name)
    ]
    nearest = [module for module in there if any(each is table for each in vars(module).values())]
    values = [getattr(module, name) for module in nearest or there]
    if not values or any(value is not values[0] and value != values[0] for value in values):
        raise LookupError(f"{name} in the definition of a signal names no constant, or several")
    home = [module for module in there if re.search(rf"^{name}\b.*=", getsource(module), re.M)]
    return _written(values[0], home[0].__name__)


def _written(value: Any, module: str) -> str:
    if isinstance(value, int | float):
        return _number(value)
    text = value if isinstance(value, str) else ", ".join(_texts(value))
    if len(text) <= _LONGEST_CONSTANT_CHARS and text.isprintable():
        return f"`` {text} ``"
    return f"in `{module}`"


def _texts(values: Iterable[Any]) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
