"""The reference has every signal, preset and dialect, with definitions and bounds of the code."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from bessemer.config.curate import CurateConfig
from bessemer.curate.bounds import preset_names
from bessemer.curate.dialects import DIALECTS, LINE_CUTS, ORIGINS
from bessemer.curate.families import FAMILIES
from bessemer.curate.presets import PRESETS
from bessemer.curate.signals import SIGNAL_DEFINITIONS

DOCS = Path(__file__).parents[2] / "docs"
BOUNDS = PRESETS | DIALECTS


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(DOCS))
    return importlib.import_module("signals_from_code")


def entries(page: str) -> dict[str, str]:
    """Signal -> what stands below its name."""
    parts = re.split(r"^\[`([^`]+)`\]\{#[a-z0-9-]+\}$", page, flags=re.M)
    assert len(parts[1::2]) == len(set(parts[1::2]))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_signal_has_an_entry_in_its_family(reference: ModuleType) -> None:
    page = reference.signals_page()
    assert list(entries(page)) == list(SIGNAL_DEFINITIONS)
    sections = re.split(r"^## (.+)$", page, flags=re.M)
    found = [list(entries(section)) for section in sections[2::2]]
    assert found == [list(family.definitions) for family in FAMILIES.values()]
    anchors = [reference.signal_anchor(name) for name in SIGNAL_DEFINITIONS]
    anchors += map(reference.heading_anchor, sections[1::2])
    assert max(Counter(anchors).values()) == 1


def test_the_page_says_of_each_family_whether_it_is_measured(reference: ModuleType) -> None:
    page = reference.signals_page()
    told = dict(re.findall(r"^\| \[.*\| `(\w+)` \| \d+ \| (.+) \|$", page, re.M))
    assert list(told) == list(FAMILIES)
    by_default = set(CurateConfig().measure)
    assert {name for name, when in told.items() if when != "if a rule bounds one"} == by_default
    assert told["model"] == "with a model"
    assert told["surface"] == "by default"


def test_an_entry_has_definition_source_and_all_bounds(reference: ModuleType) -> None:
    for signal, entry in entries(reference.signals_page()).items():
        says, source = reference.source_of(signal, SIGNAL_DEFINITIONS[signal])
        assert source
        words = re.compile(r"[^\W_]+")
        told = entry.partition("*Source:*")[0]
        assert words.findall(told) == words.findall(says), signal
        assert source.split()[0] in entry.partition("*Source:* ")[2]
        found = re.findall(r"\[`([^`]+)`\]\(rules\.md#[^)]+\) ([^,]+?)(?=, |\.$)", entry, re.M)
        bounds = {
            name: {end: float(bound) for end, bound in re.findall(r"(min|max) (\S+)", ends)}
            for name, ends in found
        }
        assert ("*Bounds:*" in entry) == bool(bounds)
        wanted = {name: table[signal] for name, table in BOUNDS.items() if signal in table}
        assert bounds == wanted, signal


def test_signals_of_a_peer_are_not_said_to_be_ours(reference: ModuleType) -> None:
    for name, definition in SIGNAL_DEFINITIONS.items():
        assert ("@" not in name) or reference.source_of(name, definition)[1] != reference.OURS, name


def test_presets_and_dialects_have_their_bounds_and_origins(reference: ModuleType) -> None:
    page = reference.rules_page()
    parts = re.split(r"^### (.+)$", page, flags=re.M)
    assert parts[1::2] == list(BOUNDS)
    row = re.compile(r"^\| \[`([^`]+)`\]\(signals\.md#(\S+)\) \| (\S*) ?\| (\S*) ?\|$", re.M)
    for name, section in zip(parts[1::2], parts[2::2], strict=True):
        found = {}
        for signal, anchor, low, high in row.findall(section):
            assert anchor == reference.signal_anchor(signal)
            ends = {"min": low, "max": high}
            found[signal] = {end: float(bound) for end, bound in ends.items() if bound}
        assert found == BOUNDS[name], name
        assert list(found) == list(BOUNDS[name])  # the order of the judgement
        if name in DIALECTS:
            assert ("takes lines out" in section) == (name in LINE_CUTS)
            assert re.split(r"[ ,]", ORIGINS[name])[0] in section
    assert ORIGINS.keys() == DIALECTS.keys()


def test_constants_in_definitions_are_told(reference: ModuleType) -> None:
    page = reference.signals_page()
    assert "`SHORT_LINE_CHARS` is 30" in page
    assert "`BASE64_CHARS` is 64" in page
    assert "`ENGLISH_STOP_WORDS` is in `bessemer.text.stop_words`" in page
    with pytest.raises(LookupError, match="NO_SUCH_CONSTANT"):
        reference._constants({"a_count": "words of NO_SUCH_CONSTANT"})


def test_the_page_on_presets_names_all(reference: ModuleType) -> None:
    text = (DOCS / "presets.md").read_text(encoding="utf-8")
    section = text.partition("## Published rules under their names")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \|", section, re.M)
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert sorted(named) == sorted(set(preset_names()) - {"none"})
    links = re.findall(r"\(reference/rules\.md#([^)]+)\)", text)
    assert set(links) <= {reference.heading_anchor(name) for name in BOUNDS}


def test_keys_of_the_run_file_are_told_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    page = importlib.import_module("docs_from_code").run_file_page()
    for row in (
        '| `shard_bytes` | whole number | `"64MiB"` |',
        "| `min_scores` | table of numbers | none |",
        "| `presets` | list of texts | none |",
        "| `method` | `weights` or `proportional` or `temperature` or `unimax` | none |",
        '| `["email", "ip", "iban", "secret"]` |',
        "| `warmup_tokens` | whole number | none |",
        "| `head_dim` | whole number | derived |",
        "| `off` | true or false | `false` |",
    ):
        assert row in page
    assert not re.search(r"Pydantic|Annotated|Literal|NoneType|\(\)", page)
