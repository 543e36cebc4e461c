"""How surely near-duplicates are found stands in the report: as drawn, in words and in numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bessemer.report.charts.collision import collision_chart
from bessemer.report.collect import collect
from bessemer.report.facts import CollisionPoint, Collisions
from bessemer.report.render import render
from bessemer.report.sentences import tell_collisions

from .curated import Doc
from .runs import Run, write_run

CURVE = tuple((at / 20, 1 - (1 - (at / 20) ** 8) ** 14) for at in range(10, 21))
POINT = {
    "similarity": 0.75, "expected": 0.77, "pairs": 40, "found": 30, "low": 0.6, "high": 0.86,
}  # fmt: skip


def collisions(**other: Any) -> Collisions:
    plain = {
        "unit": "words", "shingle_size": 5, "num_bands": 14, "rows_per_band": 8,
        "verify": "jaccard", "bound": 0.75, "curve": CURVE, "points": (CollisionPoint(**POINT),),
        "num_candidates": 5, "num_verified": 3, "num_passed_over": 0,
    }  # fmt: skip
    return Collisions(**(plain | other))


def test_curve_and_points_lie_where_they_should() -> None:
    root = ElementTree.fromstring(collision_chart(collisions()))
    [curve] = [each for each in root.iter("path") if each.attrib["class"] == "collision"]
    places = [
        tuple(map(float, place.split())) for place in re.split("[ML]", curve.attrib["d"]) if place
    ]
    left, right = places[0][0], places[-1][0]
    top, [axis] = places[-1][1], [
        float(each.attrib["y1"])
        for each in root.iter("line")
        if each.attrib["class"] == "axis" and each.attrib["y1"] == each.attrib["y2"]
    ]  # fmt: skip
    for x, y in places:
        similarity = 0.5 + 0.5 * (x - left) / (right - left)
        share = (axis - y) / (axis - top)
        # Places are rounded to a tenth of a pixel, and the curve is at most 5.2 times as steep.
        assert abs(share - (1 - (1 - similarity**8) ** 14)) < 0.005
    [dot] = root.iter("circle")
    assert float(dot.attrib["cx"]) == pytest.approx((left + right) / 2, abs=0.1)
    assert (axis - float(dot.attrib["cy"])) / (axis - top) == pytest.approx(30 / 40, abs=0.002)
    [whisker] = [each for each in root.iter("line") if each.attrib["class"] == "whisker"]
    ends = [(axis - float(whisker.attrib[end])) / (axis - top) for end in ("y1", "y2")]
    assert ends == pytest.approx([0.6, 0.86], abs=0.002)
    [beyond] = [each for each in root.iter("rect") if each.attrib["class"] == "beyond"]
    assert float(beyond.attrib["width"]) == pytest.approx((right - left) / 2, abs=0.1)


def test_of_containment_no_side_is_shaded_and_what_is_missed_is_said() -> None:
    found = collisions(verify="containment", num_passed_over=12_000)
    assert "beyond" not in collision_chart(found)
    told = tell_collisions(found)
    assert "short excerpts are seldom compared" in told
    assert "12,000 times" in told
    assert "excerpts" not in tell_collisions(collisions())


@pytest.mark.parametrize("points", [[], [POINT]])
def test_the_page_tells_it(tmp_path: Path, points: list[dict[str, float]]) -> None:
    summary = {
        "collision_curve": CURVE, "collision_points": points, "num_candidates": 5,
        "num_verified": 3, "num_passed_over": 0,
    }  # fmt: skip
    run = Run(sources={"web": [Doc(text="one"), Doc(text="two")]}, collisions=summary)
    page = render(collect(write_run(tmp_path / "run", run), tmp_path / "scratch"))
    assert "0.7 is found with odds of 56%, one of 0.8 with 92%, one of 0.9 with 100%" in page
    assert "5 pairs compared, 3 of them duplicates." in page
    assert ("no texts long enough to measure it on" in page) is (not points)
    assert ('<td class="n">75.0%</td>' in page) is bool(points)


def test_a_run_that_looked_for_none_says_nothing(tmp_path: Path) -> None:
    run = Run(sources={"web": [Doc(text="one"), Doc(text="two")]})
    page = render(collect(write_run(tmp_path / "run", run), tmp_path / "scratch"))
    assert "How surely near-duplicates" not in page
