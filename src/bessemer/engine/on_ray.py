"""The runner that works on Ray: on this machine, or on a cluster whose nodes share a disk.

Which node does a task, waiting for nodes, and doing a task again whose worker or node was lost are
Ray's. What travels is paths and ids: never text, and never what a task writes, which every node
must see under the same path. Each worker looks for that before its first task of a list, so that
nodes that join later are held to it, too.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import pickle
import platform
import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from importlib import import_module
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

from bessemer.core.errors import MachineError
from bessemer.core.hardware import num_usable_cores
from bessemer.core.storage import SCRATCH, write_json
from bessemer.engine.tasks import Done, Engine, Result, Task, work

# Tasks handed to Ray at a time, unless `workers` says it: what it has not begun, it must remember.
_IN_FLIGHT = 4096
# How often a task is done again whose worker or node was lost; a node taken away costs one, and
# a task that kills its worker each time must come to an end.
_RETRIES = 10
# For a start on this machine; only paths and ids lie there. Ray takes no less than 75 MB.
_OBJECT_STORE_BYTES = 128 * 2**20
_CONNECT_S = 10.0
_QUIET = {"log_to_driver": False, "logging_level": logging.ERROR}
# Libraries whose versions may show in the bytes of an output.
_LIBRARIES = ("numba", "numpy", "pyarrow")


class OnRay:
    """A connection to Ray, made when it is needed."""

    def __init__(self, engine: Engine) -> None:
        self._workers, self._address = engine.workers, engine.address
        self._in_flight = engine.workers or _IN_FLIGHT
        self._connected = False
        self._sigterm: Any = signal.SIG_DFL

    def run(self, tasks: Sequence[Task], folder: Path) -> Generator[Done]:
        """Yield results as tasks end.

        Raises MachineError if Ray cannot be had, if a node does not see `folder` or has another
        bessemer, and if a task was lost too often. After an error no task is waited for.
        """
        ray = self._connect()
        do_remotely = ray.remote(num_cpus=1, max_retries=_RETRIES)(_make_remote())
        common = _common_arguments(tasks)
        shared = ray.put(pickle.dumps(common))
        at_work: dict[Any, int] = {}
        coming = iter(enumerate(tasks))
        with _mark(folder) as mark:
            try:
                while True:
                    for position, task in islice(coming, self._in_flight - len(at_work)):
                        own = {k: v for k, v in task.arguments.items() if k not in common}
                        message = pickle.dumps((task.key, task.function, own))
                        at_work[do_remotely.remote(message, shared, str(mark))] = position
                    if not at_work:
                        break
                    ended, _ = ray.wait(list(at_work), num_returns=1)
                    ended, _ = ray.wait(list(at_work), num_returns=len(at_work), timeout=0)
                    for reference in ended:
                        position = at_work.pop(reference)
                        yield Done(position, *_result(ray, reference, tasks[position].key))
            finally:
                for reference in at_work:
                    ray.cancel(reference, force=True)

    def close(self) -> None:
        """Leave the cluster, or end Ray if it was started here."""
        if self._connected:
            import ray

            ray.shutdown()
            self._connected = False
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, self._sigterm)

    def _connect(self) -> ModuleType:
        """Ray, connected: as it is if it is already, for whoever did that goes on with it."""
        try:
            ray = import_module("ray")
        except ImportError as error:
            raise MachineError(
                'cluster.engine.runner = "ray" needs Ray: pip install "bessemer[ray]"'
            ) from error
        if ray.is_initialized():
            return ray
        self._sigterm = signal.getsignal(signal.SIGTERM)  # Ray sets its own
        # RAY_ADDRESS is Ray's, which looks for it itself; what is found there has to be joined.
        address = self._address or os.environ.get("RAY_ADDRESS")
        if address == "local":
            _start(ray, self._workers)
        elif address is not None:
            _join(ray, address)
        else:
            try:
                _join(ray, "auto")
            except MachineError:  # none runs on this machine
                _start(ray, self._workers)
        self._connected = True
        return ray


def _start(ray: ModuleType, workers: int | None) -> None:
    """Start Ray on this machine, without its dashboard; it ends with this process."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        address="local",
        num_cpus=workers or num_usable_cores(),
        object_store_memory=_OBJECT_STORE_BYTES,
        include_dashboard=False,
        **_QUIET,
    )


