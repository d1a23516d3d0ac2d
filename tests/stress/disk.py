"""A full disk under every writer: what was there stays whole, the message says so, and the command goes on later."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.stress.common import Row, World, contents, run, succeed
from tests.stress.kill import Job, jobs

BIG = "512m"


def can_mount() -> bool:
    """Whether this process may mount a small disk."""
    return os.geteuid() == 0 and shutil.which("mount") is not None


def fill(job: Job, n_sizes: int, folder: Path) -> Row:
    """Runs a job on disks that are too small for it, each a little larger, then gives it space and lets it go on."""
    log, disk = folder / "log.txt", folder / "disk"
    disk.mkdir()
    succeed(job.arguments(folder / "undisturbed" / "out"), log)
    names = ("out", *job.extra)
    expected = {name: contents(folder / "undisturbed" / name, job.ignored) for name in names}
    n_bytes = sum(path.stat().st_size for path in (folder / "undisturbed").rglob("*") if path.is_file())
    broken = []
    for number in range(n_sizes):
        size = 4096 * (2 + int(number / n_sizes * n_bytes / 4096))
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], check=True)
        try:
            outcome = run(job.arguments(disk / "out"), log)
            there = {name: contents(disk / name, job.ignored) for name in names}
            if outcome.code not in (1, 2) or "Traceback" in outcome.output or "space" not in outcome.output:
                broken.append(f"{size} bytes: {outcome.code} {outcome.output[-200:]}")
            if any("/." in f"/{path}" for found in there.values() for path in found):
                broken.append(f"{size} bytes: temporary files stay: {there}")
            subprocess.run(["mount", "-o", f"remount,size={BIG}", disk], check=True)
            succeed(job.arguments(disk / "out"), log)
            if {name: contents(disk / name, job.ignored) for name in names} != expected:
                broken.append(f"{size} bytes: another result after space was freed")
        except RuntimeError as error:
            broken.append(f"{size} bytes: {error}")
        finally:
            subprocess.run(["umount", disk], check=True)
    note = "told, nothing half-written, resumed to the same bytes" if not broken else broken[0][:400]
    return Row("full disk", job.name, n_sizes, len(broken), note)


def check(world: World, n_sizes: int, folder: Path) -> Iterator[Row]:
    """Every job that runs in one process group with one worker."""
    if not can_mount():
        yield Row("full disk", "every writer", 0, 0, "not tried: needs root, for a tmpfs")
        return
    for number, job in enumerate(job for job in jobs(world) if "worker" not in job.name or "1 worker" in job.name):
        if "dask" in job.name:
            continue
        place = folder / f"disk{number}"
        place.mkdir(parents=True)
        yield fill(job, n_sizes, place)
