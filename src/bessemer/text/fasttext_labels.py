"""Finds the likeliest label of a text from the sum of its rows, as fastText does.

Input: a sum of rows, and the output side of a classifier (bessemer.text.fasttext_file). Output: a
label and its probability.

A tree of labels (hierarchical softmax) is walked as far as it must be: a branch is left as soon as
it is less likely than the best label so far, as in `HierarchicalSoftmaxLoss::dfs`. The labels that
are frequent stand near the root, so most texts need a tenth of the nodes.

Scores are float32, summed in the order of dimensions; chances are float64.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from bessemer.text.buffers import Offsets, kernel
from bessemer.text.fasttext_file import Floats

_MOST_SIGMOID, _SIGMOID_STEPS = 8, 32  # reach of fastText's table, and steps per unit
_LOG_FLOOR = 1e-5  # what fastText adds before each logarithm
_SLACK = 1.1  # each floor lifts a label above its branch by 1e-5: more than 9,000 of them are not

Doubles = npt.NDArray[np.float64]


class Judging(NamedTuple):
    """Scratch of one judgement. D dimensions, L labels, N inner nodes."""

    mean_D: Floats
    scores_L: Floats
    chances_LN: Doubles  # of labels, then of inner nodes
    open_N: Offsets  # int64, branches yet to be followed


@njit(cache=True, nogil=True)
def empty_judging(num_dims: int, num_labels: int, num_nodes: int) -> Judging:
    """Return scratch for `most_likely`."""
    return Judging(
        np.empty(num_dims, np.float32),
        np.empty(num_labels, np.float32),
        np.empty(num_labels + num_nodes, np.float64),
        np.empty(num_nodes + 1, np.int64),
    )


@kernel
def most_likely(
    sum_D: Doubles,
    num_rows: int,
    input_RD: Floats,
    end_row: int,
    output_DN: Floats,
    children_N2: npt.NDArray[np.int32],
    is_softmax: bool,
    num_labels: int,
    least_chance: float,
    scratch: Judging,
) -> tuple[int, float]:
    """Return the likeliest label of a text whose rows sum up to `sum_D`, and its probability.

    The end of the line counts as a word. Of equally likely labels it is the first. If none is as
    likely as `least_chance`, it may be any, with a probability below that.
    """
    num_all = num_rows + (end_row >= 0)
    for dim in range(len(sum_D)):
        total = sum_D[dim]
        if end_row >= 0:
            total += input_RD[end_row, dim]
        scratch.mean_D[dim] = total / num_all
    if len(children_N2) > 0:
        best, chance = _walk_tree(output_DN, children_N2, num_labels, least_chance, scratch)
    else:
        best, chance = _compare_all(output_DN, is_softmax, num_labels, scratch)
    return best, chance


@kernel
def _walk_tree(
    output_DN: Floats,
    children_N2: npt.NDArray[np.int32],
    num_labels: int,
    least_chance: float,
    scratch: Judging,
) -> tuple[int, float]:
    """Follow the likelier branch first; a node's chance is its parent's times the branch's."""
    mean_D, _, chances_LN, open_N = scratch
    best, best_chance = 0, 0.0
    open_N[0] = num_labels + len(children_N2) - 1
    chances_LN[open_N[0]] = 1.0
    num_open = 1
    while num_open > 0:
        num_open -= 1
        place = open_N[num_open]
        chance = chances_LN[place]
        if chance * _SLACK < max(best_chance, least_chance):
            continue
        if place < num_labels:
            if chance > best_chance or (chance == best_chance and place < best):
                best, best_chance = place, chance
            continue
        node = place - num_labels
        score = np.float32(0)
        for dim in range(len(mean_D)):
            score += mean_D[dim] * output_DN[dim, node]
        right = 1 / (1 + math.exp(-score))
        first, second = np.int64(children_N2[node, 1]), np.int64(children_N2[node, 0])
        chances_LN[first] = chance * (right + _LOG_FLOOR)
        chances_LN[second] = chance * (1 - right + _LOG_FLOOR)
        if right < 0.5:
            first, second = second, first
        open_N[num_open] = second
        open_N[num_open + 1] = first
        num_open += 2
    return best, min(1.0, best_chance)


@kernel
def _compare_all(
    output_DN: Floats, is_softmax: bool, num_labels: int, scratch: Judging
) -> tuple[int, float]:
    """Score every label: by softmax, or each with a probability of its own."""
    mean_D, scores_L, chances_LN, _ = scratch
    for label in range(num_labels):
        scores_L[label] = 0
    for dim in range(len(mean_D)):
        for label in range(num_labels):
            scores_L[label] += mean_D[dim] * output_DN[dim, label]
    highest = scores_L[0]
    for label in range(num_labels):
        highest = max(highest, scores_L[label])
    total = 0.0
    for label in range(num_labels):
        if is_softmax:
            chances_LN[label] = math.exp(scores_L[label] - highest)
            total += chances_LN[label]
        else:
            chances_LN[label] = _sigmoid(scores_L[label])
            total = 1.0
    best = 0
    for label in range(num_labels):
        chances_LN[label] = chances_LN[label] / total + _LOG_FLOOR
        if chances_LN[label] > chances_LN[best]:
            best = label
    return best, min(1.0, chances_LN[best])


@kernel
def _sigmoid(score: np.float32) -> float:
    """Return the logistic function as fastText tabulates it where labels are judged one by one."""
    if score < -_MOST_SIGMOID:
        return 0.0
    if score > _MOST_SIGMOID:
        return 1.0
    step = int((score + np.float32(_MOST_SIGMOID)) * np.float32(_SIGMOID_STEPS))
    return 1 / (1 + math.exp(_MOST_SIGMOID - step / _SIGMOID_STEPS))
