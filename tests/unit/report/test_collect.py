"""The facts of a small run, whole: what was lost to what, whether it adds up, and the evidence."""

from dataclasses import replace
from pathlib import Path

import pytest

from bessemer.core.errors import IntegrityError
from bessemer.core.manifest import read_manifest
from bessemer.core.storage import write_json
from bessemer.report.collect import ReportJob, collect
from bessemer.report.facts import MARKUP, UNACCOUNTED, Language, Piece, Reason, Report
from bessemer.report.render import render

from .curated import Doc
from .runs import Run, write_run

WEB = [
    Doc(text="kept one two three", markup=7, title="First", url="http://a.org/1"),
    Doc(text="held out", fate="heldout", markup=1),
    Doc(text="short", fate="rules", also_broke=("alpha_frac",)),
    Doc(text="tiny", fate="rules", value=1.0),
    Doc(text="bonjour", fate="rules", rule="language", value=0.9, bound=0.5, language="fr"),
    Doc(text="kept one two three", fate="exact", like=0, url="http://b.org/copy"),
    Doc(text="kept one two four", fate="fuzzy", like=0),
    Doc(text="", fate="quarantine", markup=30, error="bad byte 0xff"),
    Doc(text="body", cut="HEADER "),
]
CODE = [Doc(text="def f(): pass"), Doc(text="x = 1", fate="heldout")]
RUN = Run(sources={"web": WEB, "code": CODE}, kinds={"code": "code"})


@pytest.fixture
def job(tmp_path: Path) -> ReportJob:
    return write_run(tmp_path / "run", RUN)


@pytest.fixture
def report(job: ReportJob, tmp_path: Path) -> Report:
    return collect(job, tmp_path / "report")


def reason(stage: str, rule: str, action: str = "drop", bound: float | None = None) -> Reason:
    return Reason(stage=stage, rule=rule, action=action, bound=bound)


def test_losses_are_the_ledger(report: Report) -> None:
    found = {
        loss.reason: (loss.docs, loss.num_bytes, loss.broken_docs, loss.is_low)
        for loss in report.losses
    }
    assert found == {
        reason("exact", "exact_duplicate"): (1, 18, 1, None),
        reason("fuzzy", "near_duplicate", bound=0.75): (1, 17, 1, False),
        reason("ingest", "header", "edit"): (1, 7, 1, None),
        reason("ingest", "unreadable", "quarantine"): (1, 30, 1, None),
        reason("rules", "word_count", bound=50.0): (2, 9, 2, True),
        reason("rules", "language", bound=0.5): (1, 7, 1, False),
        reason("rules", "alpha_frac"): (0, 0, 1, None),
    }


def test_gates_lead_from_raw_files_to_what_is_kept(report: Report) -> None:
    web = report.sources[0]
    assert [
        (gate.stage, gate.docs_in, gate.docs_out, gate.bytes_in, gate.bytes_out)
        for gate in web.gates
    ] == [
        ("ingest", 9, 8, 126, 81),
        ("rules", 8, 5, 81, 65),
        ("mask", 5, 5, 65, 65),
        ("exact", 5, 4, 65, 47),
        ("fuzzy", 4, 3, 47, 30),
        ("lines", 3, 3, 30, 30),
    ]
    assert [loss.reason.action for loss in web.gates[0].losses] == [
        MARKUP, "quarantine", "edit",
    ]  # fmt: skip
    assert [loss.reason.rule for loss in web.gates[1].losses] == ["word_count", "language"]
    assert (web.train.docs, web.train.num_bytes) == (2, 22)
    assert (web.heldout.docs, web.heldout.num_bytes) == (1, 8)
    assert (web.num_files, web.file_bytes, web.licenses) == (1, 126, ("CC0-1.0",))


def test_accounts_are_added_up_again(report: Report) -> None:
    assert len(report.balances) == 9 * 2
    assert all(balance.holds for balance in report.balances)
    ledgers = {balance.stage for balance in report.balances if balance.ledger_holds is not None}
    assert ledgers == {"ingest", "rules", "mask", "exact", "fuzzy", "lines"}


def test_a_stage_that_lies_is_found_out(job: ReportJob, tmp_path: Path) -> None:
    folder = job.folders["rules"]
    manifest = read_manifest(folder)
    assert manifest is not None
    path = folder / "manifest.json"
    text = path.read_text().replace('"docs_dropped": 3', '"docs_dropped": 2')
    path.write_text(text.replace('"docs_out": 5', '"docs_out": 4'))
    report = collect(job, tmp_path / "report")
    bad = {(b.stage, b.sums.source): b for b in report.balances if not b.holds}
    assert set(bad) == {("rules", "web"), ("mask", "web")}
    assert not bad["rules", "web"].docs_hold
    assert not bad["rules", "web"].ledger_holds
    assert not bad["mask", "web"].follows
    (gate,) = [gate for gate in report.sources[0].gates if gate.stage == "rules"]
    assert gate.losses[-1].reason.action == UNACCOUNTED
    assert gate.losses[-1].docs == 1


