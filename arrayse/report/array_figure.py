"""One picture of a microphone array: where the microphones are, and what beamforming with them can do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from arrayse.files import write_whole
from arrayse.frontend.spatial import (
    beampattern,
    delay_and_sum,
    diffuse_coherence,
    directivity_factor,
    steering_vector,
    superdirective,
    white_noise_gain,
)
from arrayse.geometry import ArrayGeometry

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.projections.polar import PolarAxes

SIZE_INCHES = (15.0, 11.0)
DOTS_PER_INCH = 120

LOADING = 0.01
"""Diagonal loading of the superdirective beamformer: microphone noise 20 dB under the diffuse field."""

FLOOR_DB = -30.0
"""Centre of the polar plots."""

LOWEST_HZ = 100.0
"""Left end of the curves over frequency."""

# Told apart with the common colour vision deficiencies: two of Okabe and Ito's colours, and for frequency an
# order of lightness. Where curves can lie on each other, the upper one is thinner.
INK, MUTED, GRID = "#1f2933", "#5f6b76", "#dfe4e8"
BLUE, ORANGE = "#0072b2", "#d55e00"
OCTAVE_COLOURS = ("#440154", "#2a6f97", "#1fa187", "#c2ae00")
OCTAVE_WIDTHS = (4.4, 3.4, 2.4, 1.6)
GAP, TOP_GAP = 14, 34  # points from panel to title; in the top row the polar plots have a label in between
LEGEND = {"frameon": False, "fontsize": 11, "labelcolor": INK, "columnspacing": 2.2}


def draw_array(geometry: ArrayGeometry, path: Path, sample_rate: int = 16000) -> Path:
    """Draws layout, beampatterns, directivity and white-noise gain of an array as one PNG.

    Both beamformers look to the front (azimuth and elevation 0). A side view is drawn if the heights differ.

    Args:
        geometry: the array, one microphone or more.
        path: the PNG to write; its folder is made.
        sample_rate: in Hz; curves reach half of it.

    Returns:
        ``path``.

    Raises:
        ValueError: a sample rate too low to draw a curve.
    """
    from matplotlib.figure import Figure

    if sample_rate <= 4 * LOWEST_HZ:
        raise ValueError(f"sample_rate: expected more than {4 * LOWEST_HZ:g} Hz, got {sample_rate}")
    along, across, height = np.ptp(geometry.positions, axis=0)  # m
    has_heights = bool(height > 1e-6)  # less is rounding
    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, facecolor="white")
    panels = figure.subplot_mosaic(
        "TTPPSS;VVDDWW" if has_heights else "TTPPSS;DDDWWW",
        per_subplot_kw={("P", "S"): {"projection": "polar"}},
        gridspec_kw={"height_ratios": [1.3, 1]},
    )
    figure.subplots_adjust(left=0.055, right=0.97, bottom=0.115, top=0.83, wspace=0.8, hspace=0.48)
    _draw_title(figure, geometry)
    _draw_view(panels["T"], geometry, (1, 0), "Layout from above")
    if has_heights:
        axes, seen_from = ((0, 2), "the right") if along > across else ((1, 2), "behind")
        _draw_view(panels["V"], geometry, axes, f"Layout from {seen_from}")
    _draw_beampatterns(figure, [cast("PolarAxes", panels[name]) for name in "PS"], geometry, sample_rate)
    _draw_gains(figure, [panels["D"], panels["W"]], geometry, sample_rate)
    write_whole(path, lambda temporary: figure.savefig(temporary, format="png"))
    return path


def _draw_title(figure: Figure, geometry: ArrayGeometry) -> None:
    count = "1 microphone" if geometry.n_mics == 1 else f"{geometry.n_mics} microphones"
    aliasing = f"spatial aliasing above {_hertz(geometry.aliasing_hz)} (closest pair)"
    facts = [
        count,
        f"aperture {geometry.aperture * 1e3:.3g} mm",
        "no spatial aliasing" if geometry.n_mics == 1 else aliasing,
        "beamformers look to the front",
    ]
    name = geometry.name if len(geometry.name) <= 70 else geometry.name[:69] + "…"
    figure.text(0.03, 0.945, name, size=22, weight="bold", color=INK, parse_math=False)
    figure.text(0.03, 0.915, "   ·   ".join(facts), size=13, color=MUTED)


def _hertz(frequency: float) -> str:
    return f"{frequency:.3g} Hz" if frequency < 1000 else f"{frequency / 1000:.3g} kHz"


# --- layout -------------------------------------------------------------------------------------------------


def _draw_view(panel: Axes, geometry: ArrayGeometry, axes: tuple[int, int], title: str) -> None:
    """Microphones seen along the axis that ``axes`` (horizontal, vertical) leaves out."""
    points = geometry.positions[:, axes] * 1e3  # mm
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    half = max(0.72 * np.ptp(points, axis=0).max(), 5.0)
    panel.set_xlim(centre[0] - half, centre[0] + half)
    panel.set_ylim(centre[1] - half, centre[1] + half)
    if axes[0] == 1:
        panel.invert_xaxis()  # y points to the left
    panel.set_aspect("equal", anchor="NW")
    _style(panel, title, gap=TOP_GAP if axes == (1, 0) else GAP)
    panel.set_xlabel(f"{'xyz'[axes[0]]} (mm)", color=MUTED)
    panel.set_ylabel(f"{'xyz'[axes[1]]} (mm)", color=MUTED)
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


# --- beamforming --------------------------------------------------------------------------------------------


def _beamformers(front: torch.Tensor, coherence: torch.Tensor) -> dict[str, torch.Tensor]:
    """Weights (n_freqs, n_mics) of both beamformers."""
    return {
        "Delay-and-sum": delay_and_sum(front),
        f"Superdirective (loading {LOADING:g})": superdirective(front, coherence, LOADING),
    }


def _decibels(power: torch.Tensor) -> np.ndarray:
    return 10 * np.log10(np.maximum(power.numpy(), 1e-12))


def _draw_beampatterns(figure: Figure, panels: list[PolarAxes], geometry: ArrayGeometry, sample_rate: int) -> None:
    """Response in the horizontal plane at four octaves, one polar panel per beamformer."""
    frequencies = sample_rate / torch.tensor([32.0, 16.0, 8.0, 4.0], dtype=torch.float64)
    azimuth_deg = torch.linspace(-180, 180, 721, dtype=torch.float64)
    grid = steering_vector(geometry, azimuth_deg, 0.0, frequencies)
    front = steering_vector(geometry, 0.0, 0.0, frequencies)
    weights = _beamformers(front, diffuse_coherence(geometry, frequencies))
    responses = {name: _decibels(beampattern(each, grid)) for name, each in weights.items()}  # direction freq
    peak_db = max(response.max() for response in responses.values())
    for panel, (name, response) in zip(panels, responses.items(), strict=True):
        _style_polar(panel, f"{name.split(' ')[0]} beampattern", peak_db)
        looks = zip(frequencies.tolist(), response.T, OCTAVE_COLOURS, OCTAVE_WIDTHS, strict=True)
        for frequency, curve, colour, width in looks:
            radius = np.maximum(curve, FLOOR_DB)
            angle = np.deg2rad(azimuth_deg.numpy())
            panel.plot(angle, radius, color=colour, lw=width, clip_on=False, label=_hertz(frequency))
    left, right = (panel.get_position() for panel in panels)
    spot = ((left.x0 + right.x1) / 2, left.y0 - 0.04)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=spot, ncols=4, **LEGEND)


def _draw_gains(figure: Figure, panels: list[Axes], geometry: ArrayGeometry, sample_rate: int) -> None:
    """Directivity index and white-noise gain in dB over frequency."""
    frequencies = torch.logspace(np.log10(LOWEST_HZ), np.log10(sample_rate / 2), 300, dtype=torch.float64)
    front = steering_vector(geometry, 0.0, 0.0, frequencies)
    coherence = diffuse_coherence(geometry, frequencies)
    looks = ((BLUE, 4.0, "-"), (ORANGE, 2.2, "--"))
    weights = _beamformers(front, coherence)
    for (name, each), (colour, width, style) in zip(weights.items(), looks, strict=True):
        gains = directivity_factor(each, front, coherence), white_noise_gain(each, front)
        for panel, gain in zip(panels, gains, strict=True):
            panel.plot(frequencies, _decibels(gain), style, color=colour, lw=width, label=name)
    titles = (("Directivity index", "diffuse"), ("White-noise gain", "microphone"))
    for panel, (title, noise) in zip(panels, titles, strict=True):
        _style(panel, title, gap=GAP)
        panel.set_ylabel(f"gain against {noise} noise (dB)", color=MUTED)
        _style_frequency_axis(panel, geometry, sample_rate / 2)
    spot = ((panels[0].get_position().x0 + panels[1].get_position().x1) / 2, 0.012)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", bbox_to_anchor=spot, ncols=3, **LEGEND)


# --- style --------------------------------------------------------------------------------------------------


def _style(panel: Axes, title: str, gap: float) -> None:
    """Title ``gap`` points above the panel, a light grid, no frame."""
    panel.set_title(title, loc="left", y=1.0, pad=gap, size=13, weight="bold", color=INK)
    panel.grid(color=GRID, lw=0.8)
    panel.set_axisbelow(True)
    panel.tick_params(colors=MUTED, length=0, labelsize=10, pad=6)
    panel.spines[:].set_visible(False)


def _style_polar(panel: PolarAxes, title: str, peak_db: float) -> None:
    """Front at the top and left on the left, as in the layout; one more ring if a response exceeds 0 dB."""
    _style(panel, title, gap=TOP_GAP)
    panel.set_anchor("N")
    panel.set_theta_zero_location("N")
    degrees = range(0, 360, 45)
    panel.tick_params(axis="x", pad=11)
    panel.set_thetagrids(degrees, ["front", "45°", "90°", "135°", "180°", "−135°", "−90°", "−45°"])
    panel.set_ylim(FLOOR_DB, 5 * np.ceil(max(peak_db - 0.1, 0) / 5))
    panel.set_rgrids([-20, -10, 0], ["", "", ""])
    for level, label in ((-20, "−20"), (-10, "−10"), (0, "0 dB")):
        text = panel.text(np.deg2rad(202.5), level, label, size=9, color=MUTED, zorder=5)
        text.set(ha="center", va="center", bbox={"color": "white", "alpha": 0.8, "pad": 1})


def _style_frequency_axis(panel: Axes, geometry: ArrayGeometry, highest: float) -> None:
    """Logarithmic axis with the limit of spatial aliasing as a vertical line."""
    low, high = panel.get_ylim()
    panel.set_ylim(min(low, -1.3), max(high, 2.3))
    panel.set_xscale("log")
    panel.set_xlim(LOWEST_HZ, highest)
    ticks = [tick for tick in (100, 200, 500, 1000, 2000, 5000, 10000, 20000) if tick <= highest]
    panel.set_xticks(ticks, [f"{tick}" for tick in ticks])
    panel.set_xticks([], minor=True)
    panel.set_xlabel("frequency (Hz)", color=MUTED)
    panel.axhline(0, color=MUTED, lw=1, zorder=1)
    if geometry.n_mics > 1:
        beyond = "" if geometry.aliasing_hz < highest else ", beyond this band"
        label = f"Spatial aliasing above {_hertz(geometry.aliasing_hz)}{beyond}"
        panel.axvline(geometry.aliasing_hz, color=INK, lw=1.6, ls=":", label=label)
        end = max(highest, geometry.aliasing_hz)
        panel.axvspan(geometry.aliasing_hz, end, color=GRID, alpha=0.45, lw=0, zorder=0)
