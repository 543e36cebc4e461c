"""`model.init_from`: what a run takes from a Hugging Face folder before anything is run.

Its config.json gives the keys of `[model]`, its files a digest; the weights themselves are read
when training begins. The digest bears identity, the place of the folder does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bessemer.config.from_hugging_face import CONFIG, model_keys, read_config, weight_files
from bessemer.config.run import RunConfig
from bessemer.core.errors import ConfigError, DataError, Fault
from bessemer.core.fingerprint import fingerprint
from bessemer.core.storage import write_json
from bessemer.curate.inventory import identify_file, read_digests

# What the run file may still say beside `init_from`: how it is trained, or stretched.
_FREE = {"init_from", "init_digest", "rope_theta", "rope_scaling", "sliding_window"}
_FREE |= {"full_attention_every", "logit_softcap", "dropout"}


def complete_model(table: Mapping[str, Any], base: Path) -> tuple[dict[str, Any], list[Fault]]:
    """The table `[model]` of a run file in the folder `base`, with what `init_from` says of it."""
    if not isinstance(table.get("init_from"), str):
        return dict(table), []
    folder, where = base / table["init_from"], "model.init_from"
    try:
        told = read_config(folder)
        weight_files(folder)
    except DataError as error:
        return {}, [Fault(where, str(error))]
    keys, problems = model_keys(told)
    faults = [Fault(where, f"{folder}: {CONFIG}: {problem}") for problem in problems]
    faults += [
        Fault(f"model.{key}", f"init_from tells {key}; leave it out")
        for key in table
        if key not in _FREE and (key in keys or key in ("size", "depth", "experts"))
    ]
    return ({}, faults) if faults else (keys | dict(table), [])


def pin_weights(config: RunConfig, base: Path, cache: Path, *, keep: bool) -> RunConfig:
    """`config` with the digest of the folder that training begins with, if there is one.

    Digests of unchanged files come from `cache`; with `keep`, new ones are written there. Raises
    ConfigError if the run file names another digest.
    """
    if config.model.init_from is None:
        return config
    folder = base / config.model.init_from
    known = read_digests(cache)
    fresh: dict[str, list[Any]] = {}
    files = [folder / CONFIG, *weight_files(folder)]
    digests = {file.name: identify_file(str(file), known, fresh)[1] for file in files}
    if keep and fresh != known:
        write_json(cache, fresh)
    digest = fingerprint(digests)
    given = config.model.init_digest
    if given not in (None, digest):
        raise ConfigError(
            [Fault("model.init_digest", f"{given} is asked for, {folder} has {digest}")]
        )
    model = config.model.model_copy(update={"init_digest": digest})
    return config.model_copy(update={"model": model})
