"""The launch recipes: Kubernetes would take them, shells read them, and all agree on seconds."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bessemer.config.cluster import ClusterConfig

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / "recipes" / "launch"
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}


def faults(value: Any, schema: dict[str, Any], where: str = "") -> Iterator[str]:
    """What is wrong with a value under a structural schema of Kubernetes; unknown keys are."""
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, int | str):
            yield f"{where}: {value!r} is neither a number nor a text"
        return
    if kind := schema.get("type"):
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if not (is_number if kind == "integer" else isinstance(value, TYPES[kind])):
            yield f"{where}: {value!r} is no {kind}"
            return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of {schema['enum']}"
    if isinstance(value, dict):
        known, others = schema.get("properties"), schema.get("additionalProperties")
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{where}.{name} is missing"
        for key, each in value.items():
            if known and key in known:
                yield from faults(each, known[key], f"{where}.{key}")
            elif isinstance(others, dict):
                yield from faults(each, others, f"{where}.{key}")
            elif known:
                yield f"{where}.{key} is unknown"
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from faults(each, schema["items"], f"{where}[{index}]")


@pytest.fixture
def manifest() -> dict[str, Any]:
    return yaml.safe_load((LAUNCH / "kubernetes.yaml").read_text())


@pytest.fixture
def schema() -> dict[str, Any]:
    return json.loads((ROOT / "tests" / "data" / "jobset.json").read_text())["schema"]


def test_the_jobset_is_as_its_schema_has_it(
    manifest: dict[str, Any], schema: dict[str, Any]
) -> None:
    assert manifest["apiVersion"] == "jobset.x-k8s.io/v1alpha2"
    assert not list(faults(manifest, schema))


def test_the_schema_finds_what_is_wrong(manifest: dict[str, Any], schema: dict[str, Any]) -> None:
    job = manifest["spec"]["replicatedJobs"][0]
    job["replica"] = job.pop("replicas")
    job["template"]["spec"]["parallelism"] = "two"
    container = job["template"]["spec"]["template"]["spec"]["containers"][0]
    del container["name"]
    assert sorted(faults(manifest, schema)) == [
        ".spec.replicatedJobs[0].replica is unknown",
        ".spec.replicatedJobs[0].template.spec.parallelism: 'two' is no integer",
        ".spec.replicatedJobs[0].template.spec.template.spec.containers[0].name is missing",
    ]


def test_pods_meet_where_the_jobset_has_its_first(manifest: dict[str, Any]) -> None:
    """JobSet names hosts <jobset>-<replicated job>-<job>-<pod>.<subdomain>."""
    spec = manifest["spec"]
    job = spec["replicatedJobs"][0]
    command = job["template"]["spec"]["template"]["spec"]["containers"][0]["command"]
    host = f"{manifest['metadata']['name']}-{job['name']}-0-0.{spec['network']['subdomain']}"
    assert f"--rdzv-endpoint={host}:29500" in command
    assert f"--nnodes={job['template']['spec']['parallelism']}" in command


def test_shells_read_the_scripts(tmp_path: Path) -> None:
    task = yaml.safe_load((LAUNCH / "skypilot.yaml").read_text())
    (tmp_path / "run.sh").write_text(task["run"])
    for script in (*LAUNCH.glob("*.sbatch"), tmp_path / "run.sh"):
        done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_everybody_waits_longer_than_ranks_take_to_save(manifest: dict[str, Any]) -> None:
    grace_s = ClusterConfig().grace_s
    script = (LAUNCH / "slurm.sbatch").read_text()
    pod = manifest["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    task = yaml.safe_load((LAUNCH / "skypilot.yaml").read_text())
    torchrun = [
        int(re.search(r"TORCH_ELASTIC_SHUTDOWN_TIMEOUT=(\d+)", script)[1]),
        int(pod["containers"][0]["env"][0]["value"]),
        int(task["envs"]["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"]),
    ]
    assert min(torchrun) > grace_s
    assert int(re.search(r"--signal=B:USR1@(\d+)", script)[1]) > max(torchrun)
    assert pod["terminationGracePeriodSeconds"] > max(torchrun)


SRUN = """#!/bin/bash
trap 'exit $CODE_WHEN_ASKED' USR1
touch "$TOOLS/started"
while true; do sleep 0.05; done
"""
SCONTROL = """#!/bin/bash
if [ "$1" = show ]; then echo localhost; else echo "$@" >> "$TOOLS/log"; fi
"""


@pytest.mark.parametrize(
    ("number", "code_when_asked", "is_requeued"),
    [
        (signal.SIGUSR1, 1, True),  # torchrun's code, whatever the ranks ended with
        (signal.SIGUSR1, 0, False),  # it was done
        (signal.SIGTERM, 1, False),  # scancel
    ],
)
def test_a_slurm_job_goes_back_to_the_queue_only_to_go_on(
    tmp_path: Path, number: signal.Signals, code_when_asked: int, is_requeued: bool
) -> None:
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "TOOLS": str(tmp_path),
        "CODE_WHEN_ASKED": str(code_when_asked),
        "SLURM_JOB_NODELIST": "node1",
        "SLURM_NNODES": "1",
        "SLURM_JOB_ID": "7",
    }
    job = subprocess.Popen(
        ["bash", LAUNCH / "slurm.sbatch", "run.toml"], env=os.environ | environment
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "started").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    job.send_signal(number)
    code = job.wait(30)
    assert (tmp_path / "log").exists() == is_requeued
    if is_requeued:
        assert (tmp_path / "log").read_text() == "requeue 7\n"
    else:
        assert code == code_when_asked


def test_no_root_folder_is_in_a_bucket() -> None:
    """A mounted bucket has no links, and nothing can be added to a file in it."""
    task = yaml.safe_load((LAUNCH / "skypilot.yaml").read_text())
    assert not [each for each in task.get("file_mounts", {}).values() if isinstance(each, dict)]
    assert r"cluster.checkpoints=\"$CHECKPOINTS\"" in task["run"]
    assert task["envs"]["CHECKPOINTS"].startswith("s3://")


def test_a_pod_finds_the_run_file_beside_its_data(manifest: dict[str, Any]) -> None:
    """Paths in a run file begin at its folder, and a configMap holds nothing else."""
    pod = manifest["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    run_file = Path(container["command"][container["command"].index("run") + 1])
    (mount,) = [m for m in container["volumeMounts"] if run_file.is_relative_to(m["mountPath"])]
    (volume,) = [v for v in pod["volumes"] if v["name"] == mount["name"]]
    assert "persistentVolumeClaim" in volume
