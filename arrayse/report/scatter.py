"""What the scatter plot shows: scores of every utterance, for each system and metric, as small JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from arrayse.report.cells import System, finite
from arrayse.report.headline import Headline
from arrayse.report.results import Results, Snr
from arrayse.report.text import metric_style

MAX_POINTS = 2000
"""Utterances at most, which a browser draws at once: of more scenes every second, third … is shown."""


@dataclass(frozen=True)
class Scatter:
    """The plot before a reader has chosen anything.

    Attributes:
        data: JSON for the script of the page: ``scenes`` and ``snrs`` of the points, ``names``, ``colours``, and
            ``values`` by metric and system.
        systems: names that there are scores of.
        x: the system across at first.
        y: the system upwards at first.
        n_left_out: scenes that are not shown.
    """

    data: str
    systems: tuple[str, ...]
    x: str
    y: str
    n_left_out: int


def scatter(
    results: Results, rows: Iterable[Mapping[str, Any]], first: Headline | None, colours: Mapping[str, int]
) -> Scatter | None:
    """Makes the plot; None with fewer than two systems that have rows.

    The score of a system with several seeds is the mean over those that got one.

    Args:
        results: of an evaluation.
        rows: of the same.
        first: the best model, which is shown upwards at first.
        colours: numbers by system.
    """
    by_name: dict[str, dict[tuple[str, Snr], Mapping[str, Any]]] = {}
    for row in rows:
        by_name.setdefault(str(row["system"]), {})[str(row["scene"]), _snr(row)] = row
    systems = [system for system in results.systems if any(name in by_name for name in system.names)]
    points = list(dict.fromkeys(point for cells in by_name.values() for point in cells))
    if len(systems) < 2 or not results.metrics:
        return None
    scenes = list(dict.fromkeys(scene for scene, _ in points))
    n_snrs = max(1, len(results.snr_db))
    kept = set(scenes[:: -(-len(scenes) * n_snrs // MAX_POINTS)])
    points = [point for point in points if point[0] in kept]
    values = {metric: [_scores(system, by_name, points, metric) for system in systems] for metric in results.metrics}
    names = [system.name for system in systems]
    data = {
        "scenes": [scene for scene, _ in points],
        "snrs": [snr_db for _, snr_db in points],
        "names": names,
        "colours": [colours[name] for name in names],
        "labels": {metric: metric_style(metric).title for metric in results.metrics},
        "values": values,
    }
    x, y = _pair(results, names, first)
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return Scatter(text, tuple(names), x, y, len(scenes) - len(kept))


def _snr(row: Mapping[str, Any]) -> Snr:
    return None if row["snr_db"] is None else float(row["snr_db"])


def _scores(
    system: System,
    by_name: Mapping[str, Mapping[tuple[str, Snr], Mapping[str, Any]]],
    points: list[tuple[str, Snr]],
    metric: str,
) -> list[float | None]:
    """One decimal more than tables show."""
    trainings = [by_name[name] for name in system.names if name in by_name]
    scores: list[float | None] = []
    for point in points:
        found = [finite(each.get(point, {}).get(metric)) for each in trainings]
        known = [score for score in found if score is not None]
        scores.append(round(sum(known) / len(known), metric_style(metric).digits + 1) if known else None)
    return scores


def _pair(results: Results, names: list[str], first: Headline | None) -> tuple[str, str]:
    """The best model against the baseline, the teacher or the noisy input, whichever comes first."""
    best = first.best.name if first and first.best.name in names else names[-1]
    wanted = (results.baseline, first and first.teacher and first.teacher.name, results.noisy and results.noisy.name)
    other = next((name for name in wanted if name in names and name != best), None)
    return str(other or next(name for name in names if name != best)), best
