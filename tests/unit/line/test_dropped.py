"""Some of what a stage dropped: the same documents however they lie in shards, and all if asked."""

from __future__ import annotations

import json

import pytest
from tests.conftest import prose
from tests.ledgers import read_decisions
from tests.unit.line.run_files import TRAINING

from bessemer.core.errors import ConfigError, DataError
from bessemer.core.events import Silent
from bessemer.line.dropped import sample_dropped
from bessemer.line.runner import run_stages
from bessemer.line.show_explain import dropped
from bessemer.line.workspace import Workspace, plan_workspace

RUN = (
    """
[run]
name = "r"
root = "{root}"
[[source]]
name = "web"
kind = "web"
path = "web.jsonl"
presets = ["none"]
[curate]
measure = []
shard_bytes = "{shard_bytes}"
[[curate.rule]]
name = "word_count"
min = 20
[[curate.rule]]
name = "char_count"
min = 100
[cluster.engine]
runner = "inline"
"""
    + TRAINING
)
NUM_SHORT, NUM_LONG = 30, 20


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Workspace]:
    """Short texts, long ones, a copy and a line without text, as far as `exact`; in shards of
    different size."""
    folder = tmp_path_factory.mktemp("dropped")
    texts = [prose(at, 9) for at in range(NUM_SHORT)]
    texts += [prose(100 + at, 60) for at in range(NUM_LONG)]
    texts.append(texts[-1])
    rows = [{"text": text, "url": f"a/{at}"} for at, text in enumerate(texts)]
    lines = [*map(json.dumps, rows), '{"title": "no text"}']
    (folder / "web.jsonl").write_text("\n".join(lines) + "\n")
    made = []
    for root, shard_bytes in (("small", "1kB"), ("large", "64MiB")):
        path = folder / f"{root}.toml"
        path.write_text(RUN.format(root=root, shard_bytes=shard_bytes))
        made.append(plan_workspace(path))
        run_stages(made[-1], Silent(), last="exact")
    return made[0], made[1]


def test_a_sample_is_the_same_in_shards_of_any_size(runs: tuple[Workspace, Workspace]) -> None:
    small, large = (sample_dropped(run, "rules", 7) for run in runs)
    assert small == large
    assert (small.num_docs, len(small.sample)) == (NUM_SHORT, 7)
    ids = [each.doc_id for each in small.sample]
    assert ids == sorted(set(ids))
    assert [each.url for each in small.sample] == [f"a/{doc_id}" for doc_id in ids]
    more = {each.doc_id for each in sample_dropped(runs[0], "rules", 12).sample}
    assert len(more) == 12
    assert set(ids) < more
    assert max(more) > 12  # drawn, and not the first ones


def test_all_that_a_stage_dropped_are_its_decisive_rows(runs: tuple[Workspace, Workspace]) -> None:
    for stage in ("ingest", "rules", "mask", "exact"):
        table = read_decisions([runs[0].folder(stage)])
        rows = table.filter(table["decisive"]).drop_columns(["spans"]).to_pylist()
        found = sample_dropped(runs[0], stage, 1000)
        assert [each.decision for each in found.sample] == rows
        assert found.num_docs == len(rows) == {"ingest": 1, "mask": 0, "exact": 1}.get(stage, 30)
    assert len(read_decisions([runs[0].folder("rules")])) > 30  # some break both bounds
    (lost,) = sample_dropped(runs[0], "ingest", 5).sample
    assert (lost.doc_id, lost.url) == (NUM_SHORT + NUM_LONG + 1, runs[0].files[0].path)


def test_it_is_shown_with_rule_and_evidence(
    runs: tuple[Workspace, Workspace], capsys: pytest.CaptureFixture[str]
) -> None:
    for stage, number in (("rules", 2), ("mask", 2), ("exact", 2)):
        dropped(sample_dropped(runs[0], stage, number))
    told = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert told[0] == "rules dropped 30 documents; 2 of them:"
    assert told[1] == "document rule value bound evidence address"
    assert "word_count" in told[2]
    last = NUM_SHORT + NUM_LONG
    assert told[4:] == [
        "mask dropped no document",
        "exact dropped 1 document:",
        told[1],
        f"0:{last} exact_duplicate like 0:{last - 1}, which was kept a/{last}",
    ]


def test_other_stages_are_refused(runs: tuple[Workspace, Workspace]) -> None:
    with pytest.raises(ConfigError, match="no stage 'pack' drops documents; those that do: ingest"):
        sample_dropped(runs[0], "pack", 5)
    with pytest.raises(DataError, match="stage 'fuzzy' of this run is not finished"):
        sample_dropped(runs[0], "fuzzy", 5)