def _join(ray: ModuleType, address: str) -> None:
    """Join a cluster that runs; MachineError if there is none at `address`."""
    try:
        if address != "auto":
            host, _, port = address.rpartition("://")[2].rpartition(":")
            # Ray itself tries for minutes.
            socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
        ray.init(address=address, **_QUIET, **_environment())
    except (OSError, ValueError, RuntimeError) as error:
        with suppress(Exception):
            ray.shutdown()
        raise MachineError(
            f"cannot join the Ray cluster at {address!r} ({error}); set cluster.engine.address or "
            'RAY_ADDRESS to the address of its head node, as in "10.0.0.1:6379", or '
            'cluster.engine.address to "local"'
        ) from error


def _environment() -> dict[str, Any]:
    """For workers of a cluster that was started with another environment: where modules are."""
    paths = os.environ.get("PYTHONPATH")
    if not paths:
        return {}
    paths = os.pathsep.join(map(os.path.abspath, paths.split(os.pathsep)))
    return {"runtime_env": {"env_vars": {"PYTHONPATH": paths}}}


def _make_remote() -> Callable[[bytes, bytes, str], tuple[Result, int]]:
    """What a worker does. Ray sends a function within a function as it is, not by its name: so a
    node without bessemer gets to say that."""

    def remote(message: bytes, common: bytes, mark: str) -> tuple[Result, int]:
        from bessemer.engine.on_ray import do_message

        return do_message(message, common, mark)

    return remote


def do_message(message: bytes, common: bytes, mark: str) -> tuple[Result, int]:
    """Do a task in a worker, if it sees what the driver sees."""
    _require_shared(Path(mark))
    key, function, own = pickle.loads(message)
    return work(Task(key=key, function=function, arguments=pickle.loads(common) | own))


def _common_arguments(tasks: Sequence[Task]) -> dict[str, Any]:
    """The arguments that are the same objects in all tasks, to be sent once: lists of all paths."""
    first = tasks[0].arguments
    return {
        name: value
        for name, value in first.items()
        if all(name in task.arguments and task.arguments[name] is value for task in tasks)
    }


def _result(ray: ModuleType, reference: Any, key: str) -> tuple[Result, int]:
    """What a task returned; raises what it raised."""
    try:
        result: tuple[Result, int] = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, ModuleNotFoundError) and cause.name == "bessemer":
            raise MachineError(
                "a node of the Ray cluster has no bessemer; install the same version on all nodes"
            ) from error
        cause.add_note(f"in task {key}")
        raise cause from error
    except ray.exceptions.RayError as error:
        raise MachineError(
            f"Ray lost task {key} {_RETRIES + 1} times ({error}); most often for want of memory: "
            "run again to go on from the finished shards, with fewer workers "
            "(cluster.engine.workers) or smaller shards (curate.shard_bytes)"
        ) from error
    return result


@contextmanager
def _mark(folder: Path) -> Iterator[Path]:
    """A file in `folder` by which a worker tells that it sees it; which bessemer this is."""
    path = folder / SCRATCH / "ray" / f"{uuid4().hex}.json"
    write_json(path, _build())
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@functools.lru_cache(maxsize=1)
def _require_shared(mark: Path) -> None:
    """MachineError, naming this node, unless it sees the mark and has the bessemer that made it."""
    node = f"{socket.gethostname()} (of the Ray cluster)"
    try:
        wanted = json.loads(mark.read_text())
    except OSError as error:
        raise MachineError(
            f"{node} does not see {mark.parents[2]} ({error.strerror}); it must lie on a disk "
            "that all nodes share, under the same path"
        ) from error
    for name, value in _build().items():
        if wanted.get(name) != value:
            raise MachineError(
                f"{node} has {name} {value}, and the process that started the run has "
                f"{wanted.get(name)}; outputs would differ: install the same on all nodes"
            )


@functools.cache
def _build() -> dict[str, str]:
    """What outputs depend on beside their inputs: code, Python and libraries."""
    digest = blake2b(digest_size=8)
    package = Path(__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode() + path.read_bytes())
    return {
        "bessemer": digest.hexdigest(),
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
    }
