"""Means with bootstrap intervals, and paired differences, over scores of which some may be missing.

Items are taken as independent: use one SNR at a time, since the scenes of a sweep are the same at every SNR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BLOCK_SIZE = 1 << 20
"""Values drawn at a time: bounds the memory to some 16 MB whatever the number of items."""


@dataclass(frozen=True)
class Summary:
    """A mean with its interval, and how many items it rests on.

    Attributes:
        mean: mean of the items that have a value; None where no item has one.
        low: lower end of the interval of the mean; None where there is no mean.
        high: upper end, likewise.
        n: items in the mean.
        n_failed: items left out because they have no finite value.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int
    n_failed: int


def bootstrap_interval(
    values: Sequence[float] | np.ndarray,
    rng: np.random.Generator,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron & Tibshirani 1993, chapter 13).

    With few items it is too narrow (a factor sqrt((n - 1)/n), and no t correction). One item has no spread to
    resample: both ends are its value, so read an interval together with its n.

    Args:
        values: (n,) finite numbers.
        rng: source of the resampling; the same state gives the same interval.
        n_resamples: number of resamples.
        level: probability that the interval aims to cover, between 0 and 1.

    Returns:
        (low, high) in the unit of the values.

    Raises:
        ValueError: no values, values that are not finite, or n_resamples or level out of range.
    """
    sample = _as_floats("values", values)
    if sample.size == 0 or not np.all(np.isfinite(sample)):
        finite = np.count_nonzero(np.isfinite(sample))
        raise ValueError(f"values: expected one or more finite numbers, got {finite} finite of {sample.size}")
    if n_resamples < 1 or not 0 < level < 1:
        raise ValueError(f"bootstrap: expected n_resamples >= 1, 0 < level < 1, got {n_resamples}, {level}")
    n_rows = max(1, BLOCK_SIZE // sample.size)
    means = np.empty(n_resamples)
    for start in range(0, n_resamples, n_rows):
        block = means[start : start + n_rows]
        block[:] = sample[rng.integers(sample.size, size=(block.size, sample.size))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def summarise(
    values: Sequence[float | None] | np.ndarray,
    rng: np.random.Generator,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> Summary:
    """Mean and bootstrap interval of the items that have a value; the others are counted.

    Args:
        values: (n,) scores; None, NaN and infinities count as failed.
        rng: source of the resampling.
        n_resamples: number of resamples.
        level: probability that the interval aims to cover.

    Raises:
        ValueError: values that are not one list of numbers, or n_resamples or level out of range.
    """
    sample = _as_floats("values", values)
    kept = sample[np.isfinite(sample)]
    if kept.size == 0:
        return Summary(None, None, None, 0, sample.size)
    low, high = bootstrap_interval(kept, rng, n_resamples, level)
    return Summary(float(kept.mean()), low, high, kept.size, sample.size - kept.size)


def paired_difference(
    a: Sequence[float | None] | np.ndarray,
    b: Sequence[float | None] | np.ndarray,
    rng: np.random.Generator,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> Summary:
    """Mean of ``a - b`` over the same items, with the bootstrap interval of that mean.

    Pairs are resampled as pairs, so what makes an item easy or hard for both systems cancels.

    Args:
        a: (n,) scores of one system.
        b: (n,) scores of the other, item by item the same utterances.
        rng: source of the resampling.
        n_resamples: number of resamples.
        level: probability that the interval aims to cover.

    Returns:
        The summary of the differences; a pair counts as failed where either side has no finite value.

    Raises:
        ValueError: lists of unequal length, or n_resamples or level out of range.
    """
    first, second = _as_floats("a", a), _as_floats("b", b)
    if first.shape != second.shape:
        raise ValueError(f"b: expected {first.size} items like a, got {second.size}")
    both = np.isfinite(first) & np.isfinite(second)
    difference = np.full(first.size, np.nan)
    np.subtract(first, second, out=difference, where=both)  # inf - inf would warn
    return summarise(difference, rng, n_resamples, level)


def _as_floats(what: str, values: Sequence[float | None] | np.ndarray) -> np.ndarray:
    """(n,) float64 with NaN for None."""
    floats = np.asarray(values, dtype=np.float64)
    if floats.ndim != 1:
        raise ValueError(f"{what}: expected shape (n,), got {floats.shape}")
    return floats
