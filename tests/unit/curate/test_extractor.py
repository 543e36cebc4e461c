"""No page holds up, crashes or fills the worker that reads it, and its neighbours are read."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bessemer.config.curate import CurateConfig
from bessemer.config.sources import SourceConfig
from bessemer.core.errors import MachineError
from bessemer.core.storage import read_table
from bessemer.curate import extractor as module
from bessemer.curate import main_text
from bessemer.curate.decode import UndecodableError
from bessemer.curate.extract import Options, extract
from bessemer.curate.extractor import Extractor
from bessemer.curate.ingest import ingest
from bessemer.curate.inventory import take_inventory
from bessemer.curate.rows import RawRow
from bessemer.engine.tasks import Engine

PAGE = b"<html><head><title>T</title></head><body><p>It rained on the mill.</p></body></html>"
# Each element is looked into for text: time grows with the square of the depth, memory does not.
NEST = b"<div class=nav>"
HANGS = b"<html><body>" + NEST * 60_000
TREE = b"<b>" * 2_000_000  # some hundred bytes of memory for each of its own


def page(content: bytes) -> RawRow:
    return RawRow(content=content, raw_bytes=len(content), is_html=True)


def children() -> list[int]:
    """Processes of this one that read pages, from the kernel's own list."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == os.getpid() and b"extractor_child" in command:
            found.append(int(folder.name))
    return found


