"""SIGKILL at random points: what a command that was killed again and again leaves is what it leaves undisturbed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.stress.common import Row, World, contents, start, succeed

CLOCKS = ("about.json", "config.yaml")
"""Files that say when and with which command."""


@dataclass(frozen=True)
class Job:
    """A command that writes into a folder.

    Attributes:
        name: for the table.
        arguments: of the command, for the folder.
        ignored: names of files that have a clock in them.
        extra: folders beside the folder that it writes too.
    """

    name: str
    arguments: Callable[[Path], list[Any]]
    ignored: tuple[str, ...] = CLOCKS
    extra: tuple[str, ...] = field(default=())


def jobs(world: World) -> list[Job]:
    """The commands that promise to go on where they were."""

    def cached(out: Path) -> list[Any]:
        return [*world.distill(out), f"distill.cache={out.parent / 'cache'}", "fit.draws=1"]

    evaluation = (*CLOCKS, "summary.json")  # it holds the provenance; the rows decide it
    return [
        Job("simulate, 1 worker", lambda out: [*world.simulate(out), "workers=1"]),
        Job("simulate, 4 workers", lambda out: [*world.simulate(out), "workers=4"]),
        Job("simulate, dask", lambda out: [*world.simulate(out), "workers=2", "cluster=local"]),
        Job("train", world.train),
        Job("distill, live teacher", world.distill),
        Job("distill, cached teacher", cached, extra=("cache",)),
        Job("evaluate", lambda out: [*world.evaluate(out), "workers=1"], evaluation),
        Job("evaluate, 2 workers", lambda out: [*world.evaluate(out), "workers=2"], evaluation),
    ]


def kill_again_and_again(job: Job, n_kills: int, folder: Path, seed: int = 0) -> Row:
    """Kills a job, all its processes at once, at random times until it was killed so often, going on after each.

    Whenever it gets through, its files are compared with those of an undisturbed run, and it begins anew.
    """
    draw, log = random.Random(seed), folder / "log.txt"
    began = time.monotonic()
    succeed(job.arguments(folder / "undisturbed" / "out"), log)
    seconds = time.monotonic() - began
    expected = _contents(folder / "undisturbed", job)
    kills, whole, broken, place = 0, 0, 0, folder / "killed"
    while kills < n_kills or place.exists():
        child = start(job.arguments(place / "out"), log)
        if kills < n_kills and not _ends_within(child, draw.uniform(0, seconds)):
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            kills += 1
            continue
        if kills >= n_kills:
            _ends_within(child, float("inf"))
        whole += 1
        broken += _contents(place, job) != expected
        shutil.rmtree(place)
    note = f"{whole} runs through {kills} kills, each equal to an undisturbed one byte for byte, no file left over"
    return Row("kill", job.name, kills, broken, note if not broken else f"{broken} of {whole} runs differ")


def _contents(folder: Path, job: Job) -> dict[str, str]:
    """All files that a job wrote."""
    names = ("out", *job.extra)
    return {f"{name}/{path}": digest for name in names for path, digest in contents(folder / name, job.ignored).items()}


def _ends_within(child: int, seconds: float) -> bool:
    """Whether a process ends in time; raises RuntimeError if it fails."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            if code:
                raise RuntimeError(f"expected the command to go on after a kill, got exit code {code}")
            return True
        time.sleep(0.005)
    return False


def check(world: World, n_kills: int, folder: Path) -> Iterator[Row]:
    """Every job, killed so often."""
    for number, job in enumerate(jobs(world)):
        place = folder / f"kill{number}"
        place.mkdir(parents=True)
        yield kill_again_and_again(job, n_kills, place, seed=number)
