"""What a report tells: plain values, collected once from the files of a run.

Every picture and every table is drawn from these records and from nothing else, so what is shown
can be compared, tested and drawn in another way without reading the run again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from bessemer.core.manifest import Conservation
from bessemer.report.lineage import StageRow
from bessemer.report.passages import Passages
from bessemer.report.repeats import Repeats

MARKUP, UNACCOUNTED = "markup", "unaccounted"  # actions beside drop, edit and quarantine


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why documents or bytes were lost: a rule of a stage, and the bound that was broken."""

    stage: str
    rule: str
    action: str  # drop | edit | quarantine | markup | unaccounted
    bound: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """What one reason cost one source."""

    reason: Reason
    source: str
    docs: int  # lost by it; for an edit, documents that were edited
    num_bytes: int
    broken_docs: int  # documents that broke the rule, those lost to an earlier one included
    is_low: bool | None = None  # values lie below the bound; None: on both sides, or no values


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """One source at one stage: what came, what went on, and what was lost to which reason."""

    stage: str
    docs_in: int
    docs_out: int
    bytes_in: int
    bytes_out: int
    losses: tuple[Loss, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Amount:
    """Documents, bytes of text, and tokens where they are known."""

    docs: int = 0
    num_bytes: int = 0
    num_tokens: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Balance:
    """One line of the accounts, with what was found when it was added up again."""

    stage: str
    sums: Conservation
    docs_hold: bool  # docs_in = docs_out + dropped + quarantined
    bytes_hold: bool  # the same of bytes, with what was edited and what was mark-up
    follows: bool  # what came in is what the stage before let go
    ledger_holds: bool | None  # the ledger's rows add up to the same; None: no ledger

    @property
    def holds(self) -> bool:
        """Whether every check of this line holds."""
        return (
            self.docs_hold and self.bytes_hold and self.follows and self.ledger_holds is not False
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A run of words of a compared text: found in both texts, or in this one only."""

    text: str
    differs: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """The document that stayed in place of a duplicate."""

    doc_id: str
    url: str
    num_bytes: int
    is_equal: bool  # equal content hash
    where: str  # where it parts from the other, e.g. "after 12 equal words"
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One document that a reason touched, as evidence. Texts are beginnings."""

    doc_id: str  # file:row
    url: str
    title: str
    num_bytes: int  # of the document; for edits, of what was cut
    value: float | None
    bound: float | None
    evidence: str  # an error, the text that was cut, or the language that was found
    text: str
    is_cut: bool  # the document goes on after `text`
    kept: Kept | None = None
    pieces: tuple[Piece, ...] = ()  # the document's own side of the comparison


@dataclass(frozen=True, kw_only=True, slots=True)
class Language:
    """Documents of one source in one language, before curation and after."""

    code: str
    docs_before: int
    docs_after: int


class Alarm(Enum):
    """Why a rule asks for a look."""

    OFTEN = "often"  # more of the source breaks it than `curate.max_rule_frac`
    DEAD = "dead"  # the run file gives it, and no document of any source breaks it
    NEVER = "never"  # the same of a preset, which has rules for junk that a clean source has not


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleRow:
    """What one rule did to one source."""

    rule: str
    low: float | None
    high: float | None
    is_given: bool  # by the run file, not by a preset alone
    docs: int  # that broke it
    num_bytes: int
    decisive_docs: int  # that were lost to it, as they broke no rule before it
    decisive_bytes: int
    alone_docs: int  # that broke no other rule: without it they would stay
    alone_bytes: int
    low_docs: int = 0  # of those that broke it, with a value below the lower bound
    alarm: Alarm | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleLanguage:
    """Documents of one source in one language, and how many of them broke each rule."""

    code: str  # empty if none was found; "other": all that are too rare to be named
    docs: int
    broken_docs: tuple[int, ...]  # in the order of the source's rules


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleTable:
    """The rules of one source, in the order of judging, and its languages, most frequent first."""

    source: str
    docs: int  # that were judged
    rows: tuple[RuleRow, ...]
    languages: tuple[RuleLanguage, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Histogram:
    """How the signal of one rule is distributed over the documents of one source.

    Bins are equally wide, with `is_log` in log(1 + value). `bounds` are (bound, is_low).
    """

    source: str
    rule: str
    signal: str
    is_log: bool
    low: float
    high: float
    kept: tuple[int, ...]
    lost: tuple[int, ...]  # broke this rule
    elsewhere: tuple[int, ...]  # kept to it, and were lost to another rule or stage
    bounds: tuple[tuple[float, bool], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """Items that were planted in one disguise, and how many of them were found."""

    disguise: str
    planted: int
    found: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """What of one evaluation set was seen, and how well its items are found."""

    name: str
    items: int
    clean: int
    dirty: int
    untestable: int
    by_part: Mapping[str, int]  # dirty items by the first part that was found
    answered: int  # items whose question and answer are in one document
    sources: Mapping[str, int]  # items seen in each
    docs: Mapping[str, int]  # documents of each source that hold an item
    canaries: tuple[Planted, ...]
    controls: tuple[Planted, ...]  # which hold no item: none should be found

    @property
    def seen_frac(self) -> float:
        """Share of the items that are seen."""
        return self.dirty / self.items

    @property
    def precision(self) -> float | None:
        """Share of canaries among what was found of canaries and controls; None if nothing was."""
        right = sum(each.found for each in self.canaries)
        wrong = sum(each.found for each in self.controls)
        return right / (right + wrong) if right + wrong else None

    @property
    def misses_verbatim(self) -> bool:
        """Whether an item that was planted word by word, the first disguise, was not found."""
        return self.canaries[0].found < self.canaries[0].planted


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One source from its files to the two sides of the split."""

    name: str
    kind: str
    licenses: tuple[str, ...]
    num_files: int
    file_bytes: int
    gates: tuple[Gate, ...]
    train: Amount
    heldout: Amount
    languages: tuple[Language, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class MixRow:
    """One source in the plan of the mixture."""

    source: str
    weight: float
    available_tokens: int
    planned_tokens: int
    epochs: float
    effective_tokens: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PackingRow:
    """What one way of filling sequences does to a source in an epoch."""

    source: str
    packing: str  # concat | best_fit
    is_chosen: bool
    seq_len: int
    cut_frac: float  # of documents, that are in more than one sequence
    padded_frac: float  # of places, that hold no token
    wasted_frac: float  # of places, that predict nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A measure over training, in at most MAX_POINTS buckets of steps."""

    name: str
    steps: tuple[int, ...]  # last step of each bucket
    tokens: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]  # least and greatest value in the bucket
    high: tuple[float, ...]
    smooth: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Heldout:
    """Held-out bits per byte of one source over training, and what they are measured against."""

    source: str
    steps: tuple[int, ...]
    tokens: tuple[int, ...]
    bits_per_byte: tuple[float, ...]
    baselines: Mapping[str, float]  # unigram, lzma


@dataclass(frozen=True, kw_only=True, slots=True)
class GapRow:
    """Held-out minus train, bits per byte, with its 95% interval."""

    source: str
    train: float
    heldout: float
    gap: float
    low: float
    high: float
    unit: str
    train_units: int
    heldout_units: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CollisionPoint:
    """Measured pairs of about one similarity, and how many of them were found."""

    similarity: float
    expected: float  # share that the formula has
    pairs: int
    found: int
    low: float  # ends of the 95 % interval of the share that is found
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Collisions:
    """How surely a pair is compared by the signatures of the stage `fuzzy`, by its similarity."""

    unit: str  # words | characters
    shingle_size: int
    num_bands: int
    rows_per_band: int
    verify: str  # jaccard | containment
    bound: float  # similarity from which on a pair is one of duplicates
    curve: tuple[tuple[float, float], ...]  # the formula: (similarity, probability)
    points: tuple[CollisionPoint, ...]
    num_candidates: int
    num_verified: int
    num_passed_over: int

    @property
    def smooth(self) -> list[tuple[float, float]]:
        """The formula at a hundred places, to be drawn."""
        low, high = self.curve[0][0], self.curve[-1][0]
        places = [low + (high - low) * step / 100 for step in range(101)]
        bands, rows = self.num_bands, self.rows_per_band
        return [(at, 1 - (1 - at**rows) ** bands) for at in places]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One finding of the verdict."""

    kind: str
    evidence: str
    advice: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Writing:
    """What the model wrote after a prompt, and what stood there."""

    source: str
    kind: str
    prompt: str
    written: str
    original: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """What was trained, and on what."""

    num_parameters: int
    steps: int
    tokens_seen: int
    num_ranks: int
    device: str
    seq_len: int
    batch_tokens: int
    shape: str  # layers, width, heads
    total_flops: int | None
    matmul_flops: float | None  # measured rate of all ranks, per second
    noticed_steps: int = 0  # by the guard: a spike, or a number that is not finite
    interventions: int = 0  # batches skipped and rewinds


@dataclass(frozen=True, kw_only=True, slots=True)
class LeakCheck:
    """What was compared across the split, and what was found on both sides."""

    train_docs: int
    heldout_docs: int
    words_per_run: int  # 0: passages were not compared
    leaks: Mapping[str, int]  # by kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Everything that a report shows."""

    name: str
    price_per_hour: float | None
    verdict: str
    findings: tuple[Finding, ...]
    sources: tuple[Source, ...]
    balances: tuple[Balance, ...]
    losses: tuple[Loss, ...]
    samples: Mapping[tuple[str, Reason], tuple[Sample, ...]]  # by source and reason
    samples_per_rule: int  # drawn at most for each source and reason
    rules: tuple[RuleTable, ...]
    max_rule_frac: float
    histograms: tuple[Histogram, ...]
    num_hidden_histograms: int
    repeats: Repeats | None  # lines; None: they were not compared
    passages: Passages | None  # the same of passages
    collisions: Collisions | None  # None if no near-duplicates were looked for
    benchmarks: tuple[Benchmark, ...]
    mix: tuple[MixRow, ...]
    packing: tuple[PackingRow, ...]
    training: Training
    curves: Mapping[str, Curve]
    heldout: tuple[Heldout, ...]
    gaps: tuple[GapRow, ...]
    leak_check: LeakCheck | None  # None: of a split that was made without one
    writings: tuple[Writing, ...]
    stages: tuple[StageRow, ...]
    parity: Mapping[str, float]
