"""The numbers of one evaluation, checked once so that tables, figures and sentences can rely on them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from arrayse.geometry import ArrayGeometry


@dataclass(frozen=True)
class System:
    """One row of the table: the untouched input, a beamformer or mask that is told some of the truth, or a model."""

    name: str
    kind: str
    params: int | None
    macs_per_second: float | None
    mics: tuple[int, ...] | None
    causal: bool | None
    description: str

    @property
    def is_input(self) -> bool:
        return self.kind == "noisy"

    @property
    def is_beamformer(self) -> bool:
        return self.kind == "beamformer"

    @property
    def is_model(self) -> bool:
        return not (self.is_input or self.is_beamformer)

    @property
    def is_teacher(self) -> bool:
        return self.kind == "teacher" or (self.is_model and self.name.lower().startswith("teacher"))


@dataclass(frozen=True)
class Cell:
    """A mean with its 95 % interval; None where there was nothing to average.

    Attributes:
        mean: over the utterances that got a value.
        low: lower end of the interval.
        high: upper end of the interval.
        n: how many utterances got a value.
        n_failed: how many got a reason instead.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int
    n_failed: int

    @property
    def half_width(self) -> float | None:
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    @property
    def sign(self) -> int:
        """1 or -1 if the whole interval lies above or below zero, else 0."""
        if self.low is None or self.high is None:
            return 0
        return 1 if self.low > 0 else -1 if self.high < 0 else 0


EMPTY = Cell(None, None, None, 0, 0)

Key = tuple[str, float, str]
"""(system, snr_db, metric)"""


@dataclass(frozen=True)
class Results:
    """What ``summary.json`` holds.

    Attributes:
        label: what kind of speech this is, shown as a badge.
        data: the data set.
        split: its part.
        n_scenes: how many scenes, each at every SNR.
        snr_db: the SNRs in dB, rising.
        metrics: metric names.
        implementations: what computed each metric.
        array: the microphones, if known.
        systems: in the order of the table.
        cells: means by (system, SNR, metric).
        differences: for each pair (system, baseline) the paired differences by (SNR, metric).
        provenance: when, how and with what it was made.
    """

    label: str
    data: str
    split: str
    n_scenes: int
    snr_db: tuple[float, ...]
    metrics: tuple[str, ...]
    implementations: dict[str, str]
    array: ArrayGeometry | None
    systems: tuple[System, ...]
    cells: dict[Key, Cell]
    differences: dict[tuple[str, str], dict[tuple[float, str], Cell]]
    provenance: dict[str, Any]

    def cell(self, system: str, snr_db: float, metric: str) -> Cell:
        """The mean of one system at one SNR, empty if it was not measured."""
        return self.cells.get((system, snr_db, metric), EMPTY)

    @property
    def noisy(self) -> System | None:
        return next((system for system in self.systems if system.is_input), None)

    @property
    def teacher(self) -> System | None:
        """The largest teacher."""
        teachers = [system for system in self.systems if system.is_teacher]
        return max(teachers, key=lambda system: system.params or 0, default=None)

    @property
    def snr_text(self) -> str:
        """``0 dB`` or ``−5 to 15 dB``."""
        ends = sorted({min(self.snr_db), max(self.snr_db)})
        return " to ".join(f"{end:g}".replace("-", "−") for end in ends) + " dB"

    @property
    def candidates(self) -> list[System]:
        """The systems that compete: the students, or every model where there are none."""
        models = [system for system in self.systems if system.is_model]
        return [system for system in models if not system.is_teacher] or models

    def mean_over_snr(self, system: str, metric: str) -> float | None:
        """The mean of a metric over the SNRs, all of one weight; None unless every SNR has a value."""
        means = [self.cell(system, snr_db, metric).mean for snr_db in self.snr_db]
        known = [mean for mean in means if mean is not None]
        return sum(known) / len(known) if len(known) == len(means) else None


def parse_results(summary: Mapping[str, Any]) -> Results:
    """Reads the content of ``summary.json``.

    Raises:
        ValueError: a part is missing or has another type.
    """
    systems = tuple(_system(entry) for entry in _part(summary, "systems", list))
    metrics = tuple(str(metric) for metric in _part(summary, "metrics", list))
    snr_db = tuple(sorted({float(value) for value in _part(summary, "snr_db", list)}))
    for what, found in (("systems", systems), ("metrics", metrics), ("snr_db", snr_db)):
        if not found:
            raise ValueError(f"summary: expected at least one entry in '{what}', got none")
    names = [system.name for system in systems]
    if len(set(names)) != len(names):
        raise ValueError(f"summary: expected systems with different names, got {names}")
    array, implementations = summary.get("array"), summary.get("implementations") or {}
    return Results(
        label=str(summary.get("label") or "unlabelled data"),
        data=str(summary.get("data") or ""),
        split=str(summary.get("split") or ""),
        n_scenes=int(summary.get("n_scenes") or 0),
        snr_db=snr_db,
        metrics=metrics,
        implementations={str(key): str(value) for key, value in implementations.items()},
        array=ArrayGeometry(**array) if array else None,
        systems=systems,
        cells={
            (str(_part(row, "system")), float(_part(row, "snr_db")), str(_part(row, "metric"))): _cell(row)
            for row in _part(summary, "table", list)
        },
        differences=_differences(summary.get("differences") or []),
        provenance=dict(summary.get("provenance") or {}),
    )


def _differences(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], dict[tuple[float, str], Cell]]:
    pairs: dict[tuple[str, str], dict[tuple[float, str], Cell]] = {}
    for row in rows:
        cells = pairs.setdefault((str(_part(row, "system")), str(_part(row, "baseline"))), {})
        cells[float(_part(row, "snr_db")), str(_part(row, "metric"))] = _cell(row)
    return pairs


def _system(entry: Mapping[str, Any]) -> System:
    mics, params, macs = entry.get("mics"), entry.get("params"), _finite(entry.get("macs_per_second"))
    return System(
        name=str(_part(entry, "name")),
        kind=str(entry.get("kind") or "model"),
        params=None if params is None else int(params),
        macs_per_second=macs,
        mics=None if mics is None else tuple(int(mic) for mic in mics),
        causal=entry.get("causal"),
        description=str(entry.get("description") or ""),
    )


def _cell(row: Mapping[str, Any]) -> Cell:
    mean, low, high = (_finite(row.get(key)) for key in ("mean", "low", "high"))
    n = int(row.get("n") or 0)
    if n == 1:  # One item has no spread: an interval of no width would look exact.
        low = high = None
    return Cell(mean, low, high, n, int(row.get("n_failed") or 0))


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _part(entry: Mapping[str, Any], key: str, kind: type = object) -> Any:
    if not isinstance(entry, Mapping) or key not in entry:
        found = sorted(entry) if isinstance(entry, Mapping) else repr(entry)
        raise ValueError(f"summary: expected '{key}', got {found}")
    if not isinstance(entry[key], kind):
        raise ValueError(f"summary: expected '{key}' to be a {kind.__name__}, got {entry[key]!r}")
    return entry[key]
