"""What a stage gets to work with, whichever it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.config.run import RunConfig
from bessemer.core.layout import DOCUMENTS, SPLITS
from bessemer.engine.tasks import Engine
from bessemer.train.launch import Launch

if TYPE_CHECKING:
    from bessemer.curate.evals.files import EvalSet
    from bessemer.curate.instruments import Instruments
    from bessemer.curate.inventory import SourceFile
    from bessemer.tokens.corpus import Corpus

# Stages after ingest whose decisions drop documents or ask for edits.
LEDGERS = ("rules", "mask", "exact", "fuzzy", "lines", "substrings", "decontaminate")


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What a stage gets to work with."""

    config: RunConfig
    files: tuple[SourceFile, ...]
    tokenizer_file: Path | None  # the one to load, if not to be trained
    inputs: dict[str, Path]  # stage -> its folder
    fingerprints: dict[str, str]  # of the inputs
    version: int  # of the stage
    folder: Path
    engine: Engine
    launch: Launch
    instruments: Instruments  # what documents are measured with
    evals: tuple[EvalSet, ...] = ()  # what must not be trained on
    init_from: Path | None = None  # folder of the weights that training begins with
    known: tuple[Path, ...] = ()  # indexes of documents that other runs kept
    earlier: tuple[Path, ...] = ()  # what the same stage made with other settings

    @property
    def ledgers(self) -> list[Path]:
        """The folders among the inputs whose decisions may have dropped documents."""
        return [self.inputs[name] for name in LEDGERS if name in self.inputs]

    @property
    def source_names(self) -> list[str]:
        """The sources, in the order of the run file."""
        return [source.name for source in self.config.source]


def corpus_of(folders: Mapping[str, Path]) -> Corpus:
    """The corpus that stages of these folders (stage -> folder) left, with all edits made."""
    from bessemer.tokens.corpus import Corpus

    return Corpus(
        documents=folders["ingest"] / DOCUMENTS,
        splits=folders["split"] / SPLITS,
        ledgers=tuple(folders[name] for name in LEDGERS),
    )
