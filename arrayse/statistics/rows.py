"""From the rows of an evaluation (system, scene, SNR) to arrays of scores, and why scores are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from arrayse.files import read_json_lines

Row = Mapping[str, Any]
"""``system``, ``scene``, ``snr_db``, a value or None by metric, and ``reasons`` by metric where there is none.

``snr_db`` is None in all rows of scenes that were scored as they were recorded.
"""

ByName = Mapping[tuple[str, float | None], np.ndarray]
"""Scores (n_scenes,) by name and SNR in dB."""

NO_REASON = "no reason given"


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file of JSON lines, which may be anybody's.

    Raises:
        ValueError: no such file, a line that is not JSON, or is no row.
    """
    for number, row in enumerate(read_json_lines(path), start=1):
        if not _is_row(row):
            raise ValueError(f"{path}: line {number}: expected system, scene, SNR and scores, got {str(row)[:80]}")
        yield row


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("reasons", {}), dict):
        return False
    numbers = [row[key] for key in row.keys() - {"system", "scene", "reasons"}]
    named = all(isinstance(row.get(key), str) for key in ("system", "scene"))
    return named and "snr_db" in row and all(each is None or type(each) in (int, float) for each in numbers)


def scores_by_name(
    rows: Iterable[Row], metric: str, scenes: Sequence[str]
) -> dict[tuple[str, float | None], np.ndarray]:
    """Scores (n_scenes,) by name and SNR in dB.

    Args:
        rows: of the evaluation.
        metric: which score.
        scenes: ids of all that were evaluated, in the order of the arrays.

    Returns:
        The arrays, NaN where a score failed or where there is no row.

    Raises:
        ValueError: two rows for one name, SNR and scene, a row of another scene, or one without the metric.
    """
    places = {scene: place for place, scene in enumerate(scenes)}
    scores: dict[tuple[str, float | None], np.ndarray] = {}
    seen = set()
    for row in rows:
        key = (row["system"], row["snr_db"], row["scene"])
        if row["scene"] not in places:
            raise ValueError(f"rows: expected {len(places)} known scenes, got another: {row['scene']}")
        if key in seen:
            raise ValueError(f"rows: expected one row for each system, SNR and scene, got two: {key}")
        if metric not in row:
            raise ValueError(f"rows: expected a value or None for {metric}, got none in {key}")
        seen.add(key)
        values = scores.setdefault(key[:2], np.full(len(places), np.nan))
        values[places[row["scene"]]] = np.nan if row[metric] is None else row[metric]
    return scores


def scores_of(scores: ByName, names: Mapping[int, str], snr_db: Sequence[float | None]) -> dict[int, np.ndarray]:
    """Scores (n_scenes,) of one system by seed; of several SNRs the mean, NaN where one of them is missing.

    Args:
        scores: from :func:`scores_by_name`.
        names: of the system by seed, from :func:`arrayse.statistics.group_seeds`.
        snr_db: SNRs in dB.

    Raises:
        ValueError: no SNR, or no row at all.
    """
    if not snr_db or not scores:
        raise ValueError(f"scores: expected one or more rows and SNRs, got {len(scores)} and {len(snr_db)}")
    missing = np.full(next(iter(scores.values())).size, np.nan)
    return {
        seed: np.mean([scores.get((name, each), missing) for each in snr_db], axis=0) for seed, name in names.items()
    }


def count_reasons(rows: Iterable[Row], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Why scores are missing, over all SNRs: an entry for each system, metric and reason, with how often it was given.

    Args:
        rows: of the evaluation.
        metrics: which scores.

    Returns:
        ``system``, ``metric``, ``reason`` and ``n``, in the order of the rows; empty if nothing is missing.
    """
    found: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        for metric in metrics:
            if row.get(metric) is None:
                found[row["system"], metric, (row.get("reasons") or {}).get(metric) or NO_REASON] += 1
    return [{"system": system, "metric": metric, "reason": why, "n": n} for (system, metric, why), n in found.items()]
