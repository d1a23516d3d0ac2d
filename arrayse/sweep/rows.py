"""From the scores at every value of a sweep to means, and to differences paired over scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from arrayse.evaluation.summary import BEAMFORMER, MODEL, NOISY
from arrayse.statistics import (
    NO_SEED,
    Estimate,
    Scores,
    estimate,
    estimate_difference,
    group_seeds,
    scores_by_name,
    scores_of,
)

Values = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows of an evaluation (system, scene, snr_db, scores) at one SNR by label of the value."""


@dataclass(frozen=True)
class System:
    """One line of the figure.

    Attributes:
        name: without the seed.
        kind: ``noisy``, ``beamformer`` or ``model``.
        runs: names in the rows by seed, see :func:`arrayse.statistics.group_seeds`.
    """

    name: str
    kind: str
    runs: dict[int, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        n_seeds = 0 if NO_SEED in self.runs else len(self.runs)
        return {"name": self.name, "kind": self.kind, "n_seeds": n_seeds, "runs": list(self.runs.values())}


def systems_of(beamformers: Sequence[str], runs: Sequence[str], inputs: Sequence[str] = (NOISY,)) -> list[System]:
    """The untouched inputs, beamformers and runs, the latter folded over seeds."""
    kinds = {**dict.fromkeys(inputs, NOISY), **dict.fromkeys(beamformers, BEAMFORMER)}
    grouped = group_seeds([*inputs, *beamformers, *runs])
    return [System(name, kinds.get(name, MODEL), names) for name, names in grouped.items()]


def sweep_rows(
    values: Values,
    systems: Sequence[System],
    metrics: Sequence[str],
    reference: str,
    baseline: str | None,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """A row for each metric, system and value.

    Args:
        values: the scores; scenes of one id belong together.
        systems: from :func:`systems_of`.
        metrics: names of the scores.
        reference: the value that ``to_reference`` is taken to: the same system there, scene by scene.
        baseline: the system that ``to_baseline`` is taken to: at the same value, scene by scene; None: none.
        rng: of the bootstrap; all intervals start from its state.

    Returns:
        ``system, value, metric, mean, median, low, high, n, n_failed, n_seeds``, and under ``to_reference`` and
        ``to_baseline`` the same numbers of a difference, or None where there is none to be taken. A system without any
        row at a value, such as the input of a microphone that is elsewhere the reference, has no failures there.
    """
    heard = {label: {row["system"] for row in rows} for label, rows in values.items()}
    scenes = list(dict.fromkeys(row["scene"] for rows in values.values() for row in rows))
    found = []
    for metric in metrics:
        scores = {label: _scores(rows, systems, metric, scenes) for label, rows in values.items()}
        for system in systems:
            for label, here in scores.items():
                own, there = here[system.name], scores[reference][system.name]
                is_there = not heard[label].isdisjoint(system.runs.values())
                other = None if baseline in (None, system.name) else here[str(baseline)]
                found.append(
                    {
                        "system": system.name,
                        "value": label,
                        "metric": metric,
                        **(estimate(own, rng).to_dict() | ({} if is_there else {"n_failed": 0})),
                        "to_reference": _plain(None if label == reference else estimate_difference(own, there, rng)),
                        "to_baseline": _plain(None if other is None else estimate_difference(own, other, rng)),
                    }
                )
    return found


def _scores(
    rows: Sequence[Mapping[str, Any]], systems: Sequence[System], metric: str, scenes: Sequence[str]
) -> dict[str, Scores]:
    """Scores (n_scenes,) by system and seed at one value, which has one SNR."""
    snr_db = sorted({row["snr_db"] for row in rows})
    by_name = scores_by_name(rows, metric, scenes)
    return {system.name: scores_of(by_name, system.runs, snr_db) for system in systems}


def _plain(difference: Estimate | None) -> dict[str, Any] | None:
    return None if difference is None else difference.to_dict()
