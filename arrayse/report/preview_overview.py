"""Figures over all scenes of a preview: their numbers side by side, and where sources are seen from the array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrayse.report.figures import ACCENT, CARD, GRID, INK, MUTED, inline_svg, new_figure, page_colour, style_axes
from arrayse.report.preview_scene import Preview, PreviewScene

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

WIDTH, ROW, HEAD = 14.0, 0.27, 0.9
"""Inches: of the table of dots, of one scene in it, of what is around."""

OTHER = 2
"""Colour number of interferers."""


@dataclass(frozen=True)
class Panel:
    """One number of every scene.

    Attributes:
        title: what it is.
        value: of the target (source 0) or an interferer; None or not finite: unknown.
        limits: key of :attr:`Preview.ranges`; empty: it is not drawn from a range.
        least: least span of its axis.
        sources: whether interferers have it too.
        asked: what was asked in its place, if anything.
    """

    title: str
    value: Callable[[PreviewScene, int], float | None]
    limits: str
    least: float
    sources: bool = False
    asked: Callable[[PreviewScene], float | None] = lambda scene: None


PANELS = (
    Panel("RT60 (s)", lambda scene, _: scene.rt60 or None, "rt60", 0.1, asked=lambda scene: scene.rt60_asked),
    Panel("SNR (dB)", lambda scene, _: scene.snr_db, "snr_db", 5.0),
    Panel("Direct to reverberant (dB)", lambda scene, _: scene.response.drr_db, "", 5.0),
    Panel("Distance (m)", PreviewScene.distance, "distance", 0.5, sources=True),
    Panel("Azimuth (°)", PreviewScene.azimuth_deg, "azimuth_deg", 90.0, sources=True),
)


def overview_figure(preview: Preview, scenes: Sequence[PreviewScene], anchors: Sequence[str], salt: str) -> str:
    """A row for each scene, a panel for each number, the range that it is drawn from shaded, as SVG.

    Numbers that no scene has, as those of places in measured rooms, are left out.

    Args:
        preview: what scenes are drawn from.
        scenes: one or more.
        anchors: id on the page of each scene, which its name links to.
        salt: see :func:`arrayse.report.figures.curve_figure`.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import TightLayoutEngine

    panels = [panel for panel in PANELS if any(np.isfinite(_known(panel, scene, 0)) for scene in scenes)]
    figure = Figure(figsize=(WIDTH, HEAD + ROW * len(scenes)), layout=TightLayoutEngine(pad=0.3, w_pad=1.6))
    columns = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, panel in zip(columns, panels, strict=True):
        style_axes(axes)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", labelsize=10)
        axes.hlines(range(len(scenes)), 0, 1, transform=axes.get_yaxis_transform(), color=GRID, lw=0.8, zorder=0)
        _draw_panel(axes, panel, preview, scenes)
    columns[0].set_yticks(range(len(scenes)), [scene.id for scene in scenes])
    columns[0].set_ylim(len(scenes) - 0.4, -0.6)
    for label, anchor in zip(columns[0].get_yticklabels(), anchors, strict=True):
        label.set(url=f"#{anchor}", color=ACCENT)
    if scenes[0].room is not None:
        columns[-1].set_xlim(185, -185)  # left is left
        columns[-1].set_xticks([180, 90, 0, -90, -180], ["180", "90\nleft", "0\nfront", "−90\nright", "−180"])
    return inline_svg(figure, f"Of each scene: {', '.join(panel.title for panel in panels)}", salt)


