"""`[decontaminate]`: evaluation sets that the corpus is held against, and what is done then."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from bessemer.config.base import Name, Section
from bessemer.config.sources import Paths

Part = Literal["question", "choices", "answer", "passage"]
PARTS: tuple[Part, ...] = ("question", "choices", "answer", "passage")
DEFAULT_NGRAM = {"words": 13, "tokens": 8}
# 13 words: Brown et al. 2020 (GPT-3, appendix C); 8 tokens: Chowdhery et al. 2022 (PaLM, 8-grams).


class EvalConfig(Section):
    """One `[[decontaminate.eval]]`: a benchmark whose items must not be trained on.

    A field may be nested, as in "question.stem". Those that are not given are looked for by the
    names that data sets use.
    """

    name: Name
    """What tables, ledger and lists call the benchmark."""
    path: Paths
    """JSONL (also compressed) or Parquet files, as patterns or folders relative to the run file."""
    id: str | None = None
    """Field that names an item; absent: id, task_id and the like, else the number of its row."""
    question: str | None = None
    """Field with what is asked; absent: question, problem, prompt, query, input and the like."""
    choices: str | None = None
    """Field with the answers to choose from; absent: choices, options, endings and the like."""
    answer: str | None = None
    """Field with the right answer: its text, or which of the choices it is."""
    passage: str | None = None
    """Field with the text that the question is about; absent: passage, context, article, ..."""
    digests: dict[str, str] = {}
    """xxh3-128 of each file, taken when the run file is read; one given here must be the same."""

    def fields(self) -> dict[str, str]:
        """The fields that are given: id, question, choices, answer, passage."""
        given = self.model_dump(include={"id", *PARTS})
        return {part: field for part, field in given.items() if field is not None}


class DecontaminateConfig(Section):
    """`[decontaminate]`: documents that hold items of evaluation sets, found by n-grams.

    What was translated or said in other words is not found.
    """

    eval: Annotated[tuple[EvalConfig, ...], Field(strict=False)] = ()
    unit: Literal["words", "tokens"] = "words"
    """What an n-gram is of: words, whatever their case and what stands between them; or words and
    each sign between them that is no white space (no tokens of a vocabulary, which is learned
    later)."""
    ngram: int = Field(default=13, ge=2, le=64)
    """How many of them in a row must be equal; absent: 13 words, or 8 tokens."""
    min_overlap_frac: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the n-grams of a part of an item that one document must hold for it to be found."""
    min_words: int = Field(default=8, ge=2, le=64)
    """A text shorter than an n-gram is looked for as a whole if it has so many words (or tokens). A
    shorter question is looked for together with its answer or choices behind it, if they have one
    less than that together; what is shorter still cannot be tested, and is listed so."""
    max_items: int = Field(default=5, ge=1)
    """An n-gram in more items of a benchmark (or in more of its passages) is an instruction or a
    turn of phrase, and no evidence: it counts neither as there nor as found."""
    action: Literal["drop", "cut", "annotate"] = "drop"
    """What becomes of a document in which items are found: it is dropped; their words are cut; or
    it is left as it is, and the ledger notes it."""
    act_on: Annotated[tuple[Part, ...], Field(strict=False)] = ("question", "choices", "answer")
    """Parts for which that is done; of others the ledger has a note. A passage is often a page that
    everybody has, and tells no answer."""
    canaries: int = Field(default=50, ge=0, le=10_000)
    """Items of each benchmark that are planted, in several disguises, in documents of the corpus to
    measure how many are found."""

    @model_validator(mode="before")
    @classmethod
    def _choose_lengths(cls, given: object) -> object:
        """The usual length for the unit, and no longer whole texts than that, if none is given."""
        if not isinstance(given, dict):
            return given
        usual = DEFAULT_NGRAM.get(str(given.get("unit", "words")), DEFAULT_NGRAM["words"])
        ngram = given.get("ngram", usual)
        shortest = {"min_words": min(8, ngram)} if isinstance(ngram, int) else {}
        return {"ngram": ngram} | shortest | given

    @model_validator(mode="after")
    def _check(self) -> DecontaminateConfig:
        if self.min_words > self.ngram:
            raise ValueError(
                f"min_words ({self.min_words}) is more than ngram ({self.ngram}): texts between "
                "them would be longer than an n-gram, and not be looked for"
            )
        return self
