"""Run files are read with overrides applied; units and names mean what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.config.axes import Axes
from bessemer.config.cluster import ClusterConfig
from bessemer.config.load import parse_sections, read_toml
from bessemer.config.microbatch import microbatch_samples
from bessemer.config.model import NAMED_SIZES
from bessemer.config.run import RunConfig
from bessemer.config.timetable import make_timetable
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


def test_the_length_of_a_passage_goes_with_its_unit(run_file: Path) -> None:
    def length(*overrides: str) -> int:
        return parse(run_file, *overrides).curate.substrings.min_length

    assert length() == length("curate.substrings={enabled=true}") == 200
    assert length('curate.substrings={enabled=true, unit="words"}') == 50
    assert length('curate.substrings={enabled=true, unit="words", min_length=13}') == 13


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


# Size of the vocabulary and parameters of the published checkpoints, as the Hugging Face hub counts
# them in their safetensors files (a tied output projection once).
PUBLISHED = {
    "smollm2-135m": (49152, 134_515_008),
    "smollm2-360m": (49152, 361_821_120),
    "smollm2-1.7b": (49152, 1_711_376_384),
    "llama-3.2-1b": (128256, 1_235_814_400),
    "llama-3.2-3b": (128256, 3_212_749_824),
    "llama-3.1-8b": (128256, 8_030_261_248),
    "llama-3.1-70b": (128256, 70_553_706_496),
    "llama-3.1-405b": (128256, 405_853_388_800),
    "qwen3-0.6b": (151936, 596_049_920),
    "qwen3-1.7b": (151936, 1_720_574_976),
    "qwen3-4b": (151936, 4_022_468_096),
    "qwen3-8b": (151936, 8_190_735_360),
    "qwen3-14b": (151936, 14_768_307_200),
    "qwen3-32b": (151936, 32_762_123_264),
    "qwen3-30b-a3b": (151936, 30_532_122_624),
    "qwen3-235b-a22b": (151936, 235_093_634_560),
    "dots.llm1": (152064, 142_774_381_696 - 61 * 128),  # less the selection biases, not trained
    "olmoe-1b-7b": (50304, 6_919_161_856 - 16 * 2 * (2048 - 128)),  # QK-norm spans a head here
}


@pytest.mark.parametrize("size", NAMED_SIZES)
def test_a_named_size_is_a_sound_model_of_its_name(size: str) -> None:
    sections, faults = parse_sections({"model": {"size": size}})
    assert [fault for fault in faults if fault.where.startswith("model")] == []
    vocab_size, published = PUBLISHED.get(size, (4096, None))
    total = count_parameters(shape_of(sections["model"], vocab_size)).total
    if published is None:
        named = float(size.removeprefix("moe-")[:-1]) * {"m": 1e6, "b": 1e9}[size[-1]]
        assert 0.9 * named < total < 1.25 * named
    else:
        assert total == published


@given(
    st.integers(8, 20_000),
    st.integers(1, 64),
    st.integers(1, 8),
    st.sampled_from([None, 1, 2, 3]),
    st.sampled_from(
        [
            ("cpu", 64, 512),
            ("cpu", 160, 512),
            ("cpu", 320, 256),
            ("cpu", 10**6, 0),
            ("cuda", 64, 8192),
            ("cuda", 10**6, 8192),
        ]
    ),
)
def test_a_microbatch_divides_the_share_and_keeps_within_its_limit(
    seq_len: int, share: int, num_ranks: int, given: int | None, device: tuple[str, int, int]
) -> None:
    batch = seq_len * share * num_ranks
    train = TrainConfig(seq_len=seq_len, global_batch_tokens=batch, total_tokens=batch)
    (segment,) = make_timetable(train).segments
    tokens = None if given is None else given * seq_len
    device_type, hidden_dim, most = device
    cluster = ClusterConfig(microbatch_tokens=tokens, threads=2)
    found = microbatch_samples(
        segment, hidden_dim, cluster, Axes(dp_replicate=num_ranks), device_type
    )
    if given is not None:
        assert found == given
    else:
        lanes = 2 if device_type == "cpu" and num_ranks == 1 else 1
        fitting = [
            n
            for n in range(1, share + 1)
            if share % n == 0 and n * seq_len <= most and n * lanes <= share
        ]
        assert found == max(fitting, default=1)


def test_what_a_file_may_expand_to_is_settable(run_file: Path) -> None:
    override = ('curate.max_expanded_bytes="1GiB"', "curate.max_expansion_ratio=20.5")
    config = parse(run_file, "train.global_batch_tokens=1024", *override)
    assert (config.curate.max_expanded_bytes, config.curate.max_expansion_ratio) == (2**30, 20.5)
