"""What a run drops for the documents of earlier runs is what it would drop beside them in one."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path

import pytest
from tests.conftest import prose
from tests.ledgers import read_decisions
from tests.unit.line.run_files import TRAINING

from bessemer.core.errors import ConfigError, DataError, IntegrityError
from bessemer.core.events import Silent
from bessemer.core.fingerprint import digest_file
from bessemer.core.layout import DOCUMENTS
from bessemer.core.storage import read_table, write_json
from bessemer.line import show_check
from bessemer.line.api import audit, index_documents
from bessemer.line.runner import run_stages
from bessemer.line.workspace import plan_workspace

RUN = (
    '[run]\nname = "{name}"\nroot = "{name}"\n'
    '[[source]]\nname = "web"\nkind = "web"\npath = "{files}"\npresets = ["none"]\n'
    "[curate]\nmeasure = []\n{more}"
    '[cluster.engine]\nrunner = "inline"\n'
) + TRAINING


def edited(text: str, seed: int, share: float) -> str:
    """`text` with some words replaced by a shorter one: of the two, the original is kept."""
    words = text.split(" ")
    chance = random.Random(seed)
    return " ".join("x" if chance.random() < share else word for word in words)


def write_dump(path: Path, texts: list[str]) -> None:
    rows = [{"text": text, "url": f"{path.stem}/{at}"} for at, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def run(
    folder: Path, name: str, files: str, *known: str, more: str = ""
) -> list[dict[str, object]]:
    """Curate some files up to near-duplicates: the dropped documents, as the ledger has them."""
    lists = "".join(f'[[curate.known]]\npath = "{path}"\n' for path in known)
    (folder / f"{name}.toml").write_text(RUN.format(name=name, files=files, more=more + lists))
    workspace = plan_workspace(folder / f"{name}.toml")
    run_stages(workspace, Silent(), last="fuzzy")
    return read_decisions([workspace.folder(stage) for stage in ("exact", "fuzzy")]).to_pylist()


def texts_of(folder: Path, name: str) -> dict[int, str]:
    documents = plan_workspace(folder / f"{name}.toml").folder("ingest") / DOCUMENTS
    rows = [row for path in sorted(documents.iterdir()) for row in read_table(path).to_pylist()]
    return {row["doc_id"]: row["text"] for row in rows}


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three dumps: each has copies and near copies of those before it, and of itself."""
    folder = tmp_path_factory.mktemp("dumps")
    first = [prose(seed, 120) for seed in range(40)]
    second = [prose(seed, 120) for seed in range(100, 120)]
    second += first[:5] + [edited(text, at, 0.01) for at, text in enumerate(first[5:15])]
    second += [edited(second[0], 1, 0.01), second[1], first[0]]
    third = [prose(200, 120), second[2], first[20], edited(first[5], 77, 0.01)]
    for name, texts in (("a", first), ("b", second), ("c", third)):
        write_dump(folder / f"{name}.jsonl", texts)
    run(folder, "first", "a.jsonl")
    index_documents(folder / "first.toml", folder / "index-a")
    return folder


def lost_texts(folder: Path, name: str, rows: list[dict[str, object]]) -> list[str]:
    texts = texts_of(folder, name)
    return sorted(texts[int(str(row["doc_id"]))] for row in rows)


def test_an_index_finds_what_one_run_over_both_finds(dumps: Path) -> None:
    both = run(dumps, "both", "[ab].jsonl")  # of dump a itself nothing is dropped
    later = run(dumps, "later", "b.jsonl", "index-a")
    assert lost_texts(dumps, "later", later) == lost_texts(dumps, "both", both)
    assert len(later) > 12
    named = [row for row in later if row["evidence_doc_id"] is None]
    assert len(named) == len(later) - 2  # two are like others of their own dump
    originals = texts_of(dumps, "first")
    for row in named:
        index, doc, url = str(row["evidence"]).split(" ")
        file_id, place = map(int, doc.split(":"))
        original = originals[(file_id << 32) + place]
        assert (index, url) == ("first", f"a/{place}")
        text = texts_of(dumps, "later")[int(str(row["doc_id"]))]
        same = sum(a == b for a, b in zip(original.split(" "), text.split(" "), strict=True))
        assert same >= 0.9 * len(text.split(" "))
        assert (text == original) == (row["stage"] == "exact")


def test_the_audit_shows_what_is_like_known_documents(dumps: Path) -> None:
    rows = run(dumps, "later", "b.jsonl", "index-a")
    near = {int(str(row["doc_id"])): row for row in rows if row["stage"] == "fuzzy"}
    workspace = plan_workspace(dumps / "later.toml")
    pairs = read_table(workspace.folder("fuzzy") / "pairs.parquet").to_pylist()
    shown = {pair["right"]: pair for pair in pairs if pair["known"] is not None}
    like_known = {doc_id for doc_id, row in near.items() if row["evidence_doc_id"] is None}
    assert set(shown) == like_known  # fewer than are drawn of a band
    assert len(shown) > 5
    assert all(pair["left"] < 0 and pair["is_duplicate"] for pair in shown.values())
    for doc_id, pair in shown.items():
        assert (pair["known"], pair["similarity"]) == (
            near[doc_id]["evidence"],
            near[doc_id]["value"],
        )
    summary = workspace.manifest("fuzzy").summary
    assert [cluster["docs"] for cluster in summary["largest_clusters"]] == [2]
    html = audit(dumps / "later.toml").read_text()
    texts = texts_of(dumps, "later")
    for doc_id, pair in shown.items():
        card = html.split(f"like <code>{pair['known']}</code>")[1].split("</article>")[0]
        assert f"<b>dropped</b> <code>0:{doc_id}</code>" in card
        assert texts[doc_id][:200] in card
    assert html.count("An index holds no texts.") == 1
    assert html.count(" documents, 1 kept</span>") == 1  # one cluster, of two documents of dump b
    run(dumps, "alone-later", "b.jsonl")
    assert "An index holds no texts." not in audit(dumps / "alone-later.toml").read_text()