def test_samples_of_drops_edits_and_quarantines(report: Report) -> None:
    short, tiny = report.samples["web", reason("rules", "word_count", bound=50.0)]
    assert (short.doc_id, short.text, short.value, short.bound) == ("0:2", "short", 3.0, 50.0)
    assert (tiny.doc_id, tiny.text, tiny.is_cut) == ("0:3", "tiny", False)
    (french,) = report.samples["web", reason("rules", "language", bound=0.5)]
    assert (french.evidence, french.text) == ("fr", "bonjour")
    (edit,) = report.samples["web", reason("ingest", "header", "edit")]
    assert (edit.doc_id, edit.evidence, edit.num_bytes, edit.text) == ("0:8", "HEADER ", 7, "")
    (bad,) = report.samples["web", reason("ingest", "unreadable", "quarantine")]
    assert (bad.doc_id, bad.evidence, bad.url) == ("0:7", "bad byte 0xff", "")
    assert ("web", reason("rules", "alpha_frac")) not in report.samples


def test_duplicates_stand_beside_what_was_kept(report: Report) -> None:
    (exact,) = report.samples["web", reason("exact", "exact_duplicate")]
    assert exact.kept is not None
    assert (exact.doc_id, exact.kept.doc_id, exact.kept.is_equal) == ("0:5", "0:0", True)
    assert (exact.url, exact.kept.url) == ("http://b.org/copy", "http://a.org/1")
    (near,) = report.samples["web", reason("fuzzy", "near_duplicate", bound=0.75)]
    assert near.kept is not None
    assert not near.kept.is_equal
    assert near.pieces[-1] == Piece(text="four", differs=True)
    assert near.kept.pieces[-1] == Piece(text="three", differs=True)


def test_an_equal_text_that_is_none_is_not_called_equal(tmp_path: Path) -> None:
    docs = [Doc(text="a b"), Doc(text="a c", fate="exact", like=0)]
    report = collect(write_run(tmp_path / "run", Run(sources={"web": docs})), tmp_path / "report")
    (sample,) = report.samples["web", reason("exact", "exact_duplicate")]
    assert sample.kept is not None and not sample.kept.is_equal


def test_samples_are_drawn_by_key_whatever_the_order(tmp_path: Path) -> None:
    docs = [Doc(text=f"text {n}", fate="rules", value=1.0) for n in range(200)]
    run = Run(sources={"web": [*docs, Doc(text="kept")]}, samples_per_rule=5)
    drawn = []
    for name in ("one", "two"):
        job = write_run(tmp_path / name, run)
        report = collect(job, tmp_path / "report" / name)
        drawn.append(
            [s.doc_id for s in report.samples["web", reason("rules", "word_count", bound=50.0)]]
        )
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 5
    assert drawn[0] != [f"0:{row}" for row in range(5)]


def test_no_samples_when_none_are_asked_for(job: ReportJob, tmp_path: Path) -> None:
    assert collect(replace(job, samples_per_rule=0), tmp_path / "report").samples == {}


def test_long_texts_are_cut(tmp_path: Path) -> None:
    docs = [Doc(text="word " * 1000, fate="rules"), Doc(text="kept")]
    report = collect(write_run(tmp_path / "run", Run(sources={"web": docs})), tmp_path / "report")
    (sample,) = report.samples["web", reason("rules", "word_count", bound=50.0)]
    assert sample.is_cut
    assert len(sample.text) < 500


def test_languages_before_and_after(report: Report) -> None:
    web, code = report.sources
    assert web.languages == (
        Language(code="en", docs_before=7, docs_after=3),
        Language(code="fr", docs_before=1, docs_after=0),
    )
    assert code.languages == (Language(code="en", docs_before=2, docs_after=2),)


def test_languages_that_were_not_measured_are_not_drawn(tmp_path: Path) -> None:
    docs = [Doc(text="a b", language=None), Doc(text="a c", language=None, fate="rules")]
    found = collect(write_run(tmp_path / "run", Run(sources={"web": docs})), tmp_path / "report")
    assert found.sources[0].languages == ()
    assert "Languages found" not in render(found)


def test_training_and_stages(report: Report) -> None:
    assert report.training.total_flops is not None and report.training.total_flops > 0
    assert set(report.curves) == {
        "loss", "bits_per_byte", "grad_norm", "lr", "tokens_per_s", "mfu", "peak_bytes",
    }  # fmt: skip
    assert [stage.name for stage in report.stages][:3] == ["ingest", "signals", "rules"]
    assert report.stages[0].argv == "bessemer run 'run file.toml'"
    assert '"files": "3 files"' in report.stages[0].settings  # never the list of all files


def test_operations_are_left_out_if_the_formulas_do_not_fit(job: ReportJob, tmp_path: Path) -> None:
    write_json(job.folders["export"] / "model" / "config.json", {"vocab_size": 17})
    assert collect(job, tmp_path / "report").training.total_flops is None


@pytest.mark.parametrize(
    "table", ["rules/decisions", "ingest/documents", "signals/signals", "split/splits"]
)
def test_a_damaged_table_is_refused(job: ReportJob, tmp_path: Path, table: str) -> None:
    stage, name = table.split("/")
    path = job.folders[stage] / name / "00000.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(IntegrityError, match=r"cannot be read|is damaged"):
        collect(job, tmp_path / "report")


def test_an_unfinished_stage_is_refused(job: ReportJob, tmp_path: Path) -> None:
    (job.folders["mix"] / "manifest.json").unlink()
    with pytest.raises(IntegrityError, match="mix is not complete"):
        collect(job, tmp_path / "report")


def test_packings_are_told_side_by_side(report: Report) -> None:
    told = [
        (row.packing, row.is_chosen, row.cut_frac, row.padded_frac, row.wasted_frac)
        for row in report.packing
        if row.source == "web"
    ]
    assert told == [("concat", True, 0.25, 0.1, 0.25), ("best_fit", False, 0.25, 0.1, 0.1)]
