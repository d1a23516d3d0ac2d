"""SIGTERM and SIGINT at random points: the exit code says so, no worker lives on, and the same command goes on."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.stress.common import Row, finish, start, wait_for
from tests.stress.jobs import Job
from tests.stress.kill import at_the_end, undisturbed

CODES = {"SIGTERM": 143, "SIGINT": 130}
END_S = 60.0
"""How long a command may take to stop, and its workers after it."""


def check(job: Job, name: str, n_stops: int, folder: Path, seed: int = 0) -> Iterator[Row]:
    """Stops a job at random times until it was stopped so often, going on after each; then compares as for SIGKILL."""
    draw, log, place, number = random.Random(seed), folder / "log.txt", folder / "stopped", signal.Signals[name]
    seconds, expected = undisturbed(job, folder, log)
    stops, whole, slowest, broken = 0, 0, 0.0, list[str]()
    while stops < n_stops or place.exists() or not whole:
        child = start(job.arguments(place / "out"), log)
        if stops < n_stops and wait_for(child, draw.uniform(0, seconds)) is None:
            began = time.monotonic()
            # Ctrl-C reaches all processes of a terminal, SIGTERM the one that it is sent to
            (os.killpg if name == "SIGINT" else os.kill)(child, number)
            wrong = _stopped(child, CODES[name], log)
            slowest = max(slowest, time.monotonic() - began)
            broken += wrong
            stops += 1
            if place.exists() and (hidden := [path.name for path in place.rglob(".*")]):
                broken.append(f"left over: {hidden[0]}")
            continue
        whole += 1
        broken += at_the_end(child, job, place, expected, log)
    note = f"exit code {CODES[name]} within {slowest:.1f} s; {whole} runs, each with the bytes of an undisturbed one"
    yield Row(name, job.name, stops, len(broken), note if not broken else f"of {whole} runs: {broken[0]}")


def _stopped(child: int, code: int, log: Path) -> list[str]:
    """What is wrong with how a command stops: its exit code, what it says, processes that live on."""
    ended = wait_for(child, END_S)
    if ended is None:
        os.killpg(child, signal.SIGKILL)
    told = log.read_text(errors="replace")
    wrong = [] if ended in (0, code) else [f"exit code {ended}, not {code}: {told[-200:]}"]
    if ended == code and ("Traceback" in told or "the same command" not in " ".join(told.split())):
        wrong.append(f"said: {told[-200:]}")
    finish(child)
    end = time.monotonic() + END_S
    while (living := _living(child)) and time.monotonic() < end:
        time.sleep(0.1)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return [*wrong, *(f"lives on: {command}" for command in living)]


def _living(group: int) -> list[str]:
    """Commands of the processes of a group; those that are dead and not yet buried are none."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, its_group = process.joinpath("stat").read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append(process.joinpath("cmdline").read_text().replace("\0", " ")[-200:])
    return found
