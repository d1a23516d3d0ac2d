"""Drawing of a scene: the room in plan and from the side, who stands and walks where, and the array enlarged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from arrayse.report.figures import ACCENT, CARD, GRID, INK, MUTED, inline_svg, page_colour
from arrayse.report.preview_drawing import (
    DASHED,
    DOTTED,
    KEY,
    axes_at,
    draw_arrow,
    draw_legend,
    draw_rings,
    legend_arrow,
    legend_line,
    legend_ring,
)
from arrayse.report.preview_scene import PreviewRoom, PreviewScene, mark, source_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from arrayse.report.preview_drawing import Example

# Inches: width of the picture, least of the enlarged array, around and between; most that the two views take together.
WIDTH, ZOOM, LEFT, RIGHT, GAP, BOTTOM, TOP = 8.0, 2.2, 0.4, 0.2, 0.55, 0.3, 0.3
MOST_HEIGHT = 5.2

LOW_ZOOM = 1.0
"""Least height of the array enlarged from the side."""

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

MARGIN = 1.4
"""Size of a view over that of the array in it."""

LEAST_ZOOM = 0.012
"""Half of the enlarged view in metres at least, so that a single microphone has a surrounding."""

SAME_HEIGHT = 1e-3
"""Metres up to which microphones count as lying in one plane: no view from the side."""


def room_figure(scene: PreviewScene, salt: str) -> str:
    """The room of a scene to scale, as SVG.

    Above the plan (x to the right, y up: what is left of the array's front is left of its arrow), below it the view
    from the south (z up), beside them the microphones in the room's directions, at their true places; where tolerances
    shift them, rings show where they were meant to be. Below these is the legend.

    Raises:
        ValueError: a scene in a measured room.
    """
    from matplotlib.figure import Figure

    room = scene.room
    if room is None:
        raise ValueError(f"scene {scene.id}: expected a simulated room to draw, got a measured one")
    low, high = room.corners.min(axis=0), room.corners.max(axis=0)
    size = np.array([*(high - low), room.height])
    scale = min((WIDTH - LEFT - GAP - ZOOM - RIGHT) / size[0], MOST_HEIGHT / (size[1] + size[2]))
    inches = scale * size
    left, keys = max(LEFT + inches[0] + GAP, 0.5 * WIDTH), _keys(scene, room)
    low_zoom = _low_zoom(room)
    zoom = ZOOM if low_zoom else max(ZOOM, min(WIDTH - left - RIGHT, inches[1]))
    beside = zoom + (GAP + low_zoom if low_zoom else 0) + KEY * len(keys)
    height = TOP + max(inches[1] + inches[2], beside) + GAP + BOTTOM
    figure = Figure(figsize=(WIDTH, height))
    top = height - TOP - inches[1]
    plan = axes_at(figure, (LEFT, top, inches[0], inches[1]), (low[0], high[0]), (low[1], high[1]))
    side = axes_at(figure, (LEFT, top - GAP - inches[2], inches[0], inches[2]), (low[0], high[0]), (0, room.height))
    _draw_plan(plan, scene, room)
    _draw_side(side, scene, room)
    bottom = height - TOP - zoom
    _draw_zoom(figure, (left, bottom, zoom, zoom), plan, scene, room)
    if low_zoom:
        bottom -= GAP + low_zoom
        _draw_zoom_from_south(figure, (left, bottom, zoom, low_zoom), scene, room)
    draw_legend(figure, (left, bottom - GAP), WIDTH - left - RIGHT, keys)
    return inline_svg(figure, _label(scene), salt)


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
    circle = Circle((centre[0], centre[1]), room.critical_distance, fill=False, ec=MUTED, lw=1, ls=DOTTED)
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
        axes.plot(*np.stack([centre, target[0, :2]]).T, color=page_colour(1), lw=1, ls=DASHED, alpha=0.7)
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
        draw_arrow(axes, path[-2], path[-1], colour, 2)
    axes.plot(*path[0], "o", ms=14, color=colour, mec=CARD, mew=1.2, zorder=7, clip_on=False)
    text = axes.text(path[0, 0], path[0, 1], mark(number), color=CARD, size=9, weight="bold", zorder=7.5)
    text.set(ha="center", va="center_baseline")


def _draw_front(axes: Axes, room: PreviewRoom) -> None:
    """Arrow to where the array faces; an arc to where it turns."""
    centre, reach = room.array_centre[:2], float(np.ptp(room.corners, axis=0).sum())
    first, last = np.deg2rad(room.yaws_deg[[0, -1]])
    tip = centre + FRONT_LENGTH * reach * np.array([np.cos(first), np.sin(first)])
    draw_arrow(axes, centre, tip, INK, 2)
    if len(room.yaws_deg) > 1:
        angles = np.linspace(first, last, 40)
        arc = centre + TURN_RADIUS * reach * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        axes.plot(*arc[:-2].T, color=INK, lw=1.4, zorder=6)
        draw_arrow(axes, arc[-4], arc[-1], INK, 1.4)


# --- the array enlarged ---------------------------------------------------------------------------------------


def _draw_zoom(
    figure: Figure, box: tuple[float, float, float, float], plan: Axes, scene: PreviewScene, room: PreviewRoom
) -> None:
    """The array from above in a box in inches, with its front, and a line to where it is in the plan."""
    from matplotlib.patches import ConnectionPatch

    reach, yaw = _reach(room), np.deg2rad(room.yaws_deg[0])
    front, to_left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    above = axes_at(figure, box, (-reach, reach), (-reach, reach))
    _draw_mics(above, scene, room, (0, 1), "Array in the room (mm)", -8 * (front + to_left))  # beside the arrow
    above.plot(*np.stack([[0, 0], reach * front]).T, color=INK, lw=1, alpha=0.5, zorder=1)
    draw_arrow(above, 0.8 * reach * front, reach * front, INK, 1.4)
    _write_beside(above, "front", 0.82 * reach * front, 14 * to_left, MUTED)
    spot = (room.array_centre[0], room.array_centre[1])
    line = ConnectionPatch(spot, (0, 1), plan.transData, above.transAxes, color=MUTED, lw=0.8, alpha=0.6)
    figure.add_artist(line)


def _draw_zoom_from_south(
    figure: Figure, box: tuple[float, float, float, float], scene: PreviewScene, room: PreviewRoom
) -> None:
    """The array from the south in a box in inches."""
    reach, z = _reach(room), 1e3 * (room.mics[:, 2] - room.array_centre[2])
    half, middle = reach * box[3] / box[2], float(z.max() + z.min()) / 2
    side = axes_at(figure, box, (-reach, reach), (middle - half, middle + half))
    _draw_mics(side, scene, room, (0, 2), "Array from the south (mm)", np.array([9.0, 8.0]))


def _low_zoom(room: PreviewRoom) -> float:
    """Inches: height of the array from the south, :data:`ZOOM` wide; 0 where all microphones lie in a plane."""
    if np.ptp(room.nominal_mics[:, 2]) <= SAME_HEIGHT:
        return 0.0
    upright = 1e3 * MARGIN * float(np.ptp(room.mics[:, 2]))  # a phone held upright needs more
    return max(LOW_ZOOM, ZOOM * upright / (2 * _reach(room)))


def _reach(room: PreviewRoom) -> float:
    """Half of the enlarged view in mm."""
    return 1e3 * max(LEAST_ZOOM, MARGIN * float(np.abs(room.mics - room.array_centre).max()))


def _draw_mics(
    axes: Axes, scene: PreviewScene, room: PreviewRoom, pair: tuple[int, int], title: str, beside: np.ndarray
) -> None:
    """Microphones along two axes, the reference in colour, and the sphere that carries them.

    Their numbers stand ``beside`` them, so many points to the right and up.
    """
    from matplotlib.patches import Circle

    real, nominal = (1e3 * (mics - room.array_centre)[:, pair] for mics in (room.mics, room.nominal_mics))
    if room.sphere_radius is not None:
        axes.add_patch(Circle((0, 0), 1e3 * room.sphere_radius, fc=GRID, ec=MUTED, lw=0.8, alpha=0.6, zorder=0.5))
    if not np.allclose(real, nominal):
        draw_rings(axes, nominal)
    for mic, place in enumerate(real):
        colour = ACCENT if mic == scene.ref_mic else INK
        axes.plot(*place, "o", ms=7, color=colour, zorder=3)
        _write_beside(axes, str(mic), place, beside, colour)
    axes.set_title(title, loc="left", fontsize=10, color=MUTED, pad=7)
    axes.spines[:].set(visible=True, color=MUTED, lw=1)
    axes.grid(color=GRID, lw=0.6)
    axes.set_axisbelow(True)


def _write_beside(axes: Axes, words: str, place: np.ndarray, points: np.ndarray, colour: str) -> None:
    """Words whose middle is so many points to the right and up of a place (2,)."""
    spot, offset = (place[0], place[1]), (points[0], points[1])
    text = axes.annotate(words, spot, offset, textcoords="offset points", color=colour, size=9, zorder=4)
    text.set(ha="center", va="center")


# --- legend -------------------------------------------------------------------------------------------------------


def _keys(scene: PreviewScene, room: PreviewRoom) -> dict[str, Example]:
    """What is drawn beside microphones and sources, in words, with an example."""
    keys = {"front of the array": legend_arrow(INK, 2)}
    if len(room.yaws_deg) > 1:
        keys["where it turns"] = legend_arrow(INK, 1.4)
    if any(source.path is not None and len(source.path) > 1 for source in scene.sources):
        keys["walk of a source"] = legend_arrow(page_colour(1), 2)
    keys["direct path of the target"] = legend_line(page_colour(1), DASHED)
    keys["critical distance"] = legend_line(MUTED, DOTTED)
    if not np.allclose(room.mics, room.nominal_mics):
        keys["microphone as designed"] = legend_ring
    return keys
