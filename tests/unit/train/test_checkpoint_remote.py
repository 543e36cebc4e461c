"""Checkpoints in object stores: fsspec's own in memory, and S3 by HTTP from a local server."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace

import fsspec
import pytest

from bessemer.config.train import CheckpointConfig
from bessemer.core.errors import IntegrityError, MachineError
from bessemer.core.layout import CHECKPOINTS, METRICS, STATE_DIGESTS, STEPS
from bessemer.core.storage import read_jsonl
from bessemer.train.checkpoints.checkpoint import load_model, read_manifests
from bessemer.train.checkpoints.remote import open_store
from bessemer.train.job import TrainingJob
from bessemer.train.launch import Launch
from bessemer.train.trainer import Trainer

MakeJob = Callable[..., TrainingJob]


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """The address of an S3 that lives as long as the tests of this file."""
    server = pytest.importorskip("moto.server", reason='pip install "bessemer[test]"')
    pytest.importorskip("s3fs")
    thread = server.ThreadedMotoServer(port=0, verbose=False)
    thread.start()
    host, port = thread.get_host_and_port()
    yield f"http://{host}:{port}"
    thread.stop()


@pytest.fixture(params=["memory", "s3"])
def url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where checkpoints go: a bucket with nothing in it."""
    if request.param == "s3":
        monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3_server"))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    system = fsspec.filesystem(request.param)
    system.mkdir("/bucket" if request.param == "memory" else "bucket")
    yield f"{request.param}://bucket/runs"
    system.rm("/bucket" if request.param == "memory" else "bucket", recursive=True)


def train(job: TrainingJob) -> Trainer:
    trainer = Trainer(job, Launch())
    trainer.run()
    return trainer


def elsewhere(job: TrainingJob, url: str, **settings: object) -> TrainingJob:
    cluster = job.cluster.model_copy(update={"checkpoints": url})
    config = CheckpointConfig.model_validate({"every_steps": 1, "keep": 100, **settings})
    update = {"checkpoint": config}
    return replace(job, cluster=cluster, train=job.train.model_copy(update=update))


def digests_of(job: TrainingJob) -> bytes:
    return (job.folder / STATE_DIGESTS).read_bytes()


def test_a_run_goes_on_from_a_store_past_what_was_harmed_in_it(
    make_job: MakeJob, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = make_job("local")
    train(expected)
    job = elsewhere(make_job("run"), url, keep=4)
    trainer = train(job)
    assert digests_of(job) == digests_of(expected)
    assert not (job.folder / CHECKPOINTS).exists()
    store = open_store(job.folder, url)
    assert str(store).endswith("://bucket/runs/run") or str(store).endswith(":///bucket/runs/run")
    assert [each.step for each in read_manifests(store)] == [6, 5, 4, 3]
    assert load_model(store, trainer.learner.decoder).step == 6

    system, root = fsspec.core.url_to_fs(url)
    shard = f"{root}/run/step-00000006/rank-00000-1.safetensors"
    data = bytearray(system.cat_file(shard))
    data[len(data) // 2] ^= 1
    system.pipe_file(shard, bytes(data))
    system.rm(f"{root}/run/step-00000005/checkpoint.json")
    system.rm(f"{root}/run/step-00000004/rank-00000-1.safetensors")
    shutil.rmtree(job.folder)  # another machine
    with caplog.at_level(logging.INFO):
        train(job)
    assert caplog.text.count("passing over checkpoint") == 3
    assert "going on from step 3 of 6" in caplog.text
    assert digests_of(job) == digests_of(expected)
    assert [each.step for each in read_manifests(store)] == [6, 5, 4, 3]
    names = system.ls(f"{root}/run/step-00000006", detail=False)
    assert len(names) == 3  # those of the harmed attempt are gone
    store.remove("")
    with pytest.raises(IntegrityError, match="no sound checkpoint in"):
        load_model(store, trainer.learner.decoder)


@pytest.mark.parametrize(("first_is_there", "second_is_there"), [(True, True), (False, True)])
def test_runs_share_checkpoints_wherever_they_are(
    make_job: MakeJob, url: str, first_is_there: bool, second_is_there: bool
) -> None:
    first, second = make_job("first"), make_job("second")
    first = elsewhere(first, url) if first_is_there else first
    second = elsewhere(second, url) if second_is_there else second
    train(first)
    second = replace(second, earlier=(first.folder,))
    train(second)
    assert digests_of(second) == digests_of(first)
    store = open_store(second.folder, url)
    assert [each.step for each in read_manifests(store)] == [6]  # nothing was trained again
    assert len(read_jsonl(second.folder / METRICS / STEPS)) == 6


@pytest.mark.parametrize("url", ["s3"], indirect=True)
def test_a_store_that_refuses_is_like_a_disk_that_is_full(
    make_job: MakeJob, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    job = elsewhere(make_job("run"), url, most_steps_unsaved=2)
    trainer = Trainer(job, Launch())
    store = trainer.checkpoints._store.place
    store._path = store._path.replace("bucket", "nowhere")  # it was deleted while training went on
    with pytest.raises(MachineError, match=r"after step 3: cannot write s3://nowhere/runs/run/"):
        trainer.run()
    assert caplog.text.count("cannot save a checkpoint after step") == 3


@pytest.mark.parametrize("url", ["s3"], indirect=True)
def test_a_store_that_refuses_is_found_out_before_training(make_job: MakeJob, url: str) -> None:
    job = elsewhere(make_job("run"), url.replace("bucket", "nowhere"))
    with pytest.raises(MachineError, match=r"cannot write s3://nowhere/runs/run/owner.json"):
        train(job)
    assert not (job.folder / METRICS).exists()


def test_a_store_without_its_library_is_one_clear_error(make_job: MakeJob) -> None:
    job = elsewhere(make_job("run"), "nonsense://bucket/runs")
    with pytest.raises(MachineError, match=r"cannot open cluster.checkpoints = 'nonsense:"):
        Trainer(job, Launch())
