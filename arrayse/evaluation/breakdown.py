"""Scores by condition: how systems do in each kind of noise, reverberation, direction, number of sources, and SNR."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from arrayse.evaluation.conditions import Conditions, group_order
from arrayse.statistics import estimate, scores_by_name, scores_of
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
) -> list[dict[str, Any]]:
    """Mean scores in every group of every condition.

    Groups of different conditions hold the same scenes, and scenes that share one condition may differ in another:
    a difference between groups is no effect of the condition alone. Intervals are not corrected for their number.

    Args:
        rows: of the evaluation.
        conditions: by scene, of all scenes that were evaluated.
        metric: which score.
        systems: names of each system by seed, from :func:`arrayse.statistics.group_seeds`.
        rng: source of the resampling, which stays as it is: no cell depends on another.

    Returns:
        A cell for each condition, group and system, in the order of groups: ``system``, ``condition``, ``value`` (the
        group), ``metric``, ``snr_db``, the numbers of :class:`arrayse.statistics.Summary`, ``n_seeds``, and ``few``:
        whether ``n`` is below :data:`MIN_SCENES`. The score of a scene is its mean over all SNRs, with ``snr_db``
        None; but for the condition ``snr``, which has a group of all scenes at each SNR.

    Raises:
        ValueError: as in :func:`arrayse.statistics.scores_by_name`.
    """
    table = scores_by_name(rows, metric, list(conditions))
    every_snr = sorted({each for _, each in table if each is not None})
    cells = []
    for group in _groups(conditions, every_snr):
        for name, names in systems.items():
            scores = {seed: each[group.places] for seed, each in scores_of(table, names, group.snrs).items()}
            found = estimate(scores, rng)
            about = {"system": name, "condition": group.condition, "value": group.value, "metric": metric}
            few = found.summary.n < MIN_SCENES
            cells.append({**about, "snr_db": group.snr_db, **found.to_dict(), "few": few})
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


def _groups(conditions: Mapping[str, Conditions], every_snr: list[float]) -> list[_Group]:
    places: dict[str, dict[str, list[int]]] = {}
    for place, scene in enumerate(conditions.values()):
        for condition, value in scene.values.items():
            places.setdefault(condition, {}).setdefault(value, []).append(place)
    groups = [
        _Group(condition, value, found[value], every_snr, None)
        for condition, found in places.items()
        for value in sorted(found, key=functools.partial(group_order, condition))
    ]
    everywhere = list(range(len(conditions)))
    return groups + [_Group(SNR, f"{each:g} dB".replace("-", "−"), everywhere, [each], each) for each in every_snr]
