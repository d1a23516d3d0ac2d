"""Drawing of a scene: the room in plan and from the side, who stands and walks where, and the array enlarged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from arrayse.report.figures import ACCENT, CARD, GRID, INK, MUTED, inline_svg, page_colour, style_axes
from arrayse.report.preview_scene import PreviewRoom, PreviewScene, mark, source_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches: width of the picture, of the enlarged array, around and between; most that the two views take together.
WIDTH, ZOOM, LEFT, GAP, BOTTOM, TOP = 8.0, 2.2, 0.4, 0.55, 0.3, 0.3
MOST_HEIGHT = 5.2

LOW_ZOOM = 1.0
"""Height of the array enlarged from the side."""

FRONT_LENGTH = 0.09
TURN_RADIUS = 0.075
"""Of the arrows at the array, over the sum of the room's sides."""

SPOTS = (
    (0, 0.015, 0.5, "left", "center"),
    (1, 0.985, 0.5, "right", "center"),
    (2, 0.5, 0.02, "center", "bottom"),
    (3, 0.5, 0.975, "center", "top"),
)
"""Walls in plan: number, place in the axes, alignment."""

LEAST_ZOOM = 0.012
"""Half of the enlarged view in metres at least, so that a single microphone has a surrounding."""

SAME_HEIGHT = 1e-3
"""Metres up to which microphones count as lying in one plane: no view from the side."""


def room_figure(scene: PreviewScene, salt: str) -> str:
    """The room of a scene to scale, as SVG.

    Above the plan (x to the right, y up: what is left of the array's front is left of its arrow), below it the view
    from the south (z up), beside them the microphones in the room's directions, at their true places; where tolerances
    shift them, rings show where they were meant to be.

    Raises:
        ValueError: a scene in a measured room.
    """
    from matplotlib.figure import Figure

    room = scene.room
    if room is None:
        raise ValueError(f"scene {scene.id}: expected a simulated room to draw, got a measured one")
    low, high = room.corners.min(axis=0), room.corners.max(axis=0)
    size = np.array([*(high - low), room.height])
    scale = min((WIDTH - LEFT - GAP - ZOOM - 0.2) / size[0], MOST_HEIGHT / (size[1] + size[2]))
    inches = scale * size
    height = TOP + max(inches[1] + inches[2], ZOOM + LOW_ZOOM) + GAP + BOTTOM
    figure = Figure(figsize=(WIDTH, height))
    top = height - TOP - inches[1]
    plan = _axes(figure, (LEFT, top, inches[0], inches[1]), (low[0], high[0]), (low[1], high[1]))
    side = _axes(figure, (LEFT, top - GAP - inches[2], inches[0], inches[2]), (low[0], high[0]), (0, room.height))
    _draw_plan(plan, scene, room)
    _draw_side(side, scene, room)
    _draw_zooms(figure, plan, scene, room, left=max(LEFT + inches[0] + GAP, 0.5 * WIDTH))
    return inline_svg(figure, _label(scene), salt)


def _axes(
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


def _style_view(axes: Axes, title: str) -> None:
    from matplotlib.ticker import MultipleLocator

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(1))
    axes.set_title(title, loc="left", fontsize=10, color=MUTED, pad=7)
    axes.grid(color=GRID, lw=0.6)
    axes.set_axisbelow(True)


def _label(scene: PreviewScene) -> str:
    others = len(scene.sources) - 1
    return f"Room of {scene.id} in plan and from the side, with the array, the target and {others} interferers"


# --- plan and side --------------------------------------------------------------------------------------------


def _draw_plan(axes: Axes, scene: PreviewScene, room: PreviewRoom) -> None:
    from matplotlib.patches import Circle, Polygon

    floor = Polygon(room.corners, closed=True, fill=False, ec=INK, lw=2.2, clip_on=False, zorder=5)
    axes.add_patch(floor)
    centre = room.array_centre[:2]
    circle = Circle((centre[0], centre[1]), room.critical_distance, fill=False, ec=MUTED, lw=1, ls=(0, (1, 2.5)))
    axes.add_patch(circle)
    circle.set_clip_path(floor)
    _draw_weights(axes, room, SPOTS)
    _draw_front(axes, room)
    for number in reversed(range(len(scene.sources))):  # the target on top
        path = scene.sources[number].path
        if path is not None:
            _draw_source(axes, path[:, :2], number)
    target = scene.sources[0].path
    if target is not None:
        axes.plot(*np.stack([centre, target[0, :2]]).T, color=page_colour(1), lw=1, ls=(0, (4, 3)), alpha=0.7)
    axes.plot(*centre, "o", ms=7, mfc=CARD, mec=INK, mew=1.8, zorder=8)
    _style_view(axes, "Plan (m): x to the right, y up")


def _draw_side(axes: Axes, scene: PreviewScene, room: PreviewRoom) -> None:
    from matplotlib.patches import Rectangle

    (left, right), (_, height) = axes.get_xlim(), axes.get_ylim()
    axes.add_patch(Rectangle((left, 0), right - left, height, fill=False, ec=INK, lw=2.2, clip_on=False, zorder=5))
    for number in reversed(range(len(scene.sources))):
        path = scene.sources[number].path
        if path is not None:
            _draw_source(axes, path[:, [0, 2]], number)
    x, _, z = room.array_centre
    axes.plot([x, x], [0, z], color=MUTED, lw=1, alpha=0.6)
    axes.plot(x, z, "o", ms=7, mfc=CARD, mec=INK, mew=1.8, zorder=8)
    _draw_weights(axes, room, ((4, 0.5, 0.02, "center", "bottom"), (5, 0.5, 0.97, "center", "top")))
    _style_view(axes, "From the south (m): x to the right, z up")


