"""Nothing is lost: hostile files are quarantined, the rest goes on, and all sums are exact."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from bessemer.core.layout import DECISIONS, DOCUMENTS, SPLITS
from bessemer.core.schema import QUARANTINE
from bessemer.core.storage import read_table
from bessemer.line.stages import STAGES
from bessemer.line.workspace import Workspace, plan_workspace

Bessemer = Callable[..., CompletedProcess[str]]


def rows_of(folder: Path) -> list[dict[str, object]]:
    return [
        row for path in sorted(folder.glob("*.parquet")) for row in read_table(path).to_pylist()
    ]


def test_every_stage_of_a_finished_run_adds_up(finished_run: Path) -> None:
    workspace = plan_workspace(finished_run)
    kept: dict[str, tuple[int, int]] = {}
    for stage in (
        "ingest",
        "signals",
        "rules",
        "mask",
        "exact",
        "fuzzy",
        "lines",
        "decontaminate",
        "split",
        "encode",
    ):
        manifest = workspace.manifest(stage)
        assert manifest is not None
        assert [sums.source for sums in manifest.conservation] == ["notes", "pages", "tools"]
        for sums in manifest.conservation:
            lost = sums.docs_dropped + sums.docs_quarantined
            assert sums.docs_in == sums.docs_out + lost, (stage, sums)
            if stage != "ingest":  # ingest begins with raw bytes
                assert sums.bytes_in == sums.bytes_out + sums.bytes_dropped, (stage, sums)
                # What a stage takes in is what the one before it gave out.
                assert (sums.docs_in, sums.bytes_in) == kept[sums.source], (stage, sums)
            kept[sums.source] = (sums.docs_out, sums.bytes_out)
    assert workspace.manifest("rules").conservation[0].docs_dropped == 3  # the three stubs
    assert workspace.manifest("exact").conservation[0].docs_dropped == 3
    assert workspace.manifest("fuzzy").conservation[0].docs_dropped == 3


def test_every_document_has_exactly_one_fate(finished_run: Path) -> None:
    workspace = plan_workspace(finished_run)
    documents = {row["doc_id"] for row in rows_of(workspace.folder("ingest") / DOCUMENTS)}
    kept = [row["doc_id"] for row in rows_of(workspace.folder("split") / SPLITS)]
    lost = [
        row["doc_id"]
        for stage in ("rules", "mask", "exact", "fuzzy", "lines", "decontaminate")
        for row in rows_of(workspace.folder(stage) / DECISIONS)
        if row["decisive"]
    ]
    assert len(set(kept)) == len(kept)
    assert len(set(lost)) == len(lost)
    assert set(kept) | set(lost) == documents
    assert not set(kept) & set(lost)


def quarantined(workspace: Workspace) -> dict[str, str]:
    """path -> error of what could not be read."""
    paths = {file.file_id: file.path for file in workspace.files}
    return {
        paths[int(str(row["doc_id"])) >> 32]: str(row["evidence"])
        for row in rows_of(workspace.folder("ingest") / DECISIONS)
        if row["action"] == QUARANTINE
    }


def test_hostile_files_are_quarantined_and_the_rest_is_kept(
    run_file: Path, bessemer: Bessemer
) -> None:
    notes = run_file.parent / "notes"
    rows = "".join(json.dumps({"text": f"row {n} " * 50}) + "\n" for n in range(2000)).encode()
    packed = gzip.compress(rows)
    (notes / "4-truncated.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    (notes / "5-invalid.jsonl").write_bytes(b'{"text": "caf\xe9 ' + b"word " * 60 + b'"}\n')
    (notes / "6-nul.jsonl").write_bytes(b"\0" * 4096)
    (notes / "7-empty.jsonl").write_bytes(b"")
    (notes / "8-long.jsonl").write_bytes(b'{"text": "' + b"x" * 50_000_000 + b'"}\n')
    done = bessemer("run", str(run_file), "--to", "split", "--set", 'curate.shard_bytes="1MB"')
    assert done.returncode == 0, done.stderr
    workspace = plan_workspace(run_file, ['curate.shard_bytes="1MB"'])
    errors = quarantined(workspace)
    assert set(errors) == {
        "notes/4-truncated.jsonl.gz",
        "notes/5-invalid.jsonl",
        "notes/6-nul.jsonl",
        "notes/7-empty.jsonl",
        "notes/8-long.jsonl",
    }
    assert "Truncated" in errors["notes/4-truncated.jsonl.gz"]
    assert "invalid UTF-8 at byte 13" in errors["notes/5-invalid.jsonl"]
    assert "not JSON" in errors["notes/6-nul.jsonl"]
    assert "empty" in errors["notes/7-empty.jsonl"]
    assert "more than curate.max_document_bytes" in errors["notes/8-long.jsonl"]
    manifest = workspace.manifest("ingest")
    assert manifest is not None
    sums = manifest.conservation[0]
    assert sums.docs_quarantined == 5
    assert sums.docs_out > 69  # the sound notes, and rows of the truncated file before the break
    assert sums.docs_in == sums.docs_out + 5
    untouched = {sums.source: sums.docs_out for sums in manifest.conservation[1:]}
    assert untouched == {"pages": 12, "tools": 12}


def test_stages_cover_the_line_in_order() -> None:
    names = [stage.name for stage in STAGES]
    assert len(set(names)) == len(names)
    for place, stage in enumerate(STAGES):
        assert set(stage.inputs) <= set(names[:place]), stage.name
