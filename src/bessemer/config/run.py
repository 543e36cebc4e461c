"""The run file as a whole: its tables, in the order in which the line runs."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from bessemer.config.base import Name, Section
from bessemer.config.cluster import ClusterConfig
from bessemer.config.curate import CurateConfig
from bessemer.config.decontaminate import DecontaminateConfig
from bessemer.config.export import ExportConfig
from bessemer.config.model import ModelConfig
from bessemer.config.sources import SourceConfig
from bessemer.config.split import SplitConfig
from bessemer.config.tokens import MixConfig, TokenizerConfig
from bessemer.config.train import DiagnoseConfig, ReportConfig, TrainConfig


def _require_folder(text: str) -> str:
    if "://" in text:
        raise ValueError(
            "should be a folder on a disk; sources, cluster.tokens and cluster.checkpoints may be "
            "in a store"
        )
    return text


class RunSection(Section):
    """`[run]`."""

    name: Name
    root: Annotated[str, Field(min_length=1), AfterValidator(_require_folder)]
    """Folder for everything the run makes, relative to the run file."""
    seed: int = Field(default=0, ge=0, lt=2**63)


class RunConfig(Section):
    """A whole run file. All bears identity, but `[cluster]` and the run's name and root."""

    run: RunSection
    source: Annotated[tuple[SourceConfig, ...], Field(strict=False)]
    curate: CurateConfig = CurateConfig()
    decontaminate: DecontaminateConfig = DecontaminateConfig()
    split: SplitConfig = SplitConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    mix: MixConfig = MixConfig()
    model: ModelConfig
    train: TrainConfig
    diagnose: DiagnoseConfig = DiagnoseConfig()
    export: ExportConfig = ExportConfig()
    report: ReportConfig = ReportConfig()
    cluster: ClusterConfig = ClusterConfig()