def _draw_panel(axes: Axes, panel: Panel, preview: Preview, scenes: Sequence[PreviewScene]) -> None:
    """Dots of targets, diamonds of interferers, rings for what was asked, the range shaded."""
    for row, scene in enumerate(scenes):
        asked = panel.asked(scene)
        if asked is not None:
            axes.plot(asked, row, "o", ms=12, mfc="none", mec=MUTED, mew=1.2, zorder=3)
        others = range(1, len(scene.sources) if panel.sources else 1)
        for source in others:
            axes.plot(
                _known(panel, scene, source), row, "D", ms=5, color=page_colour(OTHER), mec=CARD, mew=0.6, zorder=3
            )
        axes.plot(_known(panel, scene, 0), row, "o", ms=7, color=ACCENT, mec=CARD, zorder=4)
    axes.margins(x=0.12)
    if panel.limits in preview.ranges:
        axes.axvspan(*preview.ranges[panel.limits], color=ACCENT, alpha=0.1, lw=0, zorder=-1)
        axes.margins(x=0.06)
    low, high = axes.get_xlim()
    spare = max(panel.least - (high - low), 0) / 2  # few dots close together are no reason for many decimals
    axes.set_xlim(low - spare, high + spare)
    axes.locator_params(axis="x", nbins=5)
    axes.set_title(panel.title, loc="left", fontsize=10.5, color=INK, fontweight="bold")


def _known(panel: Panel, scene: PreviewScene, source: int) -> float:
    """The value, NaN where there is none to be drawn."""
    value = panel.value(scene, source)
    return value if value is not None and np.isfinite(value) else np.nan


def sources_figure(preview: Preview, scenes: Sequence[PreviewScene], salt: str) -> str:
    """All sources as the array sees them at the start, front up, as SVG; empty if all rooms are measured ones."""
    targets: list[tuple[float, float]] = []
    others: list[tuple[float, float]] = []
    for scene in scenes:
        for source in range(len(scene.sources)):
            distance, azimuth = scene.distance(source), scene.azimuth_deg(source)
            if distance is not None and azimuth is not None:
                angle = np.deg2rad(azimuth)
                place = (-distance * np.sin(angle), distance * np.cos(angle))  # left is left, front is up
                (others if source else targets).append(place)
    if not targets:
        return ""
    figure, axes = new_figure(3.4, 3.4)
    reach = max([*(float(np.linalg.norm(place)) for place in targets + others), *preview.ranges.get("distance", ())])
    _draw_rings(axes, reach)
    _draw_sector(axes, preview)
    for places, label, style, colour in (
        (others, "interferers", "D", page_colour(OTHER)),
        (targets, "targets", "o", ACCENT),
    ):
        axes.plot(*np.array(places).reshape(-1, 2).T, style, ms=6.5, color=colour, mec=CARD, mew=0.7, label=label)
    axes.plot(0, 0, "o", ms=7, mfc=CARD, mec=INK, mew=1.8)
    axes.set(xlim=(-1.12 * reach, 1.12 * reach), ylim=(-1.12 * reach, 1.12 * reach), aspect="equal")
    axes.set_axis_off()
    axes.legend(frameon=False, fontsize=9.5, labelcolor=MUTED, loc="lower left", handletextpad=0.1, borderpad=0)
    return inline_svg(figure, "Targets and interferers of all scenes seen from the array, its front up", salt)


def _draw_rings(axes: Axes, reach: float) -> None:
    from matplotlib.patches import Circle

    step = 1.0 if reach >= 1 else 0.25
    for metres in step * np.arange(1, int(1.05 * reach / step) + 1):
        axes.add_patch(Circle((0, 0), metres, fill=False, ec=GRID, lw=0.9, zorder=0))
        angle = np.deg2rad(50)
        axes.text(metres * np.sin(angle), metres * np.cos(angle), f"{metres:g} m", color=MUTED, size=8.5, zorder=1)
    axes.plot([0, 0], [0, 1.06 * reach], color=GRID, lw=0.9, zorder=0)
    axes.text(0, 1.07 * reach, "front", color=MUTED, size=9, ha="center", va="bottom")


def _draw_sector(axes: Axes, preview: Preview) -> None:
    """Where targets may be."""
    from matplotlib.patches import Wedge

    if not {"distance", "azimuth_deg"} <= set(preview.ranges):
        return
    (near, far), (right, left) = preview.ranges["distance"], preview.ranges["azimuth_deg"]
    axes.add_patch(Wedge((0, 0), far, 90 + right, 90 + left, width=far - near, color=ACCENT, alpha=0.1, lw=0))
