"""Run file: how text is read and measured, and what of it is kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bessemer.config.base import Bytes, Fraction, Kinds, Section, Strings
from bessemer.config.duplicates import FuzzyConfig, KnownConfig
from bessemer.config.repeats import LinesConfig, SubstringsConfig

Family = Literal[
    "surface", "repetition", "lines", "code", "scripts", "urls", "language", "model",
    "datatrove", "dclm", "dolma", "redpajama",
]  # fmt: skip
Extractor = Literal["resiliparse", "trafilatura"]
PiiKind = Literal["email", "phone", "ip", "card", "iban", "ssn", "secret"]
PiiKinds = Annotated[tuple[PiiKind, ...], Field(strict=False)]


class RuleConfig(Section):
    """One `[[curate.rule]]`: bounds for a signal, replacing those of the preset."""

    name: str
    """The signal, e.g. "word_count"; `bessemer check` names the nearest on a misspelling."""
    min: float | None = None
    """Documents whose signal is below are dropped."""
    max: float | None = None
    """Documents whose signal is above are dropped."""
    off: bool = False
    """Take away the bounds that this signal has from a preset, or from a rule before this one."""
    sources: Strings = ()
    """Names of the sources the rule is for; empty means all."""


class PiiConfig(Section):
    """`[curate.pii]`: personal data and secrets, replaced by placeholders when text is encoded.

    Keys are kinds of sources; an empty list masks nothing there.
    """

    web: PiiKinds = ("email", "phone", "ip", "card", "iban", "ssn", "secret")
    """What is masked in pages."""
    books: PiiKinds = ("email", "phone", "ip", "card", "iban", "ssn", "secret")
    """What is masked in books."""
    papers: PiiKinds = ("email", "phone", "ip", "card", "iban", "ssn", "secret")
    """What is masked in papers."""
    code: PiiKinds = ("email", "ip", "iban", "secret")
    """What is masked in code: there, what looks like a telephone, card or social security number is
    a constant or an example."""
    max_per_document: int | None = Field(default=None, ge=0)
    """A document in which more are found is dropped; absent: none is, as a page with hundreds of
    masked addresses still holds its text."""


class UrlsConfig(Section):
    """`[curate.urls]`: lists that URLs of pages are held against, text files of an entry a line.

    What is found is counted in signals, which rules may bound; a list by itself drops nothing.
    """

    blocked_domains: str | None = None
    """Domains; those below a listed one are found as well. A hosts file will do."""
    blocked_urls: str | None = None
    """Whole URLs, their scheme aside."""
    blocked_words: str | None = None
    """Words, found between other signs than letters and digits."""
    soft_words: str | None = None
    """Words of which it takes several to tell something."""
    blocked_strings: str | None = None
    """Strings, found anywhere in the letters and digits of a URL."""
    digests: dict[str, str] = {}
    """xxh3-128 of each file, taken when the run file is read; one given here must be the same."""

    def files(self) -> dict[str, str]:
        """The lists that there are: key to path, relative to the run file."""
        given = self.model_dump(exclude={"digests"})
        return {kind: path for kind, path in given.items() if path is not None}


class LanguageConfig(Section):
    """`[curate.language]`: how sure a language must be, and by which model."""

    min_score: Fraction = 0.3
    """Documents whose language is less likely are dropped."""
    min_scores: dict[str, Fraction] = {}
    """The same for single languages, as in `{ th = 0.5 }`."""
    model: str | None = None
    """A fastText classifier (.bin or .ftz), relative to the run file, such as lid.176.bin, GlotLID
    or OpenLID; absent: lid.176.ftz, which comes with bessemer."""
    digest: str | None = None
    """xxh3-128 of the model, taken when the run file is read; one given here must be the same."""


class QualityConfig(Section):
    """`[curate.quality]`: a model of good text, whose score is one more signal, quality_score."""

    model: str
    """File that `bessemer curate train-quality` made, relative to the run file."""
    digest: str | None = None
    """xxh3-128 of the file, taken when the run file is read; one given here must be the same."""


class NormaliseConfig(Section):
    """`[curate.normalise]`: what is made uniform of a text while it is read, each an edit.

    Keys are steps, in the order in which they are taken; values are the kinds of sources that they
    are for, and an empty list leaves a step out. Line ends become line feeds whatever the kind.
    """

    mojibake: Kinds = ()
    """UTF-8 that was once read as another encoding (`schÃ¶n`), mended line by line; needs
    `bessemer[ftfy]`."""
    control_characters: Kinds = ("web", "books", "papers", "code")
    """C0 control characters and DEL are cut, tabs and line feeds aside; form feeds and vertical
    tabs become line feeds. NUL and lone surrogates quarantine a document instead."""
    nfc: Kinds = ("web", "books", "papers")
    """Unicode's composed form (NFC). Not for code, where it would change what programs compare."""
    gutenberg_frame: Kinds = ("web", "books", "papers", "code")
    """Header and footer of Project Gutenberg are cut."""
    licence_header: Kinds = ("code",)
    """A comment, by the file's extension, at its top that speaks of copyright or a licence is
    cut."""
    navigation: Kinds = ("web",)
    """A menu, as lines of few words, that stands both at the top and at the bottom is cut."""


