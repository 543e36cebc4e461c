"""Tasks and stages on a real Ray cluster of two nodes, both here, whose parts are killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import TypeVar
from uuid import uuid4

import pytest
from tests.conftest import RUN_FILE, write_corpus

from bessemer.core.errors import MachineError
from bessemer.core.events import Silent
from bessemer.curate.signals import measure_shard
from bessemer.engine.on_ray import _common_arguments, _make_remote, _mark, _require_shared
from bessemer.engine.tasks import Engine, Task
from bessemer.line.runner import run_stages
from bessemer.line.workspace import Workspace, plan_workspace

T = TypeVar("T")
LAST = "split"
SMALL = 'curate.shard_bytes="4kB"'  # so that stages have many tasks
SOURCES = Path(__file__).parents[3] / "src"

pytestmark = [
    pytest.mark.dist,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]


class Node:
    """A node of the cluster: `ray start`, in a session of its own."""

    def __init__(self, *arguments: str) -> None:
        ray = Path(sys.executable).with_name("ray")
        shared = ["--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats"]
        self._process = subprocess.Popen(
            [ray, "start", *arguments, *shared, "--block"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def kill(self) -> None:
        """SIGKILL all its processes at once, as when its machine is lost."""
        for process in self.processes():
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()

    def workers(self) -> list[int]:
        """The processes of this node that do tasks, or wait for one; others have names like it."""
        names = ("ray::remote", "ray::IDLE")
        return [p for p in self.processes() if title(p).startswith(names)]

    def is_up(self) -> bool:
        return any("raylet/raylet" in title(p) for p in self.processes())

    def processes(self) -> list[int]:
        return [self._process.pid, *descendants(self._process.pid)]


class Cluster:
    """A head and a second node, which can be lost and replaced."""

    def __init__(self, temporary: str) -> None:
        port, client_port = free_ports(2)
        self.address = f"127.0.0.1:{port}"
        self.head = Node(
            *("--head", f"--port={port}", f"--ray-client-server-port={client_port}"),
            *("--include-dashboard=false", f"--temp-dir={temporary}"),
            "--node-ip-address=127.0.0.1",
        )
        try:
            wait_until(lambda: [1] if answers(port) else [], 1)
            self.second = self._start_second()
        except BaseException:
            self.head.kill()
            raise

    def replace_node(self) -> None:
        self.second.kill()
        self.second = self._start_second()

    def _start_second(self) -> Node:
        """Under an address of its own: a driver dies with the node of its address."""
        return Node(f"--address={self.address}", "--node-ip-address=127.0.0.2")

    def processes(self) -> set[int]:
        return {p for node in (self.head, self.second) for p in node.processes()}

    def close(self) -> None:
        self.second.kill()
        self.head.kill()


def free_ports(count: int) -> list[int]:
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def title(process: int) -> str:
    """How a process calls itself; Ray's workers say what they do."""
    try:
        return (Path("/proc") / str(process) / "cmdline").read_text()
    except OSError:
        return ""


def descendants(process: int) -> list[int]:
    """All processes that `process` started, and those that they did."""
    found, parents = [process], {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] not in "ZX":
            parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    for each in found:
        found += parents.get(each, [])
    return found[1:]


def is_alive(process: int) -> bool:
    return title(process) != ""


def wait_until(found: Callable[[], Collection[T]], count: int) -> list[T]:
    """Poll until `found()` has `count` members; two minutes are the limit, not the measure."""
    end = time.monotonic() + 120
    while len(members := found()) < count:
        assert time.monotonic() < end, members
        time.sleep(0.005)
    return list(members)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")  # of its own: none is written into the home folder
        patch.setenv("RAY_AUTH_TOKEN", uuid4().hex)
        patch.setenv("PYTHONPATH", str(SOURCES))
        temporary = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # names of sockets must be short
        started = Cluster(temporary)
        try:
            yield started
        finally:
            started.close()
            shutil.rmtree(temporary, ignore_errors=True)


