"""Duplicates of a large corpus in little memory: speed, peak memory and scratch, step by step.

The corpus is made of real texts (benchmarks.multiplied), read, and deduplicated to the stage asked
for, without rules. No process may take more than the limit (the kernel refuses it: RLIMIT_DATA),
and when all together hold more of it than that, the run is ended. Under `systemd-run --scope -p
MemoryMax=4G` the kernel holds the sum to it as well, with the pages of files. Costs are drawn out
to 100 TB in proportion, which they are but for the ids of documents that are in a pair.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, arguments, finish, show
from benchmarks.multiplied import write_corpus
from benchmarks.our_dedup import RUN_FILE
from benchmarks.our_stages import REST
from benchmarks.tokenize import read_demo, read_jsonl
from bessemer.core.storage import SCRATCH

SAMPLE_EVERY_S = 0.1
LARGE_BYTES = 100e12


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Memory of a process and its descendants at a moment, of their own (no pages of files)."""

    at_s: float  # time.monotonic
    driver_bytes: int
    worker_bytes: int  # of the largest of the others
    all_bytes: int


@dataclass(kw_only=True, slots=True)
class Watch:
    """Looks at a process and its descendants until it is told to stop, and ends them when they
    hold too much."""

    pid: int
    limit_bytes: int
    root: Path
    samples: list[Sample] = field(default_factory=list)
    scratch_bytes: dict[str, int] = field(default_factory=dict)  # stage -> most on disk
    over: bool = False
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Sample until `stop` is set."""
        turn = 0
        while not self.stop.wait(SAMPLE_EVERY_S):
            sizes = own_memory(self.pid)
            own, others = sizes.get(self.pid, 0), [sizes[p] for p in sizes if p != self.pid]
            total = own + sum(others)
            self.samples.append(
                Sample(
                    at_s=time.monotonic(),
                    driver_bytes=own,
                    worker_bytes=max(others, default=0),
                    all_bytes=total,
                )
            )
            if total > self.limit_bytes and not self.over:
                self.over = True
                os.killpg(self.pid, signal.SIGKILL)  # it leads a group of its own
            if turn % 5 == 0:
                for stage, size in scratch_sizes(self.root).items():
                    self.scratch_bytes[stage] = max(size, self.scratch_bytes.get(stage, 0))
            turn += 1


def own_memory(pid: int) -> dict[int, int]:
    """Resident bytes that are no file's, of a process and all its descendants (Linux)."""
    parents, sizes = {}, {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        if "VmRSS" in fields:  # else it is one of the kernel's, or has ended
            number = int(fields["Pid"])
            parents[number] = int(fields["PPid"])
            names = ("RssAnon", "RssShmem")
            sizes[number] = sum(int(fields[name].split()[0]) for name in names) * 1024
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {number: sizes[number] for number in found if number in sizes}


def scratch_sizes(root: Path) -> dict[str, int]:
    """Bytes in the scratch folders of each stage."""
    sizes: dict[str, int] = defaultdict(int)
    for folder in root.glob(f"*/*/{SCRATCH}"):
        for parent, _, names in os.walk(folder):
            for name in names:
                try:
                    sizes[folder.parts[-3]] += (Path(parent) / name).stat().st_size
                except FileNotFoundError:
                    continue  # a temporary name
    return dict(sizes)


def run_limited(
    run_file: Path, last: str, limit_bytes: int
) -> tuple[list[dict[str, Any]], dict[str, Any], Watch]:
    """Run the stages under the limit: their steps, what they found, and what was seen of them."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))

    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.our_stages", str(run_file), last],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
        start_new_session=True,
    ) as process:
        watch = Watch(pid=process.pid, limit_bytes=limit_bytes, root=run_file.parent / "run")
        thread = threading.Thread(target=watch.run)
        thread.start()
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(json.loads(line))
            if "step" in lines[-1]:
                used = lines[-1]["end"] - lines[-1]["begin"]
                print(f"{lines[-1]['stage']}: {lines[-1]['step']}: {used:.1f} s", file=sys.stderr)
        code = process.wait()
        watch.stop.set()
        thread.join()
    if watch.over:
        most = max(sample.all_bytes for sample in watch.samples)
        print(f"ended: its processes held {most / 2**30:.2f} GiB together")
    elif code:
        print(f"ended with exit code {code}")
    steps = [line for line in lines if "step" in line]
    found = lines[-1].get("stages", {}) if lines else {}
    return steps, found, watch


def peaks(steps: Sequence[Mapping[str, Any]], samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Steps with the most memory seen in each; of REST, what was seen in no other step of it."""
    rows = []
    for step in steps:
        inner = [
            other
            for other in steps
            if step["step"] == REST and other["stage"] == step["stage"] and other["step"] != REST
        ]
        seen = [
            sample
            for sample in samples
            if step["begin"] <= sample.at_s <= step["end"]
            and not any(other["begin"] <= sample.at_s <= other["end"] for other in inner)
        ]
        own_s = sum(other["end"] - other["begin"] for other in inner)
        rows.append(
            {
                "stage": step["stage"],
                "step": step["step"],
                "seconds": step["end"] - step["begin"] - own_s,
                "cpu_seconds": step["cpu_seconds"],
                "driver_bytes": max((sample.driver_bytes for sample in seen), default=0),
                "worker_bytes": max((sample.worker_bytes for sample in seen), default=0),
                "all_bytes": max((sample.all_bytes for sample in seen), default=0),
            }
        )
    return rows


def main() -> None:
    options = arguments(
        __doc__ or "",
        gigabytes=(float, 1.0, "how much text"),
        jsonl=(Path, None, "take the field text of this JSONL file instead of the demo"),
        suffix=(str, "jsonl", "kind of files: jsonl or parquet"),
        last=(str, "split", "stage to stop behind"),
        workers=(int, 2, "processes at work"),
        limit_gib=(float, 4.0, "memory that all processes may take together"),
        shard_mib=(int, 64, "curate.shard_bytes"),
        part_mib=(int, 128, "curate.part_bytes"),
        dollars=(float, 0.03, "price of a core for an hour"),
        folder=(Path, None, "where to work, on a disk with four times the room; not kept"),
    )
    texts = read_jsonl(options.jsonl, 1e12) if options.jsonl else read_demo()
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        (folder / "texts").mkdir()
        written = write_corpus(
            texts, options.gigabytes, folder / "texts", options.suffix, options.workers
        )
        run_file = folder / "run.toml"
        settings = RUN_FILE.format(
            path=json.dumps(str(folder / "texts" / f"*.{options.suffix}")),
            setting="",
            workers=options.workers,
        )
        sizes = (
            f"shard_bytes = {options.shard_mib * 2**20}\npart_bytes = {options.part_mib * 2**20}"
        )
        run_file.write_text(settings.replace("[curate]", f"[curate]\n{sizes}", 1))
        begin = time.monotonic()
        steps, found, watch = run_limited(run_file, options.last, int(options.limit_gib * 2**30))
        seconds = time.monotonic() - begin
    finally:
        shutil.rmtree(folder)
    num_bytes = sum(each.num_bytes for each in written)
    rows = peaks(steps, watch.samples)
    show_steps(rows, watch.scratch_bytes, num_bytes)
    dropped = {stage: each["docs_dropped"] for stage, each in found.items()}
    planted = {
        "exact": sum(each.num_equal for each in written),
        "fuzzy": sum(each.num_near for each in written),
    }
    for stage, num in planted.items():
        print(f"{stage}: {num:,} documents planted, {dropped.get(stage, 0):,} dropped")
    costs = draw_out(rows, watch.scratch_bytes, num_bytes, options.dollars)
    print(
        f"100 TB in proportion: {costs['core_hours']:,.0f} core-hours, "
        f"{costs['scratch_bytes'] / 1e12:,.1f} TB of scratch, ${costs['dollars']:,.0f}"
    )
    figures = {
        "bytes": num_bytes,
        "documents": sum(each.num_documents for each in written),
        "files": len(written),
        "seconds": seconds,
        "steps": rows,
        "scratch_bytes": watch.scratch_bytes,
        "planted": planted,
        "dropped": dropped,
        "limit_bytes": watch.limit_bytes,
        "over": watch.over,
        "at_100_tb": costs,
    }
    figures["arguments"] = {name: str(value) for name, value in vars(options).items()}
    finish(options, figures, ("bessemer",))


def draw_out(
    rows: Sequence[Mapping[str, Any]],
    scratch_bytes: Mapping[str, int],
    num_bytes: int,
    dollars_per_core_hour: float,
) -> dict[str, float]:
    """What LARGE_BYTES would take if all grew in proportion."""
    factor = LARGE_BYTES / num_bytes
    core_hours = sum(row["cpu_seconds"] for row in rows) / 3600 * factor
    return {
        "core_hours": core_hours,
        "scratch_bytes": sum(scratch_bytes.values()) * factor,
        "dollars": core_hours * dollars_per_core_hour,
    }


def show_steps(
    rows: Sequence[Mapping[str, Any]], scratch_bytes: Mapping[str, int], num_bytes: int
) -> None:
    """Print a line for each step that took a while, and one for each stage."""
    lines = []
    for stage in dict.fromkeys(row["stage"] for row in rows):
        own = [row for row in rows if row["stage"] == stage]
        total: dict[str, Any] = {"stage": stage, "step": "all"}
        for name in ("seconds", "cpu_seconds"):
            total[name] = sum(row[name] for row in own)
        for name in ("driver_bytes", "worker_bytes", "all_bytes"):
            total[name] = max(row[name] for row in own)
        for row in (*(row for row in own if len(own) > 1 and row["seconds"] >= 0.05), total):
            is_total = row is total
            lines.append(
                (
                    stage if is_total else f"  {row['step']}",
                    f"{num_bytes / 1e6 / row['seconds']:,.1f}",
                    f"{num_bytes / 1e6 / max(row['cpu_seconds'], 1e-9):,.1f}",
                    f"{row['seconds']:.1f}",
                    *(
                        f"{row[name] / 1e6:,.0f}"
                        for name in ("driver_bytes", "worker_bytes", "all_bytes")
                    ),
                    f"{scratch_bytes.get(stage, 0) / num_bytes:.2f}" if is_total else "",
                )
            )
    show(
        f"{num_bytes / 1e9:.2f} GB of text",
        ("step", "MB/s", "MB/s/core", "s", "driver MB", "worker MB", "all MB", "scratch/text"),
        lines,
    )


if __name__ == "__main__":
    main()