class CurateConfig(Section):
    """`[curate]`: what is kept of what was read."""

    languages: Strings = ()
    """ISO 639 codes to keep in all sources but code; empty keeps all."""
    max_document_bytes: Bytes = 16 * 2**20
    """A longer document is quarantined: it is a damaged file more often than a text."""
    max_expanded_bytes: Bytes = 64 * 2**30
    """What a compressed file may expand to; where it goes on, the rest of it is quarantined."""
    max_expansion_ratio: float = Field(default=250.0, gt=1)
    """What a compressed file may expand to, as a multiple of its size. Files of two documents of
    the greatest length or less may have any ratio."""
    extractor: Extractor = "resiliparse"
    """What takes the main text of pages: rules of ours on Resiliparse's parser, or "trafilatura",
    some ten times slower, which needs `bessemer[trafilatura]`."""
    normalise: NormaliseConfig = NormaliseConfig()
    max_extract_cpu_s: float = Field(default=10, ge=0.01, le=86400)
    """Seconds of processor time that the main text of one page, or of one EPUB, may take; a longer
    one is quarantined. Time by the clock does not count, so that a busy machine decides nothing."""
    max_extract_memory_bytes: Bytes = Field(default=2**30, ge=64 * 2**20)
    """Memory that the process which reads pages may take for them (Linux only); a page that needs
    more is quarantined. With less than the least, ordinary pages would be."""
    shard_bytes: Bytes = 64 * 2**20
    """How much of the source files is read in one go, and how much text then makes a shard; work is
    shared out by the shard. A larger file is split if it is plain JSONL or Parquet."""
    part_bytes: Bytes = 128 * 2**20
    """How much is held at a time where documents of the whole corpus are compared: their hashes and
    shingles are parted on disk. It changes nothing that a run makes."""
    max_rule_frac: Fraction = 0.5
    """A rule that a larger share of a source's documents breaks is warned of: more often the bound
    is wrong than the source. It changes nothing that a run makes, but for the report."""
    max_source_loss_frac: Fraction = 0.5
    """A source of whose documents a stage that looks for duplicates takes a larger share is warned
    of: it may be repetitive, or the stage too strict. It changes nothing that a run makes."""
    max_cluster_docs: int = Field(default=1000, ge=2)
    """A cluster of more near-duplicates is warned of: they may be one template filled in with what
    the source is about. It changes nothing that a run makes."""
    measure: Annotated[tuple[Family, ...], Field(strict=False)] = (
        "surface", "repetition", "lines", "code", "scripts", "urls", "language", "model",
        "datatrove", "redpajama",
    )  # fmt: skip
    """Families of signals that are measured whether a rule bounds one or not, for `bessemer whatif`
    and for rules that are still to come. A family with a bounded signal is always measured, and
    "model" if there is a quality model, whose score decides which of near-duplicates is kept; with
    `[]` nothing else is, which takes a fraction of the time."""
    source_priority: Strings = ()
    """Names of sources, best first: of documents that are alike and as good and as long, the one
    from the earlier is kept. Sources not named come behind these, in the order of the run file."""
    rule: Annotated[tuple[RuleConfig, ...], Field(strict=False)] = ()
    urls: UrlsConfig = UrlsConfig()
    pii: PiiConfig = PiiConfig()
    fuzzy: FuzzyConfig = FuzzyConfig()
    lines: LinesConfig = LinesConfig()
    substrings: SubstringsConfig = SubstringsConfig()
    known: Annotated[tuple[KnownConfig, ...], Field(strict=False)] = ()
    language: LanguageConfig = LanguageConfig()
    quality: QualityConfig | None = None
