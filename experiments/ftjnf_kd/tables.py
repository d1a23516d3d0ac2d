"""Tables and a figure of the comparison, from the rows of its evaluations.

Usage: python experiments/ftjnf_kd/tables.py [--runs DIR] [--out DIR]

Reads ``DIR/<array>/evaluation*/`` of every array and writes ``table.csv``, ``table.md`` and ``gain_kept.svg``, and
where students hear fewer microphones ``channels.csv`` and ``channels.md``.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gain_figure import draw_gain_kept
from scores import BASELINES, MAIN_METRIC, Cell, Estimate, Evaluation, Results, System, cells_of, read_evaluation

from arrayse.files import write_text, write_whole
from arrayse.report.text import MISSING, count, decibels, metric_style, with_spread

HERE = Path(__file__).parent
LEFT = ["Size", "System", "Mics", "Seeds"]
"""What a row of a table is about."""

NOTES = (
    "Mean ± half of the 95 % interval. Seeds and scenes are resampled independently (pigeonhole bootstrap, Owen 2007), "
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


def main() -> None:
    parser = argparse.ArgumentParser(description="Tables and a figure of the comparison.")
    parser.add_argument("--runs", type=Path, default=HERE / "runs", help="folder of <array>/evaluation*")
    parser.add_argument("--out", type=Path, default=HERE, help="where the tables go")
    options = parser.parse_args()
    try:
        write_tables(options.runs, options.out)
    except ValueError as error:
        sys.exit(f"error {error}")


def write_tables(runs: Path, out: Path) -> None:
    """Writes everything that the evaluations below ``runs`` have numbers for.

    Raises:
        ValueError: there is none, or one that cannot be read.
    """
    folders = sorted(path.parent for path in runs.glob("*/evaluation*/rows.jsonl"))
    if not folders:
        raise ValueError(f"{runs}: expected one or more <array>/evaluation*/rows.jsonl, got none")
    evaluations = [
        read_evaluation([folder for folder in folders if folder.parent == place], place.name)
        for place in dict.fromkeys(folder.parent for folder in folders)
    ]
    everything = [
        (each, [cell for system in each.systems() for cell in cells_of(each, system)]) for each in evaluations
    ]
    full = only(everything, lambda system: system.n_mics is None)
    write_text(out / "table.csv", csv_table(full))
    write_text(out / "table.md", markdown("Distillation of small students", full, BASELINES, sweep=True))
    write_whole(out / "gain_kept.svg", lambda path: draw_gain_kept(full, path))
    channels = only(everything, lambda system: system.n_mics is not None or not system.size)
    channels = [(each, cells) for each, cells in channels if any(cell.system.size for cell in cells)]
    if channels:
        write_text(out / "channels.csv", csv_table(channels))
        title = "Students that hear fewer microphones than their teacher"
        write_text(out / "channels.md", markdown(title, channels, BASELINES[1:], sweep=False))


def only(results: Results, wanted: Callable[[System], bool]) -> Results:
    """The cells of the wanted systems."""
    return [(evaluation, [cell for cell in cells if wanted(cell.system)]) for evaluation, cells in results]


def csv_table(results: Results) -> str:
    """The long form: a line for each array, system, metric and SNR; what there is not is an empty field."""
    file = io.StringIO()
    rows = [csv_row(evaluation, cell) for evaluation, cells in results for cell in cells]
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def csv_row(evaluation: Evaluation, cell: Cell) -> dict[str, Any]:
    """A difference or share may rest on fewer scenes and seeds than the mean: its own stand at the end of the line."""
    system, found = cell.system, cell.score.summary
    others = {**{f"diff_{name}": cell.differences.get(name) for name in BASELINES}, "gain_kept": cell.gain_kept}
    row = {"array": evaluation.array, "size": system.size, "system": system.method, "mics": n_mics(evaluation, system)}
    row |= {"metric": cell.metric, "snr_db": f"{cell.snr_db:g}"}
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


def n_mics(evaluation: Evaluation, system: System) -> int | str:
    """How many microphones a system hears; empty where that is not known."""
    mics = evaluation.about(system, "mics")
    return system.n_mics or (len(mics) if mics else "")


def markdown(title: str, results: Results, baselines: Sequence[str], sweep: bool) -> str:
    """For each array a table by metric at the SNR closest to 0 dB, and if asked for one over all SNRs."""
    blocks = [f"# {title}"]
    implementations: dict[str, str] = {}
    for evaluation, cells in results:
        implementations |= evaluation.summary.get("implementations", {})
        kind, split = evaluation.summary.get("label", "unlabelled data"), evaluation.summary.get("split", "")
        scenes = f"n = {len(evaluation.scenes)} scenes, the same for every system and SNR"
        blocks.append(f"## {evaluation.array}\n\n{kind}, split {split}: {scenes}.")
        snr_db = evaluation.main_snr_db
        for metric in evaluation.metrics:
            shown = [cell for cell in cells if (cell.metric, cell.snr_db) == (metric, snr_db)]
            heading = f"**{metric_style(metric).title} at {decibels(snr_db)} dB**"
            blocks += [heading, piped(headline(evaluation, shown, metric, baselines))]
        if sweep and MAIN_METRIC in evaluation.metrics:
            blocks += [f"**{metric_style(MAIN_METRIC).title} by input SNR**", piped(over_snr(evaluation, cells))]
    notes = [*NOTES, *(f"{metric_style(metric).label}: {by}." for metric, by in implementations.items())]
    return "\n\n".join([*blocks, *notes]) + "\n"


def headline(evaluation: Evaluation, cells: list[Cell], metric: str, baselines: Sequence[str]) -> Table:
    """One metric at one SNR: a row for each system; differences have a decimal more than scores."""
    digits = metric_style(metric).digits
    differences = [f"− {name}" for name in baselines]
    table = [[*LEFT, "Params", "MACs/s", metric_style(metric).title, *differences, "Gain kept (%)"]]
    for cell in cells:
        sizes = [count(evaluation.about(cell.system, key)) for key in ("params", "macs_per_second")]
        found = [text(cell.differences.get(name), evaluation, cell, digits + 1, signed=True) for name in baselines]
        gain = text(cell.gain_kept, evaluation, cell, 0, scale=100)
        table.append([*left(evaluation, cell), *sizes, text(cell.score, evaluation, cell, digits), *found, gain])
    return table


def over_snr(evaluation: Evaluation, cells: list[Cell]) -> Table:
    """One metric at all SNRs: a row for each system."""
    rows: dict[System, list[str]] = {}
    for cell in cells:
        if cell.metric == MAIN_METRIC:  # cells come by rising SNR
            row = rows.setdefault(cell.system, left(evaluation, cell))
            row.append(text(cell.score, evaluation, cell, metric_style(MAIN_METRIC).digits))
    return [[*LEFT, *(f"{decibels(snr_db)} dB" for snr_db in evaluation.snr_db)], *rows.values()]


def left(evaluation: Evaluation, cell: Cell) -> list[str]:
    """What a row is about, the cells below ``LEFT``."""
    system = cell.system
    seeds = ", ".join(map(str, evaluation.seeds(system))) or MISSING
    return [system.size or MISSING, f"`{system.method}`", str(n_mics(evaluation, system) or MISSING), seeds]


def text(
    estimate: Estimate | None, of: Evaluation, cell: Cell, digits: int, signed: bool = False, scale: int = 1
) -> str:
    """``mean ±half``, then what it rests on if that is less than the rest; bold for a difference clear of zero."""
    if estimate is None:
        return MISSING
    mean, half = ((None if value is None else scale * value) for value in (estimate.summary.mean, estimate.half_width))
    found = with_spread(mean, half, digits, signed)
    if signed and estimate.is_clear:
        found = f"**{found}**"
    less = [f"{estimate.summary.n} scenes"] if estimate.summary.n_failed else []
    if estimate.n_seeds < len(of.seeds(cell.system)):
        less.append(f"{estimate.n_seeds} seed{'s' if estimate.n_seeds > 1 else ''}")
    return f"{found} ({', '.join(less)})" if less else found


def piped(table: Table) -> str:
    """A Markdown table; what a row is about stands left, numbers right."""
    rule = [*["---"] * len(LEFT), *["---:"] * (len(table[0]) - len(LEFT))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (table[0], rule, *table[1:]))


if __name__ == "__main__":
    main()
