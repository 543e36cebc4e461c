"""What the numbers say, in sentences: each is computed, and says no more than its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from bessemer.core.units import format_bytes, format_count, format_counted
from bessemer.report.facts import (
    MARKUP,
    UNACCOUNTED,
    Collisions,
    GapRow,
    Heldout,
    LeakCheck,
    Loss,
    MixRow,
    Reason,
    Report,
    RuleRow,
    RuleTable,
)

FRESH_EPOCHS = 4.0  # up to here a repetition is nearly as good as fresh text (arXiv 2305.16264)

RULE_NAMES = {
    "exact_duplicate": "exact duplicate",
    "near_duplicate": "near-duplicate",
    "repeated_lines": "repeated lines",
    "repeated_lines_frac": "mostly repeated lines",
    "contained": "contained in another",
    "same_text_in_train": "its text is in train",
    "near_duplicate_in_train": "near-duplicate in train",
    "version_in_train": "other version in train",
    "passage_in_train": "passage in train",
    "repeated_text": "repeated passages",
    "repeated_text_frac": "mostly repeated text",
    MARKUP: "mark-up",
    UNACCOUNTED: "not accounted for",
}


def name_rule(rule: str) -> str:
    """A rule's name for people."""
    return RULE_NAMES.get(rule, rule.replace("_", " "))


def name_reason(reason: Reason) -> str:
    """A reason's name for people; that of an evaluation set is no rule's."""
    if reason.stage == "decontaminate":
        return f"evaluation items: {reason.rule}"
    return name_rule(reason.rule)


def tell_bound(loss: Loss) -> str:
    """What a rule asked for and did not get, e.g. "below 50"."""
    reason, bound = loss.reason, loss.reason.bound
    if reason.rule == "language":
        return "another language than wanted" + (
            f", or a score below {format_number(bound)}" if bound is not None else ""
        )
    if reason.rule == "near_duplicate" and bound is not None:
        return f"Jaccard similarity of at least {format_number(bound)} to a document that is kept"
    if reason.rule == "contained" and bound is not None:
        return f"at least {bound:.0%} of its shingles stand in a document that is kept"
    if reason.stage == "split":
        passage = f"; {format_number(bound)} words in a row are trained on" if bound else ""
        return f"drawn to be held out{passage}"
    if reason.rule == "exact_duplicate":
        return "the same bytes as a document that is kept"
    if reason.rule in ("repeated_lines_frac", "repeated_text_frac") and bound is not None:
        return f"more than {bound:.0%} of the text would be cut"
    if reason.stage == "decontaminate" and bound is not None:
        return f"at least {bound:.0%} of the n-grams of a part of an evaluation item"
    if reason.action == MARKUP:
        return "tags, container framing, encoding: never text"
    if bound is None:
        return ""
    if loss.is_low is None:
        return f"beyond {format_number(bound)}"
    return f"{'below' if loss.is_low else 'above'} {format_number(bound)}"


def tell_collisions(found: Collisions) -> str:
    """What is compared with what, what came of it, and what was not looked at."""
    by_similarity = dict(found.curve)
    told = (
        f"Two documents are compared if they share one of {found.num_bands:,} bands of "
        f"{found.rows_per_band} MinHash values, made of runs of {found.shingle_size} {found.unit}. "
        f"So a pair of similarity 0.7 is found with odds of {by_similarity[0.7]:.0%}, one of 0.8 "
        f"with {by_similarity[0.8]:.0%}, one of 0.9 with {by_similarity[0.9]:.0%}. "
        f"{format_counted(found.num_candidates, 'pair')} compared, {found.num_verified:,} of them "
        "duplicates."
    )
    if found.verify == "containment":
        told += (
            " Pairs of which one contains the other are duplicates here. The similarity of a text "
            "and an excerpt of it is no more than the share of the text that was taken, so short "
            "excerpts are seldom compared."
        )
    if found.num_passed_over:
        told += (
            f" {found.num_passed_over:,} times, two documents of a crowded bucket were not "
            "compared with each other, only with the best in it."
        )
    return told


def tell_bounds(row: RuleRow) -> str:
    """What a rule asks for, e.g. "at least 50"."""
    ends = [("at least", row.low), ("at most", row.high)]
    told = " and ".join(f"{words} {format_number(end)}" for words, end in ends if end is not None)
    return f"a wanted one, score {told}" if row.rule == "language" and told else told


def tell_often(row: RuleRow, table: RuleTable, max_rule_frac: float) -> str:
    """How much of a source a rule takes, and what to do if that is not meant."""
    told = (
        f"is broken by {row.docs:,} of {table.docs:,} documents ({row.docs / table.docs:.0%}), "
        f"more than curate.max_rule_frac = {max_rule_frac:g}."
    )
    if row.rule == "language":
        return f"{told} If that is not meant, look at curate.languages."
    bound = f"{row.rule}.{_broken_end(row)}"
    return (
        f"{told} If that is not meant, `bessemer whatif RUN --rule {bound}=...` tells in seconds "
        "what another bound would keep."
    )


def _broken_end(row: RuleRow) -> str:
    """The end of a rule that costs more documents: min or max."""
    if row.low is None or row.high is None:
        return "max" if row.low is None else "min"
    return "min" if 2 * row.low_docs >= row.docs else "max"


def tell_dead() -> str:
    """Of a rule that somebody wrote and that does nothing."""
    return (
        "stands in the run file, and no document of any source that it is for breaks it. Is the "
        "bound meant like this?"
    )


def has_breaks(table: RuleTable) -> bool:
    """Whether any document of a source broke any rule."""
    return any(row.docs for row in table.rows)


