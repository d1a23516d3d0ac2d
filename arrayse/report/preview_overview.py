"""Figures over all scenes of a preview: their numbers side by side, and where sources are seen from the array."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrayse.report.figures import ACCENT, CARD, GRID, INK, MUTED, inline_svg, new_figure, page_colour, style_axes
from arrayse.report.preview_scene import Preview, PreviewScene

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

WIDTH, ROW = 14.0, 0.27
"""Inches: of the table of dots, and of one scene in it."""

HEAD = 0.75

OTHER = 2
"""Colour number of interferers."""


def overview_figure(preview: Preview, anchors: dict[str, str], salt: str) -> str:
    """A row for each scene, a panel for each number, the range that it is drawn from shaded, as SVG.

    Args:
        preview: the scenes.
        anchors: id on the page of each scene, which its name links to.
        salt: see :func:`arrayse.report.figures.curve_figure`.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import TightLayoutEngine

    n_scenes = len(preview.scenes)
    figure = Figure(figsize=(WIDTH, HEAD + ROW * n_scenes), layout=TightLayoutEngine(pad=0.3, w_pad=1.6))
    panels = figure.subplots(1, 5, sharey=True, width_ratios=[1, 1, 1, 1, 1.2])
    for axes in panels:
        style_axes(axes)
        axes.spines["left"].set_visible(False)
        axes.hlines(range(n_scenes), 0, 1, transform=axes.get_yaxis_transform(), color=GRID, lw=0.8, zorder=0)
    rt60, snr, drr, distance, azimuth = panels
    rt60.set_yticks(range(n_scenes), [scene.id for scene in preview.scenes])
    rt60.set_ylim(n_scenes - 0.4, -0.6)
    for label, scene in zip(rt60.get_yticklabels(), preview.scenes, strict=True):
        label.set(url=f"#{anchors[scene.id]}", color=ACCENT)
    _dots(rt60, preview, "RT60 (s)", lambda scene: scene.rt60 or None, "rt60")
    _dots(snr, preview, "SNR (dB)", lambda scene: scene.snr_db, "snr_db")
    _dots(drr, preview, "Direct to reverberant (dB)", lambda scene: scene.response.drr_db, "")
    _dots(distance, preview, "Distance (m)", lambda scene: scene.distance(0), "distance")
    _dots(azimuth, preview, "Azimuth (°)", lambda scene: scene.azimuth_deg(0), "azimuth_deg")
    _rings(rt60, preview, lambda scene: [scene.rt60_asked])
    _others(distance, preview, lambda scene, source: scene.distance(source))
    _others(azimuth, preview, lambda scene, source: scene.azimuth_deg(source))
    azimuth.set_xlim(185, -185)  # left is left
    azimuth.set_xticks([180, 90, 0, -90, -180], ["180", "left 90", "front", "−90 right", "−180"])
    return inline_svg(figure, "Numbers of each scene; what lies in a room is not known of measured ones", salt)


def _dots(axes: Axes, preview: Preview, title: str, value: Callable[[PreviewScene], float | None], limits: str) -> None:
    """The target's values by scene; shaded, the range that they are drawn from."""
    known = [(number, found) for number, found in enumerate(map(value, preview.scenes)) if _finite(found)]
    axes.plot(
        [found for _, found in known], [number for number, _ in known], "o", ms=7, color=ACCENT, mec=CARD, zorder=4
    )
    if limits in preview.ranges:
        low, high = preview.ranges[limits]
        axes.axvspan(low, high, color=ACCENT, alpha=0.1, lw=0, zorder=-1)
        axes.margins(x=0.06)
    else:
        axes.margins(x=0.12)
    axes.set_title(title, loc="left", fontsize=10.5, color=INK, fontweight="bold")
    axes.tick_params(axis="y", labelsize=10)


def _finite(value: float | None) -> bool:
    return value is not None and bool(np.isfinite(value))


def _rings(axes: Axes, preview: Preview, values: Callable[[PreviewScene], list[float | None]]) -> None:
    """What was asked, as rings around what was measured."""
    for number, scene in enumerate(preview.scenes):
        asked = [value for value in values(scene) if value is not None]
        axes.plot(asked, [number] * len(asked), "o", ms=12, mfc="none", mec=MUTED, mew=1.2, zorder=3)


def _others(axes: Axes, preview: Preview, value: Callable[[PreviewScene, int], float | None]) -> None:
    """Values of the interferers."""
    for number, scene in enumerate(preview.scenes):
        found = [value(scene, source) for source in range(1, len(scene.sources))]
        known = [each for each in found if each is not None]
        axes.plot(known, [number] * len(known), "D", ms=5, color=page_colour(OTHER), mec=CARD, mew=0.6, zorder=3)


def sources_figure(preview: Preview, salt: str) -> str:
    """All sources as the array sees them at the start, front up, as SVG; empty if all rooms are measured ones."""
    targets, others = [], []
    for scene in preview.scenes:
        for source in range(len(scene.sources)):
            distance, azimuth = scene.distance(source), scene.azimuth_deg(source)
            if distance is not None and azimuth is not None:
                angle = np.deg2rad(azimuth)
                place = (-distance * np.sin(angle), distance * np.cos(angle))  # left is left, front is up
                (others if source else targets).append(place)
    if not targets:
        return ""
    figure, axes = new_figure(3.4, 3.4)
    reach = max(float(np.linalg.norm(place)) for place in targets + others)
    _draw_rings(axes, reach)
    _draw_sector(axes, preview)
    if others:
        axes.plot(
            *zip(*others, strict=True), "D", ms=6, color=page_colour(OTHER), mec=CARD, mew=0.6, label="interferers"
        )
    axes.plot(*zip(*targets, strict=True), "o", ms=8, color=ACCENT, mec=CARD, label="targets")
    axes.plot(0, 0, "o", ms=7, mfc=CARD, mec=INK, mew=1.8)
    axes.set(xlim=(-1.12 * reach, 1.12 * reach), ylim=(-1.12 * reach, 1.12 * reach), aspect="equal")
    axes.set_axis_off()
    axes.legend(frameon=False, fontsize=9.5, labelcolor=MUTED, loc="lower left", handletextpad=0.1, borderpad=0)
    return inline_svg(figure, "Targets and interferers of all scenes seen from the array, its front up", salt)


def _draw_rings(axes: Axes, reach: float) -> None:
    from matplotlib.patches import Circle

    for metres in range(1, int(reach) + 2):
        axes.add_patch(Circle((0, 0), metres, fill=False, ec=GRID, lw=0.9, zorder=0))
        if metres <= 1.05 * reach:
            angle = np.deg2rad(50)
            axes.text(metres * np.sin(angle), metres * np.cos(angle), f"{metres} m", color=MUTED, size=8.5, zorder=1)
    axes.plot([0, 0], [0, 1.06 * reach], color=GRID, lw=0.9, zorder=0)
    axes.text(0, 1.07 * reach, "front", color=MUTED, size=9, ha="center", va="bottom")


def _draw_sector(axes: Axes, preview: Preview) -> None:
    """Where targets may be."""
    from matplotlib.patches import Wedge

    if not {"distance", "azimuth_deg"} <= set(preview.ranges):
        return
    (near, far), (right, left) = preview.ranges["distance"], preview.ranges["azimuth_deg"]
    axes.add_patch(Wedge((0, 0), far, 90 + right, 90 + left, width=far - near, color=ACCENT, alpha=0.1, lw=0))
