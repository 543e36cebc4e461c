"""Evaluation sets: read when the run file is, known by the digests of their files.

The digests bear identity, the places of the files do not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bessemer.config.decontaminate import DecontaminateConfig
from bessemer.core.errors import DataError, Fault
from bessemer.curate.evals.files import list_eval_set, read_items


def pin_eval_sets(sections: dict[str, Any], base: Path) -> list[Fault]:
    """Put the digests of the files of `[decontaminate]` into `sections`, in place.

    `base` is the folder of the run file. Returns what is wrong with the files: each is read, so
    that one without a question is told before anything runs.
    """
    if "decontaminate" not in sections:
        return []
    config: DecontaminateConfig = sections["decontaminate"]
    faults: list[Fault] = []
    pinned = []
    for index, each in enumerate(config.eval):
        where = f"decontaminate.eval[{index}].path"
        try:
            found = list_eval_set(each, base)
            digests = {file.path: file.digest for file in found.files}
            if not digests:
                what = f"matches no file below {base}; paths are relative to the run file"
                raise DataError(f"{', '.join(map(repr, each.path))} {what}")
            if each.digests and each.digests != digests:
                raise DataError(f"files have the digests {digests}, not {each.digests}")
            read_items(index, found)
            pinned.append(each.model_copy(update={"digests": digests}))
        except DataError as error:
            faults.append(Fault(where, str(error)))
    if not faults:
        sections["decontaminate"] = config.model_copy(update={"eval": tuple(pinned)})
    return faults
