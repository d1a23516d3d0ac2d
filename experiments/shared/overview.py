"""One table across the groups of a comparison: the main metric in full, of the others one difference."""

from __future__ import annotations

from shared.cells import MAIN_METRIC, Cell, Results
from shared.comparison import Comparison
from shared.scores import Evaluation
from shared.tables import Table, costs, piped, seeds, text

from arrayse.evaluation.baselines import BEAMFORMERS
from arrayse.report.text import MISSING, decibels, metric_style

N_LEFT = 2
"""Columns that say what a row is about: group and system."""


def overview(results: Results, comparison: Comparison) -> list[str]:
    """Blocks of Markdown: all groups at the SNR closest to 0 dB and as mean over all SNRs.

    Args:
        results: one or more groups, with cells for the mean over all SNRs.
        comparison: its first baseline is the one of the other metrics.

    Raises:
        ValueError: groups with different scenes, SNRs or metrics, or without the main metric.
    """
    first = results[0][0]
    for evaluation, _ in results:
        check_same_conditions(evaluation, first)
    snr_db = [decibels(each) for each in first.snr_db]
    scenes = f"n = {len(first.scenes)} scenes, the same for every {comparison.group}, system and SNR"
    return [
        f"## Overview\n\n{first.description}: {scenes}.",
        f"**At {decibels(first.main_snr_db)} dB**",
        piped(overview_table(results, comparison, first.main_snr_db), N_LEFT),
        f"**Mean over {', '.join(snr_db)} dB**: the score of a scene is its mean over these SNRs",
        piped(overview_table(results, comparison, None), N_LEFT),
    ]


def check_same_conditions(evaluation: Evaluation, first: Evaluation) -> None:
    """Raises ValueError unless both have the same scenes, SNRs and metrics, the main one among them."""
    if MAIN_METRIC not in evaluation.metrics:
        raise ValueError(f"{evaluation.group}: expected {MAIN_METRIC} among the metrics, got {evaluation.metrics}")
    for what, found, expected in (
        ("scenes", sorted(evaluation.scenes), sorted(first.scenes)),
        ("SNRs", evaluation.snr_db, first.snr_db),
        ("metrics", evaluation.metrics, first.metrics),
    ):
        if found != expected:
            raise ValueError(f"{evaluation.group}: expected the {what} of {first.group}, got others: {found}")


def overview_table(results: Results, comparison: Comparison, snr_db: float | None) -> Table:
    """A row for each group and system, at an SNR or, with None, of the mean over all SNRs; for each baseline one."""
    baselines = comparison.baselines
    others = [metric for metric in results[0][0].metrics if metric != MAIN_METRIC]
    columns = [f"{metric_style(metric).title} − {baselines[0]}" for metric in others]
    head = [comparison.group.capitalize(), "System", "Params", "MACs/s", "Seeds", metric_style(MAIN_METRIC).title]
    table = [[*head, *(f"− {name}" for name in baselines), *columns, "Gain kept (%)"]]
    for evaluation, cells in results:
        shown = {(cell.system, cell.metric): cell for cell in cells if cell.snr_db == snr_db}
        for system in dict.fromkeys(cell.system for cell in cells):
            is_baseline = system.method in BEAMFORMERS
            if is_baseline and evaluation is not results[0][0]:
                continue  # the same scenes, the same scores
            cell = shown[system, MAIN_METRIC]
            group = MISSING if is_baseline else evaluation.group
            row = [group, f"`{system.method}`", *costs(evaluation, system), seeds(evaluation, system)]
            row.append(text(cell.score, evaluation, cell, metric_style(MAIN_METRIC).digits))
            row += [difference(evaluation, cell, name) for name in baselines]
            row += [difference(evaluation, shown[system, metric], baselines[0]) for metric in others]
            table.append([*row, text(cell.gain_kept, evaluation, cell, 0, scale=100)])
    return table


def difference(evaluation: Evaluation, cell: Cell, baseline: str) -> str:
    """A difference with a decimal more than scores have."""
    digits = metric_style(cell.metric).digits + 1
    return text(cell.differences.get(baseline), evaluation, cell, digits, signed=True)
