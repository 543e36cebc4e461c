"""Metrics survive a disk that is full for a while."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bessemer.core.layout import EVIDENCE, GUARD, METRICS, STEPS
from bessemer.core.storage import read_json, read_jsonl

FULL_FOR_A_WHILE = """
import logging, resource, sys
from pathlib import Path

from bessemer.core.events import configure_logging
from bessemer.train.evidence import Incident
from bessemer.train.monitor import Monitor, StepRecord

configure_logging()
folder, lasts = Path(sys.argv[1]), sys.argv[2] == "lasts"
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
with Monitor(folder, 0) as monitor:
    for step in range(1, 31):
        if step == 6:  # in the middle of a row
            most = (folder / "steps.jsonl").stat().st_size + 100
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
        if step == 20:
            names = tuple(f"layers.{n}" for n in range(1000))  # more than a file may hold
            monitor.guard(
                Incident(step=20, action="skip", alarms=(), nonfinite_gradients=names, documents=())
            )
        if step == 25 and not lasts:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        monitor.step(
            StepRecord(
                step=step, tokens_seen=step, loss=1.0 / step, bits_per_byte=None, losses={},
                bits_per_byte_of={}, grad_norm=1.0, update_norm=1.0, lr=1.0, batch_tokens=1,
                seq_len=1, step_s=1.0, tokens_per_s=1.0, mfu=None, peak_bytes=1, samples_digest="",
            )
        )
"""


def fill(folder: Path, how: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", FULL_FOR_A_WHILE, folder / METRICS, how],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("cannot write metrics") == 1
    return done.stderr


def test_rows_and_evidence_are_written_when_it_can_be_done(tmp_path: Path) -> None:
    said = fill(tmp_path, "passes")
    assert "metrics are written again" in said
    assert "lost" not in said
    folder = tmp_path / METRICS
    assert [row["step"] for row in read_jsonl(folder / STEPS)] == list(range(1, 31))
    assert [row["step"] for row in read_jsonl(folder / GUARD)] == [20]
    assert read_json(folder / EVIDENCE / "step-00000020.json")["action"] == "skip"


def test_what_is_lost_is_counted(tmp_path: Path) -> None:
    said = fill(tmp_path, "lasts")
    assert "26 rows of metrics, 1 files of evidence" in said
    kept = [row["step"] for row in read_jsonl(tmp_path / METRICS / STEPS)]
    assert kept == list(range(1, 6))  # and a part of the next