def test_indexes_chain_and_the_overlap_is_counted(
    dumps: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = 38 - len(run(dumps, "later", "b.jsonl", "index-a"))
    assert index_documents(dumps / "later.toml", dumps / "index-b") == kept
    rows = run(dumps, "third", "c.jsonl", "index-a", "index-b")
    told = {str(row["evidence"]).split(" ")[0] for row in rows}
    assert (len(rows), told) == (3, {"first", "later"})
    workspace = plan_workspace(dumps / "third.toml")
    show_check.check(workspace)
    assert (
        f"known documents  first, 40 documents; later, {kept} documents" in capsys.readouterr().out
    )
    overlaps = [workspace.manifest(stage).summary["known"] for stage in ("exact", "fuzzy")]
    assert overlaps == [{"web": {"first/web": 1, "later/web": 1}}, {"web": {"first/web": 1}}]
    html = audit(dumps / "third.toml").read_text()
    assert '<th scope="col" class="n">first/web</th>' in html
    parts = run(dumps, "parted", "c.jsonl", "index-a", "index-b", more="part_bytes = 2000\n")
    assert parts == rows


def test_a_known_excerpt_does_not_drop_what_contains_it(tmp_path: Path) -> None:
    whole = prose(1, 400)
    excerpt = " ".join(whole.split(" ")[:300])
    more = '[curate.fuzzy]\nverify = "containment"\nmin_similarity = 0.9\n'
    more += "num_bands = 60\nrows_per_band = 4\n"
    write_dump(tmp_path / "a.jsonl", [excerpt, prose(3, 300)])
    write_dump(tmp_path / "b.jsonl", [whole, prose(2, 300)])
    run(tmp_path, "first", "a.jsonl", more=more)
    index_documents(tmp_path / "first.toml", tmp_path / "index")
    assert run(tmp_path, "later", "b.jsonl", "index", more=more) == []
    run(tmp_path, "whole", "b.jsonl", more=more)
    index_documents(tmp_path / "whole.toml", tmp_path / "other")
    [row] = run(tmp_path, "excerpt", "a.jsonl", "other", more=more)
    assert (row["rule"], row["value"]) == ("contained", 1.0)


def test_what_cannot_be_compared_is_refused(dumps: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds an index already"):
        index_documents(dumps / "first.toml", dumps / "index-a")
    with pytest.raises(DataError, match="is not empty; give a new folder"):
        index_documents(dumps / "first.toml", dumps)
    advice = "make one: `bessemer curate index {} --out DIR`"
    for path, why in (
        (".", f"is no finished index (no index.json in it); {advice.format('RUN')}"),
        ("nowhere", "nowhere; give the one that `bessemer curate index` wrote"),
        ("first", f"not an index of its documents; {advice.format(dumps / 'first')}"),
    ):
        with pytest.raises(ConfigError, match=rf"known\[0\]\.path: .*{re.escape(why)}"):
            run(dumps, "wrong", "b.jsonl", path)
    with pytest.raises(ConfigError, match="index-a is listed twice"):
        run(dumps, "wrong", "b.jsonl", "index-a", "index-a")
    other = "[curate.fuzzy]\nnum_bands = 20\nshingle_size = 3\n"
    with pytest.raises(ConfigError) as caught:
        run(dumps, "wrong", "b.jsonl", "index-a", more=other)
    assert str(caught.value) == (
        "curate.known[0].path: index-a was made with curate.fuzzy.shingle_size = 5 and "
        "curate.fuzzy.num_bands = 14, this run has 3 and 20: signatures made in two ways cannot be "
        "compared; set the same here, or run the other anew with these settings and index it again"
    )
    shutil.copytree(dumps / "index-a", dumps / "damaged")
    path = next((dumps / "damaged" / "bands").iterdir())
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match="missing or damaged"):
        run(dumps, "hurt", "b.jsonl", "damaged")
    unfinished = plan_workspace(dumps / "first.toml").root.parent / "none.toml"
    unfinished.write_text(RUN.format(name="none", files="c.jsonl", more=""))
    with pytest.raises(DataError, match="not finished"):
        index_documents(unfinished, tmp_path / "index")


def test_a_killed_index_goes_on_and_is_not_mixed_with_another(
    dumps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(path: Path, value: object) -> None:
        if path.name == "index.json":
            raise KeyboardInterrupt
        write_json(path, value)

    out = tmp_path / "index"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("bessemer.curate.duplicates.index_documents.write_json", kill)
        index_documents(dumps / "first.toml", out)
    run(dumps, "alone", "b.jsonl")
    with pytest.raises(DataError, match="holds the beginning of another index"):
        index_documents(dumps / "alone.toml", out)
    assert index_documents(dumps / "first.toml", out) == 40
    digests = [
        {path.relative_to(folder): digest_file(path) for path in folder.rglob("*.*")}
        for folder in (out, dumps / "index-a")
    ]
    assert digests[0] == digests[1]
