"""Parts of the drawing of a scene: axes at a place in inches, arrows, rings, and the legend of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from arrayse.report.figures import MUTED, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Example = Callable[[Axes, float], object]
    """Draws what a legend tells of at a height of its axes in inches."""

KEY, KEY_LINE = 0.24, 0.45
"""Inches: height of a line of the legend, length of the arrow in it."""

Dashes = tuple[int, tuple[float, float]]
"""Offset, and points of line and gap."""

DOTTED: Dashes = (0, (1, 2.5))
DASHED: Dashes = (0, (4, 3))


def axes_at(
    figure: Figure, box: tuple[float, float, float, float], xlim: tuple[float, float], ylim: tuple[float, float]
) -> Axes:
    """Axes at (left, bottom, width, height) in inches, with these limits."""
    width, height = figure.get_size_inches()
    left, bottom, across, along = box
    axes = figure.add_axes((left / width, bottom / height, across / width, along / height))
    style_axes(axes)
    axes.spines[:].set_visible(False)
    axes.set(xlim=xlim, ylim=ylim)
    return axes


def draw_arrow(axes: Axes, start: np.ndarray, end: np.ndarray, colour: str, width: float) -> None:
    """An arrow between two places (2,)."""
    head = "-|>,head_width=0.26,head_length=0.55"
    arrow = {"arrowstyle": head, "color": colour, "lw": width, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (end[0], end[1]), (start[0], start[1]), arrowprops=arrow, zorder=6.5)


def draw_rings(axes: Axes, places: np.ndarray) -> None:
    """Where microphones, (n, 2), were meant to be."""
    axes.plot(*places.T, "o", ms=11, mfc="none", mec=MUTED, mew=0.9, zorder=2)


def legend_arrow(colour: str, width: float) -> Example:
    """An arrow in the legend."""
    return lambda axes, y: draw_arrow(axes, np.array([0, y]), np.array([KEY_LINE, y]), colour, width)


def legend_line(colour: str, dashes: Dashes) -> Example:
    """A dashed line in the legend."""
    return lambda axes, y: axes.plot([0, KEY_LINE], [y, y], color=colour, lw=1, ls=dashes)


def legend_ring(axes: Axes, y: float) -> None:
    """A ring in the legend."""
    draw_rings(axes, np.array([[KEY_LINE / 2, y]]))


def draw_legend(figure: Figure, corner: tuple[float, float], width: float, keys: dict[str, Example]) -> None:
    """Words and examples below one another, under their upper left corner; all in inches."""
    height = KEY * len(keys)
    axes = axes_at(figure, (corner[0], corner[1] - height, width, height), (0, width), (0, height))
    axes.set_axis_off()
    for row, (words, draw) in enumerate(keys.items()):
        y = height - (row + 0.5) * KEY
        draw(axes, y)
        axes.text(KEY_LINE + 0.12, y, words, color=MUTED, size=9, va="center")
