"""What other bounds would keep and drop of a run, answered from its stored signals.

Only the stage `rules` is replayed: what masking and deduplication would make of other survivors is
not known without running them. Texts are read of the sample alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.errors import ConfigError, Fault, IntegrityError
from bessemer.core.hardware import num_usable_cores
from bessemer.core.ids import format_doc_id
from bessemer.core.keyed import derive_key
from bessemer.core.layout import SHARDS
from bessemer.core.storage import read_json
from bessemer.curate.bounds import Rule
from bessemer.curate.families import needed_families
from bessemer.curate.replay import Group, replay
from bessemer.curate.rules import LANGUAGE_RULE, judges_language
from bessemer.line.changes import (
    Change,
    apply_changes,
    change_languages,
    choose_sources,
    parse_changes,
    rules_of,
)
from bessemer.line.whatif_sample import Sampled, draw_sample
from bessemer.line.whatif_sums import (
    Kept,
    RuleEffect,
    Sums,
    effects_of_rules,
    kept_by_language,
    kept_by_source,
    tally,
)
from bessemer.line.workspace import Workspace
from bessemer.tokens.shares import BYTES_PER_TOKEN


@dataclass(frozen=True, kw_only=True, slots=True)
class WhatIf:
    """The answer: sums by source, language and rule, and a sample of what would change sides."""

    changes: tuple[Change, ...]
    sources: tuple[str, ...]  # that were asked for
    by_source: tuple[Kept, ...]  # in the order of the run file; the last is for all
    by_language: tuple[Kept, ...]  # most bytes first; empty if languages were not measured
    rules: tuple[RuleEffect, ...]  # source by source, in the order of judgement
    newly_dropped: Sums
    newly_kept: Sums
    sample_dropped: tuple[Sampled, ...]
    sample_kept: tuple[Sampled, ...]
    bytes_per_token: Mapping[str, float]  # source -> by which its tokens are estimated
    is_encoded: bool  # whether that is the run's own rate; else it is a guess


def what_if(
    workspace: Workspace,
    rules: Sequence[str] = (),
    sources: Sequence[str] = (),
    num_samples: int = 5,
) -> WhatIf:
    """What the rules with the changes `rules` (as `--rule` takes them) keep of `sources`, or all.

    Linear in documents, seconds for ten millions. Raises ConfigError if a rule or source is wrong
    or the signals are not measured yet, and IntegrityError if a table is damaged.
    """
    config = workspace.config
    names = choose_sources(config, sources)
    now = rules_of(config, names)
    changes = parse_changes(rules, now, config)
    if sources and any(change.name == LANGUAGE_RULE for change in changes):
        what = "languages have one bound for all sources; leave --source out"
        raise ConfigError([Fault("--rule language.min", what)])
    then = {name: apply_changes(each, changes) for name, each in now.items()}
    curates = (config.curate, change_languages(config.curate, changes))
    if not (workspace.manifest("ingest") and workspace.manifest("signals")):
        what = "signals are not measured yet; `bessemer run RUN.toml --to rules` does so"
        raise ConfigError([Fault(str(workspace.root), what)])
    ingest, measured = workspace.folder("ingest"), workspace.folder("signals")
    asked = [source for source in config.source if source.name in names]
    with tempfile.TemporaryDirectory(prefix="bessemer-") as scratch:
        groups = replay(
            ingest, measured, asked, curates, now, then, Path(scratch), num_usable_cores()
        )
    rates = _bytes_per_token(workspace, names)
    has_languages = "language" in needed_families(config.source, config.curate)
    found = tally(groups, rates)
    by_source = kept_by_source(found, names)
    _check_sums(workspace, by_source)
    key = derive_key(config.run.seed, "whatif")
    now, then = (
        {source.name: _all_rules(source, curate, each[source.name]) for source in asked}
        for curate, each in zip(curates, (now, then), strict=True)
    )
    dropped, kept = filter(_is_newly_dropped, groups), filter(_is_newly_kept, groups)
    return WhatIf(
        changes=changes,
        sources=tuple(names),
        by_source=by_source,
        by_language=kept_by_language(found) if has_languages else (),
        rules=tuple(
            effect
            for source in asked
            for effect in effects_of_rules(found, source.name, now[source.name], then[source.name])
        ),
        newly_dropped=found.total(_is_newly_dropped),
        newly_kept=found.total(_is_newly_kept),
        sample_dropped=draw_sample(ingest, measured, dropped, then, num_samples, key),
        sample_kept=draw_sample(ingest, measured, kept, now, num_samples, key),
        bytes_per_token=rates,
        is_encoded=workspace.manifest("encode") is not None,
    )


def as_json(found: WhatIf) -> dict[str, Any]:
    """An answer as plain data."""
    return {
        "changes": [asdict(change) for change in found.changes],
        "sources": list(found.sources),
        "by_source": [asdict(row) for row in found.by_source],
        "by_language": [asdict(row) for row in found.by_language],
        "rules": [asdict(row) | {"is_changed": row.is_changed} for row in found.rules],
        "newly_dropped": asdict(found.newly_dropped),
        "newly_kept": asdict(found.newly_kept),
        "sample_dropped": [_sampled_json(each) for each in found.sample_dropped],
        "sample_kept": [_sampled_json(each) for each in found.sample_kept],
        "bytes_per_token": dict(found.bytes_per_token),
        "is_encoded": found.is_encoded,
    }


def _sampled_json(sampled: Sampled) -> dict[str, Any]:
    return asdict(sampled) | {"doc_id": format_doc_id(sampled.doc_id)}


def _is_newly_dropped(group: Group) -> bool:
    return bool(group.then) and not group.now


def _is_newly_kept(group: Group) -> bool:
    return bool(group.now) and not group.then


def _all_rules(
    source: SourceConfig, curate: CurateConfig, rules: Sequence[Rule]
) -> tuple[Rule, ...]:
    """The rules of a source with that of the language, which comes first."""
    if not judges_language(source, curate):
        return tuple(rules)
    return (Rule(name=LANGUAGE_RULE, min=curate.language.min_score), *rules)


def _bytes_per_token(workspace: Workspace, sources: Sequence[str]) -> dict[str, float]:
    """source -> bytes per token of its encoded text; of all text if it has none, a guess before."""
    if workspace.manifest("encode") is None:
        return dict.fromkeys(sources, float(BYTES_PER_TOKEN))
    shards = read_json(workspace.folder("encode") / SHARDS)

    def rate(chosen: Sequence[Mapping[str, Any]]) -> float | None:
        tokens = sum(shard["tokens"] for shard in chosen)
        return sum(shard["bytes"] for shard in chosen) / tokens if tokens else None

    overall = rate(shards) or float(BYTES_PER_TOKEN)
    return {
        source: rate([shard for shard in shards if shard["source"] == source]) or overall
        for source in sources
    }


def _check_sums(workspace: Workspace, by_source: Sequence[Kept]) -> None:
    """Every document of ingest must have been judged; IntegrityError if one was not."""
    ingested = workspace.manifest("ingest")
    assert ingested is not None
    sums = {each.source: each for each in ingested.conservation}
    for row in by_source[:-1]:
        docs, num_bytes = sums[row.name].docs_out, sums[row.name].bytes_out
        if (row.measured.docs, row.measured.num_bytes) != (docs, num_bytes):
            raise IntegrityError(
                f"source {row.name!r} has {docs} documents ({num_bytes} bytes), signals are there "
                f"of {row.measured.docs} ({row.measured.num_bytes}); delete "
                f"{workspace.folder('signals')} and run again"
            )
