"""What quantisation costs: scores of a file in 8 bits against those of its network, on the same scenes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from arrayse.metrics import score
from arrayse.mixture import Dataset
from arrayse.models import Enhancer
from arrayse.statistics import Summary, paired_difference, summarise
from arrayse.stream import Backend, Streamer

METRICS = ("si_sdr", "pesq_wb")
LIMIT_SECONDS = 60.0
"""Time for one score of a metric in C."""


@dataclass(frozen=True)
class Loss:
    """One metric of both.

    Attributes:
        metric: name of :data:`arrayse.metrics.METRICS`.
        whole: of the network.
        int8: of the file.
        difference: file less network, in pairs.
    """

    metric: str
    whole: Summary
    int8: Summary
    difference: Summary


def int8_losses(
    enhancer: Enhancer,
    exported: Backend,
    dataset: Dataset,
    n_scenes: int | None,
    progress: Callable[[int, int], None],
) -> list[Loss]:
    """Scores both on test scenes at the SNR that they were simulated with; intervals by bootstrap with seed 0.

    Args:
        enhancer: the network, in 32 bits.
        exported: the file.
        dataset: of the array and rate of the network.
        n_scenes: only so many, the first ones; None: all.
        progress: called with scenes done and scenes in all.

    Raises:
        ValueError: a dataset without test scenes.
    """
    entries, rate = dataset.entries("test")[:n_scenes], enhancer.sample_rate
    values: dict[str, list[list[float | None]]] = {metric: [[], []] for metric in METRICS}
    for number, entry in enumerate(entries):
        progress(number, len(entries))
        mixture = dataset.read(entry)
        noisy, target = mixture.noisy, mixture.target[enhancer.ref_mic]
        for side, estimate in enumerate((enhancer.enhance(noisy, rate), streamed(exported, noisy))):
            scores = score(estimate, target, rate, METRICS, noisy[enhancer.ref_mic], limit_s=LIMIT_SECONDS)
            for metric in METRICS:
                values[metric][side].append(scores[metric].value)
    progress(len(entries), len(entries))
    return [_loss(metric, *sides) for metric, sides in values.items()]


def streamed(backend: Backend, noisy: np.ndarray) -> np.ndarray:
    """A recording (n_mics, n_samples) through a stream, as long and not late."""
    streamer = Streamer(backend)
    estimate = np.concatenate([streamer.push(noisy), streamer.flush()])
    return estimate[streamer.delay_samples :]


def _loss(metric: str, whole: list[float | None], int8: list[float | None]) -> Loss:
    return Loss(
        metric,
        summarise(whole, np.random.default_rng(0)),
        summarise(int8, np.random.default_rng(0)),
        paired_difference(int8, whole, np.random.default_rng(0)),
    )
