"""The stage `export` in its other forms: rounded weights, and a folder for bessemer alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bessemer.core.events import Silent
from bessemer.core.layout import MODEL, PARITY
from bessemer.line.runner import run_stages
from bessemer.line.workspace import plan_workspace


@pytest.mark.e2e
def test_a_finished_run_is_exported_in_another_form(finished_run: Path, tmp_path: Path) -> None:
    shutil.copytree(finished_run.parent, tmp_path / "copy", symlinks=True)
    run_file = tmp_path / "copy" / "run.toml"
    plain = load_file(plan_workspace(run_file).folder("export") / MODEL / "model.safetensors")

    rounded = plan_workspace(run_file, ['export.dtype="bfloat16"'])
    run_stages(rounded, Silent(), first="export", last="export")
    folder = rounded.folder("export")
    assert "Weights are rounded to bfloat16." in (folder / MODEL / "README.md").read_text()
    assert (folder / PARITY).exists()
    for name, tensor in load_file(folder / MODEL / "model.safetensors").items():
        assert torch.equal(tensor, plain[name].bfloat16()), name

    native = plan_workspace(run_file, ["export.transformers=false"])
    run_stages(native, Silent(), first="export", last="export")
    folder = native.folder("export")
    assert "transformers does not load" in (folder / MODEL / "README.md").read_text()
    assert not (folder / PARITY).exists()
    for name, tensor in load_file(folder / MODEL / "model.safetensors").items():
        assert torch.equal(tensor, plain[name]), name
