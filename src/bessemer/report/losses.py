"""What was lost to which reason, and whether the accounts hold: the ledger beside the manifests.

The ledger is counted once more here, row by row in DuckDB, and compared with what each stage wrote
into its manifest; a figure of the report never rests on the claim of the stage that it judges.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from bessemer.core.manifest import Conservation, StageManifest
from bessemer.core.schema import DROP, EDIT, QUARANTINE
from bessemer.report.facts import MARKUP, UNACCOUNTED, Balance, Gate, Loss, Reason
from bessemer.report.tables import Tables

_LOSSES = f"""
    SELECT stage, source, rule, action, bound,
           CASE WHEN action = '{EDIT}' THEN count(DISTINCT doc_id) FILTER (action = '{EDIT}')
                ELSE count(*) FILTER (decisive) END AS docs,
           coalesce(sum(num_bytes) FILTER (decisive OR action = '{EDIT}'), 0)::BIGINT AS num_bytes,
           count(*) AS broken_docs,
           count(*) FILTER (value < bound) AS low_docs,
           count(*) FILTER (value >= bound) AS high_docs
    FROM read_parquet(?)
    GROUP BY stage, source, rule, action, bound
"""
_SUMS = ("docs", "num_bytes", "broken_docs", "low_docs", "high_docs")


def count_losses(tables: Tables) -> tuple[Loss, ...]:
    """One Loss per source and reason of the ledger, the largest first within a stage.

    Shard by shard, as a shard has all rows of a document: ids are told apart in flat memory.
    """
    found: dict[tuple[str, Reason], Counter[str]] = {}
    for path in tables.ledgers:
        for row in tables.rows(_LOSSES, str(path)):
            reason = Reason(
                stage=row["stage"], rule=row["rule"], action=row["action"], bound=row["bound"]
            )
            sums = found.setdefault((row["source"], reason), Counter())
            sums.update({name: row[name] for name in _SUMS})
    losses = [
        Loss(
            reason=reason,
            source=source,
            docs=sums["docs"],
            num_bytes=sums["num_bytes"],
            broken_docs=sums["broken_docs"],
            is_low=sums["low_docs"] > 0
            if bool(sums["low_docs"]) != bool(sums["high_docs"])
            else None,
        )
        for (source, reason), sums in found.items()
    ]
    return tuple(sorted(losses, key=_rank))


def _rank(loss: Loss) -> tuple[object, ...]:
    reason = loss.reason
    bound = math.inf if reason.bound is None else reason.bound
    return (
        *(reason.stage, loss.source, -loss.docs, -loss.num_bytes),
        *(reason.rule, reason.action, bound),
    )


def make_balances(
    manifests: Mapping[str, StageManifest], losses: Sequence[Loss], ledgers: Sequence[str]
) -> tuple[Balance, ...]:
    """The accounts of all stages that have any, added up again; `ledgers` names stages with one."""
    balances = []
    before: dict[str, Conservation] = {}
    for stage, manifest in manifests.items():
        for sums in manifest.conservation:
            earlier = before.get(sums.source)
            balances.append(
                Balance(
                    stage=stage,
                    sums=sums,
                    docs_hold=sums.docs_in
                    == sums.docs_out + sums.docs_dropped + sums.docs_quarantined,
                    bytes_hold=sums.bytes_in
                    == sums.bytes_out
                    + sums.bytes_dropped
                    + sums.bytes_quarantined
                    + sums.bytes_edited
                    + sums.bytes_markup
                    - sums.bytes_inserted,
                    follows=earlier is None
                    or (earlier.docs_out, earlier.bytes_out) == (sums.docs_in, sums.bytes_in),
                    ledger_holds=_agrees(sums, stage, losses) if stage in ledgers else None,
                )
            )
            before[sums.source] = sums
    return tuple(balances)


def make_gates(
    source: str, manifests: Mapping[str, StageManifest], losses: Sequence[Loss]
) -> tuple[Gate, ...]:
    """The stages that may lose text of `source`, with what each lost; in the order of the line.

    What a manifest says is lost and the ledger does not name appears as a loss of its own.
    """
    gates = []
    for stage, manifest in manifests.items():
        for sums in manifest.conservation:
            if sums.source != source:
                continue
            mine = [loss for loss in losses if (loss.reason.stage, loss.source) == (stage, source)]
            gates.append(
                Gate(
                    stage=stage,
                    docs_in=sums.docs_in,
                    docs_out=sums.docs_out,
                    bytes_in=sums.bytes_in,
                    bytes_out=sums.bytes_out,
                    losses=tuple(_with_rest(sums, stage, mine)),
                )
            )
    return tuple(gates)


def lost_docs(loss: Loss) -> int:
    """Documents that are gone: an edit takes none."""
    return loss.docs if loss.reason.action in (DROP, QUARANTINE, UNACCOUNTED) else 0


def _agrees(sums: Conservation, stage: str, losses: Sequence[Loss]) -> bool:
    mine = [loss for loss in losses if (loss.reason.stage, loss.source) == (stage, sums.source)]
    found = {
        action: (
            sum(loss.docs for loss in mine if loss.reason.action == action),
            sum(loss.num_bytes for loss in mine if loss.reason.action == action),
        )
        for action in (DROP, QUARANTINE, EDIT)
    }
    return (
        found[DROP] == (sums.docs_dropped, sums.bytes_dropped)
        and found[QUARANTINE] == (sums.docs_quarantined, sums.bytes_quarantined)
        and (stage != "ingest" or found[EDIT][1] == sums.bytes_edited)
    )


def _with_rest(sums: Conservation, stage: str, losses: Sequence[Loss]) -> list[Loss]:
    """`losses` with mark-up, which no ledger lists, and with whatever is not accounted for."""
    complete = [loss for loss in losses if loss.docs or loss.num_bytes]
    if sums.bytes_markup > 0:
        complete.insert(0, _plain(sums.source, stage, MARKUP, 0, sums.bytes_markup))
    docs = sums.docs_in - sums.docs_out - sum(lost_docs(loss) for loss in complete)
    num_bytes = sums.bytes_in + sums.bytes_inserted - sums.bytes_out
    num_bytes -= sum(loss.num_bytes for loss in complete)
    if docs > 0 or num_bytes > 0:
        complete.append(_plain(sums.source, stage, UNACCOUNTED, max(docs, 0), max(num_bytes, 0)))
    return complete


def _plain(source: str, stage: str, action: str, docs: int, num_bytes: int) -> Loss:
    reason = Reason(stage=stage, rule=action, action=action)
    return Loss(reason=reason, source=source, docs=docs, num_bytes=num_bytes, broken_docs=docs)
