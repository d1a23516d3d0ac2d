"""The numbers of one evaluation, checked once so that tables, figures and sentences can rely on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from arrayse.geometry import ArrayGeometry
from arrayse.report.cells import EMPTY, Cell, Difference, GroupCell, Share, System, finite, parse_cell

DATASET = "dataset"
"""The source that has SNRs; folders of pairs or recordings have none."""

Snr = float | None
"""In dB; None: the mean over all SNRs of each scene, or a source without SNR."""

Key = tuple[str, Snr, str]
"""(system, snr_db, metric)"""

Pair = tuple[str, str]
"""(system, baseline)"""


@dataclass(frozen=True)
class Results:
    """What ``summary.json`` holds; of parts that older evaluations did not write there is nothing.

    Attributes:
        label: what kind of speech this is, shown as a badge.
        data: the data set.
        split: its part.
        n_scenes: how many scenes, each at every SNR.
        snr_db: the SNRs in dB, rising; empty for a source without SNR.
        metrics: metric names; empty where there is no reference to score against.
        implementations: what computed each metric.
        array: the microphones, if known.
        systems: in the order of the table.
        cells: means by (system, SNR, metric).
        differences: for each pair (system, baseline) the paired differences by (SNR, metric).
        provenance: when, how and with what it was made.
        source: ``dataset``, ``pairs`` or ``recordings``.
        gain_kept: share of a teacher's gain by (system, SNR, metric).
        gain_teacher: that teacher; None: the largest.
        groups: means in groups of scenes by (system, metric).
        unknown: why scenes are in no group: condition, reason, number of scenes.
        failures: why scores failed: name in the rows, metric, reason, how often.
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
    differences: dict[Pair, dict[tuple[Snr, str], Difference]]
    provenance: dict[str, Any]
    source: str = DATASET
    gain_kept: dict[Key, Share] = field(default_factory=dict)
    gain_teacher: str | None = None
    groups: dict[tuple[str, str], tuple[GroupCell, ...]] = field(default_factory=dict)
    unknown: tuple[tuple[str, str, int], ...] = ()
    failures: tuple[tuple[str, str, str, int], ...] = ()

    def cell(self, system: str, snr_db: Snr, metric: str) -> Cell:
        """The mean of one system at one SNR, empty if it was not measured."""
        return self.cells.get((system, snr_db, metric), EMPTY)

    @property
    def columns(self) -> tuple[Snr, ...]:
        """What tables have columns for: the SNRs, and None if there are means over several, or no SNR at all."""
        over_all = any(snr_db is None for _, snr_db, _ in self.cells)
        return (*self.snr_db, None) if len(self.snr_db) != 1 and (over_all or not self.snr_db) else self.snr_db

    @property
    def noisy(self) -> System | None:
        return next((system for system in self.systems if system.is_input), None)

    @property
    def teacher(self) -> System | None:
        """The one whose gain the others keep shares of, or else the largest."""
        teachers = [system for system in self.systems if system.is_teacher]
        teachers = [system for system in teachers if system.name == self.gain_teacher] or teachers
        return max(teachers, key=lambda system: system.params or 0, default=None)

    @property
    def baseline(self) -> str | None:
        """The system, no input, that most others are compared with."""
        inputs = {system.name for system in self.systems if system.is_input}
        found = Counter(baseline for _, baseline in self.differences if baseline not in inputs)
        return found.most_common(1)[0][0] if found else None

    @property
    def scenes(self) -> str:
        """What there are :attr:`n_scenes` of: ``scenes``, ``pair``, ``recordings``."""
        word = {"pairs": "pair", "recordings": "recording"}.get(self.source, "scene")
        return word if self.n_scenes == 1 else f"{word}s"

    @property
    def snr_text(self) -> str:
        """``0 dB`` or ``−5 to 15 dB``; empty without SNRs."""
        ends = sorted({min(self.snr_db), max(self.snr_db)}) if self.snr_db else []
        return " to ".join(f"{end:g}".replace("-", "−") for end in ends) + (" dB" if ends else "")

    @property
    def candidates(self) -> list[System]:
        """The systems that compete: the students, or every model where there are none."""
        models = [system for system in self.systems if system.is_model]
        return [system for system in models if not system.is_teacher] or models

    def overall(self, system: str, metric: str) -> Cell:
        """The mean over all SNRs, all of one weight; empty unless every SNR has a value.

        Older evaluations have it without interval.
        """
        if (cell := self.cells.get((system, self._all, metric))) is not None:
            return cell
        cells = [self.cell(system, snr_db, metric) for snr_db in self.snr_db]
        means = [cell.mean for cell in cells if cell.mean is not None]
        if not means or len(means) < len(cells):
            return EMPTY
        n, n_failed = min(cell.n for cell in cells), sum(cell.n_failed for cell in cells)
        return Cell(sum(means) / len(means), None, None, n, n_failed)

    def mean_over_snr(self, system: str, metric: str) -> float | None:
        """See :meth:`overall`."""
        return self.overall(system, metric).mean

    def overall_difference(self, system: str, baseline: str, metric: str) -> Difference | None:
        """The paired difference of the means over all SNRs; None if it is not known."""
        return self.differences.get((system, baseline), {}).get((self._all, metric))

    def input_of(self, system: str) -> System | None:
        """The untouched input that a system is compared with: the reference microphone, or another one."""
        inputs = [entry for entry in self.systems if entry.is_input]
        return next((entry for entry in inputs if (system, entry.name) in self.differences), self.noisy)

    def gain(self, system: str, metric: str) -> Difference | None:
        """The paired difference to the untouched input over all SNRs; None if it is not known."""
        given = self.input_of(system)
        return self.overall_difference(system, given.name, metric) if given else None

    def overall_kept(self, system: str, metric: str) -> Share | None:
        """The share of the teacher's gain in the means over all SNRs; None if nothing is known of it."""
        return self.gain_kept.get((system, self._all, metric))

    @property
    def _all(self) -> Snr:
        return self.snr_db[0] if len(self.snr_db) == 1 else None


