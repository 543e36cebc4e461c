"""Run file: text that training never sees."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from bessemer.config.base import Bytes, Section


class HeldoutConfig(Section):
    """`[split.sources.NAME]`: how much of one source is drawn, by one of the three keys.

    The stage's manifest says to which share a fixed size came (`drawn_below`); given instead of the
    size, that share keeps what was drawn out of training as data is added, which no fixed size can.
    """

    heldout_frac: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of its texts."""
    heldout_docs: int | None = Field(default=None, ge=1)
    """How many documents."""
    heldout_bytes: Bytes | None = None
    """How much text: documents until it is reached."""

    @model_validator(mode="after")
    def _one_of_three(self) -> HeldoutConfig:
        given = self.model_dump(exclude_none=True)
        if len(given) != 1:
            names = " and ".join(given) or "none"
            raise ValueError(
                f"needs one of heldout_frac, heldout_docs and heldout_bytes ({names} given)"
            )
        return self


class SplitConfig(Section):
    """`[split]`: text that training never sees.

    Documents are drawn by a hash of what they say. One that is drawn is never trained on; where it
    shares a passage with one that is, or is another version of it, it is not held out either, but
    dropped.
    """

    heldout_frac: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Share of the texts of each source that is drawn. Data that is added never moves a document
    that was drawn to training, but in a source so small that nothing was held out without help."""
    sources: dict[str, HeldoutConfig] = {}
    """Other shares or fixed sizes, by source, as in `{ code = { heldout_docs = 500 } }`."""
    min_shared_words: Annotated[int, Field(ge=0, le=1000)] = 50
    """Documents that share so many words in a row, whatever stands between the words, are not on
    both sides; with 0 they are not compared."""
    salt: str | None = None
    """What the draw goes by, beside texts; absent: `run.seed`. One salt in several runs draws the
    same texts in all of them."""
