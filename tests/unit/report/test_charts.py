"""Pictures are well-formed, exact where they claim to be, and names in them stay names."""

import re
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from bessemer.curate.presets import PRESETS
from bessemer.report.charts.bars import (
    cell_bar,
    epoch_bar,
    language_bars,
    part_bar,
    share_flow,
    yardstick,
)
from bessemer.report.charts.funnel import bytes_funnel, docs_funnel
from bessemer.report.charts.histogram import histogram_chart
from bessemer.report.charts.lines import curve_chart, heldout_chart
from bessemer.report.charts.spread import gap_chart
from bessemer.report.charts.svg import element, fit, picture, text, text_width
from bessemer.report.curves import make_curves
from bessemer.report.facts import (
    Amount,
    GapRow,
    Gate,
    Heldout,
    Histogram,
    Language,
    Loss,
    MixRow,
    Reason,
    Source,
)
from bessemer.report.sentences import RULE_NAMES, name_reason

from .runs import step_row

EVIL = "</text><script>alert(1)</script>\"'&\u202e"


def parse(svg: Markup) -> ElementTree.Element:
    assert isinstance(svg, Markup)
    return ElementTree.fromstring(svg)


def words(svg: Markup) -> list[str]:
    return ["".join(node.itertext()) for node in parse(svg).iter("text")]


def test_element_escapes_text_and_attributes() -> None:
    found = element("text", EVIL, x=1.25, data_tip=EVIL, class_="a", fill=None)
    node = ElementTree.fromstring(found)
    shown = EVIL.replace("\u202e", "⟨U+202E⟩")
    assert node.text == shown
    assert node.attrib == {"x": "1.2", "data-tip": shown, "class": "a"}
    assert "<script" not in found


def test_markup_children_are_not_escaped_again() -> None:
    found = picture(10, 5.5, "label", text(1, 2, "a < b"))
    assert parse(found).attrib["viewBox"] == "0 0 10 5.5"
    assert words(found) == ["a < b"]


RULE = Reason(stage="rules", rule="word_count", action="drop", bound=50.0)
LANGUAGE = Reason(stage="rules", rule="language", action="drop", bound=0.5)


def loss(reason: Reason, docs: int) -> Loss:
    return Loss(reason=reason, source="web", docs=docs, num_bytes=docs * 10, broken_docs=docs)


def source(*losses: Loss, docs_in: int = 100) -> Source:
    lost = sum(item.docs for item in losses)
    gate = Gate(
        stage="rules",
        docs_in=docs_in,
        docs_out=docs_in - lost,
        bytes_in=docs_in * 10,
        bytes_out=(docs_in - lost) * 10,
        losses=losses,
    )
    return Source(
        name="web",
        kind="web",
        licenses=(),
        num_files=1,
        file_bytes=1,
        gates=(gate,),
        train=Amount(docs=docs_in - lost, num_bytes=(docs_in - lost) * 10),
        heldout=Amount(),
        languages=(),
    )


COLORS = {RULE: "l-1", LANGUAGE: "l-2"}
NAMES = {RULE: "word count", LANGUAGE: "language"}


@pytest.mark.parametrize("draw", [docs_funnel, bytes_funnel])
def test_widths_of_the_funnel_are_exact(draw: type) -> None:
    svg = draw(source(loss(RULE, 30), loss(LANGUAGE, 20)), COLORS, NAMES, {"rules": 2})
    bars = [node for node in parse(svg).iter("rect") if node.attrib["height"] == "16"]
    widths = {node.attrib["class"]: float(node.attrib["width"]) for node in bars[:3]}
    whole = sum(widths.values())
    assert widths["l-1"] / whole == pytest.approx(0.3, abs=0.002)
    assert widths["l-2"] / whole == pytest.approx(0.2, abs=0.002)
    assert widths["kept"] / whole == pytest.approx(0.5, abs=0.002)


