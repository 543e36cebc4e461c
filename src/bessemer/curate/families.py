"""Families of signals: what each measures of a batch of documents, and which a run needs.

Families in ours have our definitions; the others are the measures of another program, as it takes
them. A run measures those that `curate.measure` lists and those with a signal that one of its rules
bounds; a signal of another family is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, get_args

import numpy as np
import pyarrow as pa

from bessemer.config.curate import CurateConfig, Family
from bessemer.config.sources import SourceConfig
from bessemer.curate.bounds import rules_for
from bessemer.curate.instruments import Instruments
from bessemer.curate.language import LANGUAGE_SIGNALS, detect_languages
from bessemer.curate.quality_model import QUALITY_SIGNAL
from bessemer.curate.quality_model import QUALITY_SIGNALS as MODEL_SIGNALS
from bessemer.curate.url_lists import file_extension
from bessemer.text.code import CODE_SIGNALS, code_signals
from bessemer.text.datatrove.signals import DATATROVE_SIGNALS, datatrove_signals
from bessemer.text.dclm.signals import DCLM_SIGNALS, dclm_signals
from bessemer.text.dolma.signals import DOLMA_SIGNALS, dolma_signals
from bessemer.text.quality import QUALITY_SIGNALS
from bessemer.text.redpajama import REDPAJAMA_SIGNALS, redpajama_signals
from bessemer.text.repetition import REPETITION_SIGNALS
from bessemer.text.scripts import SCRIPT_SIGNALS, script_signals
from bessemer.text.urls import URL_SIGNALS, url_signals
from bessemer.text.web_lines import WEB_LINE_SIGNALS, web_line_signals
from bessemer.text.word_families import word_signals

LANGUAGE = "language"  # the one column that is no number, from the family of that name
Measures = dict[str, np.ndarray]


class Batch(NamedTuple):
    """What documents are measured by."""

    texts: pa.Array  # large_string
    urls: pa.Array  # string
    instruments: Instruments
    is_code: bool = True  # texts are files of code as they are; else their names tell nothing
    families: Collection[Family] = get_args(Family)  # what is wanted of them


class SignalFamily(NamedTuple):
    """Signals of one kind.

    `measure` returns name -> float32, NaN where it has no meaning: its own signals, and those of
    other families that are wanted, if these are measured in the same pass.
    """

    definitions: dict[str, str]  # name, ending in its unit -> definition and source
    measure: Callable[[Batch], Measures]


def _words(batch: Batch) -> Measures:
    return word_signals(
        batch.texts,
        quality="surface" in batch.families,
        repetition="repetition" in batch.families,
    )


def _code(batch: Batch) -> Measures:
    urls = batch.urls.to_pylist() if batch.is_code else [None] * len(batch.texts)
    return code_signals(batch.texts, list(map(file_extension, urls)))


def _language(batch: Batch) -> Measures:
    found = detect_languages(batch.texts, batch.instruments.language)
    return {
        LANGUAGE: np.array(found.codes, np.object_),
        "language_score": found.scores,
        "language_paragraph_frac": found.paragraph_fracs,
    }


def _model(batch: Batch) -> Measures:
    model = batch.instruments.quality
    return {} if model is None else {QUALITY_SIGNAL: model.scores(batch.texts)}


FAMILIES: dict[Family, SignalFamily] = {
    "surface": SignalFamily(QUALITY_SIGNALS, _words),
    "repetition": SignalFamily(REPETITION_SIGNALS, _words),
    "lines": SignalFamily(WEB_LINE_SIGNALS, lambda batch: web_line_signals(batch.texts)),
    "code": SignalFamily(CODE_SIGNALS, _code),
    "scripts": SignalFamily(SCRIPT_SIGNALS, lambda batch: script_signals(batch.texts)),
    "urls": SignalFamily(
        URL_SIGNALS, lambda batch: url_signals(batch.urls, batch.instruments.urls)
    ),
    "language": SignalFamily(LANGUAGE_SIGNALS, _language),
    "model": SignalFamily(MODEL_SIGNALS, _model),
    "datatrove": SignalFamily(DATATROVE_SIGNALS, lambda batch: datatrove_signals(batch.texts)),
    "dclm": SignalFamily(DCLM_SIGNALS, lambda batch: dclm_signals(batch.texts)),
    "dolma": SignalFamily(DOLMA_SIGNALS, lambda batch: dolma_signals(batch.texts)),
    "redpajama": SignalFamily(REDPAJAMA_SIGNALS, lambda batch: redpajama_signals(batch.texts)),
}


def holds_code(source: SourceConfig) -> bool:
    """Whether the documents of a source are files of code as they are.

    Of a page in a file, say, the text was extracted: it is no HTML, though its file is named so.
    """
    return source.kind == "code" and source.format != "html"


def family_of(signal: str) -> Family:
    """The family that a signal belongs to; KeyError if there is no such signal."""
    for family, about in FAMILIES.items():
        if signal in about.definitions:
            return family
    raise KeyError(signal)


def needed_families(sources: Sequence[SourceConfig], curate: CurateConfig) -> tuple[Family, ...]:
    """The families that a run measures, in their order."""
    bounded = {rule.name for source in sources for rule in rules_for(source, curate)}
    always = {*curate.measure, *(["language"] if curate.languages else [])}
    if curate.quality:  # its score decides, too, which of near-duplicates is kept
        always.add("model")
    return tuple(
        family
        for family, about in FAMILIES.items()
        if family in always or bounded & about.definitions.keys()
        if family != "model" or curate.quality
    )


def measure(batch: Batch) -> Measures:
    """What the wanted families measure of each document, in the order of FAMILIES.

    Signals are float32, NaN where a measure has no meaning; beside them is the language, as an
    array of objects, if it was to be found.
    """
    found: Measures = {}
    for family, about in FAMILIES.items():
        if family in batch.families and not about.definitions.keys() <= found.keys():
            found |= about.measure(batch)
    return found
