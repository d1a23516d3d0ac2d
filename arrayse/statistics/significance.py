"""Whether paired differences may be chance: Wilcoxon's signed-rank test, and Holm's correction for many of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

from arrayse.statistics.bootstrap import as_floats

MIN_PAIRS = 6
"""Differences other than zero that a test needs: with 5 the smallest possible p is 2 / 2^5 = 0.0625."""

EXACT_PAIRS = 50
"""Up to so many differences p is exact."""


@dataclass(frozen=True)
class SignedRank:
    """A p value, or the reason why there is none.

    Attributes:
        p: two-sided; None where there are too few differences other than zero.
        n: differences other than zero, on which p rests.
        n_zero: differences that are exactly zero, which say nothing of the direction.
        n_failed: items left out because they have no finite difference.
        reason: why there is no p; empty where there is one.
    """

    p: float | None
    n: int
    n_zero: int
    n_failed: int
    reason: str = ""


def signed_rank(differences: Sequence[float | None] | np.ndarray) -> SignedRank:
    """Two-sided signed-rank test (Wilcoxon 1945) of whether differences lie symmetrically about zero.

    Zero differences are dropped, as Wilcoxon did, and counted. Equal sizes share the mean of their ranks. Up to
    50 differences p is exact, ties included: the share of all signs of these ranks whose sum lies as far out on its
    side, doubled. Above, it is the normal approximation, its variance corrected for ties, without a continuity
    correction.

    Items are taken as independent: one SNR at a time, or the mean over SNRs. Where items are means over seeds, p is
    about these trainings, not about others that might have been.

    Args:
        differences: (n,) of paired scores, item by item; None, NaN and infinities count as failed.

    Raises:
        ValueError: differences that are not one list of numbers.
    """
    given = as_floats("differences", differences)
    finite = given[np.isfinite(given)]
    kept = finite[finite != 0]
    counts = (kept.size, finite.size - kept.size, given.size - finite.size)
    if kept.size < MIN_PAIRS:
        return SignedRank(None, *counts, f"{kept.size} differences other than zero, fewer than {MIN_PAIRS}")
    if kept.size > EXACT_PAIRS:
        p = float(scipy.stats.wilcoxon(kept, zero_method="wilcox", correction=False, method="auto").pvalue)
    else:
        p = _exact_p(kept)
    return SignedRank(p, *counts)


def _exact_p(differences: np.ndarray) -> float:
    """Two-sided p from the distribution of the sum of positive ranks over all signs; ranks twice, so that they count.

    It is computed in 64 bits from the few ranks on, so a p has a relative error of some 1e-15 a difference.
    """
    ranks = np.rint(2 * scipy.stats.rankdata(np.abs(differences))).astype(np.int64)
    share = np.zeros(ranks.sum() + 1)
    share[0] = 1.0
    for rank in ranks:
        share[rank:] = (share[rank:] + share[:-rank]) / 2  # the right side is a new array before it is written
        share[:rank] /= 2
    positive = ranks[differences > 0].sum()
    tail = share[: min(positive, ranks.sum() - positive) + 1].sum()  # symmetric: the smaller tail on either side
    return min(1.0, float(2 * tail))


def holm(p_values: Sequence[float | None] | np.ndarray) -> list[float | None]:
    """Adjusted p values of a family of tests (Holm 1979): below a level, the test may be called significant at it.

    The probability of calling any true null hypothesis significant is then at most that level, however the tests
    depend on each other. A family is what one reads as one question, such as all methods against one baseline in
    one metric at one SNR.

    Args:
        p_values: of the family; None and NaN stand for tests that could not be made, which do not count in it.

    Returns:
        The adjusted values in the same order, none below its p value; None where there was no test.

    Raises:
        ValueError: a value that is no probability.
    """
    given = as_floats("p_values", p_values)
    made = np.flatnonzero(~np.isnan(given))
    if np.any((given[made] < 0) | (given[made] > 1)):
        raise ValueError(f"p_values: expected values from 0 to 1, got {given[made].tolist()}")
    order = made[np.argsort(given[made], kind="stable")]
    factors = np.arange(made.size, 0, -1)
    adjusted: list[float | None] = [None] * given.size
    for place, value in zip(order, np.maximum.accumulate(factors * given[order]), strict=True):
        adjusted[place] = min(1.0, float(value))
    return adjusted
