"""Models and lists that documents are measured with: read when the run file is, known by digests.

The digest bears identity, the place of the file does not. That of the language model which comes
with bessemer is taken, too: with another one, languages would be others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bessemer.config.curate import CurateConfig, UrlsConfig
from bessemer.config.duplicates import KnownConfig
from bessemer.config.names import hint
from bessemer.core.errors import DataError, Fault
from bessemer.core.fingerprint import digest_file
from bessemer.core.units import format_list
from bessemer.curate.duplicates.known_index import HEADER, read_header, signing_of
from bessemer.curate.language import load_language_model, shipped_model
from bessemer.curate.quality_model import load_model
from bessemer.curate.streams import HEAD_BYTES, codec_of

_KEYS = {"seed": "run.seed", "unicode": "Python's Unicode"}


def pin_instruments(sections: dict[str, Any], base: Path) -> list[Fault]:
    """Put the digests of the files that `[curate]` goes by into `sections`, in place.

    `base` is the folder of the run file. Returns what is wrong with the files, and the languages
    that the model does not know.
    """
    if "curate" not in sections:
        return []
    curate: CurateConfig = sections["curate"]
    language, quality = curate.language, curate.quality
    faults: list[Fault] = []
    pinned: dict[str, Any] = {}
    try:
        path = base / language.model if language.model else shipped_model()
        known = load_language_model(path).codes
        faults += [
            Fault(
                "curate.languages", f"{code!r} is not known to {path.name}{_nearest(code, known)}"
            )
            for code in curate.languages
            if code not in known
        ]
        digest = _digest_of(path, language.digest, "curate.language.digest")
        pinned["language"] = language.model_copy(update={"digest": digest})
    except DataError as error:
        faults.append(Fault("curate.language.model", str(error)))
    if quality is not None:
        try:
            path = base / quality.model
            load_model(path)
            digest = _digest_of(path, quality.digest, "curate.quality.digest")
            pinned["quality"] = quality.model_copy(update={"digest": digest})
        except DataError as error:
            faults.append(Fault("curate.quality.model", str(error)))
    pinned["urls"], list_faults = _pin_url_lists(curate.urls, base)
    sections["curate"] = curate.model_copy(update=pinned)
    return faults + list_faults


def pin_known(sections: dict[str, Any], base: Path) -> list[Fault]:
    """Put the digests of the indexes of other runs' documents into `sections`, in place.

    Returns what is wrong with them, and which were made with other signatures than this run's.
    """
    if not {"curate", "run"} <= sections.keys():
        return []
    curate: CurateConfig = sections["curate"]
    mine = signing_of(curate.fuzzy, sections["run"].seed)
    faults: list[Fault] = []
    pinned: list[KnownConfig] = []
    for number, known in enumerate(curate.known):
        where = f"curate.known[{number}]"
        try:
            theirs = read_header(base / known.path)["signing"]
            digest = _digest_of(base / known.path / HEADER, known.digest, f"{where}.digest")
        except DataError as error:
            faults.append(Fault(f"{where}.path", str(error)))
            continue
        if digest in [each.digest for each in pinned]:
            faults.append(Fault(f"{where}.path", f"{known.path} is listed twice"))
        pinned.append(known.model_copy(update={"digest": digest}))
        if differing := [name for name in mine if theirs.get(name) != mine[name]]:
            what = _other_signing(known.path, differing, theirs, mine)
            faults.append(Fault(f"{where}.path", what))
    sections["curate"] = curate.model_copy(update={"known": tuple(pinned)})
    return faults


def _other_signing(
    index: str, differing: Sequence[str], theirs: Mapping[str, Any], mine: Mapping[str, Any]
) -> str:
    """That an index was made with other signatures than this run's, and what to do about it."""
    made = [
        f"{_KEYS.get(name, f'curate.fuzzy.{name}')} = {theirs.get(name)!r}" for name in differing
    ]
    here = [repr(mine[name]) for name in differing]
    if "unicode" in differing:
        cure = "run the other anew with these settings and this Python, and index it again"
    else:
        cure = "set the same here, or run the other anew with these settings and index it again"
    return (
        f"{index} was made with {format_list(made)}, this run has {format_list(here)}: "
        f"signatures made in two ways cannot be compared; {cure}"
    )


def _nearest(code: str, known: Sequence[str]) -> str:
    """What to say behind a language that is not known; "en-US" and "EN" are English."""
    wide = code.lower().replace("_", "-").split("-")[0]
    return hint(wide if wide in known else code, known)


def _pin_url_lists(urls: UrlsConfig, base: Path) -> tuple[UrlsConfig, list[Fault]]:
    """The lists of URLs with their files' digests, and what is wrong with them."""
    digests, faults = {}, []
    for kind, path in urls.files().items():
        where, given = f"curate.urls.{kind}", urls.digests.get(kind)
        if why := _why_no_list(base / path):
            faults.append(Fault(where, why))
            continue
        digests[kind] = digest_file(base / path)
        if given not in (None, digests[kind]):
            what = f"{path} has the digest {digests[kind]}, not {given}: it is another file"
            faults.append(Fault(where, what))
    faults += [
        Fault(f"curate.urls.digests.{kind}", "is of no list; give its file as well")
        for kind in sorted(urls.digests.keys() - urls.files().keys())
    ]
    return urls.model_copy(update={"digests": digests}), faults


def _why_no_list(path: Path) -> str | None:
    """What is wrong with a list of URLs; None if it can be read as text.

    A compressed list, or one in UTF-16, would be read without an error, and match nothing.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError:
        return f"no file {path}; paths are relative to the run file"
    except IsADirectoryError:
        return f"{path} is a folder; give a text file of an entry a line"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    if codec_of("", head):
        return f"{path} is compressed; unpack it, for a list is a text file of an entry a line"
    if b"\0" in head:
        return f"{path} is no text in UTF-8; a list is a text file of an entry a line"
    return None


def _digest_of(path: Path, given: str | None, key: str) -> str:
    digest = digest_file(path)
    if given not in (None, digest):
        raise DataError(f"{path} has the digest {digest}, not {given} as {key} says: another file")
    return digest
