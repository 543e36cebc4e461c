"""How surely pairs of near-duplicates are found: a curve over similarity, and measured points."""

from __future__ import annotations

from markupsafe import Markup

from bessemer.report.charts.scale import Scale
from bessemer.report.charts.svg import element, line, path, picture, rect, text
from bessemer.report.facts import Collisions

WIDTH, HEIGHT = 420.0, 200.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 10.0, 12.0, 36.0


def collision_chart(collisions: Collisions) -> Markup:
    """Share of pairs that are compared, by their similarity: the formula as a line, measured shares
    as dots with whiskers over the 95 % interval; pairs left of the bound are no duplicates."""
    low, high = collisions.curve[0][0], collisions.curve[-1][0]
    x = Scale(low=low, high=high, start=_LEFT, end=WIDTH - _RIGHT)
    y = Scale(low=0.0, high=1.0, start=HEIGHT - _BOTTOM, end=_TOP)
    marks: list[Markup] = []
    if collisions.verify == "jaccard" and collisions.bound > low:
        marks.append(rect(x(low), y(1), x(collisions.bound) - x(low), y(0) - y(1), "beyond"))
    for share in (0.0, 0.5, 1.0):
        marks.append(line(x(low), y(share), x(high), y(share), "axis" if share == 0 else "grid"))
        marks.append(text(_LEFT - 6, y(share) + 4, f"{share:.0%}", class_="tick", anchor="end"))
    for at in [each for each, _ in collisions.curve if round(each * 100) % 10 == 0]:
        marks.append(line(x(at), y(0), x(at), y(0) + 3, "axis"))
        marks.append(text(x(at), y(0) + 16, f"{at:.1f}", class_="tick", anchor="middle"))
    middle = (x(low) + x(high)) / 2
    name = "Jaccard similarity of a pair"
    marks.append(text(middle, HEIGHT - 4, name, class_="tick", anchor="middle"))
    marks.append(path([(x(at), y(share)) for at, share in collisions.smooth], "collision"))
    for point in collisions.points:
        at = x(point.similarity)
        title = (
            f"{point.found:,} of {point.pairs:,} pairs of similarity {point.similarity:.2f} found; "
            f"formula {point.expected:.0%}"
        )
        dot = element("circle", element("title", title), cx=at, cy=y(point.found / point.pairs),
                      r=4, class_="gapdot")  # fmt: skip
        marks += [line(at, y(point.low), at, y(point.high), "whisker"), dot]
    told = ", ".join(f"{share:.0%} at {at:.1f}" for at, share in collisions.curve[::2])
    label = f"Share of pairs that are compared by their similarity: by the formula {told}"
    return picture(WIDTH, HEIGHT, label, *marks, class_="collisions")
