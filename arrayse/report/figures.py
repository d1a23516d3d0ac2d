"""What figures of a page share: SVG in its colours (so it follows light and dark), the looks of systems, the array."""

from __future__ import annotations

import html
import io
import re
from typing import TYPE_CHECKING

import numpy as np

from arrayse.geometry import ArrayGeometry
from arrayse.report.cells import System
from arrayse.report.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_COLOURS = 12
"""How many colours the page defines for systems (``--s1`` to ``--s12``); ``--s0`` is the noisy input."""

MARKERS = "osD^vP*Xphd<>"

Dash = str | tuple[float, tuple[float, ...]]
SOLID: Dash = "-"
DASHED: Dash = (0, (4, 2))
DOTTED: Dash = (0, (1, 1.3))
DASH_DOTTED: Dash = (0, (6, 1.6, 1.2, 1.6))

# Matplotlib needs plain colours: these stand for the page's own and are replaced in the SVG text.
INK, MUTED, GRID, ACCENT, CARD = "#010201", "#010202", "#010203", "#010204", "#010205"
PAGE_COLOURS = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    ACCENT: "var(--accent)",
    CARD: "var(--card)",
}

DYNAMIC_RANGE_DB = 65.0


def colour_index(results: Results) -> dict[str, int]:
    """The colour number of each system, the same everywhere: 0 for the noisy input, 1, 2, … for what is made of it."""
    made = [system.name for system in results.systems if not system.is_input]
    return {system.name: 0 for system in results.systems} | {
        name: 1 + position % N_COLOURS for position, name in enumerate(made)
    }


def marker_of(results: Results) -> dict[str, str]:
    """The marker of each system: with its colour it stays unique for 156 systems."""
    return {system.name: MARKERS[position % len(MARKERS)] for position, system in enumerate(results.systems)}


def dash_of(results: Results) -> dict[str, Dash]:
    """The line of each system: dashed inputs, dotted beamformers; of models those with the first six colours solid."""
    colours = colour_index(results)
    return {system.name: _dash(system, colours[system.name]) for system in results.systems}


def _dash(system: System, colour: int) -> Dash:
    if not system.is_model:
        return DASHED if system.is_input else DOTTED
    return SOLID if colour <= N_COLOURS // 2 else DASH_DOTTED


def swatch(results: Results, system: str, salt: str) -> str:
    """The line and marker of one system for a legend, as a small SVG."""
    figure, axes = new_figure(0.42, 0.2)
    figure.set_layout_engine("none")
    axes.set_position((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(-1, 1), ylim=(-1, 1))
    colour = page_colour(colour_index(results)[system])
    axes.plot([-1, 1], [0, 0], color=colour, linewidth=1.7, linestyle=dash_of(results)[system])
    axes.plot(0, 0, color=colour, marker=marker_of(results)[system], markersize=5.5)
    return inline_svg(figure, "", salt)


def array_figure(array: ArrayGeometry, salt: str) -> str:
    """The microphones from above (front up), or from behind where the array is mostly upright, as SVG."""
    spread = np.ptp(array.positions, axis=0)
    upright = spread[2] > max(spread[0], spread[1])
    across, along = array.positions[:, 1] * 1e3, array.positions[:, 2 if upright else 0] * 1e3
    figure, axes = new_figure(3.2, 3.0)
    is_ref = np.arange(array.n_mics) == array.ref_mic
    axes.scatter(across[~is_ref], along[~is_ref], s=60, color=MUTED, zorder=3)
    axes.scatter(across[is_ref], along[is_ref], s=130, color=ACCENT, zorder=3)
    for mic in range(array.n_mics):
        place = (across[mic], along[mic])
        axes.annotate(str(mic), place, (8, 5), textcoords="offset points", color=INK, fontsize=10)
    reach = 0.65 * max(np.ptp(across), np.ptp(along), 5.0)
    for centre, limits in ((across, axes.set_xlim), (along, axes.set_ylim)):
        middle = (centre.max() + centre.min()) / 2
        limits(middle - reach, middle + reach)
    axes.invert_xaxis()  # y points to the left
    axes.set_aspect("equal")
    axes.set_xlabel("left  ←   y (mm)   →  right")
    axes.set_ylabel("down  ←   z (mm)   →  up" if upright else "back  ←   x (mm)   →  front")
    axes.grid(color=GRID, linewidth=0.8)
    seen = "from behind" if upright else "from above"
    label = f"{array.n_mics} microphones seen {seen}; microphone {array.ref_mic} is the reference"
    return inline_svg(figure, label, salt)


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty figure of a size in inches, drawn in the page's colours."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import TightLayoutEngine

    figure = Figure(figsize=(width, height), layout=TightLayoutEngine(pad=0.4))
    axes = figure.subplots()
    style_axes(axes)
    return figure, axes


def style_axes(axes: Axes) -> None:
    """Gives axes the look of the page: no frame, no ticks, quiet labels."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(colors=MUTED, labelsize=9.5, length=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(color=MUTED, fontsize=9.5)


def page_colour(colour: int) -> str:
    """The stand-in of ``--s0`` to ``--s12``."""
    return f"#0103{colour:02x}"


def inline_svg(figure: Figure, label: str, salt: str) -> str:
    """The figure as an ``<svg>`` element in the page's colours; without a label it is decoration."""
    import matplotlib

    buffer = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r" font-family: [^;]*;", "", svg)
    svg = re.sub(r'<g id="system-(\d+)"', r'<g data-system="\1"', svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    for stand_in, colour in PAGE_COLOURS.items():
        svg = svg.replace(stand_in, colour)
    svg = re.sub(r"#0103([0-9a-f]{2})", lambda found: f"var(--s{int(found[1], 16)})", svg)
    role = "group" if "<a " in svg else "img"  # what is inside of an image cannot be reached
    named = f'role="{role}" aria-label="{html.escape(label)}"' if label else 'aria-hidden="true"'
    return svg.replace("<svg ", f"<svg {named} ", 1)
