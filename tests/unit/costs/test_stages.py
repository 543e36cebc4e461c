"""Layers are cut into stages as evenly as can be."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest

from bessemer.config.model import ModelConfig
from bessemer.costs.compute import Shape, forward_flops, layer_flops, shape_of
from bessemer.costs.stages import layers_of_stages

SEQ_LEN = 64
EXPERTS = {"num_experts": 8, "experts_per_token": 2, "ffn_dim": 24, "num_dense_layers": 2}
SHAPES = [
    pytest.param({}, id="dense"),
    pytest.param({"sliding_window": 8}, id="windows"),
    pytest.param({"experts": EXPERTS}, id="experts"),
    pytest.param({"experts": {**EXPERTS, "num_shared": 1}}, id="shared experts"),
]


def make_shape(changes: dict[str, object], vocab_size: int = 500) -> Shape:
    dims = {"num_layers": 9, "hidden_dim": 32, "num_heads": 4, "num_kv_heads": 2, "ffn_dim": 80}
    return shape_of(ModelConfig.model_validate(dims | changes), vocab_size)


def flops_of_stage(shape: Shape, layers: range) -> int:
    flops = sum(layer_flops(shape, layer, SEQ_LEN) for layer in layers)
    is_last = layers.stop == shape.num_layers
    return flops + 2 * shape.vocab_size * shape.hidden_dim * SEQ_LEN * is_last


@pytest.mark.parametrize("changes", SHAPES)
def test_layers_and_output_projection_are_all_of_a_forward_pass(changes: dict[str, object]) -> None:
    shape = make_shape(changes)
    assert flops_of_stage(shape, range(shape.num_layers)) == forward_flops(shape, 1, SEQ_LEN)


@pytest.mark.parametrize("changes", SHAPES)
@pytest.mark.parametrize("vocab_size", [50, 2000])
@pytest.mark.parametrize("num_stages", [1, 2, 3, 4, 9])
def test_no_other_cut_has_a_faster_slowest_stage(
    changes: dict[str, object], vocab_size: int, num_stages: int
) -> None:
    shape = make_shape(changes, vocab_size)
    stages = layers_of_stages(shape, num_stages, SEQ_LEN)
    assert [layer for stage in stages for layer in stage] == list(range(shape.num_layers))
    assert len(stages) == num_stages and all(stages)
    best = min(
        max(flops_of_stage(shape, range(*ends)) for ends in pairwise((0, *cuts, shape.num_layers)))
        for cuts in combinations(range(1, shape.num_layers), num_stages - 1)
    )
    assert max(flops_of_stage(shape, stage) for stage in stages) == best


def test_a_large_vocabulary_leaves_the_last_stage_fewer_layers() -> None:
    shape = make_shape({}, vocab_size=2000)
    *_, last = layers_of_stages(shape, 3, SEQ_LEN)
    assert len(last) == 1
