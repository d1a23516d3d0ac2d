"""What a network costs, how long it lets wait, and how fast it is on one core."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from arrayse.models import Enhancer

SECONDS = 4.0
"""Length of the utterance that costs are counted over: attention costs more per second the longer it is."""

TIMED_MACS = 20e9
"""Multiply-accumulates of a timed pass at most: some seconds on one core; costly networks are timed on less audio."""


@dataclass(frozen=True)
class Cost:
    """What an enhancer takes.

    Attributes:
        parameters: trainable numbers.
        macs_per_second: multiply-accumulates per second of audio, see :func:`macs_per_second`.
        latency_ms: algorithmic latency; None where the whole utterance is needed.
        mics: channels of the array that it hears.
    """

    parameters: int
    macs_per_second: float
    latency_ms: float | None
    mics: tuple[int, ...]

    @property
    def causal(self) -> bool:
        """Whether it works on a stream."""
        return self.latency_ms is not None


@dataclass(frozen=True)
class Timing:
    """How fast an enhancer is.

    Attributes:
        real_time_factor: time to compute over length of the audio; below 1 it keeps up with a stream.
        seconds: length of that audio.
    """

    real_time_factor: float
    seconds: float


@dataclass(frozen=True)
class Profile:
    """A named enhancer; ``timing`` is None where it was not timed."""

    name: str
    cost: Cost
    timing: Timing | None


def n_parameters(enhancer: Enhancer) -> int:
    """Trainable numbers."""
    return sum(parameter.numel() for parameter in enhancer.parameters())


def macs_per_second(enhancer: Enhancer) -> float:
    """Multiply-accumulates per second of audio, over an utterance of :data:`SECONDS`; transforms not included."""
    return enhancer.macs(round(SECONDS * enhancer.sample_rate)) / SECONDS


def cost(enhancer: Enhancer) -> Cost:
    """Everything that follows from the enhancer's description alone."""
    latency_ms = 1e3 * enhancer.latency_samples / enhancer.sample_rate if enhancer.causal else None
    return Cost(n_parameters(enhancer), macs_per_second(enhancer), latency_ms, tuple(enhancer.mics))


def real_time_factor(enhancer: Enhancer, seconds: float = SECONDS, repeats: int = 3) -> Timing:
    """Times passes over a whole utterance of noise, transforms included, with one thread of the CPU.

    Args:
        enhancer: on the CPU.
        seconds: length of the utterance; less is taken where a pass would need more than :data:`TIMED_MACS`.
        repeats: passes, after one that warms up; the median counts.
    """
    n_samples = timed_samples(enhancer, seconds)
    noise = torch.Generator().manual_seed(0)
    wave = 0.1 * torch.randn(1, enhancer.geometry.n_mics, n_samples, generator=noise)
    was_training, times = enhancer.training, []
    enhancer.eval()
    try:
        with one_thread(), torch.inference_mode():
            enhancer(wave)
            for _ in range(repeats):
                start = time.perf_counter()
                enhancer(wave)
                times.append(time.perf_counter() - start)
    finally:
        enhancer.train(was_training)
    length = n_samples / enhancer.sample_rate
    return Timing(statistics.median(times) / length, length)


def timed_samples(enhancer: Enhancer, seconds: float) -> int:
    """Samples of the utterance that :func:`real_time_factor` is measured on."""
    n_samples = max(1, round(seconds * enhancer.sample_rate))
    share = min(1.0, TIMED_MACS / enhancer.macs(n_samples))  # costs grow with the length in proportion, or faster
    return max(1, int(share * n_samples))


@contextmanager
def one_thread() -> Iterator[None]:
    """Lets torch compute with one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
