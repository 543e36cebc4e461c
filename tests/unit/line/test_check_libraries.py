"""`bessemer check` finds that a run wants a library that is not there, and says how to get it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from bessemer.core.errors import ConfigError
from bessemer.line import check

RUN_FILE = """
[run]
name = "x"
root = "out"
[[source]]
name = "web"
kind = "web"
path = "a.html"
[curate]
extractor = "trafilatura"
[curate.normalise]
mojibake = ["web"]
[model]
num_layers = 1
hidden_dim = 32
num_heads = 2
num_kv_heads = 2
ffn_dim = 64
[train]
seq_len = 64
global_batch_tokens = 512
total_tokens = 5120
"""


@pytest.mark.parametrize("installed", [(), ("ftfy",), ("trafilatura", "ftfy")])
def test_missing_libraries_are_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: tuple[str, ...]
) -> None:
    def find(name: str) -> object:
        return name in installed or None if name in ("trafilatura", "ftfy") else find_spec(name)

    monkeypatch.setattr(check, "find_spec", find)
    (tmp_path / "a.html").write_text("<p>x")
    (tmp_path / "run.toml").write_text(RUN_FILE)
    told = {
        "trafilatura": 'curate.extractor: needs trafilatura, which is not installed: pip install '
        '"bessemer[trafilatura]"',
        "ftfy": 'curate.normalise.mojibake: needs ftfy, which is not installed: pip install '
        '"bessemer[ftfy]"',
    }  # fmt: skip
    wanted = {text for name, text in told.items() if name not in installed}
    faults: set[str] = set()
    try:
        check.load_config(tmp_path / "run.toml")
    except ConfigError as error:
        faults = {str(fault) for fault in error.faults}
    assert faults == wanted
