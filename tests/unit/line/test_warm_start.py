"""A run that begins with a Hugging Face folder takes its shape, its weights and its identity."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from bessemer.core.errors import ConfigError
from bessemer.line.check import load_config
from bessemer.line.workspace import plan_workspace
from bessemer.model.hugging_face import read_weights
from bessemer.model.transformer import Decoder

FROM = ['model={init_from="given"}']


@pytest.fixture
def given(run_file: Path) -> Path:
    """A small Qwen3 beside the run file, as transformers saves it."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=384,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
    )
    Qwen3ForCausalLM(config).to(torch.bfloat16).save_pretrained(run_file.parent / "given")
    return run_file.parent / "given"


def test_the_folder_tells_the_shape(run_file: Path, given: Path) -> None:
    model = plan_workspace(run_file, FROM).config.model
    assert (model.num_layers, model.hidden_dim, model.head_dim, model.ffn_dim) == (2, 32, 16, 48)
    assert (model.qk_norm, model.tie_embeddings, model.vocab_rows) == (True, False, 384)
    assert (model.norm_eps, model.rope_theta) == (1e-6, 10000.0)
    stretched = ['model={init_from="given", rope_scaling={kind="linear", factor=2.0}}']
    scaling = plan_workspace(run_file, stretched).config.model.rope_scaling
    assert scaling is not None
    assert scaling.factor == 2


def test_identity_is_what_the_files_hold_and_not_where_they_are(
    run_file: Path, given: Path
) -> None:
    first = plan_workspace(run_file, FROM)
    assert first.config.model.init_digest is not None
    shutil.copytree(given, given.parent / "elsewhere")
    moved = plan_workspace(run_file, ['model={init_from="elsewhere"}'])
    assert moved.fingerprints == first.fingerprints
    assert moved.init_from == given.parent / "elsewhere"
    weights = given / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    changed = plan_workspace(run_file, FROM)
    differing = {
        stage for stage in first.fingerprints
        if first.fingerprints[stage] != changed.fingerprints[stage]
    }  # fmt: skip
    assert differing == {"train", "diagnose", "export", "report"}
    asked = f'model.init_digest="{first.config.model.init_digest}"'
    with pytest.raises(ConfigError, match=r"model\.init_digest: .* is asked for"):
        plan_workspace(run_file, [*FROM, asked])


@pytest.mark.parametrize(
    ("override", "faults"),
    [
        ('model={init_from="nowhere"}', [r"model\.init_from: .* is no Hugging Face model"]),
        (
            'model={init_from="given", num_layers=3, size="1m"}',
            [
                "model.num_layers: init_from tells num_layers; leave it out",
                "model.size: init_from tells size; leave it out",
            ],
        ),
        (
            "tokenizer.vocab_size=385",
            ["model.vocab_rows: 384 rows are too few for 385 tokens"],
        ),
        ("model={init_from=3}", ["model.init_from: should be a valid string"]),
    ],
)
def test_faults_are_told_before_anything_is_run(
    run_file: Path, given: Path, override: str, faults: list[str]
) -> None:
    for fault in faults:
        with pytest.raises(ConfigError, match=fault):
            load_config(run_file, [*FROM, override])


def test_a_tokenizer_of_other_tokens_is_a_fault(run_file: Path, given: Path) -> None:
    (given / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"set path to 'given/tokenizer\.json'"):
        load_config(run_file, FROM)


def test_an_unknown_architecture_is_one_fault(run_file: Path, given: Path) -> None:
    config = json.loads((given / "config.json").read_text()) | {"model_type": "mamba"}
    (given / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError) as caught:
        load_config(run_file, FROM)
    assert [fault.where for fault in caught.value.faults] == ["model.init_from"]


def test_the_weights_are_those_of_the_folder(run_file: Path, given: Path) -> None:
    workspace = plan_workspace(run_file, FROM)
    model = Decoder(workspace.config.model, workspace.config.tokenizer.vocab_size)
    assert workspace.init_from is not None
    read_weights(workspace.init_from, model)
    theirs = Qwen3ForCausalLM.from_pretrained(given, dtype=torch.float32)
    ids = torch.arange(40).view(2, 20)
    with torch.no_grad():
        torch.testing.assert_close(model(ids), theirs(ids).logits, atol=2e-5, rtol=1e-5)
