"""All systems in one table: what they cost and what they reach over all SNRs, one metric at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from arrayse.report.cells import Cell, Difference, System
from arrayse.report.results import Results
from arrayse.report.table_text import MIN_SCENES, best_cells, counted
from arrayse.report.text import (
    MISSING,
    count,
    factor,
    higher_is_better,
    metric_style,
    milliseconds,
    number,
    p_value,
    percent,
    shows_zero,
    spread,
)


@dataclass(frozen=True)
class OverviewCell:
    """One number as shown, to sort by (None: last), interval, median, a word at the pointer, and how it stands out."""

    text: str
    value: float | None
    spread: str = ""
    median: str = ""
    title: str = ""
    style: str = ""


@dataclass(frozen=True)
class Column:
    """A heading and what it means."""

    title: str
    meaning: str


@dataclass(frozen=True)
class Overview:
    """The table; columns for which no system has a value are left out.

    Attributes:
        costs: columns that do not depend on the metric.
        columns: columns of each metric.
        rows: for each system its costs, and its cells by metric.
    """

    costs: tuple[Column, ...]
    columns: dict[str, tuple[Column, ...]]
    rows: tuple[tuple[System, tuple[OverviewCell, ...], dict[str, tuple[OverviewCell, ...]]], ...]

    @property
    def meanings(self) -> tuple[Column, ...]:
        """Every column once."""
        return tuple(dict.fromkeys([*(column for each in self.columns.values() for column in each), *self.costs]))


COSTS: dict[Column, Callable[[System], OverviewCell]] = {
    Column("Params", "parameters"): lambda s: OverviewCell(count(s.params), s.params),
    Column("MACs/s", "multiply-accumulates per second of audio"): lambda s: OverviewCell(
        count(s.macs_per_second), s.macs_per_second
    ),
    Column("Mics", "microphones that it hears"): lambda s: OverviewCell(count(s.n_mics), s.n_mics),
    Column("Latency", "algorithmic latency in ms; –: needs the whole utterance, or is no network"): lambda s: (
        OverviewCell(milliseconds(s.latency_ms), s.latency_ms)
    ),
    Column("RTF", "real-time factor: time to compute / length of the audio, one thread of a CPU"): lambda s: (
        OverviewCell(factor(s.real_time_factor), s.real_time_factor)
    ),
}


def overview(results: Results) -> Overview:
    """Makes the table."""
    costs = {
        column: [make(system) for system in results.systems]
        for column, make in COSTS.items()
        if any(make(system).value is not None for system in results.systems)
    }
    cells = {metric: _columns(results, metric) for metric in results.metrics}
    rows = tuple(
        (
            system,
            tuple(column[place] for column in costs.values()),
            {metric: tuple(column[place] for column in columns.values()) for metric, columns in cells.items()},
        )
        for place, system in enumerate(results.systems)
    )
    return Overview(tuple(costs), {metric: tuple(columns) for metric, columns in cells.items()}, rows)


def _columns(results: Results, metric: str) -> dict[Column, list[OverviewCell]]:
    names, baseline = [system.name for system in results.systems], results.baseline
    best = {name for name, snr_db, of in best_cells(results) if of == metric and snr_db == results.columns[-1]}
    gains = [results.gain(name, metric) for name in names]
    against = [None if baseline is None else results.overall_difference(name, baseline, metric) for name in names]
    tested = gains if baseline is None else against
    of_all = " over all SNRs" if len(results.snr_db) > 1 else ""
    every = {
        Column("Mean", f"mean{of_all} and its 95 % interval; pointed at: median"): [
            _mean(results.overall(name, metric), metric, name in best) for name in names
        ],
        Column("Gain", "paired difference to the noisy input"): [_difference(each, metric) for each in gains],
        Column(f"− {baseline}", f"paired difference to {baseline}"): [_difference(each, metric) for each in against],
        Column("p", f"of the difference to {baseline or 'the noisy input'}, Wilcoxon, Holm-corrected"): [
            OverviewCell(MISSING, None) if each is None else OverviewCell(p_value(each.p_holm), each.p_holm)
            for each in tested
        ],
        Column("Kept", f"share of the gain of {results.gain_teacher}"): [
            _kept(results, name, metric) for name in names
        ],
        Column("Failed", "utterances without score, of all SNRs"): [_failed(results, name, metric) for name in names],
    }
    return {column: cells for column, cells in every.items() if any(cell.value is not None for cell in cells)}


def _mean(cell: Cell, metric: str, is_best: bool) -> OverviewCell:
    digits = metric_style(metric).digits
    return OverviewCell(
        text=number(cell.mean, digits),
        value=cell.mean,
        spread=spread(cell, digits),
        median="" if cell.median is None else number(cell.median, digits),
        title=_title(cell, digits) if cell.n else "no value",
        style="best" if is_best else "",
    )


def _difference(cell: Difference | None, metric: str) -> OverviewCell:
    if cell is None:
        return OverviewCell(MISSING, None)
    digits = metric_style(metric).digits
    return OverviewCell(
        text=number(cell.mean, digits, signed=True),
        value=cell.mean,
        spread=spread(cell, digits),
        median="" if cell.median is None else number(cell.median, digits, signed=True),
        title=_title(cell, digits + 1),
        style=better_or_worse(cell, metric),
    )


def better_or_worse(cell: Cell, metric: str) -> str:
    """``plus`` or ``minus`` where the whole interval of a difference lies on the better or the worse side of zero.

    Nothing where it is written as zero, or comes of so few scenes that its interval is not to be trusted.
    """
    if cell.mean is None or shows_zero(cell.mean, metric_style(metric).digits) or cell.n < MIN_SCENES:
        return ""
    return {1: "plus", -1: "minus"}.get(cell.sign if higher_is_better(metric) else -cell.sign, "")


def _kept(results: Results, name: str, metric: str) -> OverviewCell:
    share = results.overall_kept(name, metric)
    if share is None or share.mean is None:
        return OverviewCell(MISSING, None, title=share.reason if share else "")
    interval = spread(share, 0, scale=100)
    return OverviewCell(percent(share.mean), share.mean, f"{interval} %" if interval else "", title=f"n = {share.n}")


def _failed(results: Results, name: str, metric: str) -> OverviewCell:
    n_failed = sum(cell.n_failed for key, cell in counted(results) if key == (name, metric))
    return OverviewCell(str(n_failed), n_failed or None)


def _title(cell: Cell, digits: int) -> str:
    median = "" if cell.median is None else f"median {number(cell.median, digits)}, "
    return f"{median}n = {cell.n}"
