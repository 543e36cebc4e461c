"""Run file: lines, paragraphs and passages that stand in several documents."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bessemer.config.base import Fraction, Kinds, Section, Strings

Protection = Literal["headings", "licences"]


class LinesConfig(Section):
    """`[curate.lines]`: lines or paragraphs that stand in several documents, counted exactly.

    For raw dumps of the web, whose pages share menus, notices and footers. A text without a line
    that others have as well flows on less smoothly than it was written, so this is off by default.
    """

    enabled: bool = False
    """Whether anything is compared at all."""
    action: Literal["cut", "count"] = "cut"
    """What becomes of repeats: "cut" takes them out when text is encoded; "count" writes down what
    would be cut and dropped, and leaves all as it is."""
    unit: Literal["line", "paragraph"] = "line"
    """What is compared and cut: single lines, or runs of lines between blank ones. What CCNet calls
    a paragraph is a line. Of paragraphs, those that begin with a lower-case letter, and the ones
    before these, are never cut: a sentence may go on across a blank line."""
    compare: Literal["words", "exact"] = "words"
    """What makes two equal: their words, whatever their case, punctuation and white space; or all
    bytes, white space at the ends of lines aside."""
    fold_digits: bool = False
    """Take all digits of words for equal, as CCNet does: "3 May 2021" is then "7 May 2018", and a
    table of one product that of another."""
    max_docs: int = Field(default=1, ge=1)
    """What stands in more documents than this is repeated. CCNet has 1."""
    keep: Literal["first", "none"] = "first"
    """Which copy of what is repeated stays: the first one, by the order of sources and files, or
    none, as befits menus once `max_docs` is high."""
    min_words: int = Field(default=4, ge=1)
    """What has fewer words is not compared: it says too little to be a copy."""
    min_chars: int = Field(default=1, ge=1)
    """What has fewer characters is not compared; with `compare = "words"`, those of its words."""
    protect: Annotated[tuple[Protection, ...], Field(strict=False)] = ("headings", "licences")
    """What is never cut, however often it stands: headings (of Markdown, or short lines between
    blank ones), and paragraphs that state a licence, with the copyright notices beside them."""
    sources: Strings = ()
    """Names of the sources whose documents are compared with each other; empty means all of kind
    "web". In code and books, repeated lines belong to the text."""
    max_cut_frac: Fraction = 0.5
    """A document of whose text a larger share would be cut is dropped whole, unless it has the
    first copy of a repeated line. One of which nothing would be left is always dropped."""


MIN_LENGTHS = {"bytes": 200, "words": 50}


class SubstringsConfig(Section):
    """`[curate.substrings]`: text that stands word for word at an earlier place of the corpus."""

    enabled: bool = False
    """Without it no text is looked at. It leaves gaps where texts quote each other: good for texts
    with much boilerplate that duplicates as a whole do not catch."""
    unit: Literal["bytes", "words"] = "bytes"
    """What `min_length` counts: bytes, that must all be equal, or words, whose case does not matter
    nor what stands between them."""
    min_length: int = Field(default=200, ge=10, le=1000)
    """Shorter stretches are never a repeat; absent: 200 bytes, or 50 words."""
    action: Literal["cut", "count"] = "cut"
    """What is done with repeats: they are cut, all but the first, or the ledger only notes them."""
    max_cut_frac: Fraction = 0.8
    """A document of which more would be cut is dropped instead, unless others were cut for it."""
    kinds: Kinds = ("web", "books", "papers")
    """The kinds of sources that are compared, all with each other. Code repeats by its nature."""

    @model_validator(mode="before")
    @classmethod
    def _begin_with_unit(cls, given: Any) -> Any:
        """The length that goes with the unit, where none is given."""
        if not isinstance(given, dict):
            return given
        return {"min_length": MIN_LENGTHS.get(str(given.get("unit")), 200)} | given
