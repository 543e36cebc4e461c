"""Best-fit packing loses no prediction, cuts only what must be cut, and is the slow twin's; what
either packing costs is what a count over all its samples finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.config.tokens import MixConfig
from bessemer.config.train import TrainConfig
from bessemer.core.errors import IntegrityError
from bessemer.core.schema import PACKING_COST
from bessemer.core.storage import read_json, read_table, write_json
from bessemer.engine.tasks import Engine
from bessemer.tokens import pack as module
from bessemer.tokens.mix import mix
from bessemer.tokens.order import SampleOrder
from bessemer.tokens.pack import pack
from bessemer.tokens.packing import (
    Packing,
    _best_fit,
    pack_documents,
    read_packing,
    write_packing,
)

from .twins import PADDING, Shards, flatten, rows_of, write_shards


def best_fit(sizes: list[int], capacity: int) -> list[int]:
    """The bin of each thing, every bin looked at for every thing."""
    bins: list[tuple[int, int]] = []  # room left, when it was last filled
    chosen = [0] * len(sizes)
    for turn, thing in enumerate(sorted(range(len(sizes)), key=lambda n: (-sizes[n], n))):
        fitting = [number for number, (room, _) in enumerate(bins) if room >= sizes[thing]]
        if fitting:
            number = min(fitting, key=lambda each: (bins[each][0], -bins[each][1]))
        else:
            number = len(bins)
            bins.append((capacity, 0))
        bins[number] = (bins[number][0] - sizes[thing], turn)
        chosen[thing] = number
    return chosen


@given(st.integers(1, 40), st.data())
def test_the_kernel_is_the_slow_twin(capacity: int, data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, capacity), max_size=40))
    array, bins = np.array(sizes, np.int64), np.empty(len(sizes), np.int64)
    num_bins = _best_fit(array, np.argsort(-array, kind="stable"), capacity, bins)
    assert bins.tolist() == best_fit(sizes, capacity)
    assert num_bins == len(set(bins.tolist()))


def pieces_of(packing: Packing) -> list[list[tuple[int, int]]]:
    return [
        packing.pieces[packing.bounds[n] : packing.bounds[n + 1]].tolist()
        for n in range(packing.num_samples)
    ]


@given(st.lists(st.integers(1, 60), max_size=30), st.integers(1, 20))
def test_every_prediction_is_made_once_and_only_long_documents_are_cut(
    lengths: list[int], seq_len: int
) -> None:
    ends = np.cumsum(np.array(lengths, np.int64))
    starts = ends - np.array(lengths, np.int64)
    packing = pack_documents(starts, np.array(lengths, np.int64), seq_len)
    samples = pieces_of(packing)
    inputs = [at + n for sample in samples for at, size in sample for n in range(size)]
    # All tokens but the last of each document are an input, whose label is the next token.
    assert sorted(inputs) == [
        int(start) + n
        for start, length in zip(starts, lengths, strict=True)
        for n in range(length - 1)
    ]
    held = [sum(size for _, size in sample) for sample in samples]
    assert packing.tokens().tolist() == held
    assert all(0 < tokens <= seq_len for tokens in held)
    documents = [
        {int(np.searchsorted(ends, at, side="right")) for at, _ in sample} for sample in samples
    ]
    for number, length in enumerate(lengths):
        times = sum(number in each for each in documents)
        assert times == -(-(length - 1) // seq_len)  # the fewest samples that can hold it
    assert all(sample == sorted(sample) for sample in samples)
    # Best fit never leaves two samples that would fit into one.
    small = sorted(held)
    assert len(small) < 2 or small[0] + small[1] > seq_len


def test_a_packing_is_read_back_and_damage_is_told(tmp_path: Path) -> None:
    lengths = np.array([5, 30, 2, 9, 9], np.int64)
    packing = pack_documents(np.cumsum(lengths) - lengths, lengths, 8)
    # Full pieces of the long document first; 8 and 8; then rests of 5 and 4 with what fits.
    assert pieces_of(packing) == [
        [(5, 8)], [(13, 8)], [(21, 8)], [(37, 8)], [(46, 8)], [(29, 5), (35, 1)], [(0, 4)],
    ]  # fmt: skip
    write_packing(tmp_path / "web" / "00000", packing)
    back = read_packing(tmp_path / "web" / "00000")
    assert pieces_of(back) == pieces_of(packing)
    path = tmp_path / "web" / "00000.pieces.npy"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(IntegrityError, match=r"00000.pieces.npy is missing or damaged"):
        read_packing(tmp_path / "web" / "00000")


SHARDS: dict[str, Shards] = {
    "web": [[list(range(n)) for n in (2, 9, 40, 3)], [list(range(n)) for n in (17, 8, 25, 2, 2)]],
    "note": [[[1, 2, 3], [4, 5]]],
    "none": [],
}


def make(folder: Path, packing: str, seq_len: int = 16, samples: int = 60) -> SampleOrder:
    """The order of a run over SHARDS, three samples of web to one of note."""
    entries = [e for source, each in SHARDS.items() for e in write_shards(folder, source, each)]
    write_json(folder / "shards.json", entries)
    train = TrainConfig.model_validate(
        {
            "seq_len": seq_len,
            "global_batch_tokens": seq_len,
            "total_tokens": samples * seq_len,
            "packing": packing,
        }
    )
    result = pack(folder, list(SHARDS), train, folder, Engine())
    assert set(result.summary["cut_docs_frac"]) == {"web", "note"}
    weights = {"web": 3.0, "note": 1.0, "none": 0.0}
    mix(folder, list(SHARDS), MixConfig(weights=weights, force=True), train, 1, folder, folder)
    return SampleOrder(folder, folder, 1, folder)


@pytest.mark.parametrize("group_docs", [1, 1 << 22])
def test_a_packed_epoch_predicts_every_token_once(
    tmp_path: Path, group_docs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GROUP_DOCS", group_docs)
    order = make(tmp_path, "best_fit")
    assert len(read_json(tmp_path / "packs.json")) == (3 if group_docs == 1 else 2)
    flat = {name: flatten(shards) for name, shards in SHARDS.items()}
    times = {name: [0] * len(tokens) for name, tokens in flat.items()}
    padded = dict.fromkeys(SHARDS, 0)
    for number in range(order.num_samples):
        located, rows = order.locate(number), rows_of(order.read(number))
        stream = order.chunks[order.sources.index(located.source)].stream
        at = 0
        for piece, part in enumerate(located.ranges):
            first = stream.position_of(part.shard, part.token_start)
            for place in range(first, first + part.num_tokens):
                assert rows[at] == (*flat[located.source][place], piece)
                assert rows[at][1] != -100  # every place that holds a token predicts one
                times[located.source][place] += 1
                at += 1
        assert rows[at:] == [PADDING] * (16 - at)
        padded[located.source] += 16 - at
    for name, tokens in flat.items():
        counts = [n for n, (_, label, _) in zip(times[name], tokens, strict=True) if label != -100]
        assert not counts or max(counts) - min(counts) <= 1
        assert not any(
            n for n, (_, label, _) in zip(times[name], tokens, strict=True) if label == -100
        )
        for begin in range(0, len(tokens), 7):
            index = order.sources.index(name)
            found = order.samples_with(index, begin, begin + 1)
            assert len(found) == times[name][begin]
    plan = read_table(tmp_path / "plan.parquet").to_pylist()
    assert {row["source"]: row["padded_tokens"] for row in plan} == padded
    samples = {row["source"]: row["planned_samples"] for row in plan}
    assert samples == {"web": 45, "note": 15, "none": 0}
    # Web is packed into 7 samples (or 8 in two groups), note into one.
    in_epoch = {"web": 8 if group_docs == 1 else 7, "note": 1, "none": 1}
    assert {row["source"]: row["epochs"] for row in plan} == {
        name: samples[name] / in_epoch[name] for name in SHARDS
    }


@pytest.mark.parametrize("packing", ["concat", "best_fit"])
@pytest.mark.parametrize("seq_len", [8, 16, 32])
def test_the_costs_are_what_a_count_over_an_epoch_finds(
    tmp_path: Path, packing: str, seq_len: int
) -> None:
    order = make(tmp_path, packing, seq_len)
    table = read_table(tmp_path / "packing.parquet")
    assert table.schema == PACKING_COST
    rows = {(row["source"], row["packing"]): row for row in table.to_pylist()}
    assert set(rows) == {(name, way) for name in ("web", "note") for way in ("concat", "best_fit")}
    for index, name in enumerate(("web", "note")):
        walk, row = order.chunks[index].walk, rows[name, packing]
        seen: set[int] = set()
        padded = unlabelled = tokens = 0
        for position in range(0, walk.epoch_tokens, seq_len):
            sample = order.read_at(index, position, seq_len)
            held = sample.doc_ids >= 0
            padded += int((~held).sum())
            tokens += int(held.sum())
            unlabelled += int((held & (sample.labels == -100)).sum())
            ranges = order.chunks[index].ranges(position, seq_len)
            places = [
                order.chunks[index].stream.position_of(part.shard, part.token_start) + offset
                for part in ranges
                for offset in range(part.num_tokens)
            ]
            seen |= set(places)
        assert row["docs"] == sum(map(len, SHARDS[name]))
        assert row["samples"] == walk.epoch_tokens // seq_len
        assert (row["padded_tokens"], row["unlabelled_tokens"]) == (padded, unlabelled)
        assert row["wrapped_tokens"] == tokens - len(seen)
        lengths = [len(document) for shard in SHARDS[name] for document in shard]
        starts = [sum(lengths[:n]) for n in range(len(lengths))]
        borders = {
            "concat": [
                [n for n in range(at + 1, at + length - 1) if n % seq_len == 0]
                for at, length in zip(starts, lengths, strict=True)
            ],
            "best_fit": [list(range(seq_len, length - 1, seq_len)) for length in lengths],
        }[packing]
        assert row["cut_docs"] == sum(map(bool, borders))


def test_best_fit_without_its_tables_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "best_fit")
    with pytest.raises(ValueError, match="needs the folder of the stage pack"):
        SampleOrder(tmp_path, tmp_path, 1)
