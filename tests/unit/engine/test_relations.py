"""Relational steps: answers in the order asked for, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from bessemer.engine.relations import query, relations

SQL = """
    SELECT key, count(*) AS num, min(value) AS least
    FROM numbers JOIN wanted USING (key)
    GROUP BY key
    ORDER BY key
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_a_query_answers_in_the_order_it_asks_for(tmp_path: Path, threads: int) -> None:
    draw = np.random.default_rng(0)
    keys, values = draw.integers(0, 5000, 300_000), draw.integers(0, 2**62, 300_000)
    wanted = draw.permutation(5000)[:2000]
    with relations(tmp_path, threads) as connection:
        tables = {
            "numbers": pa.table({"key": keys, "value": values}),
            "wanted": pa.table({"key": wanted}),
        }
        found = query(connection, SQL, tables)
        threads_used = connection.execute("SELECT current_setting('threads')").fetchall()
    assert threads_used == [(threads,)]
    least = {key: values[keys == key].min() for key in np.unique(wanted).tolist()}
    assert found.to_pydict() == {
        "key": sorted(least),
        "num": [int((keys == key).sum()) for key in sorted(least)],
        "least": [int(least[key]) for key in sorted(least)],
    }


def test_tables_are_forgotten_after_the_query_even_a_wrong_one(tmp_path: Path) -> None:
    tables = {"kept_by_nobody": pa.table({"n": [1]})}
    with relations(tmp_path, 1) as connection:
        assert query(connection, "SELECT n FROM kept_by_nobody", tables).to_pydict() == {"n": [1]}
        with pytest.raises(duckdb.BinderException):
            query(connection, "SELECT nothing FROM kept_by_nobody", tables)
        with pytest.raises(duckdb.CatalogException):
            connection.execute("SELECT n FROM kept_by_nobody")


def test_a_database_is_private_and_spills_below_the_stages_scratch(tmp_path: Path) -> None:
    with relations(tmp_path, 1) as first, relations(tmp_path, 1) as second:
        first.execute("CREATE TABLE mine (n INT)")
        with pytest.raises(duckdb.CatalogException):
            second.execute("SELECT * FROM mine")
        [(spill,)] = first.execute("SELECT current_setting('temp_directory')").fetchall()
    assert spill == str(tmp_path / ".scratch" / "duckdb")
    with pytest.raises(duckdb.ConnectionException):
        first.execute("SELECT 1")


def test_more_than_fits_in_memory_is_sorted_on_disk(tmp_path: Path) -> None:
    numbers = pa.table({"n": np.random.default_rng(0).permutation(3_000_000)})
    with relations(tmp_path, 2) as connection:
        connection.execute("SET memory_limit = '40MB'")
        found = query(connection, "SELECT n FROM numbers ORDER BY n", {"numbers": numbers})
    assert np.array_equal(found["n"].to_numpy(), np.arange(3_000_000))
