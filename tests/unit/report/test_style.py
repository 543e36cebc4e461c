"""Words can be read in both themes: contrast of at least 4.5 to 1 (WCAG 2.2, criterion 1.4.3)."""

import re
from importlib.resources import files

import pytest

STYLE = (files("bessemer.report") / "templates" / "style.css").read_text(encoding="utf-8")
PAIRS = [
    *[("ink", back) for back in ("paper", "raised", "sunk", "steel-pale", "hot-pale")],
    *[("soft", back) for back in ("paper", "raised", "steel-pale")],
    *[(front, "paper") for front in ("hot", "good", "bad")],
    *[(front, "raised") for front in ("hot", "bad", "good", "cold", "dry")],
    ("paper", "ink"),
]


def colors(theme: str) -> dict[str, str]:
    found = re.findall(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", STYLE)
    return {name: light if theme == "light" else dark for name, light, dark in found}


def luminance(color: str) -> float:
    """Relative luminance of sRGB (WCAG 2.2)."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("front", "back"), PAIRS)
def test_words_stand_out(theme: str, front: str, back: str) -> None:
    found = colors(theme)
    assert contrast(found[front], found[back]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_names_inside_segments_stand_out(theme: str) -> None:
    found = colors(theme)
    for number in range(1, 7):
        dark_words = theme == "dark" or number in (2, 3, 6)
        words = ("#0d1419" if theme == "dark" else "#10202b") if dark_words else "#ffffff"
        assert contrast(words, found[f"s{number}"]) >= 4.5, number
