"""Figures of the report: SVG in the colours of the page (so it follows light and dark), and spectrograms."""

from __future__ import annotations

import html
import io
import re
from typing import TYPE_CHECKING

import numpy as np

from arrayse.geometry import ArrayGeometry
from arrayse.report.results import Results
from arrayse.report.text import decibels, metric_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_COLOURS = 8
"""How many colours the page defines for models (``--s1`` to ``--s8``); ``--s0`` is the noisy input."""

MARKERS = "osD^vP*Xp"

SIDE_STEP = 0.25
"""Systems stand side by side at a single SNR, so that their intervals do not hide each other."""

# Matplotlib needs plain colours: these stand for the page's own and are replaced in the SVG text.
INK, MUTED, GRID, ACCENT, CARD = "#010201", "#010202", "#010203", "#010204", "#010205"
PAGE_COLOURS = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    ACCENT: "var(--accent)",
    CARD: "var(--card)",
}

N_FFT = 512
MAX_FRAMES = 360
"""Frames of a spectrogram at most: more than a narrow picture shows."""

DYNAMIC_RANGE_DB = 65.0


def colour_index(results: Results) -> dict[str, int]:
    """The colour number of each system, the same everywhere: 0 for the noisy input, 1, 2, … for what is made of it."""
    made = [system.name for system in results.systems if not system.is_input]
    return {system.name: 0 for system in results.systems} | {
        name: 1 + position % N_COLOURS for position, name in enumerate(made)
    }


def marker_of(results: Results) -> dict[str, str]:
    """The marker of each system: with its colour it stays unique for 72 models."""
    return {system.name: MARKERS[position % len(MARKERS)] for position, system in enumerate(results.systems)}


def curve_figure(results: Results, metric: str, salt: str) -> str:
    """Means of one metric over SNR with 95 % intervals, as SVG.

    Each system's marks are in groups ``<g data-system="POSITION">``. Here and below ``salt`` tells the
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
    axes.set_title(style.title, loc="left", fontsize=11, color=INK, fontweight="bold", parse_math=False)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.locator_params(axis="y", nbins=8)
    if all(cell.mean is None for key, cell in results.cells.items() if key[2] == metric):
        axes.text(0.5, 0.5, "no values", color=MUTED, ha="center", transform=axes.transAxes)
        axes.set_yticks([])
    label = f"{style.title} over input SNR, with 95 % intervals; the numbers are in the table"
    return inline_svg(figure, label, salt)


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
        axes.fill_between(where, low, high, color=colour, alpha=0.16, linewidth=0, gid=gid)
    marker, dash = marker_of(results)[system.name], "-" if system.is_model else (0, (4, 2))
    axes.plot(where, mean, color=colour, linestyle=dash, linewidth=1.7, marker=marker, markersize=5, gid=gid)


def swatch(results: Results, system: str, salt: str) -> str:
    """The line and marker of one system for a legend, as a small SVG."""
    is_model = next(entry.is_model for entry in results.systems if entry.name == system)
    figure, axes = new_figure(0.42, 0.2)
    figure.set_layout_engine("none")
    axes.set_position((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(-1, 1), ylim=(-1, 1))
    colour = page_colour(colour_index(results)[system])
    axes.plot([-1, 1], [0, 0], color=colour, linewidth=1.7, linestyle="-" if is_model else (0, (3, 1.5)))
    axes.plot(0, 0, color=colour, marker=marker_of(results)[system], markersize=5.5)
    return inline_svg(figure, "", salt)


def array_figure(array: ArrayGeometry, salt: str) -> str:
    """The microphones from above (front up), or from behind where the array is mostly upright, as SVG."""
    spread = np.ptp(array.positions, axis=0)
    upright = spread[2] > max(spread[0], spread[1])
    # x points to the front, y to the left: the picture's right is -y.
    across, along = -array.positions[:, 1] * 1e3, array.positions[:, 2 if upright else 0] * 1e3
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
    axes.set_aspect("equal")
    axes.set_xlabel("left  ←   mm   →  right")
    axes.set_ylabel("height (mm)" if upright else "back  ←   mm   →  front")
    axes.grid(color=GRID, linewidth=0.8)
    seen = "from behind" if upright else "from above"
    label = f"{array.n_mics} microphones seen {seen}; microphone {array.ref_mic} is the reference"
    return inline_svg(figure, label, salt)


def spectrogram(wave: np.ndarray) -> np.ndarray:
    """Power in dB, (n_freqs, n_frames) with the lowest frequency first, of a wave (n_samples,)."""
    hop = max(N_FFT // 4, -(-len(wave) // MAX_FRAMES))
    padded = np.pad(wave, (0, max(0, N_FFT - len(wave))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::hop]  # frame, sample
    power = np.abs(np.fft.rfft(frames * np.hanning(N_FFT))) ** 2
    return 10 * np.log10(power.T + 1e-12)


def spectrogram_webp(levels_db: np.ndarray, ceiling_db: float) -> bytes:
    """A spectrogram as a WebP picture, low frequencies at the bottom.

    Args:
        levels_db: (n_freqs, n_frames).
        ceiling_db: the level of the brightest colour; ``DYNAMIC_RANGE_DB`` below it all is dark.
    """
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    floor_db = ceiling_db - DYNAMIC_RANGE_DB
    packing = {"quality": 78, "method": 6}
    imsave(buffer, levels_db[::-1], floor_db, ceiling_db, cmap="magma", format="webp", pil_kwargs=packing)
    return buffer.getvalue()


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
    """The stand-in of ``--s0`` to ``--s8``."""
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
    svg = re.sub(r'<g id="system-(\d+)"', r'<g data-system="\1"', svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    for stand_in, colour in PAGE_COLOURS.items():
        svg = svg.replace(stand_in, colour)
    svg = re.sub(r"#0103([0-9a-f]{2})", lambda found: f"var(--s{int(found[1], 16)})", svg)
    named = f'role="img" aria-label="{html.escape(label)}"' if label else 'aria-hidden="true"'
    return svg.replace("<svg ", f"<svg {named} ", 1)
