"""Recipes bound signals that there are, and drop what their peers drop."""

from pathlib import Path

import pyarrow as pa
import pytest

from bessemer.curate.dialects import DIALECTS
from bessemer.curate.families import Batch, measure
from bessemer.curate.instruments import Instruments
from bessemer.curate.signals import SIGNAL_DEFINITIONS

PAGE = (
    "The furnace that stands at the end of the yard was built to make iron with coke. "
    "Men of the town came to work there, and their sons have done so after them. "
    "It is cold now; grass grows between the stones, and children play in the old kiln.\n"
) + "A museum that opened last year shows how steel was poured into moulds of sand. "
PAGE += "Those who worked in the heat of it speak of that with pride, and of the noise.\n"
CODE = '''"""Adds numbers, whole ones and others, one after the other."""


def add(numbers):
    """Return the sum of the numbers that are given."""
    total = 0
    for number in numbers:
        total += number  # rounded once for each of them
    return total
'''


def broken(recipe: str, text: str, url: str) -> set[str]:
    texts, urls = pa.array([text], pa.large_string()), pa.array([url])
    found = measure(Batch(texts, urls, Instruments()))
    return {
        name
        for name, ends in DIALECTS[recipe].items()
        if float(found[name][0]) < ends.get("min", float("-inf"))
        or float(found[name][0]) > ends.get("max", float("inf"))
    }


@pytest.mark.parametrize("recipe", DIALECTS)
def test_recipes_bound_signals_that_there_are(recipe: str) -> None:
    assert DIALECTS[recipe].keys() <= SIGNAL_DEFINITIONS.keys()
    for ends in DIALECTS[recipe].values():
        assert ends and ends.keys() <= {"min", "max"}
        assert ends.get("min", float("-inf")) <= ends.get("max", float("inf"))


@pytest.mark.parametrize("recipe", DIALECTS)
def test_good_text_is_kept(recipe: str) -> None:
    text, url = (CODE, "src/add.py") if recipe.startswith("code") else (PAGE, "https://x.org/iron")
    assert broken(recipe, text, url) == set()


@pytest.mark.parametrize(
    ("recipe", "text", "path", "rules"),
    [
        ("refinedweb@dclm", PAGE + "Home\nLogin\nHelp\nSearch\nMore\nBack\n", "",
         {"removed_word_frac@dclm"}),
        ("code@redpajama", CODE * 3 + "x" * 1001, "a.py", {"max_line_chars@redpajama"}),
        ("code@starcoder", "total = 1 + 2\nprint(total)\n", "a.py", {"comment_frac"}),
        ("code@starcoder", "<?xml version='1.0'?>\n" + CODE, "a.py", {"xml_header_count"}),
        ("code@starcoder", CODE, "a.xyz", {"extension_fault_count@starcoder"}),
        ("code@starcoder", "<p\n" + "x=1\n" * 99 + "><!-- of it -->text", "a.html",
         {"html_visible_frac", "html_visible_chars"}),
        ("code@starcoder2", "# DO NOT EDIT\n" + CODE, "a.py", {"generated_line_count"}),
        ("code@starcoder2", CODE + "QUJD\n" * 300, "a.py", {"base64_frac", "max_base64_chars"}),
        ("code@curator", "# one\nx = 1\n", "a.py", {"line_count@curator"}),
        ("gopher@redpajama", "too short", "", {"word_count@redpajama"}),
    ],
)  # fmt: skip
def test_what_is_dropped_and_why(recipe: str, text: str, path: str, rules: set[str]) -> None:
    assert broken(recipe, text, str(Path(path))) == rules
