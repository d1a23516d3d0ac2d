"""The intelligibility measures beside the package that they equal: ratios of times within one process."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from arrayse.metrics.intelligibility import estoi, stoi

HEADER = "| metric | pystoi (ms) | arrayse (ms) | ratio | largest difference |\n| --- | ---: | ---: | ---: | ---: |"
SECONDS, SAMPLE_RATE = 4.0, 16_000


def compare_speed(repeats: int, say: Callable[[str], None] = print) -> str:
    """Scores one utterance of 4 s at 16 kHz with both, in turn; medians of the times.

    Args:
        repeats: how often, at least 1; one more warms up.
        say: takes the lines as they come.

    Returns:
        The table as Markdown.

    Raises:
        ValueError: no repeats, or ``pystoi`` is not installed.
    """
    if repeats < 1:
        raise ValueError(f"repeats: expected 1 or more, got {repeats}")
    try:
        import pystoi
    except ImportError as error:
        raise ValueError("pystoi: expected the reference, got none: pip install 'arrayse[dev]'") from error
    target, estimate = _pair()
    rows = [HEADER]
    say(HEADER)
    for name, metric, extended in (("STOI", stoi, False), ("ESTOI", estoi, True)):
        sides = (
            lambda extended=extended: float(pystoi.stoi(target, estimate, SAMPLE_RATE, extended=extended)),
            lambda metric=metric: metric(estimate, target, SAMPLE_RATE).value,
        )
        (theirs, ours), difference = _measured(sides, repeats)
        rows.append(f"| {name} | {1000 * theirs:.1f} | {1000 * ours:.1f} | {theirs / ours:.1f}x | {difference:.0e} |")
        say(rows[-1])
    return "\n".join([*rows, ""])


def _pair() -> tuple[np.ndarray, np.ndarray]:
    """Noise with syllables at 4 Hz, and the same with noise between them."""
    rng, n_samples = np.random.default_rng(0), round(SECONDS * SAMPLE_RATE)
    target = rng.standard_normal(n_samples) * np.sin(2 * np.pi * 2 * np.arange(n_samples) / SAMPLE_RATE) ** 2
    return target, target + 0.3 * rng.standard_normal(n_samples)


def _measured(sides: tuple[Callable[[], float], ...], repeats: int) -> tuple[list[float], float]:
    """Median seconds of both sides, measured in turn, and the difference of what they give."""
    state = np.random.get_state()  # the package dithers from numpy's global generator
    seconds = np.empty((len(sides), repeats + 1))
    values = np.empty(len(sides))
    for repeat in range(repeats + 1):
        for number, side in enumerate(sides):
            start = time.perf_counter()
            values[number] = side()
            seconds[number, repeat] = time.perf_counter() - start
    np.random.set_state(state)
    return np.median(seconds[:, 1:], axis=1).tolist(), float(np.ptp(values))  # the first repeat warms up
