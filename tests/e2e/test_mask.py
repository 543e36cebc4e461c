"""Masked text reaches the tokens, the sums are exact, and `explain` shows what was masked."""

from __future__ import annotations

import json
from pathlib import Path

from bessemer.core.layout import TOKENIZER
from bessemer.line import api
from bessemer.line.explain import explain
from bessemer.line.trace import trace_step
from bessemer.tokens.shard import TokenShard
from bessemer.tokens.tokenizer import Tokenizer

ADDRESS, CARD = "anna.berg@post.de", "4111 1111 1111 1111"


def add_addresses(notes: Path) -> int:
    """Put an address into every note that is a text of its own, and a card into the first."""
    count = 0
    for path in sorted(notes.glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            if not row["url"].endswith(("copy", "near", "stub")):
                row["text"] = f"{ADDRESS} wrote: {row['text']}"
                row["text"] += f"Paid by {CARD}." if not count else ""
                count += 1
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return count


def test_placeholders_reach_the_tokens_and_the_sums(run_file: Path) -> None:
    add_addresses(run_file.parent / "notes")
    workspace, _ = api.run(run_file, last="mix")
    masked = workspace.manifest("mask").summary["masked"]
    assert masked["card"] == 1
    kept = workspace.corpus()
    texts = [document.text for shard in kept.shards for document in
             kept.read_shard(shard, kept.split_of(shard)["doc_id"].to_numpy())]  # fmt: skip
    num_emails = sum("<EMAIL> wrote: " in text for text in texts)
    num_cards = sum("Paid by <CARD>." in text for text in texts)
    assert 50 < num_emails <= masked["email"]
    assert not any(ADDRESS in text or CARD in text for text in texts)
    sums = workspace.manifest("encode").conservation
    removed = num_emails * len(ADDRESS) + num_cards * len(CARD)
    inserted = num_emails * len("<EMAIL>") + num_cards * len("<CARD>")
    assert sum(each.bytes_edited for each in sums) == removed
    assert sum(each.bytes_inserted for each in sums) == inserted
    assert sum(each.bytes_out - each.bytes_in for each in sums) == inserted - removed
    for each in sums:
        each.check("encode")
    tokenizer = Tokenizer.load(workspace.folder("tokenizer") / TOKENIZER)
    decoded = ""
    for path in sorted(workspace.folder("encode").glob("*/*.idx")):
        shard = TokenShard(path.with_suffix(""))
        decoded += tokenizer.decode(shard.tokens[:].tolist())
    assert decoded.count("<EMAIL> wrote: ") == num_emails
    assert ADDRESS not in decoded and CARD not in decoded
    assert trace_step(workspace, 1).is_proven


def test_explain_tells_what_was_masked_and_the_bound_drops(run_file: Path) -> None:
    add_addresses(run_file.parent / "notes")
    workspace, _ = api.run(run_file, last="split")
    told = explain(workspace, "note/0/2")
    assert told.fate == "edited"
    [row] = [row for row in told.decisions if row["stage"] == "mask"]
    assert (row["rule"], row["action"], row["value"]) == ("email", "edit", 1.0)
    assert row["evidence"] == "1 x <EMAIL>"
    workspace, _ = api.run(run_file, ["curate.pii.max_per_document=0"], last="split")
    sums = {each.source: each for each in workspace.manifest("mask").conservation}
    assert sums["notes"].docs_dropped > 50
    assert explain(workspace, "note/0/2").fate == "dropped"
