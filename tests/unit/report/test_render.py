"""The page: self-contained, the same for the same run, and never what hostile text wants."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bessemer.core.layout import REPORT
from bessemer.report.collect import collect
from bessemer.report.render import render, write_report

from .curated import Doc
from .pages import Page
from .runs import Run, step_row, write_run
from .test_collect import RUN, WEB

HOSTILE = (
    "<script>alert(1)</script>",
    "</div></article></section><h1>broken out</h1>",
    "\"'><img src=x onerror=alert(1)>",
    "--></style></script>]]>{{ 7*7 }}{% raw %}",
    "&lt;b&gt;&#x3c;script&#x3e;",
    "\u202eright to left\u202c \u2067isolate",
    "bell\x07 escape\x1b[2J delete\x7f c1\x9b",
    "javascript:alert(1)",
    "y" * 5000,
    "z" + "\u0310" * 500,
)

# Elements whose number depends on the words themselves: how many, how long, how alike.
WORDS = {"del", "ins", "span"}
SHAPES = {"rect", "line", "path", "circle", "text", "tspan", "title"}


def make(tmp_path: Path, run: Run, name: str = "run") -> str:
    job = write_run(tmp_path / name, run)
    return render(collect(job, tmp_path / f"{name}-report"))


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make(tmp_path_factory.mktemp("page"), RUN)


def test_report_needs_no_torch() -> None:
    code = "import sys, bessemer.report.render; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_stage_writes_the_page_and_says_that_it_holds_times(tmp_path: Path) -> None:
    result = write_report(write_run(tmp_path / "run", RUN), tmp_path / "out")
    written = (tmp_path / "out" / REPORT).read_bytes()
    assert result.summary == {"bytes": len(written)}
    assert result.irreproducible == (REPORT,)
    assert result.conservation == ()


def test_equal_runs_give_equal_pages(tmp_path: Path) -> None:
    assert make(tmp_path, RUN, "one") == make(tmp_path, RUN, "two")


def test_nothing_comes_from_elsewhere(html: str) -> None:
    page = Page(html)
    for tag, attributes in page.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form"), tag
        assert not any(key.startswith("on") or key == "src" for key in attributes), attributes
        assert attributes.get("href", "#").startswith("#")
    style = html[html.index("<style>") : html.index("</style>")]
    assert not re.search(r"url\(|@import|https?:", style)
    assert set(re.findall(r"url\(([^)]*)\)", html)) <= {
        f"#pour-{color}" for color in re.findall(r'id="pour-([^"]*)"', html)
    }


def test_the_policy_admits_this_script_only(html: str) -> None:
    (script,) = Page(html).scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(a["content"] for t, a in Page(html).elements if "http-equiv" in a)
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_ids_are_unique_and_links_lead_somewhere(html: str) -> None:
    page = Page(html)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {a["href"][1:] for t, a in page.elements if t == "a"}
    assert links <= set(ids)


def test_every_picture_can_be_read_aloud(html: str) -> None:
    for tag, attributes in Page(html).elements:
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or attributes["aria-label"]


def test_the_page_says_what_happened(html: str) -> None:
    text = Page(html).text
    for said in (
        "Of 11 documents (144 B as stored), 5 (45%) were kept",
        "✓ Nothing is lost.",
        "healthy",
        "Beats the byte-unigram baseline (4.50) by 33%, does not yet reach LZMA (2.00), which "
        "gets by with 33% fewer bits.",
        "Bootstrap over chunks: 40 of train, 4 held out; too few documents",
        "bad byte 0xff",
        "HEADER",
        "another language than wanted, or a score below 0.5",
        "600 logits differ by at most 1.0e-06; 8 of 8 greedily chosen tokens are equal.",
        "Leak check: 0 of 2 held-out documents share their text, a cluster of near-duplicates, an "
        "address or 50 words in a row with any of the 3 that are trained on.",
        "begun 2026-01-02 03:04 UTC",
    ):
        assert said in text, said
    assert "$" not in text


def test_money_is_told_only_if_there_is_a_price(tmp_path: Path) -> None:
    text = Page(make(tmp_path, Run(sources=RUN.sources, price_per_hour=36.0))).text
    assert "$1.52 at $36 per hour" in text  # 152 seconds of all stages


def test_what_the_guard_noticed_is_told(tmp_path: Path) -> None:
    assert "The guard noticed" not in make(tmp_path, RUN, "calm")
    noticed = Run(sources=RUN.sources, noticed=[{"step": 3, "action": "skip"}], interventions=1)
    told = make(tmp_path, noticed, "noisy")
    assert "The guard noticed 1 step with a loss" in told
    assert "intervened in 1:" in told


def test_the_columns_of_the_accounts_add_up(tmp_path: Path) -> None:
    job = write_run(tmp_path / "run", RUN)
    path = job.folders["encode"] / "manifest.json"
    manifest = json.loads(path.read_text())
    sums = manifest["conservation"][0]  # masks: longer than what they stand for
    sums |= {"bytes_edited": 60, "bytes_inserted": 1123, "bytes_out": sums["bytes_out"] + 1063}
    path.write_text(json.dumps(manifest))
    html = render(collect(job, tmp_path / "out"))
    assert "✓ Nothing is lost." in html
    table = html[html.index('class="accounts-table"') :].split("</table>")[0]
    head, body = table.split("</thead>")
    names = re.findall(r"<th[^>]*>([^<]*)</th>", head.split("</tr>")[1])
    signs = [{"=": 1, "+": 1, "−": -1}.get(name[:1], 0) for name in names[2:]]
    inserted = []
    for row in body.split("</tr>"):
        cells = re.findall(r"<td[^>]*>(.*?)</td>", row)[1:]  # without the source
        if len(cells) != len(signs):
            continue  # the two sides
        numbers = [int(re.sub(r"<.*|,|·", "", cell) or 0) for cell in cells]
        for begin in [place for place, name in enumerate(names[2:]) if name == "in"]:
            end = signs.index(0, begin + 1)
            terms = zip(signs[begin + 1 : end], numbers[begin + 1 : end], strict=True)
            assert numbers[begin] == sum(sign * number for sign, number in terms), row
        inserted.append(numbers[names.index("− put in") - 2])
    assert sorted(inserted)[-2:] == [0, 1123]
    assert len(inserted) == 2 * 9  # sources, and stages with accounts


def test_what_was_dropped_is_open_first(tmp_path: Path) -> None:
    docs = [Doc(text="body", cut="HEADER "), *WEB]
    html = make(tmp_path, Run(sources={"web": docs, "only edits": [docs[0]]}))
    opened = re.findall(r'<details class="rule" open>.*?<b>([^<]*)</b>', html, re.DOTALL)
    assert opened == ["word count"]


def test_numbers_agree_with_their_nouns(tmp_path: Path) -> None:
    docs = [Doc(text="kept"), Doc(text="held", fate="heldout"), Doc(text="short", fate="rules")]
    text = Page(make(tmp_path, Run(sources={"web": docs}), "few")).text
    assert "1 doc " in text
    one = Page(make(tmp_path, Run(sources={"web": docs[:1]}), "one")).text
    assert "Of 1 document (4 B as stored), 1 (100%) was kept" in one
    for page in (text, one):
        found = re.search(r"(?<![\d.,:])1 (documents|docs|pairs|items|lines|rules|steps)\b", page)
        assert found is None, page[found.start() - 40 : found.end()]


def test_a_loss_in_the_accounts_is_shown(tmp_path: Path) -> None:
    job = write_run(tmp_path / "run", RUN)
    path = job.folders["rules"] / "manifest.json"
    path.write_text(path.read_text().replace('"docs_out": 5', '"docs_out": 4'))
    text = Page(render(collect(job, tmp_path / "out"))).text
    assert "✗ The accounts do not hold." in text
    assert "Nothing is lost" not in text
    assert "not accounted for" in text


@pytest.mark.parametrize("evil", HOSTILE)
def test_hostile_text_stays_text(tmp_path: Path, evil: str) -> None:
    docs = [
        Doc(text=f"{evil} kept", title=evil, url=evil),
        Doc(text=f"{evil} held", fate="heldout"),
        Doc(text=evil, fate="rules", rule=evil, title=evil, url=evil),
        Doc(text=evil, fate="rules", rule="language", language=evil),
        Doc(text=f"{evil} kept", fate="exact", like=0, url=evil),
        Doc(text=f"{evil} kept now", fate="fuzzy", like=0, title=evil, url=evil),
        Doc(text="", fate="quarantine", error=evil),
        Doc(text="body", cut=evil),
    ]
    harmless = [
        Doc(
            text=doc.text.replace(evil, "harmless"),
            title=doc.title.replace(evil, "harmless"),
            url=doc.url.replace(evil, "harmless"),
            cut=doc.cut.replace(evil, "harmless"),
            error="harmless",
            rule=doc.rule.replace(evil, "harmless"),
            language=doc.language.replace(evil, "xx"),
            fate=doc.fate,
            like=doc.like,
        )
        for doc in docs
    ]

    def page(name: str, documents: list[Doc], words: str) -> Page:
        writing = {"source": "web", "prompt": words, "written": words, "original": words}
        finding = {"kind": "healthy", "evidence": words, "advice": words}
        run = Run(
            sources={"web": documents},
            writings=[writing],
            verdict={"word": "healthy", "findings": [finding]},
        )
        return Page(make(tmp_path, run, name))

    hostile, plain = page("hostile", docs, evil), page("plain", harmless, "harmless")
    assert len(hostile.scripts) == 1
    assert hostile.count("h1") == 1
    # The structure is that of the same run with harmless words.
    for tag in {tag for tag, _ in [*plain.elements, *hostile.elements]} - WORDS - SHAPES:
        assert hostile.count(tag) == plain.count(tag), tag
    shown = "".join(hostile.texts) + "".join(v for _, a in hostile.elements for v in a.values())
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert not re.search("\u0310{4}", shown)


def test_lone_surrogates_from_json_can_be_written(tmp_path: Path) -> None:
    job = write_run(tmp_path / "run", RUN)
    path = job.folders["diagnose"] / "diagnosis.json"
    path.write_text(path.read_text().replace('" upon"', '" up\\ud800on"'))
    write_report(job, tmp_path / "out")
    assert "up⟨U+D800⟩on" in (tmp_path / "out" / REPORT).read_text(encoding="utf-8")


def test_a_run_that_lost_nothing(tmp_path: Path) -> None:
    docs = [Doc(text="one"), Doc(text="two", fate="heldout")]
    text = Page(make(tmp_path, Run(sources={"only": docs}))).text
    assert "Nothing was dropped, edited or quarantined." in text
    assert "nothing lost" in text


def test_no_near_duplicates_and_no_samples(tmp_path: Path) -> None:
    docs = [doc for doc in WEB if doc.fate not in ("fuzzy", "exact")]
    page = Page(make(tmp_path, Run(sources={"web": docs}, samples_per_rule=0)))
    assert page.count("article") == 1  # what the model writes
    assert "No samples were asked for." in page.text


def test_a_source_without_heldout_text(tmp_path: Path) -> None:
    sources = {"web": WEB, "lone": [Doc(text="only one")]}
    text = Page(make(tmp_path, Run(sources=sources))).text
    assert "Without held-out text: lone." in text


def test_no_heldout_text_at_all(tmp_path: Path) -> None:
    text = Page(make(tmp_path, Run(sources={"lone": [Doc(text="only one")]}))).text
    assert "No held-out text was measured." in text
    assert "There was no held-out text to begin from." in text


def test_no_baselines(tmp_path: Path) -> None:
    text = Page(make(tmp_path, Run(sources={"web": WEB}, baselines={}))).text
    assert "No baseline was measured." in text


def test_unknown_mfu_and_no_steps(tmp_path: Path) -> None:
    steps = [step_row(step, mfu=None) for step in range(1, 11)]
    text = Page(make(tmp_path, Run(sources={"web": WEB}, steps=steps), "mfu")).text
    assert "(MFU) is not known for this device" in text
    text = Page(make(tmp_path, Run(sources={"web": WEB}, steps=[]), "none")).text
    assert "No steps were recorded." in text


def test_mfu_above_one_is_called_by_its_name(tmp_path: Path) -> None:
    steps = [step_row(step, mfu=1.4) for step in range(1, 11)]
    text = Page(make(tmp_path, Run(sources={"web": WEB}, steps=steps))).text
    assert "An MFU of 140% is above the rate" in text


def test_many_sources_rules_and_steps_stay_small(tmp_path: Path) -> None:
    rules = [
        Doc(text="words " * 500, fate="rules", rule=f"rule_{n % 12}", value=1.0) for n in range(240)
    ]
    docs = [*rules, Doc(text="kept"), Doc(text="held", fate="heldout")]
    run = Run(
        sources={f"source-{n}": docs for n in range(6)},
        steps=[step_row(step) for step in range(1, 5001)],
        samples_per_rule=20,
    )
    assert len(make(tmp_path, run).encode()) < 1_500_000
