"""Microphones of an array seen along an axis, with their numbers, the front and the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrayse.geometry import ArrayGeometry
from arrayse.report.array_style import GAP, INK, LEGEND, MUTED, ORANGE, SIZE_INCHES, TOP_GAP, style_panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACROSS = {0: "back  ←   x (mm)   →  front", 1: "left  ←   y (mm)   →  right"}
UPWARDS = {0: "back  ←   x (mm)   →  front", 2: "down  ←   z (mm)   →  up"}


def draw_view(panel: Axes, geometry: ArrayGeometry, axes: tuple[int, int], title: str) -> None:
    """Microphones seen along the axis that ``axes`` (horizontal, vertical) leaves out.

    Where y lies across, left is left: the numbers fall to the right, as y points to the left.
    """
    points = geometry.positions[:, axes] * 1e3  # mm
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    half = max(0.72 * np.ptp(points, axis=0).max(), 5.0)
    panel.set_xlim(centre[0] - half, centre[0] + half)
    panel.set_ylim(centre[1] - half, centre[1] + half)
    if axes[0] == 1:
        panel.invert_xaxis()
    panel.set_aspect("equal", anchor="NW")
    style_panel(panel, title, gap=TOP_GAP if axes == (1, 0) else GAP)
    panel.set_xlabel(ACROSS[axes[0]], color=MUTED)
    panel.set_ylabel(UPWARDS[axes[1]], color=MUTED)
    box = panel.get_position(original=True)
    side = 72 * min(box.width * SIZE_INCHES[0], box.height * SIZE_INCHES[1])  # of the square panel, in points
    _draw_microphones(panel, points, geometry.ref_mic, side / (2 * half))
    if axes == (1, 0):
        _draw_front(panel, start=(0.05, 0.86), end=(0.05, 0.985), label=(0.08, 0.925), side="left")
        label = f"reference: microphone {geometry.ref_mic}"
        panel.plot([], [], "s", ms=9, color=ORANGE, label=label)
        panel.legend(loc="lower left", borderpad=0, handletextpad=0.2, **LEGEND)
    elif axes == (0, 2):
        _draw_front(panel, start=(0.86, 0.94), end=(0.985, 0.94), label=(0.84, 0.94), side="right")


def _draw_front(
    panel: Axes, start: tuple[float, float], end: tuple[float, float], label: tuple[float, float], side: str
) -> None:
    head = "-|>,head_width=0.3,head_length=0.6"
    arrow = {"arrowstyle": head, "color": INK, "lw": 1.8, "shrinkA": 0, "shrinkB": 0}
    panel.annotate("", end, start, xycoords="axes fraction", textcoords="axes fraction", arrowprops=arrow)
    panel.text(*label, "front", transform=panel.transAxes, ha=side, va="center", size=11, color=INK)


def _draw_microphones(panel: Axes, points: np.ndarray, ref_mic: int, points_per_mm: float) -> None:
    """Numbered discs; microphones that hide each other in this view share one label beside them."""
    groups = _overlapping(points, tolerance=10 / points_per_mm)
    heads = points[[group[0] for group in groups]]
    gaps = np.linalg.norm(heads[:, None] - heads[None], axis=-1)[np.triu_indices(len(heads), k=1)]
    size = float(np.clip(0.95 * gaps.min(initial=np.inf) * points_per_mm, 12, 20))
    for mic in sorted(range(len(points)), key=lambda mic: mic == ref_mic):  # the reference on top
        colour, shape = (ORANGE, "s") if mic == ref_mic else (INK, "o")
        panel.plot(*points[mic], shape, ms=size, color=colour, mec="white", mew=1, zorder=3)
    for group in groups:
        label = ", ".join(map(str, group))
        x, y = points[group].mean(axis=0)
        if len(group) == 1:
            text = panel.text(x, y, label, size=0.58 * size, color="white", weight="bold", zorder=4)
            text.set(ha="center", va="center_baseline")
        else:
            x, y = _free_spot(np.array([x, y]), np.delete(points, group, axis=0), 1.3 * size / points_per_mm)
            panel.text(x, y, label, size=10, color=INK, ha="center", va="center", zorder=4)


def _free_spot(middle: np.ndarray, others: np.ndarray, distance: float) -> np.ndarray:
    """A place beside ``middle``: above, or below, right or left if ``others`` leave more room there."""
    spots = middle + distance * np.array([[0, 1], [0, -1], [1.4, 0], [-1.4, 0]])
    room = [np.linalg.norm(others - spot, axis=-1).min(initial=distance) for spot in spots]
    return spots[np.argmax(room)]


def _overlapping(points: np.ndarray, tolerance: float) -> list[list[int]]:
    """Groups of points that lie within ``tolerance`` of the first of their group."""
    groups: list[list[int]] = []
    for mic, point in enumerate(points):
        near = [group for group in groups if np.linalg.norm(points[group[0]] - point) < tolerance]
        if near:
            near[0].append(mic)
        else:
            groups.append([mic])
    return groups
