"""What is made uniform of a text while it is read: each step returns the text and its edit."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import groupby

from bessemer.config.curate import NormaliseConfig
from bessemer.config.kinds import Kind
from bessemer.curate.edits import Edit, Place, change
from bessemer.curate.frames import cut_gutenberg_frame
from bessemer.curate.licence_header import cut_licence_header
from bessemer.curate.navigation import cut_navigation
from bessemer.text.traits import ANY_TRAIT, COMPOSABLE, CONTROL

Step = Callable[[str], tuple[str, tuple[Edit, ...]]]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]+")
_CONTROL_BYTES = bytes(code for code in range(0x80) if _CONTROL.match(chr(code)))
_PAGE_BREAKS = re.compile(r"[^\x0b\x0c]+")
# Blanks and line feeds compose with nothing, so words are normalised alone. To ask here for a
# character beyond ASCII would take time with the square of a word that has none.
_WORD = re.compile(r"[^ \t\n]+")
_LONG_WORD_CHARS = 256


def steps_for(kind: Kind, normalise: NormaliseConfig) -> tuple[str, ...]:
    """The names of the steps that texts of a kind of source go through, in order."""
    return tuple(name for name in STEPS if kind in getattr(normalise, name))


def normalise(
    text: str, traits: int, steps: Sequence[str], url: str
) -> tuple[str, tuple[Edit, ...]]:
    """The text after all steps, and their edits. Of licences, the file's name says what is a
    comment.

    `traits` are those of the text (bessemer.text.traits), by which steps are passed over that would
    find nothing; with ANY_TRAIT each finds out by itself.
    """
    edits: tuple[Edit, ...] = ()
    for name in steps:
        if name in _NEEDS and not traits & _NEEDS[name]:
            continue
        is_licence = name == "licence_header"
        text, made = cut_licence_header(text, url) if is_licence else STEPS[name](text)
        if made:
            edits += made
            traits = ANY_TRAIT
    return text, edits


def cut_control_characters(text: str) -> tuple[str, tuple[Edit, ...]]:
    """No control characters but tabs and line feeds; a page break is a line feed."""
    data = text.encode()
    if len(data.translate(None, _CONTROL_BYTES)) == len(data):  # a tenth of a search's time
        return text, ()
    places = [
        Place(found.start(), found.end(), "\n" * len(_PAGE_BREAKS.sub("", found[0])))
        for found in _CONTROL.finditer(text)
    ]
    evidence = f"{len(places)} places, the first at character {places[0].start}" if places else ""
    return change(text, "control_characters", places, evidence)


def compose(text: str) -> tuple[str, tuple[Edit, ...]]:
    """The text in NFC; places are words."""
    if text.isascii() or unicodedata.is_normalized("NFC", text):
        return text, ()
    places = []
    for found in _WORD.finditer(text):
        if found[0].isascii():
            continue
        word = _to_nfc(found[0])
        if word != found[0]:
            places.append(Place(found.start(), found.end(), word))
    return change(text, "nfc", places)


def _to_nfc(word: str) -> str:
    """A word in NFC.

    Python puts marks in order by shifting each to its place, which takes time with the square of
    their number; so in a long word they are sorted before.
    """
    if len(word) > _LONG_WORD_CHARS:
        apart = "".join(unicodedata.normalize("NFD", char) for char in word)
        runs = groupby(apart, key=lambda char: unicodedata.combining(char) > 0)
        word = "".join(
            char
            for are_marks, run in runs
            for char in (sorted(run, key=unicodedata.combining) if are_marks else run)
        )
    return unicodedata.normalize("NFC", word)


def mend_mojibake(text: str) -> tuple[str, tuple[Edit, ...]]:
    """The text with lines mended that were decoded as they had not been encoded."""
    import ftfy

    if text.isascii():
        return text, ()
    places = []
    at = 0
    for line in text.split("\n"):
        mended = line if line.isascii() else ftfy.fix_encoding(line)
        # A line stays one, and what cannot be stored stays out.
        if mended != line and not any(character in mended for character in "\n\r\0"):
            places.append(Place(at, at + len(line), mended))
        at += len(line) + 1
    return change(text, "mojibake", places)


STEPS: dict[str, Step] = {
    "mojibake": mend_mojibake,
    "control_characters": cut_control_characters,
    "nfc": compose,
    "gutenberg_frame": cut_gutenberg_frame,
    "licence_header": cut_licence_header,
    "navigation": cut_navigation,
}
"""By the keys of `[curate.normalise]`, in the order in which they are taken."""

# Without these a step finds nothing.
_NEEDS = {"control_characters": CONTROL, "nfc": COMPOSABLE}
