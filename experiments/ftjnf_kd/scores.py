"""The rows of an evaluation as cells: mean, paired differences and gain kept of each system, metric and SNR."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from arrayse.files import read_json, read_json_lines
from arrayse.statistics import Summary, crossed_share, summarise_crossed

MAIN_METRIC = "pesq_wb"
"""The metric of the table over SNRs and of the figure."""

BOOTSTRAP_SEED = 0
"""Of every interval anew, so that no number depends on what else is in the table."""

BASELINES = ("none", "restart")
METHODS = (
    *BASELINES,
    *(
        "mask",
        "lin",
        "lstm1_paper",
        "lstm1",
        "lstm2_paper",
        "lstm2",
        "fused_paper",
        "fused",
        "gram",
        "lin_joint",
        "output_joint",
    ),
)
"""Order of the tables; others come last."""

STUDENT = re.compile(r"(?P<size>[^_]+)_(?:(?P<n_mics>\d+)mic_)?(?P<method>.+)_s(?P<seed>\d+)")


@dataclass(frozen=True)
class System:
    """One row of a table, all its seeds together.

    Attributes:
        method: how a student was trained, or the name of a system that is no student.
        size: of a student; empty for others.
        n_mics: where a student hears fewer microphones than the array has; None for all others.
    """

    method: str
    size: str = ""
    n_mics: int | None = None


NOISY, TEACHER = System("noisy"), System("teacher")


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval, and how many trainings it rests on (0: it has no seeds)."""

    summary: Summary
    n_seeds: int

    @property
    def half_width(self) -> float | None:
        """Half of the interval; None where there was nothing to resample."""
        low, high = self.summary.low, self.summary.high
        return None if low is None or high is None or max(self.summary.n, self.n_seeds) < 2 else (high - low) / 2

    @property
    def is_clear(self) -> bool:
        """Whether there is an interval and zero lies outside of it."""
        low, high = self.summary.low, self.summary.high
        return self.half_width is not None and low is not None and high is not None and (low > 0 or high < 0)


@dataclass(frozen=True)
class Cell:
    """One system in one metric at one SNR.

    Attributes:
        score: the mean score.
        differences: to each baseline of the same size and microphones, in pairs of seeds and scenes.
        gain_kept: (mean - noisy) / (teacher - noisy), a fraction; None where it is not defined.
    """

    system: System
    metric: str
    snr_db: float
    score: Estimate
    differences: dict[str, Estimate]
    gain_kept: Estimate | None


@dataclass(frozen=True)
class Evaluation:
    """The scores of one array.

    Attributes:
        array: its name, that of the folder.
        summary: the content of ``summary.json``.
        scenes: their ids.
        names: for each system the names of its runs by seed; the seed of a system without seeds is -1.
        scores: (n_scenes,) by name, SNR and metric, NaN where a score failed or is missing.
    """

    array: str
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

    def about(self, system: System, key: str) -> Any:
        """What ``summary.json`` says of a system; None if it says nothing."""
        entries = {entry["name"]: entry for entry in self.summary["systems"]}
        found = [entries[name].get(key) for name in self.names[system].values() if name in entries]
        return found[0] if found else None

    def seeds(self, system: System) -> list[int]:
        """The seeds of a system; none of one without seeds."""
        return sorted(seed for seed in self.names[system] if seed >= 0)

    def values(self, system: System, seeds: list[int], snr_db: float, metric: str) -> np.ndarray:
        """Scores (n_seeds, n_scenes)."""
        missing = np.full(len(self.scenes), np.nan)
        return np.stack([self.scores.get((self.names[system][seed], snr_db, metric), missing) for seed in seeds])

    def systems(self) -> list[System]:
        """In the order of the tables: what is no student, then students by size, microphones and method."""
        params = {system: self.about(system, "params") or 0 for system in self.names}
        size_params = {size: max(params[s] for s in params if s.size == size) for size in {s.size for s in params}}

        def place(system: System) -> tuple[Any, ...]:
            if not system.size:
                return (0, {NOISY: 0, TEACHER: 2}.get(system, 1), system.method)
            method = METHODS.index(system.method) if system.method in METHODS else len(METHODS)
            return (1, -size_params[system.size], system.size, system.n_mics or 0, method, system.method)

        return sorted(self.names, key=place)


Results = list[tuple[Evaluation, list[Cell]]]
"""The arrays with their cells."""


def read_evaluation(folders: list[Path], array: str) -> Evaluation:
    """Reads ``rows.jsonl`` and ``summary.json`` of the evaluations of an array; what several scored counts once.

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
            if rows.setdefault(key, row) != row:
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
    return Evaluation(array, summary, list(scenes), names, scores)


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


def parse_name(name: str) -> tuple[System, int]:
    """The system and the seed of a name in the rows; -1 for one that is no student."""
    found = STUDENT.fullmatch(name)
    if not found:
        return System(name), -1
    n_mics = int(found["n_mics"]) if found["n_mics"] else None
    return System(found["method"], found["size"], n_mics), int(found["seed"])


def cells_of(evaluation: Evaluation, system: System) -> list[Cell]:
    """One cell for each metric and SNR."""
    return [_cell(evaluation, system, metric, snr_db) for metric in evaluation.metrics for snr_db in evaluation.snr_db]


def _cell(evaluation: Evaluation, system: System, metric: str, snr_db: float) -> Cell:
    seeds = sorted(evaluation.names[system])

    def values(other: System, common: list[int]) -> np.ndarray:
        return evaluation.values(other, common, snr_db, metric)

    def estimate(table: np.ndarray) -> Estimate:
        return Estimate(summarise_crossed(table, _rng()), len(table) if system.size else 0)

    differences = {}
    for method in BASELINES:
        baseline = replace(system, method=method)
        common = sorted(set(seeds) & set(evaluation.names.get(baseline, {})))
        if system.size and baseline != system and common:
            differences[method] = estimate(values(system, common) - values(baseline, common))
    gain_kept = None
    if system not in (NOISY, TEACHER) and {NOISY, TEACHER} <= set(evaluation.names):
        noisy, teacher = values(NOISY, [-1]), values(TEACHER, [-1])
        part = values(system, seeds) - noisy
        share = crossed_share(part, np.broadcast_to(teacher - noisy, part.shape), _rng())
        gain_kept = Estimate(share, len(part) if system.size else 0)
    return Cell(system, metric, snr_db, estimate(values(system, seeds)), differences, gain_kept)


def _rng() -> np.random.Generator:
    return np.random.default_rng(BOOTSTRAP_SEED)
