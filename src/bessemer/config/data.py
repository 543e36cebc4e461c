"""Run file, first half: where text comes from, how it is curated, tokenized and mixed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bessemer.config.base import Bytes, Fraction, Name, Section, Strings
from bessemer.config.kinds import Kind
from bessemer.config.lines import LinesConfig

Format = Literal[
    "auto", "jsonl", "csv", "tsv", "parquet", "text", "markdown", "html", "warc", "epub", "tar"
]  # fmt: skip
Family = Literal[
    "surface", "repetition", "lines", "code", "scripts", "urls", "language", "model",
    "datatrove", "dclm", "dolma", "redpajama",
]  # fmt: skip
Extractor = Literal["resiliparse", "trafilatura"]
PiiKind = Literal["email", "phone", "ip", "card", "iban", "ssn", "secret"]


def misplaced_stars(pattern: str) -> bool:
    """Whether `**` is joined to other characters, or the last part: it stands for folders only."""
    *folders, last = pattern.split("/")
    return "**" in last or any("**" in part and part != "**" for part in folders)


def _refuse_misplaced_stars(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        if misplaced_stars(pattern):
            raise ValueError(f"in {pattern!r}, '**' must stand for folders, as in 'notes/**/*.txt'")
    return patterns


# One path may be written without the brackets of a list.
Paths = Annotated[
    Strings,
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    AfterValidator(_refuse_misplaced_stars),
    Field(min_length=1),
]
PiiKinds = Annotated[tuple[PiiKind, ...], Field(strict=False)]
Kinds = Annotated[tuple[Kind, ...], Field(strict=False)]


class SourceConfig(Section):
    """One `[[source]]`: files of one kind that are curated alike and weighed as one."""

    name: Name
    """What rules, weights, sums and shards call it."""
    kind: Kind
    """Chooses the preset of rules: good text is something else in pages, books, papers and code."""
    path: Paths
    """Glob patterns (`**` for any depth) or folders, relative to the run file, or fsspec URLs. Of a
    folder, hidden files are left out; where there is a README.md beside JSONL, Parquet, CSV or TSV,
    as in a data set of the Hugging Face Hub, only those are read (not if `kind` is "code")."""
    format: Format = "auto"
    """How to read the files; "auto" goes by the first bytes where they tell (Parquet, EPUB, WARC,
    tar), else by the file name, and takes code as text. How a file is compressed (gzip, zstd,
    bzip2, xz) always goes by its bytes. "warc" reads WET as well."""
    text_field: str = "text"
    """Field (JSONL) or column (CSV, TSV, Parquet) that holds the text."""
    license: str | None = None
    """SPDX expression of the source, for the data card."""
    presets: Strings = ()
    """Rules that the source begins with, instead of the preset of its kind: names of presets and of
    published dialects such as "gopher@datatrove", of which the stricter bound counts; "none" for
    no rules."""


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


class KnownConfig(Section):
    """One `[[curate.known]]`: documents that another run kept. What is like one is dropped."""

    path: str
    """Folder that `bessemer curate index` wrote, relative to the run file."""
    digest: str | None = None
    """xxh3-128 of its index.json, taken when the run file is read; one given here must be the
    same."""


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


class TokenizerConfig(Section):
    """`[tokenizer]`: byte-level BPE trained on the mixture, or one loaded from a file."""

    vocab_size: int = Field(default=32768, ge=258, le=2**20)
    """Tokens in all: 256 bytes, special tokens, merges. With `path`, as many as the file has."""
    sample_bytes: Bytes = 256 * 2**20
    """Text that the merges are learned from, of each source by its share in `[mix]`."""
    special_tokens: Strings = ()
    """More special tokens to hold in reserve (for chat, say); no text produces them."""
    path: str | None = None
    """File to load instead of training, relative to the run file: a tokenizer.json (byte-level
    BPE), ranks of tiktoken, or a SentencePiece model (BPE with byte fallback)."""
    pattern: str | None = None
    """How text is split, for ranks of tiktoken, which do not say: "gpt2", "cl100k", "o200k",
    "llama3", "qwen2", or a regular expression."""
    begin_token: str | None = Field(default=None, min_length=1)
    """Special token of the file that begins a document; absent: its bos_token, or a new one."""
    end_token: str | None = Field(default=None, min_length=1)
    """Special token of the file that ends a document; absent: its eos_token, or a new one."""
    digest: str | None = None
    """xxh3-128 of the file, taken when the run file is read; one given here must be the same."""


class MixConfig(Section):
    """`[mix]`: how much of each source one run of training sees."""

    method: Literal["weights", "proportional", "temperature", "unimax"] | None = None
    """How shares come about: given as weights, in proportion to the tokens there are, by a root of
    those, or as evenly as `max_epochs` allows; absent means weights if there are any, else
    proportional."""
    weights: dict[str, Annotated[float, Field(ge=0)]] | None = None
    """Share of each source in tokens, scaled to sum to one."""
    temperature: float | None = Field(default=None, gt=0)
    """T of the method "temperature": n tokens weigh n^(1/T); 1 is proportional, more more even."""
    max_epochs: float = Field(default=16, gt=0)
    """More repetitions of a source than this are refused; for "unimax" the most it may plan."""
    warn_epochs: float = Field(default=4, gt=0)
    """More repetitions than this are warned of: up to here they are nearly as good as fresh text
    (arXiv 2305.16264)."""
    force: bool = False
    """Repeat sources even more often than `max_epochs`."""
