"""Means with bootstrap intervals, and paired differences, over scores of which some may be missing.

Items are taken as independent: use one SNR at a time, since the scenes of a sweep are the same at every SNR. Scores
of several trainings (seeds) on the same items go into the crossed forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BLOCK_SIZE = 1 << 20
"""Values drawn at a time: bounds the memory to some 16 MB whatever the number of items."""


@dataclass(frozen=True)
class Summary:
    """A mean with its interval, the median, and how many items they rest on.

    Attributes:
        mean: mean of the items that have a value; None where no item has one.
        median: of the same values, without an interval; None where there is no mean, and for shares.
        low: lower end of the interval of the mean; None where there is no mean.
        high: upper end, likewise.
        n: items in the mean.
        n_failed: items left out because they have no finite value.
    """

    mean: float | None
    median: float | None
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
    sample = as_floats("values", values)
    if sample.size == 0 or not np.all(np.isfinite(sample)):
        finite = np.count_nonzero(np.isfinite(sample))
        raise ValueError(f"values: expected one or more finite numbers, got {finite} finite of {sample.size}")
    _check_settings(n_resamples, level)
    n_rows = max(1, BLOCK_SIZE // sample.size)
    means = np.empty(n_resamples)
    for start in range(0, n_resamples, n_rows):
        block = means[start : start + n_rows]
        block[:] = sample[rng.integers(sample.size, size=(block.size, sample.size))].mean(axis=1)
    return _percentiles(means, level)


def summarise(
    values: Sequence[float | None] | np.ndarray,
    rng: np.random.Generator,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> Summary:
    """Mean, bootstrap interval and median of the items that have a value; the others are counted.

    Args:
        values: (n,) scores; None, NaN and infinities count as failed.
        rng: source of the resampling.
        n_resamples: number of resamples.
        level: probability that the interval aims to cover.

    Raises:
        ValueError: values that are not one list of numbers, or n_resamples or level out of range.
    """
    sample = as_floats("values", values)
    kept = sample[np.isfinite(sample)]
    if kept.size == 0:
        return _no_mean(0, sample.size)
    low, high = bootstrap_interval(kept, rng, n_resamples, level)
    return Summary(float(kept.mean()), float(np.median(kept)), low, high, kept.size, sample.size - kept.size)


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
    first, second = as_floats("a", a), as_floats("b", b)
    if first.shape != second.shape:
        raise ValueError(f"b: expected {first.size} items like a, got {second.size}")
    both = np.isfinite(first) & np.isfinite(second)
    difference = np.full(first.size, np.nan)
    np.subtract(first, second, out=difference, where=both)  # inf - inf would warn
    return summarise(difference, rng, n_resamples, level)


def summarise_crossed(
    values: Sequence[Sequence[float | None]] | np.ndarray,
    rng: np.random.Generator,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> Summary:
    """Mean over seeds and items, with an interval that resamples both: the pigeonhole bootstrap (Owen 2007).

    Seeds are trainings of one system, all scored on the same items. A resample draws seeds and, independently,
    items, and takes the mean of every drawn seed on every drawn item: with population variances of the seed
    means, the item means and the residuals its variance is ``v_seed / n_seeds + v_item / n_items +
    v_residual / (n_seeds * n_items)``. With one seed it is :func:`summarise`, which knows nothing of trainings.

    Few seeds make it too narrow: their part of the variance is expected at ``(n_seeds - 1) / n_seeds`` of what
    it should be (3 seeds: 0.82 of the standard deviation), and there is no t correction. Where the seeds rule the
    spread, the interval at 95 % reaches from the lowest to the highest of 2 or 3 seeds, and holds the true mean in
    50 % or 75 % of all cases only; with 5 seeds in some 83 %, with 10 in some 90 %. So read it with its number of
    seeds. The residuals count up to three times, which is too wide, but matters little with many items.

    For a paired difference give the differences, seed by seed and item by item.

    Args:
        values: (n_seeds, n_items); None, NaN and infinities count as failed, and an item counts only where every
            seed has a value.
        rng: source of the resampling.
        n_resamples: number of resamples.
        level: probability that the interval aims to cover.

    Returns:
        The summary; its ``n`` and ``n_failed`` count items, and its median is that of all scores behind the mean.

    Raises:
        ValueError: values that are not a table with one or more seeds, or n_resamples or level out of range.
    """
    table = as_table("values", values)
    kept = table[:, np.all(np.isfinite(table), axis=0)]
    n_failed = table.shape[1] - kept.shape[1]
    if kept.size == 0:
        return _no_mean(0, n_failed)
    _check_settings(n_resamples, level)
    low, high = _percentiles(_crossed_means(kept[None], rng, n_resamples)[0], level)
    return Summary(float(kept.mean()), float(np.median(kept)), low, high, kept.shape[1], n_failed)


def crossed_share(
    part: Sequence[Sequence[float | None]] | np.ndarray,
    whole: Sequence[Sequence[float | None]] | np.ndarray,
    rng: np.random.Generator,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> Summary:
    """Mean of ``part`` over mean of ``whole``, with the interval of :func:`summarise_crossed`.

    Both means of a resample are over the same seeds and items, so what they share cancels. A share of nothing has
    no meaning: there is none where the mean of the whole is not positive in every resample.

    Args:
        part: (n_seeds, n_items), such as what a student gains.
        whole: (n_seeds, n_items), such as what its teacher gains, the same for every seed.
        rng: source of the resampling.
        n_resamples: number of resamples.
        level: probability that the interval aims to cover.

    Returns:
        The summary of the share; an item counts where part and whole have a value for every seed. Where there is
        no share although items were left, only ``n`` and ``n_failed`` are given.

    Raises:
        ValueError: tables of unequal shape, or as in :func:`summarise_crossed`.
    """
    first, second = as_table("part", part), as_table("whole", whole)
    if first.shape != second.shape:
        raise ValueError(f"whole: expected shape {first.shape} like part, got {second.shape}")
    both = np.stack([first, second])
    kept = both[:, :, np.all(np.isfinite(both), axis=(0, 1))]
    n, n_failed = kept.shape[2], both.shape[2] - kept.shape[2]
    if n == 0:
        return _no_mean(0, n_failed)
    _check_settings(n_resamples, level)
    parts, wholes = _crossed_means(kept, rng, n_resamples)
    if kept[1].mean() <= 0 or np.any(wholes <= 0):
        return _no_mean(n, n_failed)
    low, high = _percentiles(parts / wholes, level)
    return Summary(float(kept[0].mean() / kept[1].mean()), None, low, high, n, n_failed)


def _no_mean(n: int, n_failed: int) -> Summary:
    return Summary(None, None, None, None, n, n_failed)


def _crossed_means(values: np.ndarray, rng: np.random.Generator, n_resamples: int) -> np.ndarray:
    """(n_quantities, n_resamples) means of values (n_quantities, n_seeds, n_items), of all over the same draws."""
    n_quantities, n_seeds, n_items = values.shape
    seeds = rng.integers(n_seeds, size=(n_resamples, n_seeds))  # at once: no draw depends on the size of blocks
    means = np.empty((n_quantities, n_resamples))
    n_rows = max(1, BLOCK_SIZE // values.size)
    for start in range(0, n_resamples, n_rows):
        rows = seeds[start : start + n_rows]
        items = rng.integers(n_items, size=(len(rows), n_items))
        means[:, start : start + n_rows] = values[:, rows[:, :, None], items[:, None, :]].mean(axis=(2, 3))
    return means


def _check_settings(n_resamples: int, level: float) -> None:
    if n_resamples < 1 or not 0 < level < 1:
        raise ValueError(f"bootstrap: expected n_resamples >= 1, 0 < level < 1, got {n_resamples}, {level}")


def _percentiles(means: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def as_table(what: str, values: Sequence[Sequence[float | None]] | np.ndarray) -> np.ndarray:
    """(n_seeds, n_items) float64 with NaN for None."""
    floats = np.asarray(values, dtype=np.float64)
    if floats.ndim != 2 or floats.shape[0] == 0:
        raise ValueError(f"{what}: expected shape (n_seeds, n_items) with one or more seeds, got {floats.shape}")
    return floats


def as_floats(what: str, values: Sequence[float | None] | np.ndarray) -> np.ndarray:
    """(n,) float64 with NaN for None."""
    floats = np.asarray(values, dtype=np.float64)
    if floats.ndim != 1:
        raise ValueError(f"{what}: expected shape (n,), got {floats.shape}")
    return floats
