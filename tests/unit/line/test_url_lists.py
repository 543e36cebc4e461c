"""Lists of URLs: what is in them bears identity, where they are does not; faults are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.line.run_files import PAGES

from bessemer.core.errors import ConfigError
from bessemer.line.check import load_config
from bessemer.line.stages import STAGES
from bessemer.line.workspace import plan_workspace

[SIGNALS] = (stage for stage in STAGES if stage.name == "signals")
RUN = f"{PAGES}\n[curate.urls]\n"


def write_run(folder: Path, urls: str, **lists: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "x.jsonl").write_text('{"text": "a"}\n')
    for name, text in lists.items():
        (folder / f"{name}.txt").write_text(text)
    run_file = folder / "run.toml"
    run_file.write_text(RUN + urls)
    return run_file


def identity(run_file: Path) -> object:
    return SIGNALS.settings(load_config(run_file))


def test_the_contents_of_a_list_bear_identity_its_place_does_not(tmp_path: Path) -> None:
    urls = 'blocked_domains = "{}.txt"'
    none = identity(write_run(tmp_path / "none", ""))
    one = identity(write_run(tmp_path / "one", urls.format("a"), a="x.com\n"))
    same = identity(write_run(tmp_path / "same", urls.format("b"), b="x.com\n"))
    other = identity(write_run(tmp_path / "other", urls.format("a"), a="y.com\n"))
    words = identity(write_run(tmp_path / "words", 'blocked_words = "a.txt"', a="x.com\n"))
    assert one == same
    assert len({str(each) for each in (none, one, other, words)}) == 4


def test_lists_are_found_beside_the_run_file(tmp_path: Path) -> None:
    run_file = write_run(tmp_path / "one", 'soft_words = "a.txt"', a="x\n")
    found = plan_workspace(run_file).instruments.url_lists
    assert found == (("soft_words", tmp_path / "one" / "a.txt"),)


def test_all_faults_of_lists(tmp_path: Path) -> None:
    urls = 'blocked_urls = "none.txt"\nblocked_words = "a.txt"\n[curate.urls.digests]\n'
    run_file = write_run(tmp_path / "r", urls + 'blocked_words = "12"\nsoft_words = "34"\n', a="x")
    with pytest.raises(ConfigError) as caught:
        load_config(run_file)
    assert [fault.where for fault in caught.value.faults] == [
        "curate.urls.blocked_urls",
        "curate.urls.blocked_words",
        "curate.urls.digests.soft_words",
    ]
