"""Whether a run loses anything to faults: each kind is put into a small real run on this machine.

The run has the model, the optimizer and the layout of a run file, scaled down to two ranks and to
text that is made up. Data is prepared once; every fault disturbs a training of its own, which must
end with the same bits in every tensor, and the same loss in every step, as one undisturbed.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bessemer.config.axes import planned_axes
from bessemer.config.cluster import ClusterConfig
from bessemer.config.run import RunConfig
from bessemer.core.errors import ConfigError, MachineError
from bessemer.line.drill_job import DrillJob
from bessemer.line.drill_kinds import FAULT_STEP, GOES_ON, KINDS, RESTART, Kind

_WORDS = (  # noqa: SIM905
    "iron ore coke slag ladle mould ingot furnace blast steel bloom roll forge anvil hammer spark "
    "heat flame smoke charge metal bright heavy slow early the a of and to in was is on with"
).split()
_SEQ_LEN, _BATCH, _NUM_STEPS = 32, 8, 60
_STEPS_PER_KILL = 12  # at most, of new ones between two kills
_WHILE_STARTING = 0.25  # share of kills that hit ranks which may not train yet
_START_S = 6.0
_MOST_RANKS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class DrillResult:
    """What became of a run that met one kind of fault, or many kills."""

    name: str
    detected_s: float | None = None  # until the run said so, if it did
    lost_steps: int = 0  # that were computed again
    recovered: str = ""  # how it went on
    is_equal: bool = False  # all tensors and all losses, to the bit
    problem: str = ""  # why there is no more to be told


def drill(config: RunConfig, names: Sequence[str] = ()) -> Iterator[DrillResult]:
    """Each kind of fault, or those named, one result after the other. ConfigError if there is no
    kind of that name."""
    known = [kind.name for kind in KINDS]
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"no kind of fault {unknown[0]!r}; kinds: {', '.join(known)}")
    chosen = [kind for kind in KINDS if not names or kind.name in names]
    with _prepared(config, _NUM_STEPS, {}) as ground:
        reference = ground.undisturbed()
        for number, kind in enumerate(chosen):
            with ground.job(f"fault-{number}") as job:
                try:
                    yield _disturb(job, kind, reference)
                except MachineError as error:
                    yield DrillResult(name=kind.name, problem=str(error))


def drill_kills(config: RunConfig, num_kills: int, seed: int) -> DrillResult:
    """One long run, of which a random rank is killed at random moments."""
    draw = random.Random(seed)
    num_steps = _STEPS_PER_KILL * num_kills + FAULT_STEP
    with _prepared(config, num_steps, {"restarts": num_kills}) as ground:
        reference = ground.undisturbed()
        with ground.job("kills") as job:
            job.start()
            detected, lost, furthest, written_before = [], 0, 0, 0
            for number in range(num_kills):
                if number and draw.random() < _WHILE_STARTING:
                    time.sleep(draw.uniform(0.0, _START_S))
                else:
                    goal = furthest + draw.randint(1, _STEPS_PER_KILL)
                    job.wait_until(lambda: job.steps_done() >= goal, "steps")  # noqa: B023
                    time.sleep(draw.uniform(0.0, 0.05))
                job.wait_until(lambda: len(job.ranks()) == ground.num_ranks, "all ranks")
                job.kill_rank(draw.randrange(ground.num_ranks))
                detected.append(job.wait_for_line(RESTART) - job.moment)
                furthest = max(furthest, job.steps_done())
                if (written := job.steps_written_ns()) != written_before:  # it trained since then
                    lost += job.steps_done() - job.saved_step()
                written_before = written
            code = job.finish()
            return DrillResult(
                name=f"{num_kills} kills, seed {seed}",
                detected_s=max(detected, default=None),
                lost_steps=lost,
                recovered="by itself",
                is_equal=code == 0 and job.outcome() == reference,
            )


def _disturb(job: DrillJob, kind: Kind, reference: object) -> DrillResult:
    job.start(kind.inside)
    if not kind.inside:
        job.wait_for_step(FAULT_STEP)
    kind.inject(job)
    recovered = "went on"
    if kind.exit_code:
        code = job.finish()
        if code != kind.exit_code:
            raise MachineError(f"it ended with exit code {code}, not {kind.exit_code}")
        done = job.steps_done()
        job.start()
        recovered = "same command again"
    when = job.wait_for_line(kind.says) if kind.says else None
    if not kind.exit_code:
        done = job.steps_done()
    code = job.finish()
    if not kind.exit_code and job.find_line(RESTART):
        recovered = "by itself"
    lost = 0
    if recovered != "went on":
        found = job.find_line(GOES_ON)
        lost = done - (int(found[1][1]) if found else 0)
    return DrillResult(
        name=kind.name,
        detected_s=None if when is None else when - job.moment,
        lost_steps=lost,
        recovered=recovered,
        is_equal=code == 0 and job.outcome() == reference,
    )


class _Ground:
    """Where drills take place: a folder with a run file, and a root of which all but training is
    done."""

    def __init__(self, folder: Path, config: RunConfig, num_steps: int, cluster: Mapping[str, Any]):
        self._folder, self._run_file, self._root = folder, folder / "run.toml", folder / "prepared"
        layout = _layout(config)
        self.num_ranks = planned_axes(layout).num_ranks
        _write_text(folder)
        self._run_file.write_text(_run_file(config, layout, num_steps, cluster))
        command = [sys.executable, "-m", "bessemer", "run", str(self._run_file)]
        command += ["--to", "baselines", "--set", f'run.root="{self._root}"']
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MachineError(f"the data of the drill could not be prepared:\n{done.stderr}")

    @contextmanager
    def job(self, name: str) -> Iterator[DrillJob]:
        """A training that can be started; what is left of it is ended after the block."""
        job = DrillJob(self._run_file, self._root, self._folder / name)
        try:
            yield job
        finally:
            job.kill()

    def undisturbed(self) -> object:
        """What a training comes to that nobody disturbs."""
        with self.job("undisturbed") as job:
            job.start()
            if job.finish():
                said = "\n".join(line for _, line in job.said[-20:])
                raise MachineError(f"the drill's run fails undisturbed:\n{said}")
            return job.outcome()


@contextmanager
def _prepared(config: RunConfig, num_steps: int, cluster: Mapping[str, Any]) -> Iterator[_Ground]:
    if not Path("/proc/self/environ").exists():
        raise MachineError("a drill finds the ranks of a run in /proc, which this system has not")
    with tempfile.TemporaryDirectory(prefix="bessemer-drill-") as name:
        yield _Ground(Path(name), config, num_steps, cluster)


def _layout(config: RunConfig) -> ClusterConfig:
    """The run's, cut down to two ranks along each axis; two replicas if it has none, or too many
    axes for this machine."""
    from bessemer.train.parallel.parity_layouts import layouts_to_try

    if planned_axes(config.cluster).num_ranks > 1:
        (cut,) = layouts_to_try(config.cluster, config.model)
        if planned_axes(cut).num_ranks <= _MOST_RANKS:
            return cut
    return ClusterConfig(dp_replicate=2)


def _write_text(folder: Path) -> None:
    """Documents of made-up sentences, which no two share."""
    draw = random.Random(0)
    rows = []
    for number in range(80):
        words = draw.choices(_WORDS, k=80)
        lines = [" ".join(words[at : at + 10]) for at in range(0, len(words), 10)]
        rows.append({"text": f"Heat {number}. " + ".\n".join(lines) + ".", "url": f"heat/{number}"})
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "heats.jsonl").write_text(text)


def _run_file(
    config: RunConfig, layout: ClusterConfig, num_steps: int, cluster: Mapping[str, Any]
) -> str:
    """The drill's run file: what bears on how a run meets faults is that of `config`."""
    from bessemer.train.parallel.parity_layouts import scale_down

    train = config.train.model_dump(mode="json", exclude_none=True)
    kept = ("precision", "document_mask", "z_loss", "label_smoothing", "optimizer", "routing")
    batch = _SEQ_LEN * _BATCH
    tables: dict[str, dict[str, Any]] = {
        "run": {"name": "drill", "root": "unused", "seed": config.run.seed},
        "split": {"heldout_frac": 0.2},
        "tokenizer": {"vocab_size": 300},
        "mix": {"max_epochs": 100_000},
        "model": scale_down(config.model).model_dump(mode="json", exclude_none=True),
        "train": {name: train[name] for name in kept}
        | {
            "seq_len": _SEQ_LEN,
            "global_batch_tokens": batch,
            "total_tokens": batch * num_steps,
            "checkpoint": {
                "every_steps": 5,
                "most_steps_unsaved": 20,
                "asynchronous": config.train.checkpoint.asynchronous,
            },
            "evaluate": {"every_steps": 1_000_000, "tokens_per_source": 256},
        },
        "cluster": layout.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        | {"device": "cpu", "threads": 1, "hang_timeout_s": 10.0, "engine": {"runner": "inline"}}
        | dict(cluster),
    }
    source = '[[source]]\nname = "heats"\nkind = "books"\npath = "heats.jsonl"\n'
    rule = '[[curate.rule]]\nname = "word_count"\nmin = 20\n'
    return source + rule + "".join(_as_toml(name, table) for name, table in tables.items())


def _as_toml(name: str, table: Mapping[str, Any]) -> str:
    """A table and those within it; JSON writes numbers, texts and lists of them as TOML does."""
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    lists = {key: value for key, value in table.items() if key not in inner and value != []}
    text = f"[{name}]\n" + "".join(f"{key} = {json.dumps(each)}\n" for key, each in lists.items())
    return text + "".join(_as_toml(f"{name}.{key}", each) for key, each in inner.items())
