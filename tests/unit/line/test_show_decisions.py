"""What `explain` says of a decision: evidence, and the document that was kept instead."""

from __future__ import annotations

from typing import Any

from bessemer.curate.ledger import decision
from bessemer.line.show import _decision_cells


def told(**given: Any) -> str:
    about = {"doc_id": 1, "source": "web", "stage": "lines", "rule": "r", "num_bytes": 1234}
    return _decision_cells(decision(**about | given))[-1]


def test_the_document_that_was_kept_is_named_beside_what_it_has_in_common() -> None:
    assert told(action="drop", evidence_doc_id=7) == "like 0:7, which was kept"
    shared = {"evidence": "Home - About", "evidence_doc_id": 1 << 32}
    assert told(action="drop", **shared) == "kept in 1:0: Home - About"
    assert told(action="edit", **shared) == "1,234 bytes: kept in 1:0: Home - About"
    assert told(action="edit", evidence="gone") == "1,234 bytes: gone"