def seconds_of(process: int) -> float:
    """Processor time that a process has taken, 0 if it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def wait_until(holds: Callable[[], object], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_page_from_the_child_is_the_one_from_here() -> None:
    with Extractor("web", CurateConfig()) as extractor:
        assert extractor.extract(page(PAGE)) == extract(page(PAGE))
        [child] = children()
        assert extractor.extract(page(PAGE)).hints == {"title": "T"}
        assert children() == [child]
    assert children() == []


def test_text_needs_no_child() -> None:
    with Extractor("web", CurateConfig()) as extractor:
        assert extractor.extract(RawRow(content="a\r\nb", raw_bytes=4)).text == "a\nb"
        assert children() == []


def test_what_cannot_be_decoded_is_told_as_ever_and_ends_no_child() -> None:
    with Extractor("web", CurateConfig()) as extractor:
        for _ in range(2):
            with pytest.raises(UndecodableError, match=r"^NUL at byte 3: this is not text$"):
                extractor.extract(page(b"<p>\0"))
        [_] = children()


def test_a_page_that_hangs_is_given_up_and_its_neighbours_are_read(tmp_path: Path) -> None:
    for name, data in {"1.html": PAGE, "2.html": HANGS, "3.html": PAGE, "4.txt": b"x"}.items():
        (tmp_path / name).write_bytes(data)
    source = SourceConfig(name="s", kind="web", path=("*",))
    files = take_inventory([source], tmp_path)
    begun = time.process_time(), os.times().children_user + os.times().children_system
    result = ingest(
        files, [source], CurateConfig(max_extract_cpu_s=0.5), tmp_path / "out", Engine()
    )
    [sums] = result.conservation
    sums.check("ingest")
    assert (sums.docs_out, sums.docs_quarantined, sums.bytes_quarantined) == (3, 1, len(HANGS))
    [shard] = (tmp_path / "out" / "decisions").iterdir()
    assert [
        (row["doc_id"], row["num_bytes"], row["evidence"]) for row in read_table(shard).to_pylist()
    ] == [
        (1 << 32, len(HANGS), "extraction took more processor time than curate.max_extract_cpu_s "
         "(0.5 s)"),
    ]  # fmt: skip
    [documents] = (tmp_path / "out" / "documents").iterdir()
    texts = [row["text"] for row in read_table(documents).to_pylist()]
    assert texts == ["It rained on the mill."] * 2 + ["x"]
    # The kernel's account of all processes: the limit, and a second for two starts of Python.
    spent = os.times().children_user + os.times().children_system - begun[1]
    assert 0.5 <= spent < 3
    assert time.process_time() - begun[0] < 2
    assert children() == []


def test_the_time_of_a_page_is_its_own() -> None:
    """Many pages that take long together do not add up."""
    slow = page(b"<html><body>" + NEST * 5_000)  # some 0.3 s
    with Extractor("web", CurateConfig(max_extract_cpu_s=1.5)) as extractor:
        extractor.extract(slow)
        [child] = children()
        for _ in range(20):
            extractor.extract(slow)
        assert children() == [child]
        assert seconds_of(child) > 1.5  # more than one page may take


def test_time_by_the_clock_does_not_count() -> None:
    row = page(b"<html><body>" + NEST * 8_000)
    with Extractor("web", CurateConfig(max_extract_cpu_s=3)) as extractor:
        extractor.extract(page(PAGE))
        [child] = children()
        pause = threading.Timer(0.05, lambda: os.kill(child, signal.SIGSTOP))
        go_on = threading.Timer(4, lambda: os.kill(child, signal.SIGCONT))
        pause.start()
        go_on.start()
        begun = time.monotonic()
        extractor.extract(row)
        assert time.monotonic() - begun > 3.9
        assert children() == [child]


def test_a_page_that_needs_more_memory_than_it_may_is_given_up() -> None:
    with Extractor("web", CurateConfig(max_extract_memory_bytes=64 * 2**20)) as extractor:
        with pytest.raises(UndecodableError, match="memory"):
            extractor.extract(page(TREE))
        assert extractor.extract(page(PAGE)).text == "It rained on the mill."


@contextmanager
def killer(extractor: Extractor, times: int, number: int) -> Iterator[list[int]]:
    """Kill the first `times` children that begin to work on a page; those that were killed."""
    killed: list[int] = []
    done = threading.Event()

    def kill() -> None:
        while len(killed) < times and not done.wait(0.01):
            child = extractor._child  # there is one from when it has started until it has died
            if child is None or (process := child._process.pid) in killed:
                continue
            begun = seconds_of(process)
            while not done.wait(0.01) and seconds_of(process) < begun + 0.1:
                pass
            os.kill(process, number)
            killed.append(process)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        done.set()
        thread.join()


def test_a_child_killed_from_outside_is_forgiven_once() -> None:
    row = page(b"<html><body><p>The text.</p>" + NEST * 9_000)  # some 1 s
    with Extractor("web", CurateConfig(max_extract_cpu_s=60)) as extractor:
        with killer(extractor, 1, signal.SIGKILL) as killed:
            assert extractor.extract(row).text.startswith("The text.")
        assert len(killed) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV], ids=["kill", "segfault"])
def test_a_page_on_which_the_child_dies_twice_is_given_up(number: int) -> None:
    with Extractor("web", CurateConfig(max_extract_cpu_s=60)) as extractor:
        with killer(extractor, 2, number), pytest.raises(UndecodableError) as raised:
            extractor.extract(page(HANGS))
        name = signal.Signals(number).name
        bound = "; its memory is bounded by curate.max_extract_memory_bytes (1073741824)"
        assert str(raised.value) == f"extraction crashed twice ({name})" + (
            bound if number == signal.SIGSEGV else ""  # who kills it, has other reasons
        )
        assert extractor.extract(page(PAGE)).text == "It rained on the mill."


def test_a_child_that_died_idle_is_replaced() -> None:
    with Extractor("web", CurateConfig()) as extractor:
        extractor.extract(page(PAGE))
        [child] = children()
        os.kill(child, signal.SIGKILL)
        assert extractor.extract(page(PAGE)).text == "It rained on the mill."


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_whole_group_is_left_to_the_parent(number: int) -> None:
    with Extractor("web", CurateConfig()) as extractor:
        extractor.extract(page(PAGE))
        [child] = children()
        os.kill(child, number)
        assert extractor.extract(page(PAGE)).text == "It rained on the mill."
        assert children() == [child]


def test_the_child_ends_when_the_block_is_left_by_an_error() -> None:
    with pytest.raises(KeyError), Extractor("web", CurateConfig()) as extractor:
        extractor.extract(page(PAGE))
        raise KeyError
    assert children() == []


PARENT = """
import sys
from bessemer.config.curate import CurateConfig
from bessemer.curate.extractor import Extractor
from bessemer.curate.rows import RawRow
page = lambda content: RawRow(content=content, raw_bytes=1, is_html=True)
with Extractor("web", CurateConfig(max_extract_cpu_s=600)) as extractor:
    extractor.extract(page(b"<p>x"))
    print(extractor._child._process.pid, flush=True)
    if sys.argv[1] == "busy":
        extractor.extract(page(b"<html><body>" + b"<div class=nav>" * 200_000))
    sys.stdin.read()
