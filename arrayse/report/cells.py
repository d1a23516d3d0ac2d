"""Parts of an evaluation: what a system is, and the numbers of one cell of a table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from arrayse.report.text import spread


@dataclass(frozen=True)
class System:
    """One row of the table: the untouched input, a beamformer or mask that is told some of the truth, or a model.

    Attributes:
        name: as shown.
        kind: ``noisy``, ``beamformer``, ``teacher`` or ``model``.
        params: number of parameters.
        macs_per_second: multiply-accumulates per second of audio.
        mics: channels that it hears.
        causal: whether it needs no future.
        description: what it is, or how it was trained.
        runs: names that its trainings have among the rows.
        n_seeds: how many trainings are folded into it; 0: it has no seeds.
        latency_ms: algorithmic; None where the whole utterance is needed, or nothing is known.
        foreign_array: the array that it was made for, where that is not the one of the data.
        is_distilled: whether it, or the run that it began with, learned from a teacher.
        real_time_factor: time to compute / length of the audio, on one thread of a CPU; None if it was not measured.
    """

    name: str
    kind: str
    params: int | None
    macs_per_second: float | None
    mics: tuple[int, ...] | None
    causal: bool | None
    description: str
    runs: tuple[str, ...] = ()
    n_seeds: int = 0
    latency_ms: float | None = None
    foreign_array: str | None = None
    real_time_factor: float | None = None
    is_distilled: bool = False

    @property
    def is_input(self) -> bool:
        return self.kind == "noisy"

    @property
    def is_beamformer(self) -> bool:
        return self.kind == "beamformer"

    @property
    def is_bound(self) -> bool:
        """Whether it is told the stems: what it reaches is a bound, it competes with nobody."""
        return self.is_beamformer and self.name.endswith("_oracle")

    @property
    def is_model(self) -> bool:
        return not (self.is_input or self.is_beamformer)

    @property
    def is_teacher(self) -> bool:
        return self.kind == "teacher" or (self.is_model and self.name.lower().startswith("teacher"))

    @property
    def n_mics(self) -> int | None:
        """How many microphones it hears; None if that is not known."""
        return None if self.mics is None else len(self.mics)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that rows and waves of it may have."""
        return self.runs or (self.name,)


@dataclass(frozen=True)
class Cell:
    """A mean with its 95 % interval; None where there was nothing to average.

    Attributes:
        mean: over the utterances that got a value.
        low: lower end of the interval.
        high: upper end of the interval.
        n: how many utterances got a value.
        n_failed: how many got a reason instead.
        median: over the same utterances; None where it is not known.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int
    n_failed: int
    median: float | None = None

    def spread(self, digits: int) -> str:
        """The interval as tables write it behind the mean, see :func:`arrayse.report.text.spread`."""
        return spread(self, digits)

    @property
    def sign(self) -> int:
        """1 or -1 if the whole interval lies above or below zero, else 0."""
        if self.low is None or self.high is None:
            return 0
        return 1 if self.low > 0 else -1 if self.high < 0 else 0


@dataclass(frozen=True)
class Difference(Cell):
    """A paired difference; ``p_holm`` is p of its test, corrected for all systems that are compared with the same."""

    p_holm: float | None = None

    @property
    def is_significant(self) -> bool:
        return self.p_holm is not None and self.p_holm < 0.05


@dataclass(frozen=True)
class Share(Cell):
    """How much of a teacher's gain is kept, as a fraction; ``reason`` says why there is none."""

    reason: str = ""


@dataclass(frozen=True)
class GroupCell(Cell):
    """The mean in one group of scenes: ``value`` of ``condition``; ``few``: too few scenes to trust the interval."""

    condition: str = ""
    value: str = ""
    few: bool = False


EMPTY = Cell(None, None, None, 0, 0)
NO_DIFFERENCE = Difference(None, None, None, 0, 0)


def parse_cell(row: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a :class:`Cell` from a row of a summary."""
    mean, low, high, median = (finite(row.get(key)) for key in ("mean", "low", "high", "median"))
    n = int(row.get("n") or 0)
    if n == 1:  # One item has no spread: an interval of no width would look exact.
        low = high = None
    return {"mean": mean, "low": low, "high": high, "n": n, "n_failed": int(row.get("n_failed") or 0), "median": median}


def finite(value: Any) -> float | None:
    """The value as a number; None if there is none, or one that is not finite."""
    return float(value) if value is not None and math.isfinite(value) else None
