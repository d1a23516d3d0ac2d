"""Tables of a comparison: CSV in the long form, and Markdown with the notes that belong to its numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shared.cells import MAIN_METRIC, Cell, Estimate, Results
from shared.comparison import Comparison, System
from shared.scores import Evaluation

from arrayse.report.table_text import INTERVALS
from arrayse.report.text import MISSING, count, decibels, metric_style, with_interval

LEFT = ["Size", "System", "Mics", "Seeds"]
"""What a row of a table is about."""

NOTES = (
    f"{INTERVALS} Seeds and scenes are resampled independently (pigeonhole bootstrap, Owen 2007), "
    "always over the same SNR. A system that is no student is one training or none: its interval is over scenes alone, "
    "and so is that of a student with one seed. Few seeds make intervals too narrow: where trainings differ more than "
    "scenes, those of two or three seeds hold the true value in 50 % or 75 % of all cases only.",
    "Differences are paired: same size, microphones, seeds and scenes. Bold: the interval excludes zero, without a "
    "correction for the number of comparisons.",
    "Gain kept: (mean − noisy) / (teacher − noisy), in % of the gain of the one teacher; none where the teacher's gain "
    "is not clearly positive.",
    "A scene counts where all seeds behind a number have a score. A number that rests on fewer scenes than the table, "
    "or on fewer seeds than its row, says on how many.",
)

Table = list[list[str]]


def csv_table(results: Results, comparison: Comparison) -> str:
    """The long form: a line for each group, system, metric and SNR; what there is not is an empty field."""
    file = io.StringIO()
    rows = [csv_row(evaluation, cell, comparison) for evaluation, cells in results for cell in cells]
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def csv_row(evaluation: Evaluation, cell: Cell, comparison: Comparison) -> dict[str, Any]:
    """A difference or share may rest on fewer scenes and seeds than the mean: its own stand at the end of the line."""
    system, found = cell.system, cell.score.summary
    others = {f"diff_{name}": cell.differences.get(name) for name in comparison.baselines}
    others["gain_kept"] = cell.gain_kept
    row: dict[str, Any] = {comparison.group: evaluation.group, "size": system.size, "system": system.method}
    row |= {"mics": evaluation.n_mics(system), "metric": cell.metric}
    row |= {"snr_db": "all" if cell.snr_db is None else f"{cell.snr_db:g}"}
    row |= {"mean": figures(found.mean), "low": figures(found.low), "high": figures(found.high)}
    for name, other in others.items():
        ends = (other.summary.mean, other.summary.low, other.summary.high) if other else (None, None, None)
        row |= dict(zip((name, f"{name}_low", f"{name}_high"), map(figures, ends), strict=True))
    row |= {"n_scenes": found.n, "n_seeds": cell.score.n_seeds, "n_failed": found.n_failed}
    for name, other in others.items():
        row |= {f"{name}_n_scenes": other.summary.n if other else "", f"{name}_n_seeds": other.n_seeds if other else ""}
    return row | {key: evaluation.about(system, key) for key in ("params", "macs_per_second")}


def figures(value: float | None) -> str:
    """Six significant figures; empty for what there is not."""
    return "" if value is None else f"{value:.6g}"


def markdown(results: Results, comparison: Comparison, sweep: bool, first: Sequence[str] = ()) -> str:
    """A page: for each group a table by metric at the SNR closest to 0 dB, and if asked for one over all SNRs.

    Args:
        results: the groups.
        comparison: its title and the baselines to show.
        sweep: whether to add the table over SNRs.
        first: blocks that stand before the groups.
    """
    blocks = [f"# {comparison.title}", *first]
    implementations: dict[str, str] = {}
    for evaluation, cells in results:
        implementations |= evaluation.summary.get("implementations", {})
        scenes = f"n = {len(evaluation.scenes)} scenes, the same for every system and SNR"
        blocks.append(f"## {evaluation.group}\n\n{evaluation.description}: {scenes}.")
        snr_db = evaluation.main_snr_db
        for metric in evaluation.metrics:
            shown = [cell for cell in cells if (cell.metric, cell.snr_db) == (metric, snr_db)]
            heading = f"**{metric_style(metric).title} at {decibels(snr_db)} dB**"
            blocks += [heading, piped(headline(evaluation, shown, metric, comparison.baselines), len(LEFT))]
        if sweep and MAIN_METRIC in evaluation.metrics:
            heading = f"**{metric_style(MAIN_METRIC).title} by input SNR**"
            blocks += [heading, piped(over_snr(evaluation, cells), len(LEFT))]
    notes = [*NOTES, *(f"{metric_style(metric).label}: {by}." for metric, by in implementations.items())]
    return "\n\n".join([*blocks, *notes]) + "\n"


def headline(evaluation: Evaluation, cells: list[Cell], metric: str, baselines: Sequence[str]) -> Table:
    """One metric at one SNR: a row for each system; differences have a decimal more than scores."""
    digits = metric_style(metric).digits
    differences = [f"− {name}" for name in baselines]
    table = [[*LEFT, "Params", "MACs/s", metric_style(metric).title, *differences, "Gain kept (%)"]]
    for cell in cells:
        found = [text(cell.differences.get(name), evaluation, cell, digits + 1, signed=True) for name in baselines]
        gain = text(cell.gain_kept, evaluation, cell, 0, scale=100)
        score = text(cell.score, evaluation, cell, digits)
        table.append([*left(evaluation, cell), *costs(evaluation, cell.system), score, *found, gain])
    return table


def over_snr(evaluation: Evaluation, cells: list[Cell]) -> Table:
    """One metric at all SNRs: a row for each system."""
    rows: dict[System, list[str]] = {}
    for cell in cells:
        if cell.metric == MAIN_METRIC and cell.snr_db is not None:  # cells come by rising SNR
            row = rows.setdefault(cell.system, left(evaluation, cell))
            row.append(text(cell.score, evaluation, cell, metric_style(MAIN_METRIC).digits))
    return [[*LEFT, *(f"{decibels(snr_db)} dB" for snr_db in evaluation.snr_db)], *rows.values()]


def left(evaluation: Evaluation, cell: Cell) -> list[str]:
    """What a row is about, the cells below ``LEFT``."""
    system = cell.system
    mics = str(evaluation.n_mics(system) or MISSING)
    return [system.size or MISSING, f"`{system.method}`", mics, seeds(evaluation, system)]


def seeds(evaluation: Evaluation, system: System) -> str:
    """The seeds of a system, as a cell."""
    return ", ".join(map(str, evaluation.seeds(system))) or MISSING


def costs(evaluation: Evaluation, system: System) -> list[str]:
    """Parameters and operations of a system, as cells."""
    return [count(evaluation.about(system, key)) for key in ("params", "macs_per_second")]


def text(
    estimate: Estimate | None, of: Evaluation, cell: Cell, digits: int, signed: bool = False, scale: int = 1
) -> str:
    """The mean with its interval, and what it rests on if that is less; bold for a difference clear of zero."""
    if estimate is None:
        return MISSING
    summary = estimate.summary if estimate.has_interval else replace(estimate.summary, low=None, high=None)
    found = with_interval(summary, digits, signed, scale)
    if signed and estimate.is_clear:
        found = f"**{found}**"
    less = [f"{estimate.summary.n} scenes"] if estimate.summary.n_failed else []
    if estimate.n_seeds < len(of.seeds(cell.system)):
        less.append(f"{estimate.n_seeds} seed{'s' if estimate.n_seeds > 1 else ''}")
    return f"{found} ({', '.join(less)})" if less else found


def piped(table: Table, n_left: int) -> str:
    """A Markdown table; the first columns, what a row is about, stand left, numbers right."""
    rule = [*["---"] * n_left, *["---:"] * (len(table[0]) - n_left)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (table[0], rule, *table[1:]))