"""


@pytest.mark.parametrize("state", ["busy", "idle"])
def test_a_child_does_not_outlive_its_parent(state: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, state], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(0.3)  # into the page
        parent.kill()
        parent.wait()
    wait_until(lambda: not Path(f"/proc/{child}/cmdline").exists(), seconds=5)


def test_the_current_folder_holds_no_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("html", "resource", "bessemer"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    with Extractor("web", CurateConfig()) as extractor:
        assert extractor.extract(page(PAGE)).text == "It rained on the mill."


def test_a_child_that_does_not_start_is_the_machines_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_CHILD", "bessemer.no_such_module")
    with Extractor("web", CurateConfig()) as extractor, pytest.raises(MachineError) as raised:
        extractor.extract(page(PAGE))
    assert str(raised.value).startswith(
        "the process that reads pages did not start (exit code 1): "
    )
    assert "No module named bessemer.no_such_module" in str(raised.value)


@pytest.mark.parametrize("owner", [(sys, "executable"), (tempfile, "tempdir")])
def test_what_cannot_be_started_is_the_machines_fault_and_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, owner: tuple[ModuleType, str]
) -> None:
    monkeypatch.setattr(*owner, str(tmp_path / "none"))
    before = os.listdir("/proc/self/fd")
    with Extractor("web", CurateConfig()) as extractor, pytest.raises(MachineError) as raised:
        extractor.extract(page(PAGE))
    error = "the process that reads pages did not start: [Errno 2] No such file or directory: "
    assert str(raised.value).startswith(error)
    assert os.listdir("/proc/self/fd") == before


def test_an_error_of_a_parser_is_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **settings: Any) -> str:
        raise RecursionError("too deep")

    monkeypatch.setattr(main_text, "extract_plain_text", fail)
    with pytest.raises(UndecodableError, match=r"^Resiliparse failed: RecursionError: too deep$"):
        extract(page(PAGE))
    theirs = ModuleType("trafilatura")
    monkeypatch.setattr(theirs, "extract", fail, raising=False)
    monkeypatch.setitem(sys.modules, "trafilatura", theirs)
    with pytest.raises(UndecodableError, match=r"^Trafilatura failed: RecursionError: too deep$"):
        extract(page(PAGE), Options(extractor="trafilatura"))


def test_lists_in_lists_are_indented_so_far_and_a_text_over_the_limit_is_given_up() -> None:
    num_lists = 2000
    row = page(b"<html><body>" + b"<ul><li>x" * num_lists)
    with Extractor("web", CurateConfig()) as extractor:
        text = extractor.extract(row).text
    assert max(map(len, text.split("\n"))) == len("  " * 8 + "\u2022 x")
    size = len(text.encode())
    assert size < 30 * num_lists
    with Extractor("web", CurateConfig(max_document_bytes=size)) as extractor:
        assert extractor.extract(row).text == text
    error = f"its text has {size} bytes, more than curate.max_document_bytes ({size - 1})"
    with (
        Extractor("web", CurateConfig(max_document_bytes=size - 1)) as extractor,
        pytest.raises(UndecodableError, match=f"^{re.escape(error)}$"),
    ):
        extractor.extract(row)
    # Bytes of a legacy encoding grow, too.
    with (
        Extractor("web", CurateConfig(max_document_bytes=100)) as extractor,
        pytest.raises(UndecodableError, match="its text has 126 bytes"),
    ):
        extractor.extract(RawRow(content=b"\xe9 " * 42, raw_bytes=84, charset="cp1252"))


@pytest.mark.parametrize(
    "bound",
    [
        {"max_extract_cpu_s": 0},
        {"max_extract_cpu_s": 1e-9},
        {"max_extract_cpu_s": 1e300},
        {"max_extract_memory_bytes": 1},
        {"max_extract_memory_bytes": "63MiB"},
    ],
)
def test_bounds_under_which_nothing_could_be_read_are_refused(bound: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="should be"):
        CurateConfig(**bound)


def test_a_bug_in_the_child_is_no_quarantine() -> None:
    broken: Any = page(b"\xe9")
    object.__setattr__(broken, "charset", 3)
    with (
        Extractor("web", CurateConfig()) as extractor,
        pytest.raises(RuntimeError, match=r"^TypeError"),
    ):
        extractor.extract(broken)


def test_the_child_loads_nothing_that_takes_long() -> None:
    code = (
        f"import sys, {module._CHILD}\n"
        "sys.exit(', '.join({'numba', 'numpy', 'pyarrow', 'pydantic'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, stderr=subprocess.PIPE)
    assert done.stderr == b"\n"
