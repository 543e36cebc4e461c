"""Losses over many shards are those of the rows, one by one."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from bessemer.core.schema import DECISION, SHARD_RANGE, SOURCE_FILE
from bessemer.core.storage import write_table
from bessemer.report.losses import count_losses
from bessemer.report.tables import open_tables


def random_rows(draw: random.Random, shard: int) -> list[dict[str, Any]]:
    """Rows of one shard; documents may be edited by a rule several times."""
    rows = []
    for _ in range(draw.randrange(60)):
        action = draw.choice(["drop", "edit", "quarantine"])
        rows.append(
            dict.fromkeys(DECISION.names)
            | {
                "doc_id": (shard << 32) + draw.randrange(20),
                "source": "ab"[shard % 2],
                "stage": draw.choice(["rules", "mask"]),
                "rule": draw.choice("xyz"),
                "action": action,
                "decisive": action != "edit" and draw.random() < 0.5,
                "value": draw.choice([None, 0.1, 0.4, 0.9]),
                "bound": draw.choice([None, 0.3, 0.5]),
                "num_bytes": draw.randrange(99),
            }
        )
    return rows


def test_losses_of_shards_are_added_up(tmp_path: Path) -> None:
    draw = random.Random(5)
    everything = []
    for shard in range(7):
        rows = random_rows(draw, shard)
        everything += rows
        for stage in ("rules", "mask"):
            mine = [row for row in rows if row["stage"] == stage]
            path = tmp_path / stage / "decisions" / f"{shard:05d}.parquet"
            write_table(path, pa.Table.from_pylist(mine, schema=DECISION))
    write_table(tmp_path / "ingest" / "files.parquet", SOURCE_FILE.empty_table())
    write_table(tmp_path / "ingest" / "shards.parquet", SHARD_RANGE.empty_table())
    folders = {stage: tmp_path / stage for stage in ("ingest", "rules", "mask")}
    with open_tables(folders, tmp_path / "scratch") as tables:
        losses = count_losses(tables)
    groups = defaultdict(list)
    for row in everything:
        names = ("source", "stage", "rule", "action", "bound")
        groups[tuple(row[name] for name in names)].append(row)
    found = {}
    for loss in losses:
        about = loss.reason
        key = (loss.source, about.stage, about.rule, about.action, about.bound)
        assert key not in found
        found[key] = (loss.docs, loss.num_bytes, loss.broken_docs, loss.is_low)
    wanted = {}
    for key, rows in groups.items():
        is_edit = key[3] == "edit"
        counted = [row for row in rows if row["decisive"] or is_edit]
        sides = {
            row["value"] < row["bound"]
            for row in rows
            if row["value"] is not None and row["bound"] is not None
        }
        wanted[key] = (
            len({row["doc_id"] for row in rows}) if is_edit else len(counted),
            sum(row["num_bytes"] for row in counted),
            len(rows),
            sides.pop() if len(sides) == 1 else None,
        )
    assert found == wanted
    assert len(found) > 60
    order = [(loss.reason.stage, loss.source, -loss.docs, -loss.num_bytes) for loss in losses]
    assert order == sorted(order)