def parse_results(summary: Mapping[str, Any], speed: Mapping[str, Any] | None = None) -> Results:
    """Reads the content of ``summary.json``, and of ``speed.json`` if there is one.

    Raises:
        ValueError: a part is missing or has another type.
    """
    source = str(summary.get("source") or DATASET)
    systems = _systems(_part(summary, "systems", list), speed or {})
    metrics = tuple(str(metric) for metric in _part(summary, "metrics", list))
    snr_db = tuple(sorted({float(value) for value in _part(summary, "snr_db", list)}))
    wanted = {"systems": systems} | ({"metrics": metrics, "snr_db": snr_db} if source == DATASET else {})
    for what, found in wanted.items():
        if not found:
            raise ValueError(f"summary: expected at least one entry in '{what}', got none")
    array, implementations = summary.get("array"), summary.get("implementations") or {}
    kept = summary.get("gain_kept") or []
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
        cells={_key(row): Cell(**parse_cell(row)) for row in _part(summary, "table", list)},
        differences=_differences(summary.get("differences") or []),
        provenance=dict(summary.get("provenance") or {}),
        source=source,
        gain_kept={_key(row): Share(**parse_cell(row), reason=str(row.get("reason") or "")) for row in kept},
        gain_teacher=str(_part(kept[0], "teacher")) if kept else None,
        groups=_groups(summary.get("breakdown") or []),
        unknown=tuple(
            (str(row.get("condition")), str(row.get("reason")), int(row.get("n") or 0))
            for row in summary.get("unknown_conditions") or []
        ),
        failures=tuple(
            (str(_part(row, "system")), str(_part(row, "metric")), str(row.get("reason")), int(row.get("n") or 0))
            for row in summary.get("failures") or []
        ),
    )


def _differences(rows: Sequence[Mapping[str, Any]]) -> dict[Pair, dict[tuple[Snr, str], Difference]]:
    pairs: dict[Pair, dict[tuple[Snr, str], Difference]] = {}
    for row in rows:
        system, snr_db, metric = _key(row)
        found = Difference(**parse_cell(row), p_holm=finite(row.get("p_holm")))
        pairs.setdefault((system, str(_part(row, "baseline"))), {})[snr_db, metric] = found
    return pairs


def _groups(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], tuple[GroupCell, ...]]:
    found: dict[tuple[str, str], list[GroupCell]] = {}
    for row in rows:
        condition, value = str(_part(row, "condition")), str(_part(row, "value"))
        cell = GroupCell(**parse_cell(row), condition=condition, value=value, few=bool(row.get("few")))
        found.setdefault((str(_part(row, "system")), str(_part(row, "metric"))), []).append(cell)
    return {key: tuple(cells) for key, cells in found.items()}


def _key(row: Mapping[str, Any]) -> Key:
    system, snr_db, metric = (_part(row, key) for key in ("system", "snr_db", "metric"))
    return str(system), None if snr_db is None else float(snr_db), str(metric)


def _systems(entries: Sequence[Mapping[str, Any]], speed: Mapping[str, Any]) -> tuple[System, ...]:
    systems = tuple(_system(entry, speed) for entry in entries)
    names = [system.name for system in systems]
    if len(set(names)) != len(names):
        raise ValueError(f"summary: expected systems with different names, got {names}")
    return systems


def _system(entry: Mapping[str, Any], speed: Mapping[str, Any]) -> System:
    mics, params, name = entry.get("mics"), entry.get("params"), str(_part(entry, "name"))
    runs = tuple(str(run) for run in entry.get("runs") or [])
    timing: Mapping[str, Any] = next((speed[each] for each in (name, *runs) if each in speed), {})
    return System(
        name=name,
        kind=str(entry.get("kind") or "model"),
        params=None if params is None else int(params),
        macs_per_second=finite(entry.get("macs_per_second")),
        mics=None if mics is None else tuple(int(mic) for mic in mics),
        causal=entry.get("causal"),
        description=str(entry.get("description") or ""),
        runs=runs,
        n_seeds=int(entry.get("n_seeds") or 0),
        latency_ms=finite(entry.get("latency_ms")),
        foreign_array=entry.get("foreign_array"),
        real_time_factor=finite(timing.get("real_time_factor")),
        is_distilled=entry.get("distilled") is True,
    )


def _part(entry: Mapping[str, Any], key: str, kind: type = object) -> Any:
    if not isinstance(entry, Mapping) or key not in entry:
        found = sorted(entry) if isinstance(entry, Mapping) else repr(entry)
        raise ValueError(f"summary: expected '{key}', got {found}")
    if not isinstance(entry[key], kind):
        raise ValueError(f"summary: expected '{key}' to be a {kind.__name__}, got {entry[key]!r}")
    return entry[key]
