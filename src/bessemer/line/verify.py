"""The proof that training lost no sample and repeated none: the digests of its steps, made anew."""

from __future__ import annotations

from dataclasses import dataclass

from bessemer.config.timetable import make_timetable
from bessemer.core.errors import IntegrityError
from bessemer.core.layout import METRICS, STEPS
from bessemer.core.storage import read_jsonl
from bessemer.line.trace import open_order
from bessemer.line.workspace import Workspace
from bessemer.tokens.digest import NO_STEPS, chain_digest, digest_samples


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleProof:
    """What was compared, all of it equal."""

    num_steps: int  # that have a record
    num_samples: int
    digest: str  # of the whole run


def verify_samples(workspace: Workspace) -> SampleProof:
    """Read every sample of the run in its order and compare the digest with every recorded step,
    and that of the whole run with the manifest of the stage train.

    A step that the guard left out has no record; its samples are in the digests after it. Raises
    IntegrityError naming the first step that differs. Takes as long as reading all tokens once.
    """
    timetable = make_timetable(workspace.config.train)
    order = open_order(workspace)
    rows = read_jsonl(workspace.require("train") / METRICS / STEPS)
    recorded = {row["step"]: row["samples_digest"] for row in rows}
    digest = NO_STEPS
    for step in range(timetable.num_steps):
        samples = order.read_many(timetable.samples_of(step))
        digest = chain_digest(digest, digest_samples(samples))
        told = recorded.get(step + 1)
        if told not in (None, f"{digest:016x}"):
            raise IntegrityError(
                f"step {step + 1} was trained on other samples than the order gives, or one before "
                f"it was left out of the record: its digest is {told}, not {digest:016x}; was the "
                "training resumed with the files of another run?"
            )
    manifest = workspace.manifest("train")
    told = manifest.summary["samples_digest"] if manifest else None
    if told != f"{digest:016x}":
        raise IntegrityError(
            f"training ended with the digest {told}, the samples of the order have {digest:016x}: "
            "it was trained on others"
        )
    return SampleProof(
        num_steps=len(recorded), num_samples=timetable.num_samples, digest=f"{digest:016x}"
    )
