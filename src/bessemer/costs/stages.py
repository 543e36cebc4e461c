"""Which layers make up which stage of a pipeline: in order, and so that no stage takes long."""

from __future__ import annotations

from itertools import accumulate

from bessemer.costs.compute import Shape, layer_flops


def layers_of_stages(shape: Shape, num_stages: int, seq_len: int) -> tuple[range, ...]:
    """Layers in a row for each stage, at least one, so that the slowest stage is as fast as can be.

    A stage takes as long as it has operations for sequences of `seq_len`; the last has the output
    projection too. `shape` must have as many layers as there are stages. Exact, by dynamic
    programming over (stages, layers).
    """
    flops = [layer_flops(shape, layer, seq_len) for layer in range(shape.num_layers)]
    flops[-1] += 2 * shape.vocab_size * shape.hidden_dim * seq_len
    before = [0, *accumulate(flops)]
    num_layers = shape.num_layers
    # slowest[n]: of the first n layers in so many stages; begins[s][n]: where the last of s begins.
    slowest: list[float] = [0.0, *before[1:]]
    begins = [[0] * (num_layers + 1)]
    for num in range(2, num_stages + 1):
        longer, begin = [float("inf")] * (num_layers + 1), [0] * (num_layers + 1)
        for end in range(num, num_layers + 1):
            for start in range(num - 1, end):
                most = max(slowest[start], before[end] - before[start])
                if most < longer[end]:
                    longer[end], begin[end] = most, start
        slowest, begins = longer, [*begins, begin]
    stages, end = [], num_layers
    for begin in reversed(begins):
        stages.append(range(begin[end], end))
        end = begin[end]
    return tuple(reversed(stages))
