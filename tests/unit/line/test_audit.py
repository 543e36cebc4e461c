"""The audit shows compared pairs on both sides of the bound, as they were decided."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.conftest import prose
from tests.unit.line.run_files import TRAINING

from bessemer.core.errors import DataError
from bessemer.core.events import Silent
from bessemer.core.storage import read_table
from bessemer.line.api import audit
from bessemer.line.runner import run_stages
from bessemer.line.workspace import plan_workspace
from bessemer.report.audit import common_address


def write_run(folder: Path) -> Path:
    """A page in 60 versions that differ in a word, one that shares half of it, hostile ones."""
    base = prose(7, 90).replace("\n", " ")
    half = " ".join([*base.split()[:60], *prose(8, 60).split()])
    evil = f"</div><script>alert(1)</script> {prose(9, 80)}"
    texts = [f"{base} version {version}" for version in range(60)]
    texts += [half, evil, f"{evil} more", *(prose(seed) for seed in range(20, 60))]
    rows = [
        {"text": text, "url": f"https://x.org/docs/{place}"} for place, text in enumerate(texts)
    ]
    (folder / "pages.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "run.toml"
    path.write_text(
        '[run]\nname = "audited"\nroot = "out"\n'
        '[[source]]\nname = "web"\nkind = "web"\npath = "pages.jsonl"\npresets = ["none"]\n'
        "[curate]\nmeasure = []\nmax_cluster_docs = 50\n"
        '[curate.fuzzy]\nsetting = "high-recall"\nmin_similarity = 0.75\n'
        '[cluster.engine]\nrunner = "inline"\n' + TRAINING
    )
    return path


def test_pairs_are_shown_as_they_were_decided(tmp_path: Path) -> None:
    run_file = write_run(tmp_path)
    with pytest.raises(DataError, match="stage 'ingest' of this run is not finished"):
        audit(run_file)
    workspace = plan_workspace(run_file)
    run_stages(workspace, Silent(), last="fuzzy")
    page = audit(run_file)
    assert page == tmp_path / "out" / "audit.html"
    html = page.read_text()
    pairs = read_table(workspace.folder("fuzzy") / "pairs.parquet").to_pylist()
    shown = re.findall(r"<code>(\d\.\d{3})</code><span class=\"\w+\">(no )?duplicates", html)
    assert sorted((float(s), not no) for s, no in shown) == sorted(
        (round(pair["similarity"], 3), pair["is_duplicate"]) for pair in pairs
    )
    assert {pair["is_duplicate"] for pair in pairs} == {True, False}
    assert all(pair["is_duplicate"] == (pair["similarity"] >= 0.75) for pair in pairs)
    assert "60 documents, 1 kept" in html
    assert "all begin https://x.org/docs/" in html
    assert "more than curate.max_cluster_docs = 50: a template?</p>" in html  # and no "see here"
    assert "60 documents are near-duplicates of each other" in html  # the alarm
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert html.count("<script") == 1


def test_a_run_without_near_duplicates_has_an_audit(tmp_path: Path) -> None:
    run_file = write_run(tmp_path)
    rows = [json.dumps({"text": prose(seed)}) + "\n" for seed in range(5)]
    (tmp_path / "pages.jsonl").write_text("".join(rows))
    run_stages(plan_workspace(run_file), Silent(), last="fuzzy")
    html = audit(run_file).read_text()
    assert "No two documents of this run are near-duplicates of each other." in html
    assert "none were compared" in html


def test_overlaps_of_sources_are_counted(tmp_path: Path) -> None:
    run_file = write_run(tmp_path)
    rows = [json.dumps({"text": prose(seed)}) + "\n" for seed in (20, 21, 22, 90, 90)]
    (tmp_path / "notes.jsonl").write_text("".join(rows))
    source = (
        '[[source]]\nname = "notes"\nkind = "books"\npath = "notes.jsonl"\npresets = ["none"]\n'
    )
    run_file.write_text(run_file.read_text().replace("[curate]\n", f"{source}[curate]\n", 1))
    run_stages(plan_workspace(run_file), Silent(), last="fuzzy")
    html = audit(run_file).read_text()
    cells = re.findall(
        r'<th scope="row">(\w+)</th><td class="n">(\S+)</td><td class="n">(\S+)</td></tr>', html
    )
    assert cells == [("web", "60", "·"), ("notes", "3", "1")]  # 59 versions and the hostile page


def opened_bands(html: str) -> list[str]:
    return re.findall(r'<details class="rule" open>.*?<b>(\S+) to', html, re.DOTALL)


def write_near(folder: Path, bound: float, texts: list[str]) -> Path:
    run_file = write_run(folder)
    rows = [{"text": text, "url": f"https://x.org/{place}"} for place, text in enumerate(texts)]
    (folder / "pages.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = f"min_similarity = {bound}"
    run_file.write_text(run_file.read_text().replace("min_similarity = 0.75", settings))
    run_stages(plan_workspace(run_file), Silent(), last="fuzzy")
    return run_file


def test_both_sides_of_a_bound_between_two_bands_are_open(tmp_path: Path) -> None:
    words = prose(7, 200).replace("\n", " ").split()
    shares = (0, 0.3, 0.36, 0.4, 0.45, 0.5, 0.55, 0.6)  # of the text that the first one shares
    texts = [
        " ".join([*words[int(share * len(words)) :], *prose(50 + place, 60).split()])
        for place, share in enumerate(shares)
    ]
    html = audit(write_near(tmp_path, 0.4, texts)).read_text()
    bands = re.findall(r"<b>(\S+) to (\S+)</b>", html)
    assert {("0.4", "0.5"), ("0.3", "0.4")} <= set(bands)
    assert opened_bands(html) == sorted({bands[0][0], "0.4", "0.3"}, reverse=True)


def test_a_document_says_what_it_was_dropped_for_if_that_is_a_third_one(tmp_path: Path) -> None:
    base = prose(7, 90).replace("\n", " ")
    texts = [f"{base} {'more words here ' * number}" for number in (3, 1, 2)]
    html = audit(write_near(tmp_path, 0.75, texts)).read_text()
    cards = [card.split("</article>")[0] for card in html.split('<article class="specimen">')[1:]]
    told = {
        tuple(re.findall(r"<b>(kept|dropped)</b> <code>(\S+)</code>", card)): re.findall(
            r", for <code>(\S+)</code>", card
        )
        for card in cards
        if "versus" in card
    }
    assert told == {
        (("kept", "0:0"), ("dropped", "0:1")): [],
        (("kept", "0:0"), ("dropped", "0:2")): [],
        (("dropped", "0:1"), ("dropped", "0:2")): ["0:0", "0:0"],
    }
    assert "all begin" not in html  # of one site alone


def test_an_address_is_told_if_it_says_more_than_the_site() -> None:
    for urls, told in (
        (["https://x.org/a/1", "https://x.org/a/2"], "https://x.org/a/"),
        (["https://x.org/a", "https://x.org/b"], ""),
        (["https://x.org", "https://x.com"], ""),
        (["http://x.org/a", "https://x.org/a"], ""),
        (["mail/inbox/1", "mail/inbox/2"], "mail/inbox/"),
        (["", ""], ""),
    ):
        assert common_address(urls) == told


def test_a_small_source_that_is_lost_is_told_of_as_well(tmp_path: Path) -> None:
    run_file = write_near(tmp_path, 0.75, [prose(1), prose(1), prose(1), prose(1)])
    html = audit(run_file).read_text()
    assert "3 of 4 documents of &#39;web&#39; (75%) are dropped as duplicates" in html
    assert "bessemer audit`" not in html
