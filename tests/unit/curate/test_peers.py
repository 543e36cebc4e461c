"""Signals of other programs are measured if they are asked for, or a rule bounds one."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from bessemer.config.data import CurateConfig, SourceConfig
from bessemer.curate.instruments import Instruments
from bessemer.curate.peers import PEERS, needed_peers, peer_of
from bessemer.curate.signals import SIGNAL_DEFINITIONS, measure


def source(*presets: str) -> SourceConfig:
    return SourceConfig.model_validate(
        {"name": "web", "kind": "web", "path": "*", "presets": presets}
    )


def needed(*presets: str, **curate: Any) -> set[str]:
    return set(needed_peers([source(*presets)], CurateConfig.model_validate(curate)))


def test_a_preset_or_a_rule_brings_its_program_along() -> None:
    assert needed() == {"datatrove", "redpajama"}
    assert needed(dialects=[]) == set()
    assert needed("gopher@dolma", dialects=[]) == {"dolma"}
    assert needed("fineweb", "c4@dclm", dialects=[]) == {"datatrove", "dclm"}
    assert needed("gopher@paper", dialects=[]) == set()
    rule = {"name": "fineweb_short_line_frac@fineweb", "max": 0.5}
    assert needed(dialects=[], rule=[rule]) == {"datatrove"}
    assert needed(dialects=[], rule=[{"name": rule["name"], "off": True}]) == set()


def test_every_signal_is_ours_or_of_one_program() -> None:
    for name in SIGNAL_DEFINITIONS:
        owners = [peer for peer, family in PEERS.items() if name in family.definitions]
        assert owners == ([peer_of(name)] if peer_of(name) else [])
        assert not owners or "@" in name


def test_only_what_is_asked_for_is_measured() -> None:
    texts, urls = pa.array(["some words"], pa.large_string()), pa.array(["a.txt"])
    for peers in ((), ("dolma",), ("datatrove", "dclm")):
        _, found = measure(texts, urls, Instruments(peers=peers))
        measured = {peer_of(name) for name in found} - {None}
        assert measured == set(peers)
