"""Rows come together by key and go back by id; a plain sort of all rows is the oracle."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bessemer.core.errors import IntegrityError
from bessemer.engine.shuffle import (
    count_parts,
    gather,
    read_range,
    scatter,
    take_rows,
    write_run,
)

SETTINGS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FILES = st.lists(st.lists(st.integers(0, 40), max_size=30), min_size=1, max_size=4)


def rows(ids: list[int], name: int) -> pa.Table:
    return pa.table({"doc_id": pa.array(ids, pa.int64()), "file": pa.repeat(name, len(ids))})


@SETTINGS
@given(files=FILES, num_parts=st.sampled_from([1, 2, 8]))
def test_a_part_holds_the_rows_of_its_key_in_order(
    tmp_path: Path, files: list[list[int]], num_parts: int
) -> None:
    paths = []
    for name, ids in enumerate(files):
        paths.append(tmp_path / f"{name}.arrow")
        scatter(paths[-1], rows(ids, name), np.array(ids, np.uint64), num_parts)
    for part in range(num_parts):
        expected = [
            {"doc_id": each, "file": name}
            for name, ids in enumerate(files)
            for each in ids
            if each % num_parts == part
        ]
        assert gather(paths, part).to_pylist() == expected


@SETTINGS
@given(files=FILES, first=st.integers(-2, 42), length=st.integers(0, 20))
def test_a_range_is_what_a_sort_of_all_runs_has_there(
    tmp_path: Path, files: list[list[int]], first: int, length: int
) -> None:
    paths = []
    for name, ids in enumerate(files):
        paths.append(tmp_path / f"{name}.arrow")
        write_run(paths[-1], rows(sorted(ids), name))
    expected = sorted(
        (each, name)
        for name, ids in enumerate(files)
        for each in ids
        if first <= each <= first + length
    )
    found = read_range(paths, first, first + length)
    assert list(zip(*found.to_pydict().values(), strict=True)) == expected


@SETTINGS
@given(files=FILES, draw=st.randoms())
def test_rows_are_taken_as_arrow_takes_them(
    tmp_path: Path, files: list[list[int]], draw: Random
) -> None:
    paths = []
    for name, ids in enumerate(files):
        paths.append(tmp_path / f"{name}.arrow")
        write_run(paths[-1], rows(ids, name))
    table = gather(paths, 0)
    wanted = np.array([row for row in range(len(table)) if draw.random() < 0.4], np.int64)
    assert take_rows(table, wanted).equals(table.take(pa.array(wanted)))


def test_parts_are_a_power_of_two_and_none_is_larger_than_it_may() -> None:
    for num_bytes in (0, 1, 100, 101, 500, 100_000):
        num_parts = count_parts(num_bytes, 100)
        assert num_parts & (num_parts - 1) == 0
        assert num_bytes <= num_parts * 100
        assert num_parts == 1 or num_bytes > num_parts // 2 * 100


def test_what_is_missing_or_damaged_is_an_integrity_error(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    with pytest.raises(IntegrityError, match="missing; delete its stage's folder"):
        gather([path], 0)
    write_run(path, rows([1, 2], 0))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(IntegrityError, match="damaged"):
        read_range([path], 0, 9)
