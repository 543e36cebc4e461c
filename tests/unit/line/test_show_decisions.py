"""What `explain` says of a decision: evidence, and the document that was kept instead."""

from __future__ import annotations

from typing import Any

from bessemer.curate.ledger import decision
from bessemer.line.show_explain import _decision_cells


def told(**given: Any) -> str:
    about = {"doc_id": 1, "source": "web", "stage": "lines", "rule": "r", "num_bytes": 1234}
    return _decision_cells(decision(**about | given))[-1]


def test_the_document_that_was_kept_is_named_beside_what_it_has_in_common() -> None:
    assert told(action="drop", evidence_doc_id=7) == "like 0:7, which was kept"
    shared = {"evidence": "Home - About", "evidence_doc_id": 1 << 32}
    assert told(action="drop", **shared) == "kept in 1:0: Home - About"
    assert told(action="edit", **shared) == "1,234 bytes: kept in 1:0: Home - About"
    assert told(action="edit", evidence="gone") == "1,234 bytes: gone"


def test_a_document_of_another_run_is_named_with_that_run() -> None:
    known = {"stage": "fuzzy", "action": "drop"}
    address = "https://example.org/" + 80 * "x"
    assert told(evidence="a 0:262", **known) == "like 0:262 of run a, which was kept"
    shown = told(evidence=f"a 0:262 {address}", **known)
    assert shown == f"like 0:262 of run a, which was kept: {address}"[:97] + "..."
