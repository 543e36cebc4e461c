"""Shards in a store give the same samples as shards on disk, and the store is read by ranges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from bessemer.config.tokens import MixConfig
from bessemer.config.train import TrainConfig
from bessemer.core.errors import IntegrityError, MachineError
from bessemer.core.storage import write_json
from bessemer.tokens import remote
from bessemer.tokens.mix import mix
from bessemer.tokens.order import SampleOrder
from bessemer.tokens.remote import RemotePath, Store, open_root
from bessemer.tokens.shard import TokenShard
from bessemer.tokens.stream import list_shards

from .twins import rows_of, write_shards

Reads = list[tuple[str, int | None, int | None]]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reads]:
    """What is read of fsspec's store in memory: path, and from where to where."""
    noted: Reads = []
    read = MemoryFileSystem.cat_file

    def note(
        self: MemoryFileSystem, path: str, start: int | None = None, end: int | None = None
    ) -> bytes:
        noted.append((path, start, end))
        data: bytes = read(self, path, start=start, end=end)
        return data

    monkeypatch.setattr(MemoryFileSystem, "cat_file", note)
    yield noted
    MemoryFileSystem.store.clear()


@pytest.fixture
def stored(tmp_path: Path, reads: Reads) -> tuple[Path, str]:
    """Two sources on disk and in a store: the folder, and its URL there."""
    numbers = np.random.Generator(np.random.PCG64(0)).integers(0, 65536, 60_000).tolist()
    shards = [[numbers[at : at + 500] for at in range(0, 30_000, 500)], [numbers[30_000:]]]
    entries = write_shards(tmp_path, "web", shards)
    entries += write_shards(tmp_path, "books", [[[1, 2, 3, 4, 5, 6, 7, 8, 9]]])
    write_json(tmp_path / "shards.json", entries)
    train = TrainConfig(seq_len=64, global_batch_tokens=64, total_tokens=64 * 40)
    config = MixConfig(weights={"web": 3, "books": 1}, force=True)
    mix(tmp_path, ["web", "books"], config, train, 1, tmp_path)
    system = MemoryFileSystem()
    for path in (tmp_path / "shards.json", *(tmp_path / "train").iterdir()):
        system.pipe_file(f"/tokens/{path.relative_to(tmp_path)}", path.read_bytes())
    reads.clear()
    return tmp_path, "memory:///tokens"


def test_samples_are_the_same_from_a_store(stored: tuple[Path, str]) -> None:
    folder, url = stored
    local, far = SampleOrder(folder, folder, 1), SampleOrder(open_root(url), folder, 1)
    assert list_shards(open_root(url)) == list_shards(folder)
    many = far.read_many(range(40))
    assert list(many) == list(range(40))
    for sample in range(40):
        assert rows_of(many[sample]) == rows_of(local.read(sample)) == rows_of(far.read(sample))


def test_a_file_url_is_a_folder(stored: tuple[Path, str]) -> None:
    folder, _ = stored
    assert open_root(f"file://{folder}") == folder


def test_tokens_are_read_by_blocks_once_and_indices_whole(
    stored: tuple[Path, str], reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = stored
    monkeypatch.setattr(remote, "BLOCK_BYTES", 1000)
    order = SampleOrder(open_root(url), folder, 1)
    order.read_many(range(40))
    order.read_many(range(40))
    tokens = [read for read in reads if read[0].endswith(".bin")]
    assert all(end is not None and start is not None and end - start == 1000
               for _, start, end in tokens)  # fmt: skip
    # A sample of 64 tokens of 2 bytes lies in at most two blocks.
    assert len(set(tokens)) == len(tokens) <= 2 * 40
    whole = [read[0].rpartition(".")[2] for read in reads if read[1] is None]
    assert sorted(set(whole)) == ["idx", "json", "parquet"]


def test_the_blocks_that_are_held_are_bounded(reads: Reads) -> None:
    system = MemoryFileSystem()
    system.pipe_file("/data", bytes(range(256)) * 1024)
    path = RemotePath(Store(system, capacity_bytes=3 * remote.BLOCK_BYTES), "/data")
    data = bytes(range(256)) * 1024
    for start in (5, 70_000, 140_000, 5, 200_000, 70_000):
        assert path.read_range(start, start + 10) == data[start : start + 10]
    blocks = [start // remote.BLOCK_BYTES for _, start, _ in reads if start is not None]
    assert blocks == [0, 1, 2, 3, 1]  # the fourth block drives out the second, not the first
    assert path.read_range(65_530, 131_080) == data[65_530:131_080]
    assert path.read_range(262_140, 262_144) == data[-4:]


def test_what_is_missing_or_cut_short_in_a_store_is_told(stored: tuple[Path, str]) -> None:
    _, url = stored
    root, system = open_root(url), MemoryFileSystem()
    data = system.cat_file("/tokens/train/web0.bin")
    system.pipe_file("/tokens/train/web0.bin", data[:-2])
    with pytest.raises(IntegrityError, match=r"tokens/train/web0: .bin, .idx and .docs.parquet do"):
        TokenShard(root / "train/web0")
    system.rm("/tokens/train/web1.docs.parquet")
    with pytest.raises(IntegrityError, match=r"web1.docs.parquet is missing or damaged"):
        TokenShard(root / "train/web1")
    system.rm("/tokens/train/web1.idx")
    with pytest.raises(IntegrityError, match=r"web1.idx is missing"):
        TokenShard(root / "train/web1")
    system.pipe_file("/tokens/shards.json", b"[")
    with pytest.raises(IntegrityError, match=r"memory://\S*/tokens/shards.json is missing or dam"):
        list_shards(root)


def test_a_store_of_an_unknown_kind_is_a_machine_error() -> None:
    with pytest.raises(MachineError, match=r"cannot open cluster.tokens = 'nosuch://a/b'"):
        open_root("nosuch://a/b")
