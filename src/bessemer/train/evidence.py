"""What the guard leaves on record: the step, its signals, and the loss of every document in it.

Documents in a batch do not see each other (with the document mask), so the loss of each is its own:
the one that caused a spike stands first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from bessemer.core.ids import format_doc_id
from bessemer.core.labels import IGNORED
from bessemer.core.layout import EVIDENCE
from bessemer.core.storage import write_json
from bessemer.train.guard import Alarm
from bessemer.train.loader import Batch
from bessemer.train.mesh import LONE, Ranks, sum_over_ranks


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentLoss:
    """What a batch holds of one document."""

    doc_id: int
    num_labels: int
    nats: float  # summed

    @property
    def loss(self) -> float:
        """Nats per predicted token."""
        return self.nats / self.num_labels


@dataclass(frozen=True, kw_only=True, slots=True)
class Incident:
    """One step that the guard noticed."""

    step: int  # from 1
    action: str
    alarms: tuple[Alarm, ...]
    nonfinite_gradients: tuple[str, ...]  # names of parameters
    documents: tuple[DocumentLoss, ...]

    @property
    def evidence(self) -> str:
        """Where all that is known is written, below the folder of metrics."""
        return f"{EVIDENCE}/step-{self.step:08d}.json"

    def __str__(self) -> str:
        return f"step {self.step}: {'; '.join(map(str, self.alarms))}"


def alarms_of_all_ranks(alarms: Sequence[Alarm], device: torch.device) -> list[Alarm]:
    """The alarms that any rank has, the same list on every rank, so that all decide alike: what is
    equal on all ranks of sound machines need not be if one of them computes wrongly.

    One alarm for each signal: of the lowest rank that has it, one that is not finite before others.
    A collective.
    """
    if not int(sum_over_ranks(torch.tensor(len(alarms), device=device))):
        return []
    by_rank: list[Sequence[Alarm]] = [alarms]
    if dist.is_initialized():
        by_rank *= dist.get_world_size()
        dist.all_gather_object(by_rank, alarms)
    first: dict[str, Alarm] = {}
    found = [each for of_rank in by_rank for each in of_rank]
    for alarm in sorted(found, key=lambda each: each.is_finite):
        first.setdefault(alarm.signal, alarm)
    return list(first.values())


def document_losses(
    batches: Sequence[Batch], nats: Sequence[Tensor], ranks: Ranks = LONE
) -> tuple[DocumentLoss, ...]:
    """The loss of each document in a step over all ranks: those not finite first, then the dearest.

    `nats` holds the loss of each token of each of this rank's batches. A collective.
    """
    columns: list[tuple[np.ndarray, np.ndarray]] = []
    for batch, nats_N in zip(batches, nats, strict=True):
        is_label_N = batch.labels_BT.flatten() != IGNORED
        kept = batch.doc_ids_BT.flatten()[is_label_N], nats_N[is_label_N].double()
        columns.append((kept[0].cpu().numpy(), kept[1].cpu().numpy()))
    doc_ids, place = np.unique(np.concatenate([ids for ids, _ in columns]), return_inverse=True)
    sums = np.bincount(place, np.concatenate([values for _, values in columns]), len(doc_ids))
    counts = np.bincount(place, minlength=len(doc_ids))
    mine = list(zip(doc_ids.tolist(), counts.tolist(), sums.tolist(), strict=True))
    gathered = [mine]
    if ranks.dims:  # those that compute the same tokens would count them again
        others = ranks.along("tokens")
        gathered = [[] for _ in range(others.size())]
        dist.all_gather_object(gathered, mine, group=others.get_group())
    found: dict[int, DocumentLoss] = {}
    for doc_id, count, nats_of in (row for rows in gathered for row in rows):
        before = found.get(doc_id, DocumentLoss(doc_id=doc_id, num_labels=0, nats=0.0))
        found[doc_id] = DocumentLoss(
            doc_id=doc_id, num_labels=before.num_labels + count, nats=before.nats + nats_of
        )
    return tuple(sorted(found.values(), key=_dearest_first))


def write_evidence(metrics: Path, incident: Incident) -> None:
    """Write all that is known as JSON, which has no NaN and no infinity: they become text."""
    write_json(
        metrics / incident.evidence,
        {
            "step": incident.step,
            "action": incident.action,
            "alarms": [
                {key: _plain(value) for key, value in asdict(alarm).items()}
                for alarm in incident.alarms
            ],
            "nonfinite_gradients": incident.nonfinite_gradients,
            "documents": [
                {
                    "document": format_doc_id(each.doc_id),
                    "tokens": each.num_labels,
                    "loss": _plain(each.loss),
                }
                for each in incident.documents
            ],
        },
    )


def _dearest_first(each: DocumentLoss) -> tuple[bool, float, int]:
    is_finite = math.isfinite(each.loss)
    return is_finite, -each.loss if is_finite else 0.0, each.doc_id


def _plain(value: object) -> object:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
