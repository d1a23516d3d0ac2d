"""The figure: what students of each method and size keep of their teacher's gain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cells import MAIN_METRIC, Cell, Results

from arrayse.report.text import decibels, metric_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLES = (
    {"color": "#1f4e79", "marker": "o", "markerfacecolor": "#1f4e79"},
    {"color": "#c55a11", "marker": "s", "markerfacecolor": "white"},
    {"color": "#4c7a34", "marker": "^", "markerfacecolor": "#4c7a34"},
)
"""Told apart in grey as well: by shape and filling."""

STEP = 0.28
"""Between the marks of two sizes in a row."""


def draw_gain_kept(results: Results, order: Sequence[str], path: Path) -> None:
    """Gain kept at the SNR closest to 0 dB as SVG: a panel for each array, a row for each method, a mark for each size.

    A dotted line in the colour of a size marks its students without distillation and with equal training (restart).

    Args:
        results: the arrays.
        order: methods from top to bottom; others come last.
        path: of the picture.
    """
    import matplotlib
    from matplotlib.figure import Figure

    panels = {
        f"{evaluation.group}, {decibels(evaluation.main_snr_db)} dB": [
            cell
            for cell in cells
            if cell.system.size and (cell.metric, cell.snr_db) == (MAIN_METRIC, evaluation.main_snr_db)
        ]
        for evaluation, cells in results
    }
    drawn = [cell for cells in panels.values() for cell in cells]
    found = dict.fromkeys(cell.system.method for cell in drawn)
    methods = [*(method for method in order if method in found), *(name for name in found if name not in order)]
    sizes = sorted({cell.system.size for cell in drawn})
    with matplotlib.rc_context({"font.size": 8, "svg.hashsalt": "gain_kept"}):
        figure = Figure(figsize=(1 + 3 * len(panels), 1 + 0.26 * len(methods)), layout="constrained")
        columns = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
        for axes, (title, cells) in zip(columns, panels.items(), strict=True):
            for cell in cells:
                _draw(axes, cell, methods.index(cell.system.method), sizes)
            _style(axes, title)
        columns[0].set_yticks(range(len(methods)), methods)
        columns[0].set_ylim(len(methods) - 0.4, -0.6)
        figure.supxlabel(f"{metric_style(MAIN_METRIC).label} gain kept (% of the teacher's)", fontsize=8)
        marks = [axes.plot([], [], label=size, **_look(sizes, size))[0] for size in sizes]
        figure.legend(handles=marks, loc="outside upper right", ncols=max(1, len(sizes)), frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _draw(axes: Axes, cell: Cell, row: int, sizes: list[str]) -> None:
    """A mark with its interval; nothing where the gain kept is not defined."""
    kept = cell.gain_kept.summary if cell.gain_kept else None
    if kept is None or kept.mean is None or kept.low is None or kept.high is None:
        return
    place = row + STEP * (sizes.index(cell.system.size) - (len(sizes) - 1) / 2)
    look = _look(sizes, cell.system.size)
    if cell.system.method == "restart":
        axes.axvline(100 * kept.mean, color=look["color"], linewidth=0.7, linestyle=":", zorder=1)
    axes.plot([100 * kept.low, 100 * kept.high], [place, place], color=look["color"], linewidth=1.2)
    axes.plot(100 * kept.mean, place, **look)


def _look(sizes: list[str], size: str) -> dict[str, Any]:
    return {**STYLES[sizes.index(size) % len(STYLES)], "markersize": 4.5, "linestyle": ""}


def _style(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=9)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
