"""Scores by condition: how systems do in each kind of noise, reverberation, direction, number of sources, and SNR."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from arrayse.evaluation.conditions import Conditions, group_order
from arrayse.statistics import Estimate, estimate, estimate_difference, scores_by_name, scores_of
from arrayse.statistics.rows import Row

MIN_SCENES = 5
"""Groups in which fewer scenes have a score are marked: their intervals are far too narrow."""

SNR = "snr"
"""The condition that is not one of scenes, all of which are scored at every SNR."""


def breakdown(
    rows: Iterable[Row],
    conditions: Mapping[str, Conditions],
    metric: str,
    systems: Mapping[str, Mapping[int, str]],
    rng: np.random.Generator,
    snr_db: float | None = None,
    baseline: str | None = None,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> list[dict[str, Any]]:
    """Mean scores, or paired differences to a baseline, in every group of every condition.

    Groups of different conditions hold the same scenes, and scenes that share one condition may differ in another:
    a difference between groups is no effect of the condition alone. Intervals are not corrected for their number.

    Args:
        rows: of the evaluation.
        conditions: by scene, of all scenes that were evaluated.
        metric: which score.
        systems: names of each system by seed, from :func:`arrayse.statistics.group_seeds`.
        rng: source of the resampling, which stays as it is: no cell depends on another.
        snr_db: SNR in dB. With None the score of a scene is its mean over all SNRs, and there is one more condition,
            ``snr``, with a group of all scenes for each SNR.
        baseline: system whose scores are subtracted, in pairs of seeds and scenes; itself it then has no cells.
        n_resamples: number of resamples.
        level: probability that the intervals aim to cover.

    Returns:
        A cell for each condition, group and system, in the order of groups: ``system``, ``condition``, ``value`` (the
        group), ``metric``, ``snr_db`` (None for the mean over all), ``baseline``, the numbers of
        :class:`arrayse.statistics.Summary`, ``n_seeds``, and ``few``: whether ``n`` is below :data:`MIN_SCENES`. No
        cell where a system has no seed in common with the baseline.

    Raises:
        ValueError: an SNR or baseline that is not there, or as in :func:`arrayse.statistics.scores_by_name`.
    """
    table = scores_by_name(rows, metric, list(conditions))
    every_snr = sorted({each for _, each in table if each is not None})
    if snr_db is not None and snr_db not in every_snr:
        raise ValueError(f"snr_db: expected one of {every_snr}, got {snr_db}")
    if baseline is not None and baseline not in systems:
        raise ValueError(f"baseline: expected one of {', '.join(systems)}, got {baseline}")
    cells = []
    for group in _groups(conditions, every_snr, snr_db):
        picked = {
            name: {seed: scores[group.places] for seed, scores in scores_of(table, names, group.snrs).items()}
            for name, names in systems.items()
        }
        for name, scores in picked.items():
            found: Estimate | None
            if baseline is None:
                found = estimate(scores, rng, n_resamples, level)
            else:
                found = estimate_difference(scores, picked[baseline], rng, n_resamples, level)
            if found and name != baseline:
                about = {"system": name, "condition": group.condition, "value": group.value, "metric": metric}
                numbers = {**found.to_dict(), "few": found.summary.n < MIN_SCENES}
                cells.append({**about, "snr_db": group.snr_db, "baseline": baseline, **numbers})
    return cells


def count_unknown(conditions: Mapping[str, Conditions]) -> list[dict[str, Any]]:
    """Why scenes are in no group: ``condition``, ``reason`` and ``n`` scenes, for each condition and reason."""
    found = Counter(item for each in conditions.values() for item in each.reasons.items())
    return [{"condition": condition, "reason": reason, "n": n} for (condition, reason), n in found.items()]


@dataclass(frozen=True)
class _Group:
    """Some scenes at some SNRs; ``snr_db`` is what is said of these, None for all."""

    condition: str
    value: str
    places: list[int]
    snrs: list[float]
    snr_db: float | None


def _groups(conditions: Mapping[str, Conditions], every_snr: list[float], snr_db: float | None) -> list[_Group]:
    places: dict[str, dict[str, list[int]]] = {}
    for place, scene in enumerate(conditions.values()):
        for condition, value in scene.values.items():
            places.setdefault(condition, {}).setdefault(value, []).append(place)
    snrs = every_snr if snr_db is None else [snr_db]
    groups = [
        _Group(condition, value, found[value], snrs, snr_db)
        for condition, found in places.items()
        for value in sorted(found, key=functools.partial(group_order, condition))
    ]
    if snr_db is not None:
        return groups
    everywhere = list(range(len(conditions)))
    return groups + [_Group(SNR, f"{each:g} dB".replace("-", "−"), everywhere, [each], each) for each in every_snr]