def _draw_weights(axes: Axes, room: PreviewRoom, spots: Iterable[tuple[int, float, float, str, str]]) -> None:
    """Relative absorption of walls, where they differ: number of the wall, place in the axes, alignment."""
    if len(set(room.walls)) == 1:
        return
    for wall, x, y, side, edge in spots:
        text = axes.text(x, y, f"×{room.walls[wall]:g}", transform=axes.transAxes, color=MUTED, size=8.5)
        text.set(ha=side, va=edge)


def _draw_source(axes: Axes, path: np.ndarray, number: int) -> None:
    """A disc with its mark at the start of a path (n_waypoints, 2), and an arrow along it."""
    colour = page_colour(source_colour(number))
    if len(path) > 1:
        axes.plot(*path.T, color=colour, lw=2, solid_capstyle="round", zorder=6)
        _arrow(axes, path[-2], path[-1], colour, 2)
    axes.plot(*path[0], "o", ms=14, color=colour, mec=CARD, mew=1.2, zorder=7, clip_on=False)
    text = axes.text(path[0, 0], path[0, 1], mark(number), color=CARD, size=9, weight="bold", zorder=7.5)
    text.set(ha="center", va="center_baseline")


def _draw_front(axes: Axes, room: PreviewRoom) -> None:
    """Arrow to where the array faces; an arc to where it turns."""
    centre, reach = room.array_centre[:2], float(np.ptp(room.corners, axis=0).sum())
    first, last = np.deg2rad(room.yaws_deg[[0, -1]])
    tip = centre + FRONT_LENGTH * reach * np.array([np.cos(first), np.sin(first)])
    _arrow(axes, centre, tip, INK, 2)
    if len(room.yaws_deg) > 1:
        angles = np.linspace(first, last, 40)
        arc = centre + TURN_RADIUS * reach * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        axes.plot(*arc[:-2].T, color=INK, lw=1.4, zorder=6)
        _arrow(axes, arc[-4], arc[-1], INK, 1.4)


def _arrow(axes: Axes, start: np.ndarray, end: np.ndarray, colour: str, width: float) -> None:
    head = "-|>,head_width=0.26,head_length=0.55"
    arrow = {"arrowstyle": head, "color": colour, "lw": width, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (end[0], end[1]), (start[0], start[1]), arrowprops=arrow, zorder=6.5)


# --- the array enlarged ---------------------------------------------------------------------------------------


def _draw_zooms(figure: Figure, plan: Axes, scene: PreviewScene, room: PreviewRoom, left: float) -> None:
    """The array from above, and below it from the south if its microphones differ in height."""
    from matplotlib.patches import ConnectionPatch

    bottom = figure.get_size_inches()[1] - TOP - ZOOM
    reach = 1e3 * max(LEAST_ZOOM, 1.35 * float(np.abs(room.mics - room.array_centre).max()))  # mm
    above = _axes(figure, (left, bottom, ZOOM, ZOOM), (-reach, reach), (-reach, reach))
    _draw_mics(above, scene, room, (0, 1), "Array in the room (mm)")
    yaw = np.deg2rad(room.yaws_deg[0])
    front = reach * np.array([np.cos(yaw), np.sin(yaw)])
    above.plot([0, front[0]], [0, front[1]], color=INK, lw=1, alpha=0.5, zorder=1)
    _arrow(above, 0.8 * front, front, INK, 1.4)
    spot = (room.array_centre[0], room.array_centre[1])
    line = ConnectionPatch(spot, (0, 0.5), plan.transData, above.transAxes, color=MUTED, lw=0.8, alpha=0.6)
    figure.add_artist(line)
    if np.ptp(room.nominal_mics[:, 2]) > SAME_HEIGHT:
        z = 1e3 * (room.mics[:, 2] - room.array_centre[2])
        half = max(reach * LOW_ZOOM / ZOOM, 0.7 * float(np.ptp(z)))  # a phone held upright needs more
        height = min(ZOOM * half / reach, bottom - GAP - BOTTOM)
        half, middle = reach * height / ZOOM, float(z.max() + z.min()) / 2
        box = (left, bottom - GAP - height, ZOOM, height)
        side = _axes(figure, box, (-reach, reach), (middle - half, middle + half))
        _draw_mics(side, scene, room, (0, 2), "Array from the south (mm)")


def _draw_mics(axes: Axes, scene: PreviewScene, room: PreviewRoom, pair: tuple[int, int], title: str) -> None:
    """Microphones along two axes with their numbers, the reference in colour, and the sphere that carries them."""
    from matplotlib.patches import Circle

    real, nominal = (1e3 * (mics - room.array_centre)[:, pair] for mics in (room.mics, room.nominal_mics))
    if room.sphere_radius is not None:
        axes.add_patch(Circle((0, 0), 1e3 * room.sphere_radius, fc=GRID, ec=MUTED, lw=0.8, alpha=0.6, zorder=0.5))
    if not np.allclose(real, nominal):
        axes.plot(*nominal.T, "o", ms=11, mfc="none", mec=MUTED, mew=0.9, zorder=2)
    for mic, place in enumerate(real):
        colour = ACCENT if mic == scene.ref_mic else INK
        axes.plot(*place, "o", ms=7, color=colour, zorder=3)
        axes.annotate(str(mic), place, (6, 5), textcoords="offset points", color=colour, size=9, zorder=4)
    axes.set_title(title, loc="left", fontsize=10, color=MUTED, pad=7)
    axes.spines[:].set(visible=True, color=MUTED, lw=1)
    axes.grid(color=GRID, lw=0.6)
    axes.set_axisbelow(True)
