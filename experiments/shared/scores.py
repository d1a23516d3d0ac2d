"""The scores of a comparison, read from the rows of its evaluations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from shared.comparison import Comparison, System, parse_name

from arrayse.files import read_json, read_json_lines
from arrayse.report.text import metric_style


@dataclass(frozen=True)
class Evaluation:
    """The scores of one array or of one kind of network.

    Attributes:
        group: its name, that of the folder.
        summary: the content of ``summary.json``.
        scenes: their ids.
        names: for each system the names of its runs by seed; the seed of a system without seeds is -1.
        scores: (n_scenes,) by name, SNR and metric, NaN where a score failed or is missing.
    """

    group: str
    summary: dict[str, Any]
    scenes: list[str]
    names: dict[System, dict[int, str]]
    scores: dict[tuple[str, float, str], np.ndarray]

    @property
    def snr_db(self) -> list[float]:
        return sorted({snr_db for _, snr_db, _ in self.scores})

    @property
    def main_snr_db(self) -> float:
        """The SNR closest to 0 dB."""
        return min(self.snr_db, key=abs)

    @property
    def metrics(self) -> list[str]:
        return list(self.summary["metrics"])

    @property
    def description(self) -> str:
        """Kind of data and split."""
        return f"{self.summary.get('label', 'unlabelled data')}, split {self.summary.get('split', '')}"

    def about(self, system: System, key: str) -> Any:
        """What ``summary.json`` says of a system; None if it says nothing."""
        entries = {name: entry for entry in self.summary["systems"] for name in entry.get("runs", [entry["name"]])}
        found = [entries[name].get(key) for name in self.names[system].values() if name in entries]
        return found[0] if found else None

    def n_mics(self, system: System) -> int | str:
        """How many microphones a system hears; empty where that is not known."""
        mics = self.about(system, "mics")
        return system.n_mics or (len(mics) if mics else "")

    def seeds(self, system: System) -> list[int]:
        """The seeds of a system; none of one without seeds."""
        return sorted(seed for seed in self.names[system] if seed >= 0)

    def values(self, system: System, seeds: list[int], snr_db: float | None, metric: str) -> np.ndarray:
        """Scores (n_seeds, n_scenes) at an SNR; with None the mean over all SNRs, NaN where one of them is missing."""
        missing = np.full(len(self.scenes), np.nan)
        table = [
            [self.scores.get((self.names[system][seed], each, metric), missing) for seed in seeds]
            for each in (self.snr_db if snr_db is None else [snr_db])
        ]
        return np.mean(table, axis=0)

    def systems(self, comparison: Comparison) -> list[System]:
        """In the order of the tables: what is no student, then students by size, microphones and method."""
        params = {system: self.about(system, "params") or 0 for system in self.names}
        size_params = {size: max(params[s] for s in params if s.size == size) for size in {s.size for s in params}}

        def place(system: System) -> tuple[Any, ...]:
            size = (1, -size_params[system.size], system.size, system.n_mics or 0) if system.size else (0,)
            return (*size, *comparison.place(system))

        return sorted(self.names, key=place)


def read_evaluation(folders: list[Path], group: str) -> Evaluation:
    """Reads ``rows.jsonl`` and ``summary.json`` of the evaluations of a group; what several scored counts once.

    The scores of the first folder count. Those of the others may differ by less than tables show: networks round
    differently from machine to machine.

    Raises:
        ValueError: a file is missing, there is no row, a score is there twice or differs between evaluations, or a
            system does not hear the reference microphone (its gain would not be one over the noisy signal there).
    """
    rows: dict[tuple[str, float, str], dict[str, Any]] = {}
    summary: dict[str, Any] = {}
    for folder in folders:
        part, entries = _read_summary(folder), _read_rows(folder)
        systems = {entry["name"]: entry for entry in [*summary.get("systems", []), *part["systems"]]}
        summary = {**part, "systems": list(systems.values())}
        for key, row in entries.items():
            if not _same_scores(rows.setdefault(key, row), row, part["metrics"]):
                raise ValueError(
                    f"{folder / 'rows.jsonl'}: expected the scores of other evaluations, got others: {key}"
                )
    scenes = {scene: place for place, scene in enumerate(dict.fromkeys(scene for *_, scene in rows))}
    scores: dict[tuple[str, float, str], np.ndarray] = {}
    for (name, snr_db, scene), row in rows.items():
        for metric in summary["metrics"]:
            values = scores.setdefault((name, snr_db, metric), np.full(len(scenes), np.nan))
            values[scenes[scene]] = np.nan if row[metric] is None else row[metric]
    names: dict[System, dict[int, str]] = {}
    for name in dict.fromkeys(name for name, *_ in rows):
        if name.startswith("noisy mic "):  # of no system here, see above
            continue
        system, seed = parse_name(name)
        names.setdefault(system, {})[seed] = name
    return Evaluation(group, summary, list(scenes), names, scores)


def _same_scores(row: dict[str, Any], other: dict[str, Any], metrics: list[str]) -> bool:
    """Whether two rows agree to half of the last decimal shown, and in what failed."""
    for metric in metrics:
        first, second = row.get(metric), other.get(metric)
        if first is None or second is None:
            if first is not second:
                return False
        elif abs(first - second) > 0.5 * 10.0 ** -metric_style(metric).digits:
            return False
    return True


def _read_summary(folder: Path) -> dict[str, Any]:
    summary: dict[str, Any] = read_json(folder / "summary.json", "summary")
    ref_mic = summary["array"]["ref_mic"]
    for entry in summary["systems"]:
        if entry.get("mics") is not None and ref_mic not in entry["mics"]:
            raise ValueError(f"{folder}: expected systems that hear microphone {ref_mic}, got {entry['name']}")
    return summary


def _read_rows(folder: Path) -> dict[tuple[str, float, str], dict[str, Any]]:
    path, rows = folder / "rows.jsonl", {}
    for row in read_json_lines(path):
        key = (row["system"], row["snr_db"], row["scene"])
        if key in rows:
            raise ValueError(f"{path}: expected one row for each system, SNR and scene, got two: {key}")
        rows[key] = row
    if not rows:
        raise ValueError(f"{path}: expected one or more rows, got none")
    return rows
