"""Any runner gives the same results, in order; what was finished is never run again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import pytest

from bessemer.core.errors import MachineError
from bessemer.core.events import Bar
from bessemer.engine import processes
from bessemer.engine.tasks import Engine, Task, prepare_folder

INLINE = Engine(runner="inline", workers=1)
PROCESSES = Engine(runner="processes", workers=3)
T = TypeVar("T")
BOTH = pytest.mark.parametrize("engine", [INLINE, PROCESSES], ids=["inline", "processes"])


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs"
    folder.mkdir()
    return folder


def runs_of(outputs: Path) -> dict[int, int]:
    """How often each task ran, by the files it left."""
    counts: dict[int, int] = {}
    for path in outputs.glob("[0-9]*.*"):
        number = int(path.name.partition(".")[0])
        counts[number] = counts.get(number, 0) + path.stat().st_size
    return counts


def make_tasks(module: ModuleType, outputs: Path, count: int) -> list[Task]:
    return [
        Task(key=f"{n:05d}", function=module.work, arguments={"folder": outputs, "number": n})
        for n in range(count)
    ]


def numbers(results: list[dict[str, object]]) -> list[object]:
    return [result["number"] for result in results]


@BOTH
def test_results_come_in_the_order_of_the_tasks(
    engine: Engine, tasks: ModuleType, outputs: Path, tmp_path: Path
) -> None:
    results = engine.map("work", tmp_path / "stage", make_tasks(tasks, outputs, 7))
    assert numbers(results) == list(range(7))
    assert runs_of(outputs) == dict.fromkeys(range(7), 1)


def test_results_are_in_order_though_tasks_finish_backwards(
    tasks: ModuleType, outputs: Path, tmp_path: Path
) -> None:
    after = [outputs / "done-1", outputs / "done-2", None]
    chain = [
        Task(
            key=str(n),
            function=tasks.work,
            arguments={"folder": outputs, "number": n, "after": after[n]},
        )
        for n in range(3)
    ]
    results = PROCESSES.map("work", tmp_path / "stage", chain)
    assert numbers(results) == [0, 1, 2]
    assert len({result["process"] for result in results} | {os.getpid()}) == 3


@BOTH
def test_finished_tasks_are_not_run_again(
    engine: Engine, tasks: ModuleType, outputs: Path, tmp_path: Path
) -> None:
    work = make_tasks(tasks, outputs, 5)
    first = engine.map("work", tmp_path / "stage", work)
    assert engine.map("work", tmp_path / "stage", work) == first
    assert runs_of(outputs) == dict.fromkeys(range(5), 1)
    for key in ("00001", "00003"):
        (tmp_path / "stage" / ".scratch" / "tasks" / f"{key}.json").unlink()
    assert numbers(engine.map("work", tmp_path / "stage", work)) == [0, 1, 2, 3, 4]
    assert runs_of(outputs) == {0: 1, 1: 2, 2: 1, 3: 2, 4: 1}


@BOTH
def test_a_failing_task_raises_with_its_key_and_what_was_finished_is_kept(
    engine: Engine, tasks: ModuleType, outputs: Path, tmp_path: Path
) -> None:
    stage = tmp_path / "stage"
    work = make_tasks(tasks, outputs, 3)
    lucky = tmp_path / "lucky"
    work[2] = Task(
        key="shard-7",
        function=tasks.fail,
        arguments={
            "folder": outputs, "number": 2, "unless": lucky,
            "after": stage / ".scratch" / "tasks" / "00001.json",
        },
    )  # fmt: skip
    with pytest.raises(ValueError, match="number 2 is unlucky") as error:
        engine.map("work", stage, work)
    assert error.value.__notes__ == ["in task shard-7"]
    assert (stage / ".scratch" / "tasks" / "00001.json").exists()
    assert not (stage / ".scratch" / "tasks" / "shard-7.json").exists()
    lucky.touch()
    assert numbers(engine.map("work", stage, work)) == [0, 1, 2]
    assert runs_of(outputs)[1] == runs_of(outputs)[2] == 1


def test_a_killed_worker_is_a_machine_error_and_the_next_start_goes_on(
    tasks: ModuleType, outputs: Path, tmp_path: Path
) -> None:
    """Of three workers one is this process, and one of the other two is killed in a task."""
    stage, end = tmp_path / "stage", tmp_path / "end"
    work = make_tasks(tasks, outputs, 1)
    work += [
        Task(
            key=f"{number:05d}",
            function=tasks.stay,
            arguments={"folder": outputs, "number": number, "until": end},
        )
        for number in (1, 2, 3)
    ]

    def kill_another() -> None:
        others = wait_until(lambda: set(outputs.glob("staying-*")) - {here}, 2)
        os.kill(int(others[0].name.removeprefix("staying-")), signal.SIGKILL)
        end.touch()

    here = outputs / f"staying-{os.getpid()}"
    killer = threading.Thread(target=kill_another)
    killer.start()
    with closing(Engine(runner="processes", workers=3)) as engine:
        with pytest.raises(MachineError, match=r"a worker process was killed.*run again"):
            engine.map("work", stage, work)
        killer.join()
        assert (stage / ".scratch" / "tasks" / "00000.json").exists()
        assert numbers(engine.map("work", stage, work)) == [0, 1, 2, 3]
    assert runs_of(outputs)[0] == 1


def test_an_error_that_cannot_be_pickled_is_told_in_words(
    tasks: ModuleType, tmp_path: Path
) -> None:
    work = [
        Task(key="x", function=tasks.fail_unportably, arguments={"number": 7}),
        Task(key="y", function=tasks.quick, arguments={"number": 8}),
    ]
    with pytest.raises(RuntimeError, match="Unportable: 7 of everything is bad") as error:
        PROCESSES.map("work", tmp_path / "stage", work)
    assert error.value.__notes__ == ["in task x"]


def test_a_worker_that_dies_of_its_task_is_a_machine_error_too(
    tasks: ModuleType, tmp_path: Path
) -> None:
    arguments = {"path": tmp_path / "died", "spared": os.getpid()}
    deadly = [Task(key=str(n), function=tasks.die, arguments=arguments) for n in range(2)]
    with pytest.raises(MachineError, match="a worker process was killed"):
        PROCESSES.map("work", tmp_path / "stage", deadly)


def test_many_tasks_are_done_by_few_workers_that_live_from_list_to_list(
    tasks: ModuleType, outputs: Path, tmp_path: Path
) -> None:
    """Processes are started for what one does not do at once, and serve the next list, too."""
    with closing(Engine(runner="processes", workers=3)) as engine:
        met = []
        for title in ("first", "second"):
            meet = [
                Task(
                    key=str(number),
                    function=tasks.meet,
                    arguments={"folder": outputs / title, "number": number, "count": 3},
                )
                for number in range(3)
            ]
            (outputs / title).mkdir()
            results = engine.map(title, tmp_path / title, meet)
            met.append({result["process"] for result in results})
        assert len(met[0]) == 3
        assert met[0] == met[1]
        assert os.getpid() in met[0]
        quick = [
            Task(key=str(n), function=tasks.quick, arguments={"number": n}) for n in range(500)
        ]
        assert numbers(engine.map("quick", tmp_path / "quick", quick)) == list(range(500))
        assert engine.peak_bytes > 2**20
        workers = met[0] - {os.getpid()}
        assert all(is_alive(worker) for worker in workers)
    assert not any(is_alive(worker) for worker in workers)


def test_a_list_that_is_soon_done_starts_no_process(
    tasks: ModuleType, outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_ALONE_S", 60.0)  # soon, on any machine
    with closing(Engine(runner="processes", workers=3)) as engine:
        results = engine.map("work", tmp_path / "stage", make_tasks(tasks, outputs, 5))
    assert {result["process"] for result in results} == {os.getpid()}


KILLED_PARENT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import tasks_of_engine_tests as tasks
from bessemer.engine.tasks import Engine, Task

outputs = Path(sys.argv[2])

if __name__ == "__main__":
    never = outputs / "never"
    work = [Task(key="0", function=tasks.work, arguments={"folder": outputs, "number": 0})] + [
        Task(key=str(n), function=tasks.wait_then_work,
             arguments={"folder": outputs, "number": n, "after": never})
        for n in (1, 2, 3)
    ]
    Engine(runner="processes", workers=3).map("work", outputs / "stage", work)
"""
WAITING = """

def wait_then_work(folder, number, after):
    open(os.path.join(folder, f"waiting-{os.getpid()}"), "w").close()
    return work(folder, number, after)
"""