def format_number(value: float) -> str:
    """A measured value with the digits that matter: 13, 0.954, 12.5k."""
    if abs(value) >= 10_000:
        return format_count(value)
    return f"{value:,.0f}" if value == int(value) else f"{value:.3g}"


def tell_similarity(value: float) -> str:
    """A similarity with three digits; of two texts that differ, never that of equal ones."""
    return "> 0.999" if 0.9995 <= value < 1 else f"{value:.3f}"


def tell_run(report: Report) -> str:
    """The run in a few sentences, for a reader with twenty seconds."""
    gates = [source.gates[0] for source in report.sources if source.gates]
    docs_in, stored = sum(g.docs_in for g in gates), sum(g.bytes_in for g in gates)
    kept = sum(source.train.docs + source.heldout.docs for source in report.sources)
    size = sum(source.train.num_bytes + source.heldout.num_bytes for source in report.sources)
    training = report.training
    share = f" ({kept / docs_in:.0%})" if docs_in else ""
    told = (
        f"Of {format_counted(docs_in, 'document')} ({format_bytes(stored)} as stored), "
        f"{kept:,}{share} {'was' if kept == 1 else 'were'} kept: "
        f"{format_bytes(size)} of clean text. A decoder of {format_count(training.num_parameters)} "
        f"parameters read {format_count(training.tokens_seen)} tokens of it in "
        f"{format_counted(training.steps, 'step')}."
    )
    if training.noticed_steps:
        told += (
            f" The guard noticed {format_counted(training.noticed_steps, 'step')} with a loss, "
            f"gradient or update out of bounds and intervened in {training.interventions:,}: "
            "metrics/guard.jsonl has the evidence."
        )
    if report.heldout:
        needs = ", ".join(f"{row.bits_per_byte[-1]:.2f} ({row.source})" for row in report.heldout)
        told += f" On text that it never saw it now needs {needs} bits per byte."
    return told


def tell_leaks(check: LeakCheck) -> str:
    """What the leak check of the split compared and found."""
    run = f" or {check.words_per_run} words in a row" if check.words_per_run else ""
    return (
        f"Leak check: {sum(check.leaks.values()):,} of {check.heldout_docs:,} held-out documents "
        f"share their text, a cluster of near-duplicates, an address{run} with any of the "
        f"{check.train_docs:,} that are trained on."
    )


def tell_heldout(curve: Heldout) -> str:
    """How far one source has come, measured against both baselines."""
    first, last = curve.bits_per_byte[0], curve.bits_per_byte[-1]
    told = f"{last:.2f} bits per byte"
    if len(curve.steps) > 1:
        way = "down" if last < first else "up"
        when = "before training" if curve.steps[0] == 0 else f"at step {curve.steps[0]:,}"
        told += f", {way} from {first:.2f} {when}"
    unigram, lzma = curve.baselines.get("unigram"), curve.baselines.get("lzma")
    parts = []
    if unigram:
        if last < unigram:
            parts.append(
                f"Beats the byte-unigram baseline ({unigram:.2f}) by {1 - last / unigram:.0%}"
            )
        else:
            parts.append(f"Does not even reach the byte-unigram baseline ({unigram:.2f})")
    if lzma:
        if last < lzma:
            parts.append(f"beats LZMA ({lzma:.2f}) by {1 - last / lzma:.0%}")
        else:
            parts.append(
                f"does not yet reach LZMA ({lzma:.2f}), which gets by with "
                f"{1 - lzma / last:.0%} fewer bits"
            )
    if not parts:
        return f"{told}. No baseline was measured."
    joined = ", ".join(parts)
    return f"{told}. {joined[0].upper()}{joined[1:]}."


def tell_gap(gap: GapRow) -> str:
    """What the interval of a gap allows to say, and what it rests on."""
    if gap.low > 0:
        told = (
            f"Held-out text costs {gap.gap:.3f} bits per byte more than text the model trained on: "
            "beyond chance, it knows the latter better, or what is held out is harder."
        )
    elif gap.high < 0:
        told = (
            f"Held-out text costs {-gap.gap:.3f} bits per byte less than trained text: beyond "
            "chance, this held-out part is the easier one."
        )
    else:
        told = "The interval includes zero: no gap can be told from chance."
    rests = (
        f"Bootstrap over {gap.unit}: {gap.train_units:,} of train, {gap.heldout_units:,} held out"
    )
    if gap.unit != "documents":
        rests += "; too few documents to draw documents, so the interval is too narrow"
    return f"{told} {rests}."


def tell_mix(rows: Sequence[MixRow]) -> str:
    """What is repeated, and what is left unread."""
    repeated = [row for row in rows if row.epochs > 1]
    unread = [row for row in rows if 0 < row.epochs < 1]
    parts = []
    if repeated:
        parts.append(
            "Read more than once: "
            + ", ".join(f"{row.source} {row.epochs:.2f} times" for row in repeated)
        )
    if unread:
        parts.append(
            "read in part only: " + ", ".join(f"{row.source} {row.epochs:.0%}" for row in unread)
        )
    if not parts:
        return "Every source is read exactly once."
    joined = "; ".join(parts)
    told = f"{joined[0].upper()}{joined[1:]}."
    if any(row.epochs > FRESH_EPOCHS for row in rows):
        told += f" Beyond {FRESH_EPOCHS:g} readings, repetition teaches less and less."
    return told


def tell_rate(mfu: float | None) -> str:
    """How well the machine was used, as far as that is known."""
    if mfu is None:
        return "The share of the machine's rate that was used (MFU) is not known for this device."
    if mfu > 1:
        return (
            f"An MFU of {mfu:.0%} is above the rate measured for one matrix product: that "
            "measurement was no ceiling, so read MFU here as a relative number."
        )
    return f"Half of the steps used {mfu:.0%} or more of the measured matrix-product rate (MFU)."
