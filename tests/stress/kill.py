"""SIGKILL at random points: what a command that was killed again and again leaves is what it leaves undisturbed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.stress.common import Row, finish, start, succeed, wait_for
from tests.stress.jobs import Job


def check(job: Job, n_kills: int, folder: Path, seed: int = 0) -> Iterator[Row]:
    """Kills a job, all its processes at once, at random times until it was killed so often, going on after each.

    A training is killed in one phase after the other, and then gets through.
    Whenever it gets through, its files are compared with those of an undisturbed run, and it begins anew.
    """
    draw, log, place = random.Random(seed), folder / "log.txt", folder / "killed"
    seconds, expected = undisturbed(job, folder, log)
    kills, whole, phases, broken = 0, 0, Counter[int](), list[str]()
    while kills < n_kills or place.exists() or not whole:
        child = start(job.arguments(place / "out"), log)
        if kills < n_kills and _lives(child, job, place, kills % job.n_phases, draw.uniform(0, seconds / job.n_phases)):
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            kills += 1
            phases[job.phase(place)] += 1
            continue
        whole += 1
        broken += at_the_end(child, job, place, expected, log)
    where = ", ".join(f"{phases[phase]} kills in phase {phase + 1}" for phase in range(job.n_phases))
    note = f"{whole} runs{f' ({where})' if job.n_phases > 1 else ''}, each with the bytes of an undisturbed one"
    yield Row("SIGKILL", job.name, kills, len(broken), note if not broken else f"of {whole} runs: {broken[0]}")


def _lives(child: int, job: Job, place: Path, phase: int, seconds: float) -> bool:
    """Whether a process still runs so many seconds after it was in a phase; not if it begins in a later one."""
    if job.phase(place) > phase:
        return False
    while job.phase(place) < phase:
        if wait_for(child, 0.02) is not None:
            return False
    return wait_for(child, seconds) is None


def undisturbed(job: Job, folder: Path, log: Path) -> tuple[float, dict[str, str]]:
    """How many seconds a job takes and what it writes; the first of two runs is slower, as much is still on disk."""
    for name in ("first", "undisturbed"):
        began = time.monotonic()
        succeed(job.arguments(folder / name / "out"), log)
    return time.monotonic() - began, job.contents(folder / "undisturbed")


def at_the_end(child: int, job: Job, place: Path, expected: dict[str, str], log: Path) -> list[str]:
    """What is wrong with what a job leaves that is let through to its end; its folder is removed."""
    code = finish(child)
    wrong = [f"exit code {code}: {log.read_text()[-300:]}"] if code else differences(job.contents(place), expected)
    shutil.rmtree(place)
    return wrong


def differences(got: dict[str, str], expected: dict[str, str]) -> list[str]:
    """One text if files are missing, left over or differ, else none."""
    if got == expected:
        return []
    names = sorted(name for name in {*got, *expected} if got.get(name) != expected.get(name))
    kinds = ("too many" if name not in expected else "lost" if name not in got else "differs" for name in names)
    return [", ".join(f"{name} {kind}" for name, kind in zip(names, kinds, strict=True))[:300]]
