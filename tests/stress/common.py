"""What the pieces share: rows of the table, commands in processes that can be killed, and a small world to work in."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.tiny_corpus import write_corpus

TEACHER = ("model.freq_hidden=8", "model.time_hidden=4", "stft={n_fft: 64, hop_length: 32}")
STUDENT = ("model.freq_hidden=4", "model.time_hidden=2", "stft={n_fft: 64, hop_length: 32}")
TRAINING = ("fit.batch_size=2", "fit.seconds=0.3", "fit.precision=float32", "fit.checkpoint_steps=2")


@dataclass(frozen=True)
class Row:
    """One line of the table: a promise, how it was tried, how often, and how often it was broken."""

    promise: str
    what: str
    tried: int
    broken: int
    note: str = ""


@dataclass(frozen=True)
class Limits:
    """What a command may take: wall-clock time, and memory beyond that of the process it was forked from."""

    seconds: float
    megabytes: int


@dataclass(frozen=True)
class Outcome:
    """How a command ended; ``code`` is negative for a signal."""

    code: int
    output: str

    @property
    def is_documented(self) -> bool:
        """Whether it worked or said what was wrong, as the command line promises."""
        said = "error " in self.output and "this should not happen" not in self.output
        return "Traceback" not in self.output and (self.code == 0 or (self.code == 2 and said))


def start(arguments: Sequence[Any], log: Path, limits: Limits | None = None) -> int:
    """Starts the command line in a process group of its own, by fork: torch is imported once for thousands of them.

    Returns:
        Its process id.
    """
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setsid()
        if limits:
            signal.setitimer(signal.ITIMER_REAL, limits.seconds)  # SIGALRM ends it
            size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            most = size + limits.megabytes * 10**6
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        from arrayse.cli import main

        sys.argv = ["arrayse", *map(str, arguments)]
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def run(arguments: Sequence[Any], log: Path, limits: Limits | None = None) -> Outcome:
    """Runs the command line to its end."""
    _, status = os.waitpid(start(arguments, log, limits), 0)
    return Outcome(os.waitstatus_to_exitcode(status), log.read_text(errors="replace"))


def succeed(arguments: Sequence[Any], log: Path) -> None:
    """Runs the command line; raises RuntimeError with what it said unless it ends well."""
    outcome = run(arguments, log)
    if outcome.code:
        raise RuntimeError(f"arrayse {' '.join(map(str, arguments))}: exit code {outcome.code}\n{outcome.output}")


def contents(folder: Path, ignored: tuple[str, ...] = ()) -> dict[str, str]:
    """Hashes of all files below a folder, hidden ones too, by relative name, but for names that are ignored."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in ignored)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@dataclass(frozen=True)
class World:
    """A small corpus, a dataset, a trained teacher and student, for commands that need them."""

    folder: Path

    @property
    def corpus(self) -> Path:
        return self.folder / "corpus"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def teacher(self) -> Path:
        return self.folder / "teacher"

    @property
    def student(self) -> Path:
        return self.folder / "student"

    def simulate(self, out: Path, n_scenes: str = "{train: 12, valid: 4, test: 8}") -> list[Any]:
        """A dataset of short scenes in small dry rooms."""
        recipe = ["recipe.seconds=0.5", "recipe.rt60=[0.1,0.12]", "recipe.n_interferers=[1,1]"]
        places = [f"speech={self.corpus}", f"noise={self.corpus}", f"out={out}"]
        return ["simulate", "office", "array=circular", f"n_scenes={n_scenes}", *recipe, *places]

    def train(self, out: Path) -> list[Any]:
        """Two phases without a teacher."""
        return ["train", "student", *STUDENT, *TRAINING, "phase_epochs=[2,2]", f"data={self.data}", f"out={out}"]

    def distill(self, out: Path) -> list[Any]:
        """Three phases, the teacher running along."""
        loss = "distill={schedule: three_step, terms: {kd: {weight: 0.2, loss: {name: lin}}}}"
        places = [f"teacher={self.teacher}", f"data={self.data}", f"out={out}"]
        return ["distill", "student", *STUDENT, *TRAINING, "phase_epochs=[2,2,2]", loss, *places]

    def evaluate(self, out: Path) -> list[Any]:
        """Two networks and a beamformer at two SNRs."""
        how = ["beamformers=[delay_and_sum]", "snr_db=[0,5]", "metrics=[estoi,si_sdr]", "n_examples=1", "speed=false"]
        return ["evaluate", self.teacher, self.student, *how, f"data={self.data}", f"out={out}"]


def make_world(folder: Path) -> World:
    """Simulates and trains what a :class:`World` has."""
    world, log = World(folder), folder / "log.txt"
    folder.mkdir(parents=True, exist_ok=True)
    write_corpus(world.corpus)
    succeed([*world.simulate(world.data), "workers=1"], log)
    teacher = ["train", "student", *TEACHER, *TRAINING, "epochs=1", f"data={world.data}", f"out={world.teacher}"]
    succeed(teacher, log)
    succeed(world.train(world.student), log)
    return world
