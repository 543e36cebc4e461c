"""Run files are read with overrides applied; units and names mean what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.config.check import microbatch_samples
from bessemer.config.cluster import ClusterConfig
from bessemer.config.load import parse_sections, read_toml
from bessemer.config.model import NAMED_SIZES, ModelConfig
from bessemer.config.run import RunConfig
from bessemer.config.train import TrainConfig
from bessemer.core.errors import ConfigError
from bessemer.costs.compute import count_parameters, shape_of

RUN_FILE = """
[run]
name = "tiny"
root = "out"
[[source]]
name = "web"
kind = "web"
path = "web/*.html"
[model]
size = "3m"
ffn_dim = 256
[train]
seq_len = 64
global_batch_tokens = "1k"
total_tokens = "1.5M"
"""


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(RUN_FILE)
    return path


def parse(path: Path, *overrides: str) -> RunConfig:
    sections, faults = parse_sections(read_toml(path, overrides))
    assert [fault for fault in faults if fault.where != "train.global_batch_tokens"] == []
    return RunConfig(**sections)


def test_units_sizes_and_single_paths_are_understood(run_file: Path) -> None:
    config = parse(run_file, "train.global_batch_tokens=1024")
    assert config.train.total_tokens == 1_500_000
    assert (config.train.num_steps, config.train.batch_samples) == (1464, 16)
    assert config.train.num_samples == 1464 * 16
    assert config.source[0].path == ("web/*.html",)
    # A key beside `size` replaces that of the name; the others stay.
    assert (config.model.num_layers, config.model.hidden_dim) == (6, 192)
    assert (config.model.ffn_dim, config.model.head_dim) == (256, 32)


def test_overrides_set_values_make_tables_and_the_last_one_wins(run_file: Path) -> None:
    config = parse(
        run_file,
        "train.seq_len=128",
        "train.seq_len = 256",
        'run.name="other"',
        "train.optimizer.lr=1e-3",
        'curate.languages=["en", "de"]',
        'curate.max_document_bytes="1MiB"',
        "mix.weights={web=1}",
        "curate.fuzzy={enabled=false}",
    )
    assert config.run.name == "other"
    assert config.train.seq_len == 256
    assert config.train.optimizer.lr == 0.001
    assert config.curate.languages == ("en", "de")
    assert config.curate.max_document_bytes == 2**20
    assert config.mix.weights == {"web": 1.0}
    assert config.curate.fuzzy.enabled is False


BAD_OVERRIDES = [
    ("train.seq_len", "expected section.key=value, e.g. --set train.seq_len=256"),
    ("=1", "expected section.key=value, e.g. --set train.seq_len=256"),
    ("train..x=1", "expected section.key=value, e.g. --set train.seq_len=256"),
    ("run.name=other",
     "'other' is not a TOML value; text needs quotes: --set run.name='\"other\"'"),
    ("run.name=", "'' is not a TOML value; text needs quotes: --set run.name='\"\"'"),
    ("run.name.first=1", "run.name is a value, not a table"),
    ('source.name="x"', "source is a list of tables; change it in the run file"),
]  # fmt: skip


@pytest.mark.parametrize(("override", "message"), BAD_OVERRIDES)
def test_a_wrong_override_is_told_how_to_write_it(
    run_file: Path, override: str, message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        read_toml(run_file, [override])
    assert str(error.value) == f"--set {override}: {message}"


def test_all_wrong_overrides_are_told(run_file: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read_toml(run_file, [override for override, _ in BAD_OVERRIDES])
    assert len(error.value.faults) == len(BAD_OVERRIDES)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[run", "Expected ']' at the end of a table declaration (at end of document)"),
        (b'[run]\nname = "\xff"', "'utf-8' codec can't decode byte 0xff in position 14: "
         "invalid start byte"),
        (b"[run]\n[run]", "Cannot declare ('run',) twice (at line 2, column 5)"),
    ],
)  # fmt: skip
def test_what_is_no_toml_is_told_with_its_place(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as error:
        read_toml(path)
    assert str(error.value) == f"{path}: not a readable TOML file: {message}"


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: no such run file"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="not a readable TOML file"):
        read_toml(tmp_path)


def test_a_config_cannot_be_changed_and_survives_json(run_file: Path) -> None:
    config = parse(run_file, "train.global_batch_tokens=1024")
    with pytest.raises(ValueError, match="frozen"):
        config.train.seq_len = 1  # type: ignore[misc]
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config


# Parameters of the published checkpoints: the sizes of their safetensors files by
# huggingface.co/meta-llama/Llama-3.2-1B, meta-llama/Llama-3.1-8B and HuggingFaceTB/SmolLM2-135M.
@pytest.mark.parametrize(
    ("size", "vocab_size", "published"),
    [("1b", 128256, 1_235_814_400), ("8b", 128256, 8_030_261_248), ("135m", 49152, 134_515_008)],
)
def test_named_sizes_have_the_published_parameters(
    size: str, vocab_size: int, published: int
) -> None:
    model = ModelConfig.model_validate({"size": size})
    assert count_parameters(shape_of(model, vocab_size)).total == published


@pytest.mark.parametrize("size", NAMED_SIZES)
def test_a_named_size_is_a_sound_model_of_about_its_name(size: str) -> None:
    sections, faults = parse_sections({"model": {"size": size}})
    assert [fault for fault in faults if fault.where.startswith("model")] == []
    # With the vocabulary of the published model, or a small one for a small model.
    vocab_size = {"135m": 49152, "1b": 128256, "8b": 128256}.get(size, 4096)
    total = count_parameters(shape_of(sections["model"], vocab_size)).total
    named = float(size[:-1]) * {"m": 1e6, "b": 1e9}[size[-1]]
    assert 0.9 * named < total < 1.25 * named


@given(
    st.integers(8, 20_000), st.integers(1, 64), st.integers(1, 8), st.sampled_from([None, 1, 2, 3])
)
def test_a_microbatch_divides_the_share_and_keeps_within_its_limit(
    seq_len: int, share: int, num_ranks: int, given: int | None
) -> None:
    batch = seq_len * share * num_ranks
    train = TrainConfig(seq_len=seq_len, global_batch_tokens=batch, total_tokens=batch)
    tokens = None if given is None else given * seq_len
    found = microbatch_samples(train, ClusterConfig(microbatch_tokens=tokens), num_ranks)
    if given is not None:
        assert found == given
    else:
        fitting = [n for n in range(1, share + 1) if share % n == 0 and n * seq_len <= 8192]
        assert found == max(fitting, default=1)
