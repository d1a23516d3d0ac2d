"""What the pieces share: rows of the table, commands in processes that can be killed, and a small world to work in."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pkgutil
import resource
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

import arrayse
import simulate
from tests.tiny_corpus import SAMPLE_RATE, write_corpus

TEACHER = ("model.freq_hidden=8", "model.time_hidden=4", "stft={n_fft: 64, hop_length: 32}")
STUDENT = ("model.freq_hidden=4", "model.time_hidden=2", "stft={n_fft: 64, hop_length: 32}")
TRAINING = ("fit.batch_size=2", "fit.seconds=0.3", "fit.precision=float32", "fit.checkpoint_steps=2")

STOPS = (signal.SIGTERM, signal.SIGINT)


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


def preload() -> None:
    """Imports what commands import when they need it: processes that are forked later have it at once."""
    for package in (arrayse, simulate):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(("__main__", "espeak_worker")):
                importlib.import_module(module.name)
    for name in ("torch._dynamo", "distributed", "onnx", "onnxruntime"):  # the first with the first step of a training
        if importlib.util.find_spec(name):
            importlib.import_module(name)


def start(arguments: Sequence[Any], log: Path, limits: Limits | None = None) -> int:
    """Starts the command line in a process group of its own, by fork: torch is imported once for thousands of them.

    SIGTERM and SIGINT that come before the command line handles them wait for it.

    Returns:
        Its process id, to be given to :func:`wait_for` or :func:`finish`.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    child = os.fork()
    if child:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        with suppress(OSError):  # it was faster, and is gone already
            os.setpgid(child, child)
        return child
    code = 70
    try:
        with suppress(OSError):
            os.setpgid(0, 0)
        if limits:
            signal.setitimer(signal.ITIMER_REAL, limits.seconds)  # SIGALRM ends it
            size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            most = size + limits.megabytes * 10**6
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        sys.argv = ["arrayse", *map(str, arguments)]
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a script in the background ignores it
        try:
            _main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _main() -> None:
    """The command line; signals that came before it had a handler come now."""
    from arrayse import cli

    app = vars(cli)["app"]

    def begin() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        app()

    vars(cli)["app"] = begin
    cli.main()


def wait_for(child: int, seconds: float) -> int | None:
    """The exit code of a process that :func:`start` gave if it ends in time, without reaping it; else None."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        told = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if told is not None:
            return told.si_status
        time.sleep(min(0.005, left))
    return None


def finish(child: int) -> int:
    """Waits for the end of a process; its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run(arguments: Sequence[Any], log: Path, limits: Limits | None = None) -> Outcome:
    """Runs the command line to its end."""
    return Outcome(finish(start(arguments, log, limits)), log.read_text(errors="replace"))


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

    @property
    def evaluation(self) -> Path:
        return self.folder / "evaluation"

    @property
    def recording(self) -> Path:
        """Half a minute of five channels."""
        return self.folder / "recording.wav"

    @property
    def short(self) -> Path:
        """The first half second of it."""
        return self.folder / "short.wav"

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
    succeed([*world.evaluate(world.evaluation), "workers=1"], log)
    noise = np.random.default_rng(0).normal(0, 0.05, (30 * SAMPLE_RATE, 5)).clip(-1, 1)
    soundfile.write(world.recording, noise, SAMPLE_RATE)
    soundfile.write(world.short, noise[: SAMPLE_RATE // 2], SAMPLE_RATE)
    return world