def test_many_reasons_are_summed_up_in_the_last_label() -> None:
    reasons = [Reason(stage="rules", rule=f"rule_{n}", action="drop") for n in range(9)]
    svg = docs_funnel(
        source(*(loss(reason, 9 - n) for n, reason in enumerate(reasons))),
        dict.fromkeys(reasons, "l-1"),
        {reason: reason.rule for reason in reasons},
        {"rules": 5},
    )
    assert [line for line in words(svg) if line.startswith(("−", "rule_"))][4:] == []
    labels = [line for line in words(svg) if "−" in line]
    assert [re.sub(r".*(−)", r"\1", line) for line in labels] == [
        "−9 rule_0", "−8 rule_1", "−7 rule_2", "−6 rule_3", "−15 5 more",
    ]  # fmt: skip


def test_names_of_reasons_are_not_cut_in_the_funnel() -> None:
    rules = {rule for preset in PRESETS.values() for rule in preset} | set(RULE_NAMES)
    reasons = [Reason(stage="rules", rule=rule, action="drop") for rule in sorted(rules)]
    reasons.append(Reason(stage="decontaminate", rule="mine", action="drop"))
    for reason in reasons:
        name = name_reason(reason)
        item = Loss(reason=reason, source="web", docs=1, num_bytes=98_765, broken_docs=1)
        svg = bytes_funnel(
            source(item, docs_in=10**6), {reason: "l-1"}, {reason: name}, {"rules": 1}
        )
        assert any(line.endswith(f"−98.8 kB {name}") for line in words(svg)), name


def test_the_last_row_of_the_funnel_is_what_was_kept() -> None:
    stages = [
        node.text
        for node in parse(docs_funnel(source(), {}, {}, {})).iter("text")
        if node.get("class") == "stage"
    ]
    assert stages == ["rules", "kept"]


def test_words_are_cut_to_the_room_that_they_have() -> None:
    assert fit("short", 100) == "short"
    cut = fit("mostly repeated lines and more", 100)
    assert cut.endswith("…")
    assert text_width(cut) <= 100 < text_width("mostly repeated lines and more")
    assert text_width("iiii") < text_width("aaaa") < text_width("mmmm") < text_width("中中中中中")


def test_a_source_without_documents_has_a_funnel() -> None:
    assert "nothing lost" in words(docs_funnel(source(docs_in=0), {}, {}, {}))


def test_curve_chart_holds_a_value_for_every_step() -> None:
    curve = make_curves([step_row(step) for step in range(1, 31)], ["loss"])["loss"]
    svg = curve_chart(curve, EVIL)
    assert parse(svg).attrib["aria-label"].startswith("</text>")
    assert len(re.findall(r"&#34;(\d\.\d{3})&#34;", svg)) == 30
    assert parse(curve_chart(curve, "wide", width=1080, height=300))


def test_a_curve_of_one_step_and_a_flat_one() -> None:
    for rows in ([step_row(1)], [step_row(step, loss=0.0) for step in range(1, 4)]):
        curve = make_curves(rows, ["loss"])["loss"]
        assert "nan" not in curve_chart(curve, "flat", from_zero=True, may_log=True)


def test_heldout_chart_says_the_baselines() -> None:
    one = Heldout(
        source="web",
        steps=(0, 9),
        tokens=(0, 900),
        bits_per_byte=(4.0, 2.5),
        baselines={"unigram": 4.5, "lzma": 2.0},
    )
    svg = heldout_chart(one, [one])
    assert {"byte unigram 4.50", "LZMA 2.00", "2.50"} <= set(words(svg))
    alone = Heldout(source="x", steps=(0,), tokens=(0,), bits_per_byte=(4.0,), baselines={})
    assert "nan" not in heldout_chart(alone, [alone])


def test_gap_chart_shows_zero_and_signs() -> None:
    gaps = [
        GapRow(
            source=name, train=1.0, heldout=1.0 + gap, gap=gap, low=gap - 0.1, high=gap + 0.1,
            unit="documents", train_units=20, heldout_units=20,
        )
        for name, gap in (("web", 0.2), ("code", -0.3))
    ]  # fmt: skip
    found = words(gap_chart(gaps))
    assert "+0.200+0.100 to +0.300" in found
    assert "−0.300−0.400 to −0.200" in found
    assert "0.0" in found


def histogram(**other: object) -> Histogram:
    plain = {
        "source": "web", "rule": "word_count", "signal": "word_count", "is_log": True,
        "low": 0.0, "high": 1e5, "kept": (0, 5, 3000), "lost": (2, 0, 1), "elsewhere": (0, 4, 0),
        "bounds": ((50.0, True), (1e5, False)),
    }  # fmt: skip
    return Histogram(**(plain | other))  # type: ignore[arg-type]