@pytest.fixture
def engine(
    cluster: Cluster, tasks: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    """An engine on the cluster, whose workers find the module of tasks."""
    modules = str(Path(str(tasks.__file__)).parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([modules, str(SOURCES)]))
    with closing(Engine(runner="ray", address=cluster.address)) as engine:
        yield engine


def stay(tasks: ModuleType, folder: Path, number: int, until: Path) -> Task:
    arguments = {"folder": folder, "number": number, "until": until}
    return Task(key=f"{number:05d}", function=tasks.stay, arguments=arguments)


def work(tasks: ModuleType, folder: Path, count: int) -> list[Task]:
    return [
        Task(key=f"{n:05d}", function=tasks.work, arguments={"folder": folder, "number": n})
        for n in range(count)
    ]


def staying(folder: Path) -> list[int]:
    return [int(path.name.removeprefix("staying-")) for path in folder.glob("staying-*")]


def digests(workspace: Workspace) -> dict[str, str]:
    found = {}
    for stage in workspace.fingerprints:
        if (manifest := workspace.manifest(stage)) is not None:
            found[stage] = manifest.outputs_digest()
    return found


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the stages up to `split` make in one process, while the cluster comes up."""
    folder = tmp_path_factory.mktemp("inline")
    write_corpus(folder)
    (folder / "run.toml").write_text(RUN_FILE)
    workspace = plan_workspace(folder / "run.toml", [SMALL])
    run_stages(workspace, Silent(), last=LAST)
    return digests(workspace)


def on_ray(cluster: Cluster, root: str) -> list[str]:
    return [
        *(f'run.root="{root}"', SMALL, 'cluster.engine.runner="ray"'),
        f'cluster.engine.address="{cluster.address}"',
    ]


def test_stages_make_the_same_bytes_as_one_process_and_tasks_done_twice_do_no_harm(
    cluster: Cluster, run_file: Path, inline: dict[str, str], tmp_path: Path
) -> None:
    assert len(inline) == 10
    workspace = plan_workspace(run_file, on_ray(cluster, "ray"))
    run_stages(workspace, Silent(), last=LAST)
    assert digests(workspace) == inline
    assert not list(workspace.root.rglob(".scratch"))

    ingested, measured = workspace.folder("ingest"), workspace.folder("signals")
    [shard, *_] = sorted(path.name for path in (measured / "signals").iterdir())
    arguments = {"ingest": ingested, "shard": shard, "folder": tmp_path / "again"}
    arguments["families"] = tuple(workspace.manifest("signals").settings["families"])
    same = [Task(key=str(n), function=measure_shard, arguments=arguments) for n in range(8)]
    with closing(Engine(runner="ray", address=cluster.address)) as engine:
        engine.map("signals", tmp_path / "again", same)
    again = tmp_path / "again" / "signals"
    assert [path.name for path in again.iterdir()] == [shard]
    assert (again / shard).read_bytes() == (measured / "signals" / shard).read_bytes()


def test_stages_that_lose_workers_and_a_node_make_the_same_bytes(
    cluster: Cluster, run_file: Path, inline: dict[str, str]
) -> None:
    workspace = plan_workspace(run_file, on_ray(cluster, "killed"))

    def records(stage: str) -> list[Path]:
        return list(workspace.root.glob(f"{stage}/*/.scratch/tasks/*.json"))

    def is_done(stage: str) -> bool:
        return workspace.manifest(stage) is not None

    lost: list[str] = []

    def destroy() -> None:
        wait_until(lambda: records("ingest"), 1)
        for worker in [*cluster.head.workers(), *cluster.second.workers()]:
            os.kill(worker, signal.SIGKILL)
        lost.append("worker" if not is_done("ingest") else "nothing")
        wait_until(lambda: records("signals"), 1)
        cluster.second.kill()
        lost.append("node" if not is_done("signals") else "nothing")

    destroyer = threading.Thread(target=destroy)
    destroyer.start()
    try:
        run_stages(workspace, Silent(), last=LAST)
    finally:
        destroyer.join()
        cluster.replace_node()
    assert lost == ["worker", "node"]
    assert digests(workspace) == inline
    assert not list(workspace.root.rglob(".tmp-*"))


def test_a_task_whose_worker_or_node_is_killed_is_done_again(
    cluster: Cluster, engine: Engine, tasks: ModuleType, tmp_path: Path
) -> None:
    folder, end = tmp_path / "outputs", tmp_path / "end"
    folder.mkdir()

    def destroy() -> None:
        first = wait_until(lambda: staying(folder), 2)  # one on each node
        os.kill(next(each for each in first if each in cluster.head.workers()), signal.SIGKILL)
        wait_until(lambda: set(staying(folder)) - set(first), 1)
        cluster.replace_node()
        end.touch()

    destroyer = threading.Thread(target=destroy)
    destroyer.start()
    try:
        kept = [stay(tasks, folder, number, end) for number in range(2)]
        results = engine.map("work", tmp_path / "stage", kept)
    finally:
        destroyer.join()
    assert [result["number"] for result in results] == [0, 1]
    assert len(staying(folder)) >= 3  # another process took both on


def test_results_are_in_order_and_few_at_a_time_are_handed_over(
    cluster: Cluster, engine: Engine, tasks: ModuleType, tmp_path: Path
) -> None:
    quick = [Task(key=str(n), function=tasks.quick, arguments={"number": n}) for n in range(300)]
    engine.workers = 3
    results = engine.map("quick", tmp_path / "stage", quick)
    assert [result["number"] for result in results] == list(range(300))
    assert engine.peak_bytes > 2**20


def test_an_error_comes_through_at_once_with_its_key(
    engine: Engine, tasks: ModuleType, tmp_path: Path
) -> None:
    """Though another task would wait for ever. An error is of its own class, and no second try."""
    stage, never = tmp_path / "stage", tmp_path / "never"
    finished = stage / ".scratch" / "tasks" / "00000.json"
    unlucky = Task(
        key="shard-7",
        function=tasks.fail,
        arguments={"folder": tmp_path, "number": 2, "after": finished},
    )
    todo = [*work(tasks, tmp_path, 1), stay(tasks, tmp_path, 1, never), unlucky]
    with pytest.raises(ValueError, match="number 2 is unlucky") as error:
        engine.map("work", stage, todo)
    assert type(error.value) is ValueError
    assert error.value.__notes__ == ["in task shard-7"]
    assert "in fail" in str(error.value.__cause__)  # where it was, over there
    assert finished.exists()
    wait_until(lambda: [1] if not any(map(is_alive, staying(tmp_path))) else [], 1)

    odd = [Task(key="x", function=tasks.fail_unportably, arguments={"number": 7})]
    with pytest.raises(RuntimeError, match="Unportable: 7 of everything is bad") as told:
        engine.map("work", tmp_path / "odd", odd)
    assert told.value.__notes__ == ["in task x"]


KILLED_DRIVER = """
import sys
from pathlib import Path
import tasks_of_engine_tests as tasks
from bessemer.engine.tasks import Engine, Task

folder = Path(sys.argv[2])
todo = [
    Task(key="00000", function=tasks.work, arguments={"folder": folder, "number": 0}),
    *(
        Task(key=f"{n:05d}", function=tasks.stay,
             arguments={"folder": folder, "number": n, "until": folder / "end"})
        for n in (1, 2, 3)
    ),
]
Engine(runner="ray", address=sys.argv[1]).map("work", folder / "stage", todo)
"""


def test_a_killed_driver_is_resumed_by_another_runner_and_its_workers_end(
    cluster: Cluster, engine: Engine, tasks: ModuleType, tmp_path: Path
) -> None:
    folder = tmp_path / "outputs"
    folder.mkdir()
    script = tmp_path / "driver.py"
    script.write_text(KILLED_DRIVER)
    record = folder / "stage" / ".scratch" / "tasks" / "00000.json"
    with subprocess.Popen([sys.executable, script, cluster.address, folder]) as driver:
        wait_until(lambda: [1] if record.exists() and len(staying(folder)) >= 2 else [], 1)
        driver.kill()
    left = staying(folder)
    wait_until(lambda: [1] if not any(map(is_alive, left)) else [], 1)
    (folder / "end").touch()
    todo = [*work(tasks, folder, 1), *(stay(tasks, folder, n, folder / "end") for n in (1, 2, 3))]
    said = Recorder()
    with closing(Engine(runner="processes", workers=3, display=said)) as other:
        results = other.map("work", folder / "stage", todo)
    assert [result["number"] for result in results] == [0, 1, 2, 3]
    assert said.bars == [("work", 4, 1)]
    assert [len(list(folder.glob(f"{n}.*"))) for n in range(4)] == [1, 1, 1, 1]


class Recorder(Silent):
    """A display that keeps how much there was to do, and how much was done."""

    def __init__(self) -> None:
        self.bars: list[tuple[str, int, int]] = []

    @contextmanager
    def bar(self, title: str, total: int, done: int = 0) -> Iterator[object]:
        self.bars.append((title, total, done))
        with super().bar(title, total, done) as bar:
            yield bar


def test_a_folder_that_a_node_does_not_see_is_a_machine_error(
    engine: Engine, tasks: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every process has a working folder of its own under this name."""
    monkeypatch.chdir(tmp_path)
    folder = Path("/proc/self/cwd/stage")
    with pytest.raises(MachineError, match=r"does not see .*stage .*it must lie on a disk"):
        engine.map("work", folder, work(tasks, tmp_path, 2))


def test_ray_is_started_and_ended_with_a_run(
    cluster: Cluster, tasks: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment is that of the cluster, whose processes stay."""
    modules = str(Path(str(tasks.__file__)).parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([modules, str(SOURCES)]))
    handler = signal.getsignal(signal.SIGTERM)
    before = set(descendants(os.getpid())) | cluster.processes()
    with closing(Engine(runner="ray", workers=2, address="local")) as engine:
        results = engine.map("work", tmp_path / "stage", work(tasks, tmp_path, 4))
        started = set(descendants(os.getpid())) - before
    assert [result["number"] for result in results] == [0, 1, 2, 3]
    assert {result["process"] for result in results} <= started
    wait_until(lambda: [1] if not any(map(is_alive, started)) else [], 1)
    assert signal.getsignal(signal.SIGTERM) == handler
    assert cluster.head.is_up()


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    todo = [Task(key="x", function=dict, arguments={})]
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1", "nowhere"):
        engine = Engine(runner="ray", address=address)
        with pytest.raises(MachineError, match=f"cannot join the Ray cluster at '{address}'"):
            engine.map("work", tmp_path, todo)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(MachineError, match=r"cannot join the Ray cluster at '127\.0\.0\.1:1'"):
        Engine(runner="ray").map("work", tmp_path, todo)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MachineError, match=r'pip install "bessemer\[ray\]"'):
        Engine(runner="ray").map("work", tmp_path, todo)


def test_a_node_with_another_bessemer_or_another_library_is_refused(tmp_path: Path) -> None:
    with _mark(tmp_path) as mark:
        _require_shared(mark)
        build = json.loads(mark.read_text())
        for name in ("bessemer", "pyarrow"):
            other = mark.with_name(f"{name}.json")
            other.write_text(json.dumps(build | {name: "0.1"}))
            with pytest.raises(MachineError, match=rf"has {name} .* the run has 0\.1"):
                _require_shared(other)
    assert not mark.exists()


def test_a_node_without_bessemer_gets_to_say_so(tmp_path: Path) -> None:
    """What a worker is sent is not looked up in bessemer before it begins."""
    from ray import cloudpickle

    (tmp_path / "remote").write_bytes(cloudpickle.dumps(_make_remote()))
    script = """
import pickle, sys
sys.modules["bessemer"] = None
remote = pickle.load(open(sys.argv[1], "rb"))
try:
    remote(b"", b"", "")
except ModuleNotFoundError as error:
    assert error.name.partition(".")[0] == "bessemer", error.name
    print("said so")
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "remote"], capture_output=True, text=True
    )
    assert done.stdout == "said so\n", done.stderr


def test_what_only_some_tasks_have_is_not_sent_to_all() -> None:
    paths = [Path("a")]
    one = Task(key="1", function=dict, arguments={"paths": paths, "signals": None, "own": 1})
    other = Task(key="2", function=dict, arguments={"paths": paths, "own": 2})
    assert _common_arguments([one, other]) == {"paths": paths}
