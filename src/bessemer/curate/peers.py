"""The measures of other programs, each a family of signals: which there are, which a run needs.

They take as long as all of our own together. So those of `curate.dialects` are measured, and those
that a preset or a rule of the run bounds; a signal of the others is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from bessemer.config.data import CurateConfig, Peer, SourceConfig
from bessemer.curate.bounds import rules_for
from bessemer.text.datatrove.signals import DATATROVE_SIGNALS, datatrove_signals
from bessemer.text.dclm.signals import DCLM_SIGNALS, dclm_signals
from bessemer.text.dolma.signals import DOLMA_SIGNALS, dolma_signals
from bessemer.text.redpajama import REDPAJAMA_SIGNALS, redpajama_signals


class PeerFamily(NamedTuple):
    """What one program measures."""

    definitions: dict[str, str]  # name -> definition and source
    measure: Callable[[pa.Array], dict[str, np.ndarray]]


PEERS: dict[Peer, PeerFamily] = {
    "datatrove": PeerFamily(DATATROVE_SIGNALS, datatrove_signals),
    "dclm": PeerFamily(DCLM_SIGNALS, dclm_signals),
    "dolma": PeerFamily(DOLMA_SIGNALS, dolma_signals),
    "redpajama": PeerFamily(REDPAJAMA_SIGNALS, redpajama_signals),
}


def peer_of(signal: str) -> Peer | None:
    """The program whose family a signal belongs to; None if it is one of ours."""
    return next((peer for peer, family in PEERS.items() if signal in family.definitions), None)


def needed_peers(sources: Sequence[SourceConfig], curate: CurateConfig) -> tuple[Peer, ...]:
    """The programs whose signals a run measures, by name."""
    bounded = {rule.name for source in sources for rule in rules_for(source, curate)}
    return tuple(
        peer
        for peer, family in PEERS.items()
        if peer in curate.dialects or bounded & family.definitions.keys()
    )
