"""The inventory rests on names and bytes: no order of the disk, no place, no clock enters."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.errors import ConfigError, DataError, IntegrityError, MachineError
from bessemer.core.fingerprint import digest_bytes
from bessemer.curate.inventory import SourceFile, Stamp, matches_nothing, take_inventory
from bessemer.curate.readers import read_rows

FILES = {
    "b/2.txt": b"two",
    "b/10.txt": b"ten",
    "b/deep/down/3.txt": b"three",
    "a.txt": b"first",
    "B.txt": b"big",
    "b/x.jsonl": b"{}",
    "b/.hidden.txt": b"hidden",
}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    names = list(FILES)
    random.Random(0).shuffle(names)
    for name in names:
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(FILES[name])
    return tmp_path / "data"


def source(*patterns: str, name: str = "s") -> SourceConfig:
    return SourceConfig(name=name, kind="web", path=patterns)


def paths(files: tuple[SourceFile, ...]) -> list[str]:
    return [file.path for file in files]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["*.txt"], ["B.txt", "a.txt"]),
        (["b/*.txt"], ["b/.hidden.txt", "b/10.txt", "b/2.txt"]),
        (["**/*.txt"],
         ["B.txt", "a.txt", "b/.hidden.txt", "b/10.txt", "b/2.txt", "b/deep/down/3.txt"]),
        (["b/**/[0-9].txt"], ["b/2.txt", "b/deep/down/3.txt"]),
        (["b/?.*"], ["b/2.txt", "b/x.jsonl"]),
        (["a.txt"], ["a.txt"]),
        (["b/2.txt", "*.txt", "b/?.txt"], ["B.txt", "a.txt", "b/2.txt"]),
        (["b"], ["b/10.txt", "b/2.txt", "b/deep/down/3.txt", "b/x.jsonl"]),
        (["b/deep/", "a.txt"], ["a.txt", "b/deep/down/3.txt"]),
        (["none/*.txt"], []),
        (["../data/a.txt"], ["../data/a.txt"]),
    ],
)  # fmt: skip
def test_patterns_match_files_in_the_order_of_their_names(
    base: Path, patterns: list[str], expected: list[str]
) -> None:
    files = take_inventory([source(*patterns)], base)
    assert paths(files) == expected
    for number, file in enumerate(files):
        data = FILES[file.path.removeprefix("../data/")]
        assert (file.file_id, file.source) == (number, "s")
        assert (file.size_bytes, file.digest) == (len(data), digest_bytes(data))
        assert Path(file.location).read_bytes() == data
    assert [matches_nothing(pattern, base) for pattern in patterns] == [not expected] * len(
        patterns
    )


def test_sources_keep_the_order_of_the_run_file(base: Path) -> None:
    files = take_inventory([source("b/*.txt", name="z"), source("*.txt", name="a")], base)
    assert [(file.file_id, file.source, file.path) for file in files] == [
        (0, "z", "b/.hidden.txt"), (1, "z", "b/10.txt"), (2, "z", "b/2.txt"),
        (3, "a", "B.txt"), (4, "a", "a.txt"),
    ]  # fmt: skip


def test_identity_moves_with_the_folder_and_holds_no_place(base: Path, tmp_path: Path) -> None:
    here = take_inventory([source("**/*.txt")], base)
    base.rename(tmp_path / "elsewhere")
    there = take_inventory([source("**/*.txt")], tmp_path / "elsewhere")
    assert [file.identity() for file in here] == [file.identity() for file in there]
    assert here[0].identity() == {"source": "s", "path": "B.txt", "digest": digest_bytes(b"big")}
    assert here[0].location != there[0].location


def test_an_absolute_pattern_is_known_by_its_absolute_path(base: Path, tmp_path: Path) -> None:
    files = take_inventory([source(f"{base}/b/*.txt", f"{base}/a.txt")], tmp_path / "run")
    assert paths(files) == [
        f"{base}/a.txt", f"{base}/b/.hidden.txt", f"{base}/b/10.txt", f"{base}/b/2.txt",
    ]  # fmt: skip
    assert [file.location for file in files] == paths(files)


def test_a_name_is_only_a_name(tmp_path: Path) -> None:
    for name in ("a::b.txt", "c[1].txt", "file:d.txt", "e#1?.txt", "%41.txt"):
        (tmp_path / name).write_text(name)
    files = take_inventory([source("*.txt")], tmp_path)
    assert len(files) == 5
    for file in files:
        [row] = read_rows(file, source("*.txt"), CurateConfig())
        assert row.content == file.path.encode()


def test_a_file_url_is_digested_by_its_bytes(base: Path) -> None:
    [file] = take_inventory([source(f"file://{base}/a*.txt")], base)
    os.utime(base / "a.txt", ns=(1, 1))
    [later] = take_inventory([source(f"file://{base}/a*.txt")], base)
    assert file == later
    assert (file.path, file.digest) == (f"file://{base}/a.txt", digest_bytes(b"first"))
    assert [row.content for row in read_rows(later, source("x"), CurateConfig())] == [b"first"]


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    system.pipe({"/store/2.txt": b"two", "/store/10.txt": b"ten", "/store/sub/3.txt": b"three"})
    yield system
    system.rm("/store", recursive=True)


def test_a_store_is_listed_digested_and_read(memory: fsspec.AbstractFileSystem, base: Path) -> None:
    where = source("memory://store/*.txt", "memory://store/sub/3.txt", "memory://store/none.txt")
    files = take_inventory([where], base)
    assert paths(files) == [
        "memory:///store/10.txt", "memory:///store/2.txt", "memory:///store/sub/3.txt",
    ]  # fmt: skip
    assert [file.size_bytes for file in files] == [3, 3, 5]
    assert take_inventory([where], base) == files
    contents = [row.content for file in files for row in read_rows(file, where, CurateConfig())]
    assert contents == [b"ten", b"two", b"three"]
    memory.pipe({"/store/2.txt": b"TWO"})
    changed = take_inventory([where], base)
    assert [old == new for old, new in zip(files, changed, strict=True)] == [True, False, True]
    assert matches_nothing("memory://store/*.none", base)


def test_a_digest_is_taken_again_when_size_or_time_tells_of_a_change(base: Path) -> None:
    cache = base / "cache" / "digests.json"
    sources = [source("*.txt")]
    first = take_inventory(sources, base, cache)
    kept = json.loads(cache.read_text())
    assert kept == {
        str(base / name): [
            len(FILES[name]), (base / name).stat().st_mtime_ns, digest_bytes(FILES[name]),
        ]
        for name in ("B.txt", "a.txt")
    }  # fmt: skip
    # Other bytes under the same size and time: what is kept is used, so the file was not read.
    stamp = (base / "a.txt").stat().st_mtime_ns
    (base / "a.txt").write_bytes(b"FIRST")
    os.utime(base / "a.txt", ns=(stamp, stamp))
    assert take_inventory(sources, base, cache) == first
    os.utime(base / "a.txt", ns=(stamp, stamp + 1))
    assert take_inventory(sources, base, cache)[1].digest == digest_bytes(b"FIRST")
    (base / "a.txt").write_bytes(b"longer")
    os.utime(base / "a.txt", ns=(stamp, stamp + 1))
    assert take_inventory(sources, base, cache)[1].digest == digest_bytes(b"longer")


def test_digests_are_not_kept_when_nothing_may_be_written(base: Path) -> None:
    cache = base / "cache" / "digests.json"
    take_inventory([source("*.txt")], base, cache, keep=False)
    assert not cache.parent.exists()
    take_inventory([source("*.txt")], base, cache)
    written = cache.stat().st_mtime_ns
    take_inventory([source("*.txt")], base, cache)  # nothing new, nothing written
    assert cache.stat().st_mtime_ns == written
    cache.write_text("{")
    with pytest.raises(IntegrityError, match=r"digests\.json is damaged"):
        take_inventory([source("*.txt")], base, cache)


def test_a_store_that_cannot_be_opened_is_told(base: Path) -> None:
    with pytest.raises(ConfigError, match=r"source\.path: cannot open foo://x: .*foo"):
        take_inventory([source("foo://x")], base)
    with pytest.raises(MachineError, match=r"cannot open gs://x/y: .*gcsfs"):
        take_inventory([source("gs://x/y")], base)


def test_a_store_that_does_not_tell_of_a_file_is_told(
    memory: fsspec.AbstractFileSystem, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("429: too many requests")

    refused = "cannot read memory:///store/2.txt: RuntimeError: 429: too many requests; run again"
    sizeless = "the store does not tell the size of /store/2.txt; download the file"
    cases: list[tuple[str, Any, str]] = [
        ("info", lambda *_, **__: {"size": None, "type": "file"}, sizeless),
        ("checksum", fail, refused),
    ]
    for name, answer, message in cases:
        with monkeypatch.context() as patch:
            patch.setattr(type(memory), name, answer)
            with pytest.raises(MachineError) as error:
                take_inventory([source("memory://store/2.txt")], base)
        assert str(error.value) == message


def test_stamps_are_compared_by_what_both_tell() -> None:
    stamp = Stamp(3, "a")
    assert stamp.is_of(Stamp(3, "a")) and stamp.is_of(Stamp(3, "")) and Stamp(3, "").is_of(stamp)
    assert not stamp.is_of(Stamp(3, "b")) and not stamp.is_of(Stamp(4, ""))


def test_a_file_name_that_is_no_unicode_is_told(base: Path) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    (base / name).write_bytes(b"x")
    with pytest.raises(DataError) as error:
        take_inventory([source("*.txt")], base)
    assert str(error.value) == "the file name 'caf\\udce9.txt' is not UTF-8; rename the file"


def test_a_pattern_that_was_refused_is_not_said_to_match_nothing(base: Path) -> None:
    assert not matches_nothing("**.txt", base)
    assert not matches_nothing("b/**", base)
