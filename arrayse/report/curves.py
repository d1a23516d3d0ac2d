"""Scores over SNR with their intervals, as SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrayse.report.figures import (
    GRID,
    INK,
    MUTED,
    colour_index,
    dash_of,
    inline_svg,
    marker_of,
    new_figure,
    page_colour,
)
from arrayse.report.results import Results
from arrayse.report.text import decibels, higher_is_better, metric_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDE_STEP = 0.25
"""Systems stand side by side at a single SNR, so that their intervals do not hide each other."""

BAND = 0.15
"""Opacity of the band of one of a few systems; those of many are fainter, as they overlap."""


def curve_figure(results: Results, metric: str, salt: str) -> str:
    """Means of one metric over SNR with 95 % intervals, as SVG.

    Each system's marks are in groups ``<g data-system="POSITION">``. Here and elsewhere ``salt`` tells the
    figures of one page apart, so that no two elements share an id.
    """
    style = metric_style(metric)
    figure, axes = new_figure(4.6, 3.7)
    for position in range(len(results.systems)):
        _draw_curve(axes, results, metric, position)
    axes.set_xticks(results.snr_db, [decibels(value) for value in results.snr_db])
    if len(results.snr_db) == 1:
        reach = SIDE_STEP * len(results.systems)
        axes.set_xlim(results.snr_db[0] - reach, results.snr_db[0] + reach)
    axes.set_xlabel("Input SNR (dB)")
    title_axes(axes, metric)
    axes.locator_params(axis="y", nbins=8)
    if all(cell.mean is None for key, cell in results.cells.items() if key[2] == metric):
        axes.text(0.5, 0.5, "no values", color=MUTED, ha="center", transform=axes.transAxes)
        axes.set_yticks([])
    label = f"{style.title} over input SNR, with 95 % intervals; the numbers are in the table"
    return inline_svg(figure, label, salt)


def title_axes(axes: Axes, metric: str) -> None:
    """Writes the metric above axes, with a word where less of it is better, and draws lines across."""
    title = metric_style(metric).title + ("" if higher_is_better(metric) else ", less is better")
    axes.set_title(title, loc="left", fontsize=11, color=INK, fontweight="bold", parse_math=False)
    axes.grid(axis="y", color=GRID, linewidth=0.8)


def _draw_curve(axes: Axes, results: Results, metric: str, position: int) -> None:
    """Draws one system: a line in a band, or at a single SNR a point on a bar."""
    system, where = results.systems[position], np.array(results.snr_db)
    cells = [results.cell(system.name, value, metric) for value in results.snr_db]
    mean = np.array([cell.mean for cell in cells], dtype=float)  # None becomes NaN: a gap
    low = np.array([cell.low for cell in cells], dtype=float)
    high = np.array([cell.high for cell in cells], dtype=float)
    colour, gid = page_colour(colour_index(results)[system.name]), f"system-{position}"
    if len(where) == 1:
        where = where + SIDE_STEP * (position - (len(results.systems) - 1) / 2)
        axes.vlines(where, low, high, color=colour, linewidth=2, gid=gid)
    else:
        opacity = BAND * min(1.0, 3 / len(results.systems))
        axes.fill_between(where, low, high, color=colour, alpha=opacity, linewidth=0, gid=gid)
    marker, dash = marker_of(results)[system.name], dash_of(results)[system.name]
    axes.plot(where, mean, color=colour, linestyle=dash, linewidth=1.7, marker=marker, markersize=5, gid=gid)
