"""Everything that a cell of a table shows of a system, its trainings folded in."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from arrayse.statistics.bootstrap import Summary, crossed_share, summarise_crossed
from arrayse.statistics.seeds import Scores, pair_seeds
from arrayse.statistics.significance import SignedRank, holm, signed_rank


@dataclass(frozen=True)
class Estimate:
    """A summary, and how many trainings it rests on (0: no seeds)."""

    summary: Summary
    n_seeds: int

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON, in one level."""
        return {**vars(self.summary), "n_seeds": self.n_seeds}


@dataclass(frozen=True)
class Assessment:
    """One system in one metric at one SNR, or in the mean over several.

    Attributes:
        score: its own.
        difference: system - baseline, in pairs of seeds and items; None without a baseline or a seed in common.
        test: of the differences of the items, each the mean over the seeds; None where there is no difference.
        p_holm: p of the test, adjusted for all systems against the baseline; None where there is no p or no family.
        gain_kept: (mean - noisy) / (teacher - noisy), a fraction; None without a teacher or a seed in common.
        reasons: why ``score``, ``difference``, ``p`` or ``gain_kept`` have no value although they were asked for.
    """

    score: Estimate
    difference: Estimate | None = None
    test: SignedRank | None = None
    p_holm: float | None = None
    gain_kept: Estimate | None = None
    reasons: dict[str, str] = field(default_factory=dict)


NO_ITEM = "no item with all scores"
NO_SEED_IN_COMMON = "no seed in common with what it is compared to"
NO_GAIN = "the gain of the teacher is not clearly positive"


def assess(
    scores: Scores,
    rng: np.random.Generator,
    baseline: Scores | None = None,
    noisy: Scores | None = None,
    teacher: Scores | None = None,
    n_resamples: int = 2000,
    level: float = 0.95,
    higher_is_better: bool = True,
) -> Assessment:
    """Mean, median and interval of a system, its paired difference to a baseline with a test, and gain kept.

    All intervals start from the state of ``rng``, which stays as it is: no number depends on what else is asked for.

    Args:
        scores: of the system.
        rng: source of the resampling.
        baseline: of the system to subtract.
        noisy: of the untouched input, at the microphone that system and teacher estimate.
        teacher: of the system whose gain over the input counts as 1.
        n_resamples: number of resamples.
        level: probability that the intervals aim to cover.
        higher_is_better: of the score; else a gain is a fall.

    Raises:
        ValueError: only one of noisy and teacher, or as in :func:`estimate` and :func:`pair_seeds`.
    """
    if (noisy is None) != (teacher is None):
        raise ValueError("gain kept: expected both noisy and teacher or neither, got one of them")
    found = Assessment(estimate(scores, rng, n_resamples, level))
    reasons = {} if found.score.summary.n else {"score": NO_ITEM}
    if baseline is not None:
        difference = estimate_difference(scores, baseline, rng, n_resamples, level)
        test = _test(scores, baseline) if difference else None
        found = replace(found, difference=difference, test=test)
        if difference is None or test is None or not difference.summary.n:
            reasons |= dict.fromkeys(("difference", "p"), NO_SEED_IN_COMMON if difference is None else NO_ITEM)
        elif test.reason:
            reasons["p"] = test.reason
    if noisy is not None and teacher is not None:
        gain_kept = estimate_gain_kept(scores, noisy, teacher, rng, n_resamples, level, higher_is_better)
        found = replace(found, gain_kept=gain_kept)
        if gain_kept is None or gain_kept.summary.mean is None:
            without = NO_GAIN if gain_kept and gain_kept.summary.n else NO_ITEM
            reasons["gain_kept"] = NO_SEED_IN_COMMON if gain_kept is None else without
    return replace(found, reasons=reasons)


def assess_all(
    systems: Mapping[str, Scores],
    rng: np.random.Generator,
    baselines: Mapping[str, Scores] | None = None,
    noisy: Mapping[str, Scores] | None = None,
    teacher: Scores | None = None,
    n_resamples: int = 2000,
    level: float = 0.95,
    higher_is_better: bool = True,
) -> dict[str, Assessment]:
    """:func:`assess` for all systems that are compared, with Holm's correction over them.

    The family are the tests of all systems that have a baseline.

    Args:
        systems: scores by name.
        rng: source of the resampling.
        baselines: for each system that is to be compared, what is subtracted from it.
        noisy: for each system whose gain is to be compared with that of the teacher, the untouched input.
        teacher: of the system whose gain over the input counts as 1; with ``noisy`` only.
        n_resamples: number of resamples.
        level: probability that the intervals aim to cover.
        higher_is_better: of the score; else a gain is a fall.

    Raises:
        ValueError: baselines or inputs of what is none of the systems, or as in :func:`assess`.
    """
    baselines, noisy = baselines or {}, noisy or {}
    for what, given in (("baselines", baselines), ("noisy", noisy)):
        if unknown := [name for name in given if name not in systems]:
            raise ValueError(f"{what}: expected some of {', '.join(systems)}, got {', '.join(unknown)}")
    found = {}
    for name, scores in systems.items():
        source, whole = (noisy[name], teacher) if name in noisy else (None, None)
        found[name] = assess(
            scores, rng, baselines.get(name), source, whole, n_resamples, level, higher_is_better=higher_is_better
        )
    adjusted = holm([each.test.p if each.test else None for each in found.values()])
    return {name: replace(each, p_holm=p) for (name, each), p in zip(found.items(), adjusted, strict=True)}


def estimate(scores: Scores, rng: np.random.Generator, n_resamples: int = 2000, level: float = 0.95) -> Estimate:
    """:func:`summarise_crossed` of a system; ``rng`` stays as it is.

    Raises:
        ValueError: as in :func:`pair_seeds`, or n_resamples or level out of range.
    """
    (table,), n_seeds = pair_seeds(scores)
    return Estimate(summarise_crossed(table, copy.deepcopy(rng), n_resamples, level), n_seeds)


def estimate_difference(
    scores: Scores, baseline: Scores, rng: np.random.Generator, n_resamples: int = 2000, level: float = 0.95
) -> Estimate | None:
    """Mean of system - baseline in pairs of seeds and items; None where they have no seed in common.

    Raises:
        ValueError: as in :func:`estimate`.
    """
    (table, other), n_seeds = pair_seeds(scores, baseline)
    if not len(table):
        return None
    return Estimate(summarise_crossed(table - other, copy.deepcopy(rng), n_resamples, level), n_seeds)


def estimate_gain_kept(
    scores: Scores,
    noisy: Scores,
    teacher: Scores,
    rng: np.random.Generator,
    n_resamples: int = 2000,
    level: float = 0.95,
    higher_is_better: bool = True,
) -> Estimate | None:
    """(mean - noisy) / (teacher - noisy) by :func:`crossed_share`; None where they have no seed in common.

    Of scores that are better the lower they are, the teacher gains where it lies below the input.

    Raises:
        ValueError: as in :func:`estimate`.
    """
    (table, low, high), n_seeds = pair_seeds(scores, noisy, teacher)
    if not len(table):
        return None
    part, whole = (table - low, high - low) if higher_is_better else (low - table, low - high)
    return Estimate(crossed_share(part, whole, copy.deepcopy(rng), n_resamples, level), n_seeds)


def _test(scores: Scores, baseline: Scores) -> SignedRank:
    (table, other), _ = pair_seeds(scores, baseline)
    return signed_rank((table - other).mean(axis=0))
