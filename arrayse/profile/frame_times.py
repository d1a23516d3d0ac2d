"""How long one block of a stream takes, in several systems side by side."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from arrayse.stream import Backend

CHUNK = 25
"""Blocks that a system computes in a row before it is another's turn; the first one finds its memory cold."""

FINE = 1e-5
"""Seconds that a clock may count in, to time single blocks."""


@dataclass(frozen=True)
class FrameTimes:
    """Times of single blocks by :func:`clock`.

    Attributes:
        median_ms, p95_ms, p99_ms: percentiles.
        budget_ms: length of a block: a stream keeps up where no block takes longer for long.
    """

    median_ms: float
    p95_ms: float
    p99_ms: float
    budget_ms: float

    @property
    def real_time_factor(self) -> float:
        """Median over length of a block."""
        return self.median_ms / self.budget_ms


def clock() -> tuple[str, Callable[[], int]]:
    """What is timed, in words, and what tells it in nanoseconds.

    Processor time, in which there is nothing of what other programs took meanwhile; wall time where the system counts
    that of a thread too coarsely.
    """
    if time.get_clock_info("thread_time").resolution <= FINE:
        return "processor time (arrayse stream tells wall time)", time.thread_time_ns
    return "wall time", time.perf_counter_ns


def measure(systems: dict[str, Callable[[], object]], n_blocks: int, budget_ms: float) -> dict[str, FrameTimes]:
    """Times systems in turn, a few blocks each, so that whatever else the machine does to caches hits all alike.

    Args:
        systems: by name; a call computes the next block in this thread.
        n_blocks: timed of each, at least; the first of every :data:`CHUNK` + 1 is not.
        budget_ms: length of a block.
    """
    _, now = clock()
    times: dict[str, list[int]] = {name: [] for name in systems}
    for _ in range(-(-n_blocks // CHUNK)):
        for name, compute in systems.items():
            compute()
            for _ in range(CHUNK):
                start = now()
                compute()
                times[name].append(now() - start)
    return {name: _summary(np.array(each) / 1e6, budget_ms) for name, each in times.items()}


def pushing(backend: Backend) -> Callable[[], object]:
    """Pushes the same block of noise again and again through a stream: transforms, states and overlap-add included."""
    rng = np.random.default_rng(0)
    wave = 0.1 * rng.standard_normal((len(backend.mics), backend.block_samples), np.float32)
    state = backend.start()

    def push() -> None:
        nonlocal state
        _, state = backend.push(wave, state)

    return push


def _summary(times_ms: np.ndarray, budget_ms: float) -> FrameTimes:
    median, p95, p99 = np.percentile(times_ms, (50, 95, 99))
    return FrameTimes(float(median), float(p95), float(p99), budget_ms)
