"""The sbatch recipe, run as Slurm runs it, on two nodes that are both this machine.

What stands for Slurm: `srun`, which starts the command once per node and passes signals on, and
`scontrol`, which names nodes and takes requests to requeue.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bessemer.core.layout import STATE_DIGESTS
from bessemer.core.storage import read_json
from bessemer.line.workspace import plan_workspace

pytestmark = pytest.mark.dist

SCRIPT = Path(__file__).parents[2] / "recipes" / "launch" / "slurm.sbatch"
LONG = ("train.total_tokens=25600", "train.checkpoint.every_steps=5")  # 100 steps
SRUN = """#!/bin/bash
"$@" & one=$!
"$@" & two=$!
trap 'kill -USR1 $one $two' USR1
while kill -0 $one 2>/dev/null || kill -0 $two 2>/dev/null; do wait $one; a=$?; wait $two; b=$?; done
exit $((a | b))
"""
SCONTROL = """#!/bin/bash
if [ "$1" = show ]; then echo localhost; echo localhost; else echo "$@" >> "$SCONTROL_LOG"; fi
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


def sbatch(run_file: Path, *settings: str) -> subprocess.Popen[str]:
    tools = run_file.parent / "slurm"
    tools.mkdir(exist_ok=True)
    torchrun = f'#!/bin/bash\nexec "{sys.executable}" -m torch.distributed.run "$@"\n'
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL), ("torchrun", torchrun)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    sets = " ".join(f"--set {each}" for each in settings)
    environment = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "SCONTROL_LOG": str(tools / "log"),
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_NNODES": "2",
        "SLURM_JOB_ID": "7",
        "RANKS_PER_NODE": "1",
        "PORT": str(free_port()),
        "BESSEMER_ARGUMENTS": f"--to train {sets}",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        ["bash", str(SCRIPT), str(run_file)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
        start_new_session=True,
    )


def end(job: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        _, said = job.communicate(timeout=400)
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
    return job.returncode, said


def test_two_nodes_leave_on_the_signal_and_end_as_one_machine(
    run_file: Path, bessemer: object
) -> None:
    alone = ("cluster.dp_replicate=2", "run.root='alone'", *LONG)
    sets = [word for each in alone for word in ("--set", each)]
    done = bessemer("run", str(run_file), "--to", "train", *sets)  # type: ignore[operator]
    assert done.returncode == 0, done.stderr

    job = sbatch(run_file, *LONG)
    root = run_file.parent / "out"
    deadline = time.monotonic() + 300
    while not any(root.glob("train/*/checkpoints/step-*/checkpoint.json")):
        assert job.poll() is None, job.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    job.send_signal(signal.SIGUSR1)  # as --signal=B:USR1 has it: to the script alone
    code, said = end(job)
    assert code == 0, said
    assert "SIGUSR1 asked to leave" in said
    assert (run_file.parent / "slurm" / "log").read_text() == "requeue 7\n"

    code, said = end(sbatch(run_file, *LONG))
    assert code == 0, said
    assert "going on from step" in said
    ours, theirs = (
        read_json(plan_workspace(run_file, settings).folder("train") / STATE_DIGESTS)
        for settings in (LONG, alone)
    )
    assert ours == theirs
