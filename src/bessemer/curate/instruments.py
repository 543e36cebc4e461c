"""The files that documents are measured with, beside our own kernels: models and lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bessemer.config.curate import CurateConfig
from bessemer.core.errors import IntegrityError
from bessemer.core.fingerprint import digest_file
from bessemer.curate.language import LanguageModel, load_language_model, shipped_model
from bessemer.curate.quality_model import QualityModel, load_model
from bessemer.curate.url_lists import read_url_lists
from bessemer.text.blocklists import UrlLists


@dataclass(frozen=True, kw_only=True, slots=True)
class Instruments:
    """As a task is given them; each file is loaded once per process."""

    quality_file: Path | None = None
    language_file: Path | None = None  # None: the model that comes with bessemer
    url_lists: tuple[tuple[str, Path], ...] = ()  # key in [curate.urls], file

    @property
    def language(self) -> LanguageModel:
        """The model that finds languages; DataError if it cannot be read."""
        return load_language_model(self.language_file or shipped_model())

    @property
    def quality(self) -> QualityModel | None:
        """The model of good text, if there is one; DataError if it cannot be read."""
        return load_model(self.quality_file) if self.quality_file else None

    @property
    def urls(self) -> UrlLists:
        """The lists that URLs are held against; DataError if one cannot be read."""
        return read_url_lists(self.url_lists)


def instruments_of(curate: CurateConfig, base: Path) -> Instruments:
    """What a run file names; `base` is its folder."""
    return Instruments(
        quality_file=base / curate.quality.model if curate.quality else None,
        language_file=base / curate.language.model if curate.language.model else None,
        url_lists=tuple((kind, base / path) for kind, path in sorted(curate.urls.files().items())),
    )


def check_instruments(instruments: Instruments, curate: CurateConfig) -> None:
    """IntegrityError if a file is another than when the run file was read."""
    for path, digest in _files(instruments, curate):
        if digest_file(path) != digest:
            raise IntegrityError(f"{path} was changed while this run began; start it anew")


def _files(instruments: Instruments, curate: CurateConfig) -> Iterator[tuple[Path, str | None]]:
    if instruments.quality_file and curate.quality:
        yield instruments.quality_file, curate.quality.digest
    if instruments.language_file:
        yield instruments.language_file, curate.language.digest
    for kind, path in instruments.url_lists:
        yield path, curate.urls.digests.get(kind)
