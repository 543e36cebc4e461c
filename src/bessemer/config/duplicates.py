"""Run file: documents that are there more than once, in this run or an earlier one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bessemer.config.base import Section

Setting = Literal["fineweb", "datatrove", "refinedweb", "redpajama", "nemo", "high-recall"]
FUZZY_SETTINGS: dict[str, dict[str, str | int | float]] = {
    # Penedo et al. 2024 (arXiv 2406.17557), section 3.4.
    "fineweb": {"shingle_size": 5, "num_bands": 14, "rows_per_band": 8, "min_similarity": 0.75},
    # datatrove 0.10.1, the defaults of MinhashConfig.
    "datatrove": {"shingle_size": 5, "num_bands": 14, "rows_per_band": 8, "min_similarity": 0.75},
    # Penedo et al. 2023 (arXiv 2306.01116), appendix G.
    "refinedweb": {"shingle_size": 5, "num_bands": 450, "rows_per_band": 20, "min_similarity": 0.8},
    # RedPajama-Data v2, app/src/run_lsh.py: the signatures for 0.8.
    "redpajama": {"shingle_size": 13, "num_bands": 9, "rows_per_band": 13, "min_similarity": 0.8},
    # NeMo Curator 1.0, the defaults of MinHashStage and of its bands; 0.8 is what they are meant
    # for (its FuzzyDuplicatesConfig before 1.0).
    "nemo": {
        "shingle_unit": "characters",
        "shingle_size": 24,
        "num_bands": 20,
        "rows_per_band": 13,
        "min_similarity": 0.8,
    },
    # Ours: with one word in ten edited, two texts share 0.57 of their triples of words on average.
    "high-recall": {"shingle_size": 3, "num_bands": 40, "rows_per_band": 4, "min_similarity": 0.4},
}


class FuzzyConfig(Section):
    """`[curate.fuzzy]`: near-duplicates by MinHash-LSH, each pair verified by its shingles."""

    enabled: bool = True
    """Without it, near-duplicates stay; equal texts go all the same."""
    setting: Setting = "fineweb"
    """Where the keys below begin, each of which may be given as well: as published ("fineweb",
    "datatrove", "refinedweb", "redpajama", "nemo"; of these only the signatures, as none verifies a
    pair), or "high-recall", which finds texts of which one word in ten was edited."""
    shingle_unit: Literal["words", "characters"] = "words"
    """What shingles are runs of. Words leave case, punctuation and white space aside; characters
    are the code points of the text, all of which count."""
    shingle_size: int = Field(default=5, ge=1, le=64)
    """Words, or characters, in a row that are compared as one."""
    num_bands: int = Field(default=14, ge=1, le=1024)
    """Bands of a signature: documents that agree in one of them are compared. More find more."""
    rows_per_band: int = Field(default=8, ge=1, le=64)
    """Values in a band: more make chance pairs rarer, and pairs that are less similar, too."""
    verify: Literal["jaccard", "containment"] = "jaccard"
    """What two documents must share to be duplicates: shingles of both of them together, or those
    of the smaller one, which drops excerpts as well, for the document that contains them."""
    min_similarity: Annotated[float, Field(gt=0, le=1)] = 0.75
    """Share of these below which they are none, whatever their signatures say."""

    @model_validator(mode="before")
    @classmethod
    def _begin_with_setting(cls, given: Any) -> Any:
        """The values of the setting, where no other is given; a wrong one is refused as a field."""
        if not isinstance(given, dict):
            return given
        return FUZZY_SETTINGS.get(str(given.get("setting", "fineweb")), {}) | given


class KnownConfig(Section):
    """One `[[curate.known]]`: documents that another run kept. What is like one is dropped."""

    path: str
    """Folder that `bessemer curate index` wrote, relative to the run file."""
    digest: str | None = None
    """xxh3-128 of its index.json, taken when the run file is read; one given here must be the
    same."""
