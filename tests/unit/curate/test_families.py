"""Families of signals are measured if they are asked for, or if a rule bounds one of theirs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.curate.families import (
    FAMILIES,
    LANGUAGE,
    Batch,
    family_of,
    measure,
    needed_families,
)
from bessemer.curate.instruments import Instruments
from bessemer.curate.signals import SIGNAL_DEFINITIONS

OF_OTHERS = {"datatrove", "dclm", "dolma", "redpajama"}


def source(*presets: str) -> SourceConfig:
    return SourceConfig.model_validate(
        {"name": "web", "kind": "web", "path": "*", "presets": presets}
    )


def needed(*presets: str, **curate: Any) -> set[str]:
    return set(needed_families([source(*presets)], CurateConfig.model_validate(curate)))


def test_what_is_listed_is_measured() -> None:
    assert needed("none") == FAMILIES.keys() - {"dclm", "dolma", "model"}
    assert needed("none", quality={"model": "m"}) == FAMILIES.keys() - {"dclm", "dolma"}
    assert needed("none", measure=["dolma", "scripts"]) == {"dolma", "scripts"}
    assert needed("none", measure=[]) == set()


def test_a_preset_or_a_rule_brings_its_family_along() -> None:
    assert needed("gopher@dolma", measure=[]) == {"dolma"}
    assert needed("fineweb", "c4@dclm", measure=[]) == {"datatrove", "dclm"}
    assert needed("gopher@paper", measure=[]) == {"surface", "repetition"}
    rule = {"name": "fineweb_short_line_frac@fineweb", "max": 0.5}
    assert needed("none", measure=[], rule=[rule]) == {"datatrove"}
    assert needed("none", measure=[], languages=["en"]) == {"language"}
    off = [rule, {"name": rule["name"], "off": True}]
    assert needed("none", measure=[], rule=off) == set()


def test_every_signal_is_of_one_family() -> None:
    for name in SIGNAL_DEFINITIONS:
        owners = [family for family, about in FAMILIES.items() if name in about.definitions]
        assert owners == [family_of(name)]
        assert (family_of(name) in OF_OTHERS) <= ("@" in name)
    with pytest.raises(KeyError):
        family_of("word_cuont")


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "model"])
def test_a_family_measures_what_it_defines(family: Any) -> None:
    texts, urls = pa.array(["some words", ""], pa.large_string()), pa.array(["a.txt", None])
    found = measure(Batch(texts, urls, Instruments(), families=[family]))
    if family == LANGUAGE:
        assert found.pop(LANGUAGE).tolist() == ["en", ""]
    assert list(found) == list(FAMILIES[family].definitions)
    assert {values.dtype for values in found.values()} == {np.dtype(np.float32)}
