"""A full disk under every writer: what was there stays whole, the message says so, and the command goes on later."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.stress.common import Row, contents, run, succeed
from tests.stress.jobs import Job
from tests.stress.kill import differences

BIG, PAGE = "512m", 4096
TOLD = ("No space left", "free on the disk", "Is the disk full")
"""What a message about a full disk says."""


def can_mount() -> bool:
    """Whether this process may mount a small disk."""
    return os.geteuid() == 0 and shutil.which("mount") is not None


@contextmanager
def small_disk(place: Path, n_bytes: int) -> Iterator[Path]:
    """A tmpfs of so many bytes."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def check(job: Job, n_sizes: int, folder: Path) -> Iterator[Row]:
    """Runs a job on disks that are too small for it, each a little larger, then gives it space and lets it go on."""
    if not can_mount():
        yield Row("full disk", job.name, 0, 0, "not tried: needs root, for a tmpfs")
        return
    log = folder / "log.txt"
    succeed(job.arguments(folder / "undisturbed" / "out"), log)
    expected = job.contents(folder / "undisturbed")
    n_pages = sum(-(-path.stat().st_size // PAGE) for path in (folder / "undisturbed").rglob("*") if path.is_file())
    broken: list[str] = []
    for number in range(n_sizes):
        size = PAGE * (1 + int(number / n_sizes * (n_pages - 1)))
        with small_disk(folder / "disk", size) as disk:
            wrong = _fill(job, disk, expected, log)
        broken += [f"{size:,} bytes: {'; '.join(wrong)}"] if wrong else []
    note = "told, nothing half-written, went on to the same bytes" if not broken else broken[0][:500]
    yield Row("full disk", job.name, n_sizes, len(broken), note)


def _fill(job: Job, disk: Path, expected: dict[str, str], log: Path) -> list[str]:
    """What is wrong with a job on a disk that is too small, and on the same disk when it has space."""
    (disk / "out").mkdir()
    old = _old_files(job, disk, expected)
    outcome, wrong = run(job.arguments(disk / "out"), log), list[str]()
    told = " ".join(outcome.output.split())
    if outcome.code not in (1, 2) or "Traceback" in told or not any(text in told for text in TOLD):
        wrong.append(f"exit code {outcome.code}, said: {told[-150:]}")
    there = contents(disk)
    if hidden := [path for path in there if path.rpartition("/")[2].startswith(".")]:
        wrong.append(f"left over: {hidden[0]}")
    if any(there.get(path) != digest for path, digest in old.items()):
        wrong.append("the old file was lost")
    subprocess.run(["mount", "-o", f"remount,size={BIG}", disk], check=True)
    again = run(job.arguments(disk / "out"), log)
    return [*wrong, *([f"then: {again.output[-150:]}"] if again.code else differences(job.contents(disk), expected))]


def _old_files(job: Job, disk: Path, expected: dict[str, str]) -> dict[str, str]:
    """Where a job writes one file: an older one in its place. Its hash, by name."""
    if len(expected) != 1:
        return {}
    (disk / next(iter(expected))).write_text("old")
    return contents(disk)
