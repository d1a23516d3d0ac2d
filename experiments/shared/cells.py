"""Scores as cells of tables: mean, paired differences and gain kept of each system, metric and SNR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from shared.comparison import NOISY, TEACHER, Comparison, System
from shared.scores import Evaluation

from arrayse.evaluation.baselines import BEAMFORMERS
from arrayse.statistics import Summary, crossed_share, summarise_crossed

MAIN_METRIC = "pesq_wb"
"""The metric of tables over SNRs, of overviews and of figures."""

BOOTSTRAP_SEED = 0
"""Of every interval anew, so that no number depends on what else is in the table."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval, and how many trainings it rests on (0: it has no seeds)."""

    summary: Summary
    n_seeds: int

    @property
    def has_interval(self) -> bool:
        """Whether there was anything to resample."""
        found = self.summary
        return found.low is not None and found.high is not None and max(found.n, self.n_seeds) > 1

    @property
    def is_clear(self) -> bool:
        """Whether there is an interval and zero lies outside of it."""
        low, high = self.summary.low, self.summary.high
        return self.has_interval and low is not None and high is not None and (low > 0 or high < 0)


@dataclass(frozen=True)
class Cell:
    """One system in one metric at one SNR.

    Attributes:
        snr_db: None for scores that are means over all SNRs.
        score: the mean score.
        differences: to each baseline of the same size and microphones, in pairs of seeds and scenes.
        gain_kept: (mean - noisy) / (teacher - noisy), a fraction; None where it is not defined, and for baselines.
    """

    system: System
    metric: str
    snr_db: float | None
    score: Estimate
    differences: dict[str, Estimate]
    gain_kept: Estimate | None


Results = list[tuple[Evaluation, list[Cell]]]
"""The groups with their cells."""


def cells_of(evaluation: Evaluation, comparison: Comparison, with_mean: bool = False) -> list[Cell]:
    """A cell for each system, metric and SNR, by rising SNR, then if asked for one for the mean over all SNRs."""
    snr_db = [*evaluation.snr_db, *([None] if with_mean else [])]
    return [
        _cell(evaluation, comparison, system, metric, each)
        for system in evaluation.systems(comparison)
        for metric in evaluation.metrics
        for each in snr_db
    ]


def only(results: Results, wanted: Callable[[System], bool]) -> Results:
    """The cells of the wanted systems."""
    return [(evaluation, [cell for cell in cells if wanted(cell.system)]) for evaluation, cells in results]


def _cell(evaluation: Evaluation, comparison: Comparison, system: System, metric: str, snr_db: float | None) -> Cell:
    seeds = sorted(evaluation.names[system])

    def values(other: System, common: list[int]) -> np.ndarray:
        return evaluation.values(other, common, snr_db, metric)

    def estimate(table: np.ndarray) -> Estimate:
        return Estimate(summarise_crossed(table, _rng()), len(table) if system.size else 0)

    differences = {}
    for method in comparison.baselines:
        baseline = replace(system, method=method)
        common = sorted(set(seeds) & set(evaluation.names.get(baseline, {})))
        if system.size and baseline != system and common:
            differences[method] = estimate(values(system, common) - values(baseline, common))
    gain_kept = None
    if system.method not in (NOISY.method, TEACHER.method, *BEAMFORMERS) and {NOISY, TEACHER} <= set(evaluation.names):
        noisy, teacher = values(NOISY, [-1]), values(TEACHER, [-1])
        part = values(system, seeds) - noisy
        share = crossed_share(part, np.broadcast_to(teacher - noisy, part.shape), _rng())
        gain_kept = Estimate(share, len(part) if system.size else 0)
    return Cell(system, metric, snr_db, estimate(values(system, seeds)), differences, gain_kept)


def _rng() -> np.random.Generator:
    return np.random.default_rng(BOOTSTRAP_SEED)
