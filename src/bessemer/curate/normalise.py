"""What is made uniform of a text while it is read: each step returns the text and its edit."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

from bessemer.config.data import NormaliseConfig
from bessemer.config.kinds import Kind
from bessemer.curate.edits import Edit, Place, change
from bessemer.curate.frames import cut_gutenberg_frame
from bessemer.curate.licence_header import cut_licence_header
from bessemer.curate.navigation import cut_navigation
from bessemer.text.traits import COMPOSABLE, CONTROL, traits_of

Step = Callable[[str], tuple[str, tuple[Edit, ...]]]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]+")
_PAGE_BREAKS = re.compile(r"[^\x0b\x0c]+")
# Blanks and line feeds compose with nothing, so words are normalised alone. To ask here for a
# character beyond ASCII would take time with the square of a word that has none.
_WORD = re.compile(r"[^ \t\n]+")


def steps_for(kind: Kind, normalise: NormaliseConfig) -> tuple[str, ...]:
    """The names of the steps that texts of a kind of source go through, in order."""
    return tuple(name for name in STEPS if kind in getattr(normalise, name))


def normalise(
    text: str, encoded: bytes, steps: Sequence[str], url: str
) -> tuple[str, tuple[Edit, ...]]:
    """The text after all steps, and their edits; `encoded` is the text in UTF-8. Of licences, the
    file's name says what is a comment."""
    edits: tuple[Edit, ...] = ()
    traits: int | None = traits_of(encoded)
    for name in steps:
        if name in _NEEDS:
            traits = traits_of(text.encode()) if traits is None else traits
            if not traits & _NEEDS[name]:
                continue
        is_licence = name == "licence_header"
        text, made = cut_licence_header(text, url) if is_licence else STEPS[name](text)
        if made:
            edits += made
            traits = None
    return text, edits


def cut_control_characters(text: str) -> tuple[str, tuple[Edit, ...]]:
    """No control characters but tabs and line feeds; a page break is a line feed."""
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
        word = unicodedata.normalize("NFC", found[0])
        if word != found[0]:
            places.append(Place(found.start(), found.end(), word))
    return change(text, "nfc", places)


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

_NEEDS = {"control_characters": CONTROL, "nfc": COMPOSABLE}  # without which a step finds nothing
