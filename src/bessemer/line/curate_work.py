"""The stages of curation: the calls into `curate`, which is imported only when one runs."""

from __future__ import annotations

from bessemer.core.manifest import StageResult
from bessemer.line.work import Work


def run_ingest(work: Work) -> StageResult:
    """Read every source file."""
    from bessemer.curate.ingest import ingest

    return ingest(work.files, work.config.source, work.config.curate, work.folder, work.engine)


def run_signals(work: Work) -> StageResult:
    """Measure every document."""
    from bessemer.curate.families import holds_code, needed_families
    from bessemer.curate.instruments import check_instruments
    from bessemer.curate.signals import signals

    curate = work.config.curate
    check_instruments(work.instruments, curate)
    return signals(
        work.inputs["ingest"],
        work.source_names,
        work.folder,
        work.engine,
        needed_families(work.config.source, curate),
        work.instruments,
        [source.name for source in work.config.source if holds_code(source)],
    )


def run_rules(work: Work) -> StageResult:
    """Hold the measures against the rules."""
    from bessemer.curate.rules import rules

    return rules(
        work.inputs["ingest"],
        work.inputs["signals"],
        work.config.source,
        work.config.curate,
        work.folder,
        work.engine,
    )


def run_mask(work: Work) -> StageResult:
    """Ask for placeholders in the place of personal data."""
    from bessemer.curate.mask import mask

    return mask(
        work.inputs["ingest"],
        work.ledgers,
        work.config.source,
        work.config.curate.pii,
        work.folder,
        work.engine,
    )


def run_exact(work: Work) -> StageResult:
    """Drop exact duplicates."""
    from bessemer.curate.duplicates.exact import exact
    from bessemer.curate.duplicates.known_index import open_indexes

    return exact(
        work.inputs["ingest"],
        work.ledgers,
        work.source_names,
        work.folder,
        work.engine,
        work.config.curate.part_bytes,
        work.config.curate.source_priority,
        open_indexes(work.known),
    )


def run_fuzzy(work: Work) -> StageResult:
    """Drop near duplicates."""
    from bessemer.curate.duplicates.fuzzy import fuzzy
    from bessemer.curate.duplicates.known_index import open_indexes

    curate = work.config.curate
    return fuzzy(
        work.inputs["ingest"],
        work.ledgers,
        work.source_names,
        curate.fuzzy,
        work.config.run.seed,
        work.folder,
        work.engine,
        curate.part_bytes,
        curate.source_priority,
        work.inputs["signals"] if curate.quality else None,
        open_indexes(work.known),
    )


def run_lines(work: Work) -> StageResult:
    """Cut what other documents say in the same words."""
    from bessemer.curate.repeats.lines import compared_sources, lines

    config = work.config.curate.lines
    return lines(
        work.inputs["ingest"],
        work.ledgers,
        work.source_names,
        config,
        compared_sources(work.config.source, config),
        work.folder,
        work.engine,
        work.config.curate.part_bytes,
    )


def run_substrings(work: Work) -> StageResult:
    """Cut what is repeated word for word."""
    from bessemer.curate.repeats.substrings import substrings

    return substrings(
        work.inputs["ingest"],
        work.ledgers,
        work.config.source,
        work.config.curate.substrings,
        work.folder,
        work.engine,
        work.config.curate.part_bytes,
    )


def run_decontaminate(work: Work) -> StageResult:
    """Find items of evaluation sets."""
    from bessemer.curate.evals.decontaminate import decontaminate

    return decontaminate(
        work.inputs["ingest"],
        work.ledgers,
        work.source_names,
        work.config.decontaminate,
        work.evals,
        work.config.run.seed,
        work.folder,
        work.engine,
    )


def run_split(work: Work) -> StageResult:
    """Set held-out text aside."""
    from bessemer.curate.heldout.split import split

    return split(
        work.inputs["ingest"],
        work.ledgers,
        work.inputs["fuzzy"],
        work.source_names,
        work.config.split,
        work.config.run.seed,
        work.folder,
        work.engine,
        work.config.curate.part_bytes,
    )
