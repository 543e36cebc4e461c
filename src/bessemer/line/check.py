"""All faults of a run file in one go: those of its syntax and types, and those that need to know
more than the file itself: which signals there are, whether any source file is there, which
libraries are installed, what is in a tokenizer that is to be loaded, and how parameters are
called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bessemer.config.curate import CurateConfig, RuleConfig
from bessemer.config.load import parse_sections, read_toml
from bessemer.config.names import hint
from bessemer.config.run import RunConfig
from bessemer.config.sources import SourceConfig
from bessemer.config.tokens import TokenizerConfig
from bessemer.core.errors import ConfigError, DataError, Fault
from bessemer.core.fingerprint import digest_file
from bessemer.core.layout import TOKENIZER
from bessemer.curate.bounds import NO_PRESET, Rule, preset_names, rules_for
from bessemer.curate.dialects import LINE_CUTS
from bessemer.curate.inventory import matches_nothing
from bessemer.curate.signals import SIGNAL_DEFINITIONS, why_no_signal
from bessemer.line.pinned import pin_instruments, pin_known
from bessemer.line.pinned_evals import pin_eval_sets
from bessemer.line.warm_start import complete_model


def load_config(run_file: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The run file with `section.key=value` overrides applied; ConfigError with every fault."""
    data, base = read_toml(run_file, overrides), run_file.resolve().parent
    sections, faults = _parse_with_init(data, base)
    faults += _unknown_signals(sections)
    faults += _unknown_presets(sections)
    faults += _rules_without_effect(sections)
    faults += pin_instruments(sections, base)
    faults += pin_known(sections, base)
    faults += pin_eval_sets(sections, base)
    faults += _missing_files(data, base)
    faults += [
        Fault(f"cluster.branch_from[{index}]", f"no folder {base / root}; give the root of a run")
        for index, root in enumerate(
            sections["cluster"].branch_from if "cluster" in sections else ()
        )
        if not (base / root).is_dir()
    ]
    if "curate" in sections:
        faults += _missing_libraries(sections["curate"])
    if "tokenizer" in sections and sections["tokenizer"].path is not None:
        try:
            sections["tokenizer"] = _read_file_of(sections["tokenizer"], base)
        except DataError as error:
            faults.append(Fault("tokenizer.path", str(error)))
    faults += _other_tokens(sections, base)
    if not faults:
        faults += _groups_without_parameters(sections)
    if faults:
        raise ConfigError(faults)
    return RunConfig(**sections)


def _missing_libraries(curate: CurateConfig) -> list[Fault]:
    """What reading was asked to do by libraries that are not installed."""
    wanted = []
    if curate.extractor == "trafilatura":
        wanted.append(("curate.extractor", "trafilatura"))
    if curate.normalise.mojibake:
        wanted.append(("curate.normalise.mojibake", "ftfy"))
    return [
        Fault(where, f'needs {library}, which is not installed: pip install "bessemer[{library}]"')
        for where, library in wanted
        if find_spec(library) is None
    ]


def _read_file_of(tokenizer: TokenizerConfig, base: Path) -> TokenizerConfig:
    """What a tokenizer's file says in the place of keys: its digest, vocab_size, BEGIN and END.

    DataError if it cannot be loaded, or is not the one whose digest the run file gives.
    """
    from bessemer.tokens.load import read_tokenizer

    path = base / str(tokenizer.path)
    loaded = read_tokenizer(
        path,
        tokenizer.pattern,
        tokenizer.begin_token,
        tokenizer.end_token,
        tokenizer.special_tokens,
    )
    loaded.build()
    digest = digest_file(path)
    if tokenizer.digest not in (None, digest):
        raise DataError(
            f"{tokenizer.path} has the digest {digest}, not {tokenizer.digest} as tokenizer.digest "
            "says: it is another file"
        )
    return tokenizer.model_copy(
        update={
            "vocab_size": loaded.vocab_size,
            "begin_token": loaded.begin,
            "end_token": loaded.end,
            "digest": digest,
        }
    )


def _parse_with_init(data: dict[str, Any], base: Path) -> tuple[dict[str, Any], list[Fault]]:
    """The tables and their faults, `[model]` completed by what `init_from` tells."""
    table = data.get("model")
    if not isinstance(table, dict):
        return parse_sections(data)
    model, init_faults = complete_model(table, base)
    if not init_faults:
        return parse_sections(data | {"model": model})
    # Without its keys the table would have many more faults that are none of the user's.
    sections, faults = parse_sections({key: data[key] for key in data if key != "model"})
    return sections, init_faults + [fault for fault in faults if fault.where != "model"]


def _other_tokens(sections: dict[str, Any], base: Path) -> list[Fault]:
    """A vocabulary that the model's embedding does not hold, or holds for other tokens."""
    if not {"model", "tokenizer"} <= sections.keys():
        return []
    model, tokenizer = sections["model"], sections["tokenizer"]
    if model.num_rows(tokenizer.vocab_size) < tokenizer.vocab_size:
        what = f"{model.vocab_rows} rows are too few for {tokenizer.vocab_size} tokens"
        return [Fault("model.vocab_rows", what)]
    if model.init_from is None or tokenizer.path is not None:
        return []
    own = Path(model.init_from) / TOKENIZER
    if not (base / own).exists():
        return []
    what = f"its embedding is of its own tokens; set path to {str(own)!r}"
    return [Fault("tokenizer", f"would be learned anew, but model.init_from is given: {what}")]


