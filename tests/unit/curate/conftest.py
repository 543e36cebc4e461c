"""Files on disk, read by the real ingest; what came of them as plain rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.ledgers import read_decisions, write_by_shard
from tests.workers import workers

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.manifest import Conservation
from bessemer.core.storage import read_table
from bessemer.curate.ingest import ingest
from bessemer.curate.inventory import take_inventory
from bessemer.curate.ledger import decision
from bessemer.engine.tasks import Engine

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ingested:
    """The outputs of one ingest."""

    folder: Path
    sums: dict[str, Conservation]
    documents: list[Row]
    decisions: list[Row]
    files: list[Row]

    @property
    def texts(self) -> list[str]:
        """The texts of the documents, in order."""
        return [document["text"] for document in self.documents]

    @property
    def quarantine(self) -> list[tuple[int, str]]:
        """(bytes, error) of each quarantined row, in order."""
        lost = [row for row in self.decisions if row["action"] == "quarantine"]
        return [(row["num_bytes"], row["evidence"]) for row in lost]


def run_ingest(
    base: Path, sources: list[SourceConfig], curate: CurateConfig, folder: Path, engine: Engine
) -> Ingested:
    """Ingest and check the promise that holds whatever the files: nothing is lost."""
    files = take_inventory(sources, base)
    result = ingest(files, sources, curate, folder, engine)
    tables = sorted((folder / "documents").glob("*.parquet"))
    found = Ingested(
        folder=folder,
        sums={sums.source: sums for sums in result.conservation},
        documents=[row for path in tables for row in read_table(path).to_pylist()],
        decisions=read_decisions([folder]).to_pylist(),
        files=read_table(folder / "files.parquet").to_pylist(),
    )
    for source, sums in found.sums.items():
        sums.check("ingest")
        kept = [row for row in found.documents if row["source"] == source]
        lost = [row for row in found.decisions
                if row["source"] == source and row["action"] == "quarantine"]  # fmt: skip
        assert sums.docs_out == len(kept)
        assert sums.docs_quarantined == len(lost)
        assert sums.bytes_out == sum(len(row["text"].encode()) for row in kept)
        assert sums.bytes_in == sum(row["raw_bytes"] for row in kept) + sums.bytes_quarantined
        rows = sum(file["num_rows"] for file in found.files if file["source"] == source)
        assert sums.docs_in == rows == len(kept) + len(lost)
    ids = [row["doc_id"] for row in found.documents]
    ids += [row["doc_id"] for row in found.decisions if row["action"] == "quarantine"]
    assert len(set(ids)) == len(ids)
    return found


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Engine]:
    """An engine of two processes that are up."""
    with workers(2) as engine:
        yield engine


@pytest.fixture
def ingest_files(tmp_path: Path) -> Callable[..., Ingested]:
    """Write files (path -> bytes) and ingest them as one source; keywords change its settings.

    A readable file is added behind them unless `alone`, for an ingest of nothing is an error.
    """

    def take(
        files: Mapping[str, bytes],
        *,
        max_document_bytes: int = 2**20,
        alone: bool = False,
        **settings: Any,
    ) -> Ingested:
        base = tmp_path / "data"
        more = {} if alone else {"~.txt": b"last"}
        for name, data in {**files, **more}.items():
            (base / name).parent.mkdir(parents=True, exist_ok=True)
            (base / name).write_bytes(data)
        source = {"name": "s", "kind": "web", "path": "**/*", **settings}
        found = run_ingest(
            base,
            [SourceConfig.model_validate(source)],
            CurateConfig(max_document_bytes=max_document_bytes),
            tmp_path / f"ingest-{len(list(tmp_path.iterdir()))}",
            Engine(),
        )
        if not alone:
            assert found.texts[-1] == "last"
            found.documents.pop()
        return found

    return take


@pytest.fixture
def ingest_texts(tmp_path: Path) -> Callable[..., Path]:
    """Ingest shards of (source, texts), a JSONL file and a shard each; the folder of the stage.

    Document `r` of shard `s` has the id s << 32 | r; shards of one source must be neighbours. Whole
    rows may stand for texts.
    """

    def take(*shards: tuple[str, Sequence[str | Row]]) -> Path:
        base = tmp_path / "texts"
        base.mkdir()
        # Blank lines make all files as long as a shard may be: no two are taken together, and none
        # is split.
        shard_bytes = sum(200 + 12 * len(str(text)) for _, texts in shards for text in texts) + 1
        for number, (name, texts) in enumerate(shards):
            lines = "".join(json.dumps(_row(text)) + "\n" for text in texts)
            path = base / f"{name}-{number:03d}.jsonl"
            path.write_text(lines.ljust(shard_bytes, "\n"))
        sources = [
            SourceConfig.model_validate({"name": name, "kind": "web", "path": f"{name}-*.jsonl"})
            for name in dict.fromkeys(name for name, _ in shards)
        ]
        curate = CurateConfig(shard_bytes=shard_bytes)
        return run_ingest(base, sources, curate, tmp_path / "ingest", Engine()).folder

    return take


def _row(text: str | Row) -> Row:
    return {"text": text} if isinstance(text, str) else text


@pytest.fixture
def drop(tmp_path: Path) -> Callable[[Path, Sequence[int]], Path]:
    """A ledger, in a folder of its own, that drops the documents named."""

    def write(ingested: Path, doc_ids: Sequence[int]) -> Path:
        folder = tmp_path / "earlier"
        rows = [
            decision(
                doc_id=doc_id, source="web", stage="rules", rule="r", action="drop", num_bytes=1
            )
            for doc_id in doc_ids
        ]
        write_by_shard(ingested, folder, rows)
        return folder

    return write
