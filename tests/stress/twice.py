"""The same seed gives the same bytes: in another process, with other hashes of strings, with other workers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.stress.common import Row, World
from tests.stress.jobs import Job, jobs
from tests.stress.kill import differences

SEEDED = ("simulate", "train", "distill")


def check(world: World, job: Job, folder: Path) -> Iterator[Row]:
    """A job in two processes, the second with the workers of its plain form; then with another seed, which must show.

    Distillation from a cache is compared with itself: what is cached is rounded.
    """
    verb = job.name.partition(",")[0]
    plain = job if verb == "distill" else next(other for other in jobs(world) if other.name == verb)
    _run(job.arguments(folder / "one" / "out"), hashes=1)
    _run(plain.arguments(folder / "two" / "out"), hashes=2)
    one = job.contents(folder / "one")
    broken = differences(plain.contents(folder / "two"), one)
    note = "the same bytes in two processes" if plain is job or plain.name == job.name else f"the bytes of {plain.name}"
    if verb in SEEDED:
        _run([*job.arguments(folder / "three" / "out"), "seed=1"], hashes=1)
        broken += ["another seed gave the same"] if job.contents(folder / "three") == one else []
        note += "; with another seed, others"
    yield Row("determinism", job.name, 2, len(broken), broken[0] if broken else note)


def _run(arguments: list[Any], hashes: int) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": str(hashes), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "arrayse", *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"arrayse {' '.join(map(str, arguments))}: exit code {done.returncode}\n{done.stderr}")