def _groups_without_parameters(sections: dict[str, Any]) -> list[Fault]:
    """Optimizer groups that match no parameter of the model; only if there are groups, as it takes
    torch to know."""
    optimizer = sections["train"].optimizer
    if not optimizer.group:
        return []
    import torch

    from bessemer.model.transformer import Decoder
    from bessemer.train.optim import choose_settings

    with torch.device("meta"):  # no memory, whatever the size
        decoder = Decoder(sections["model"], sections["tokenizer"].vocab_size)
    try:
        choose_settings(dict(decoder.named_parameters()), optimizer)
    except ConfigError as error:
        return list(error.faults)
    return []


def _unknown_signals(sections: dict[str, Any]) -> list[Fault]:
    if "curate" not in sections:
        return []
    curate = sections["curate"]
    return [
        Fault(f"curate.rule[{index}].name", why)
        for index, rule in enumerate(curate.rule)
        if not (rule.off and rule.name in SIGNAL_DEFINITIONS)  # takes away what could not fire
        if (why := why_no_signal(rule.name, curate))
    ]


def _unknown_presets(sections: dict[str, Any]) -> list[Fault]:
    known = preset_names()
    return (
        [
            Fault(f"source[{index}].presets", f"no preset {name!r}{hint(name, known)}")
            for index, source in enumerate(sections.get("source", ()))
            for name in source.presets
            if name not in known
        ]
        + [
            Fault(f"source[{index}].presets", f"{NO_PRESET!r} stands for no rules; name it alone")
            for index, source in enumerate(sections.get("source", ()))
            if NO_PRESET in source.presets and len(source.presets) > 1
        ]
        + [
            Fault(f"source[{index}].presets", f"{' and '.join(cutters)} take out lines; name one")
            for index, source in enumerate(sections.get("source", ()))
            if len(cutters := [name for name in source.presets if name in LINE_CUTS]) > 1
        ]
    )


def _rules_without_effect(sections: dict[str, Any]) -> list[Fault]:
    """Bounds that no document can keep to, put together from presets and rules, and `off` where
    there is no bound."""
    if not {"curate", "source"} <= sections.keys():
        return []
    curate, known = sections["curate"], preset_names()
    sources = [each for each in sections["source"] if set(each.presets) <= set(known)]
    faults = []
    for index, source in enumerate(sources):
        for bounds in rules_for(source, curate):
            if bounds.min is not None and bounds.max is not None and bounds.min > bounds.max:
                where, rule = _last_rule(curate, bounds.name, source, f"source[{index}].presets")
                if rule is None or None in (rule.min, rule.max):  # else a fault in itself
                    faults.append(Fault(where, _nothing_stays(bounds, source)))
    for index, rule in enumerate(curate.rule):
        before = curate.model_copy(update={"rule": curate.rule[:index]})
        mine = [each for each in sources if not rule.sources or each.name in rule.sources]
        there = {bounds.name: None for each in mine for bounds in rules_for(each, before)}
        if rule.off and mine and rule.name in SIGNAL_DEFINITIONS and rule.name not in there:
            faults.append(Fault(f"curate.rule[{index}].off", _nothing_off(rule, mine, there)))
    return faults


def _last_rule(
    curate: CurateConfig, name: str, source: SourceConfig, otherwise: str
) -> tuple[str, RuleConfig | None]:
    """The last rule of the run file on a signal of a source, and its place; if none, `otherwise`"""
    found = [
        (f"curate.rule[{index}]", rule)
        for index, rule in enumerate(curate.rule)
        if rule.name == name and (not rule.sources or source.name in rule.sources)
    ]
    return found[-1] if found else (otherwise, None)


def _nothing_stays(bounds: Rule, source: SourceConfig) -> str:
    presets = ", ".join(source.presets or (source.kind,))
    return (
        f"{bounds.name} of source {source.name!r} comes to min {bounds.min:g} above max "
        f"{bounds.max:g} (presets: {presets}): no document would stay; give both min and max"
    )


def _nothing_off(rule: RuleConfig, sources: Sequence[SourceConfig], there: Iterable[str]) -> str:
    names = ", ".join(repr(source.name) for source in sources)
    stem = rule.name.partition("@")[0]
    near = [name for name in there if name.partition("@")[0] == stem]
    told = f"did you mean {near[0]!r}?" if near else f"bounds are on: {', '.join(there) or 'none'}"
    return f"{rule.name} has no bound in {names} to be taken away; {told}"


def _missing_files(data: dict[str, Any], base: Path) -> list[Fault]:
    """Patterns that match nothing, of all sources whose path could be read at all."""
    tables = data.get("source")
    return [
        Fault(
            f"source[{index}].path",
            f"{pattern!r} matches no file below {base}; paths are relative to the run file",
        )
        for index, table in enumerate(tables if isinstance(tables, list) else [])
        for pattern in _patterns(table)
        if matches_nothing(pattern, base)
    ]


def _patterns(table: Any) -> list[str]:
    """The patterns of one source as written, whatever else is wrong with it."""
    paths = table.get("path") if isinstance(table, dict) else None
    listed = paths if isinstance(paths, list) else [paths]
    return [pattern for pattern in listed if isinstance(pattern, str)]