def test_histogram_draws_its_bounds() -> None:
    found = words(histogram_chart(histogram()))
    assert "≥ 50" in found
    assert "≤ 100k" in found
    empty = histogram(kept=(0,), lost=(0,), elsewhere=(0,), low=0.0, high=1.0, is_log=False)
    assert "nan" not in histogram_chart(empty)


def test_bars_of_a_histogram_stand_on_each_other_and_none_is_too_low_to_be_seen() -> None:
    drawn = dict(re.findall(r'<path d="([^"]*)" class="(\w+)"', histogram_chart(histogram())))
    boxes = {
        class_: [tuple(map(float, re.findall(r"[\d.]+", box)[:4])) for box in d.split("M")[1:]]
        for d, class_ in drawn.items()
    }
    assert {name: len(found) for name, found in boxes.items()} == {
        "kept": 2, "elsewhere": 1, "lost": 2,
    }  # fmt: skip
    foot = 74 - 17
    kept, elsewhere = boxes["kept"], boxes["elsewhere"][0]
    first, last = boxes["lost"]
    assert kept[0][1] + kept[0][3] == kept[1][1] + kept[1][3] == first[1] + first[3] == foot
    assert elsewhere[0] == kept[0][0]
    assert elsewhere[1] + elsewhere[3] == kept[0][1]
    assert last[1] + last[3] == pytest.approx(kept[1][1], abs=0.1)  # of rounding to 0.1
    assert min(box[3] for found in boxes.values() for box in found) == 1.5
    assert kept[1][3] == pytest.approx((foot - 16) * 3000 / 3001, abs=0.1)


def test_the_side_that_a_bound_drops_is_shaded() -> None:
    drawn = histogram_chart(histogram(is_log=False, high=100.0, bounds=((50.0, True),)))
    (side,) = re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"[^>]*beyond', drawn)
    assert side == ("6", "204")
    drawn = histogram_chart(histogram(is_log=False, high=100.0, bounds=((25.0, False),)))
    (side,) = re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"[^>]*beyond', drawn)
    assert side == ("108", "306")


def test_parts_of_a_bar_follow_each_other() -> None:
    boxes = parse(part_bar([(0.25, "l-near"), (0.5, "s-6")])).findall("rect")
    assert [(box.get("class"), box.get("x"), box.get("width")) for box in boxes] == [
        ("track", "0", "100"), ("segment l-near", "0", "25"), ("segment s-6", "25", "50"),
    ]  # fmt: skip


def test_bars() -> None:
    row = MixRow(
        source=EVIL, weight=1.0, available_tokens=100, planned_tokens=250, epochs=2.5,
        effective_tokens=240.0,
    )  # fmt: skip
    blocks = list(parse(epoch_bar(row, 500, "s-1")).iter("rect"))[1:]
    assert len(blocks) == 3  # two readings and a half
    empty = MixRow(
        source="none", weight=0.0, available_tokens=0, planned_tokens=0, epochs=0.0,
        effective_tokens=0.0,
    )  # fmt: skip
    assert len(list(parse(epoch_bar(empty, 0, "s-1")).iter("rect"))) == 1
    assert parse(share_flow([row, empty], {EVIL: "s-1", "none": "s-2"}))
    assert parse(share_flow([empty], {"none": "s-2"}))
    assert parse(cell_bar(7.0)).findall("rect")[1].attrib["width"] == "100"
    assert words(yardstick("web", 2.0, {"unigram": 4.0, "lzma": 1.0}, 4.0))[2:4] == [
        "this model",
        "2.00",
    ]
    assert words(yardstick("web", 2.0, {}, 2.0)) == ["this model", "2.00"]


def test_rare_languages_are_summed_up() -> None:
    languages = [Language(code=f"l{n}", docs_before=20 - n, docs_after=0) for n in range(10)]
    found = words(
        language_bars("web", [*languages, Language(code="", docs_before=1, docs_after=1)])
    )
    assert found[-2:] == ["3 more", "24 → 1"]