def is_alive(process: int) -> bool:
    """Whether a process still runs; one that ended and was not collected yet does not."""
    try:
        status = (Path("/proc") / str(process) / "stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("by", ["kill", "Ctrl-C"])
def test_workers_end_when_their_parent_is_ended(
    by: str, tasks: ModuleType, outputs: Path, tmp_path: Path
) -> None:
    """One of the workers is a thread of the parent, which has a task at hand that never ends."""
    module = Path(str(tasks.__file__))
    module.write_text(module.read_text() + WAITING)
    script = tmp_path / "parent.py"
    script.write_text(KILLED_PARENT)
    command = [sys.executable, script, module.parent, outputs]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as parent:
        waiting = wait_until(lambda: list(outputs.glob("waiting-*")), 3)
        workers = {int(path.name.removeprefix("waiting-")) for path in waiting} - {parent.pid}
        assert len(workers) == 2
        assert all(is_alive(worker) for worker in workers)
        if by == "kill":
            parent.send_signal(signal.SIGKILL)
        else:
            os.killpg(parent.pid, signal.SIGINT)  # as a terminal does
        parent.wait(timeout=60)
    wait_until(lambda: [worker for worker in workers if not is_alive(worker)], 2)


UNGUARDED = """
import sys
import time
from pathlib import Path
from bessemer.engine.tasks import Engine, Task

def nap():
    time.sleep(3)
    return {}

Engine(runner="processes", workers=3).map(
    "nap", Path(sys.argv[1]), [Task(key=str(n), function=nap, arguments={}) for n in range(4)]
)
"""


def test_a_script_that_starts_workers_as_it_is_read_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    command = [sys.executable, script, tmp_path / "stage"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode
    assert 'below `if __name__ == "__main__":`' in done.stderr


def wait_until(found: Callable[[], Collection[T]], count: int) -> list[T]:
    """Poll until `found()` has `count` members; a minute is the limit, not the measure."""
    end = time.monotonic() + 60
    while len(members := found()) < count:
        assert time.monotonic() < end, members
        time.sleep(0.01)
    return list(members)


def test_a_single_task_is_done_in_this_process(
    tasks: ModuleType, outputs: Path, tmp_path: Path
) -> None:
    [result] = PROCESSES.map("work", tmp_path / "stage", make_tasks(tasks, outputs, 1))
    assert result == {"number": 0, "process": os.getpid()}


def test_no_tasks_have_no_results(tmp_path: Path) -> None:
    assert PROCESSES.map("work", tmp_path, []) == []


class Recorder:
    """A display that keeps what it was told."""

    def __init__(self) -> None:
        self.said: list[object] = []

    @contextmanager
    def bar(self, title: str, total: int, done: int = 0) -> Iterator[Bar]:
        self.said.append((title, total, done))
        yield self
        self.said.append("end")

    def advance(self, amount: int = 1, note: str = "") -> None:
        self.said.append(amount)


def test_the_display_is_told_what_was_done_before(
    tasks: ModuleType, outputs: Path, tmp_path: Path
) -> None:
    display = Recorder()
    engine = Engine(display=display)
    work = make_tasks(tasks, outputs, 4)
    engine.map("first", tmp_path, work[:2])
    engine.map("all", tmp_path, work)
    engine.map("none", tmp_path, work)
    assert display.said == [("first", 2, 0), 1, 1, "end", ("all", 4, 2), 1, 1, "end"]


def test_a_folder_is_made_ready_and_cleared_of_half_files(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "stage")
    (tmp_path / "stage" / ".tmp-1-half").write_text("half")
    (tmp_path / "stage" / "whole").write_text("whole")
    prepare_folder(tmp_path / "stage")
    assert [path.name for path in (tmp_path / "stage").iterdir()] == ["whole"]
