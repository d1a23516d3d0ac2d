"""One picture of a microphone array: where the microphones are, and what beamforming with them can do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from arrayse.files import remove_unfinished, write_whole
from arrayse.frontend.spatial import (
    beampattern,
    delay_and_sum,
    diffuse_coherence,
    directivity_factor,
    steering_vector,
    superdirective,
    white_noise_gain,
)
from arrayse.geometry import SPEED_OF_SOUND, ArrayGeometry, pairwise_distances
from arrayse.report.array_layout import draw_view
from arrayse.report.array_style import (
    BLUE,
    DOTS_PER_INCH,
    GAP,
    GRID,
    INK,
    LEGEND,
    MUTED,
    ORANGE,
    SIZE_INCHES,
    TOP_GAP,
    style_panel,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.projections.polar import PolarAxes

LOADING = 0.01
"""Diagonal loading of the superdirective beamformer: microphone noise 20 dB under the diffuse field."""

FLOOR_DB = -30.0
"""Centre of the polar plots."""

LOWEST_HZ = 100.0
"""Left end of the curves over frequency."""

# For frequency an order of lightness. Where curves can lie on each other, the upper one is thinner.
OCTAVE_COLOURS = ("#440154", "#2a6f97", "#1fa187", "#c2ae00")
OCTAVE_WIDTHS = (4.4, 3.4, 2.4, 1.6)


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
    draw_view(panels["T"], geometry, (1, 0), "Layout from above")
    if has_heights:
        axes, seen_from = ((0, 2), "the right") if along > across else ((1, 2), "behind")
        draw_view(panels["V"], geometry, axes, f"Layout from {seen_from}")
    _draw_beampatterns(figure, [cast("PolarAxes", panels[name]) for name in "PS"], geometry, sample_rate)
    _draw_gains(figure, [panels["D"], panels["W"]], geometry, sample_rate)
    remove_unfinished(path)
    write_whole(path, lambda temporary: figure.savefig(temporary, format="png"))
    return path


@dataclass(frozen=True)
class Spacing:
    """The closest or the widest pair of microphones.

    Attributes:
        pair: which, in words.
        metres: distance d of the two.
        style: of its line.
    """

    pair: str
    metres: float
    style: str

    @property
    def aliasing_hz(self) -> float:
        """Above it a wave along the pair is undersampled: c / (2 d)."""
        return SPEED_OF_SOUND / (2 * self.metres)


def spacings(geometry: ArrayGeometry) -> list[Spacing]:
    """The widest pair and the closest one, one entry where all are equally far apart; none with one microphone."""
    first, second = np.triu_indices(geometry.n_mics, k=1)
    distances = pairwise_distances(geometry.positions)[first, second]
    if not len(distances):
        return []
    closest, widest = float(distances.min()), float(distances.max())
    if np.isclose(closest, widest, rtol=1e-3):
        return [Spacing("the only pair" if len(distances) == 1 else "all pairs", closest, ":")]
    return [Spacing("the widest pair", widest, "-."), Spacing("the closest pair", closest, ":")]


def _draw_title(figure: Figure, geometry: ArrayGeometry) -> None:
    count = "1 microphone" if geometry.n_mics == 1 else f"{geometry.n_mics} microphones"
    facts = [count, f"aperture {geometry.aperture * 1e3:.3g} mm", "beamformers look to the front"]
    limits = [f"{each.pair} ({1e3 * each.metres:.3g} mm) {_hertz(each.aliasing_hz)}" for each in spacings(geometry)]
    aliasing = f"spatial aliasing above c/(2d): {', '.join(limits)}" if limits else "no spatial aliasing"
    name = geometry.name if len(geometry.name) <= 70 else geometry.name[:69] + "…"
    figure.text(0.03, 0.955, name, size=22, weight="bold", color=INK, parse_math=False)
    figure.text(0.03, 0.93, "   ·   ".join(facts), size=13, color=MUTED)
    figure.text(0.03, 0.906, aliasing, size=13, color=MUTED)


def _hertz(frequency: float) -> str:
    return f"{frequency:.3g} Hz" if frequency < 1000 else f"{frequency / 1000:.3g} kHz"


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
        style_panel(panel, title, gap=GAP)
        panel.set_ylabel(f"gain against {noise} noise (dB)", color=MUTED)
        _style_frequency_axis(panel, geometry, sample_rate / 2)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", bbox_to_anchor=(0.5, 0.012), ncols=4, **LEGEND)


# --- style --------------------------------------------------------------------------------------------------


def _style_polar(panel: PolarAxes, title: str, peak_db: float) -> None:
    """Front at the top and left on the left, as in the layout; one more ring if a response exceeds 0 dB."""
    style_panel(panel, title, gap=TOP_GAP)
    panel.set_anchor("N")
    panel.set_theta_zero_location("N")
    degrees = range(0, 360, 45)
    panel.tick_params(axis="x", pad=11)
    panel.set_thetagrids(degrees, ["front", "45°", "left\n90°", "135°", "180°", "−135°", "right\n−90°", "−45°"])
    panel.set_ylim(FLOOR_DB, 5 * np.ceil(max(peak_db - 0.1, 0) / 5))
    panel.set_rgrids([-20, -10, 0], ["", "", ""])
    for level, label in ((-20, "−20"), (-10, "−10"), (0, "0 dB")):
        text = panel.text(np.deg2rad(202.5), level, label, size=9, color=MUTED, zorder=5)
        text.set(ha="center", va="center", bbox={"color": "white", "alpha": 0.8, "pad": 1})


def _style_frequency_axis(panel: Axes, geometry: ArrayGeometry, highest: float) -> None:
    """Logarithmic axis with the limits of spatial aliasing as vertical lines."""
    low, high = panel.get_ylim()
    panel.set_ylim(min(low, -1.3), max(high, 2.3))
    panel.set_xscale("log")
    panel.set_xlim(LOWEST_HZ, highest)
    ticks = [tick for tick in (100, 200, 500, 1000, 2000, 5000, 10000, 20000) if tick <= highest]
    panel.set_xticks(ticks, [f"{tick}" for tick in ticks])
    panel.set_xticks([], minor=True)
    panel.set_xlabel("frequency (Hz)", color=MUTED)
    panel.axhline(0, color=MUTED, lw=1, zorder=1)
    for spacing in spacings(geometry):
        if spacing.aliasing_hz < highest:  # a line that nobody sees needs no entry in the legend
            label = f"Aliasing of {spacing.pair}, {_hertz(spacing.aliasing_hz)}"
            panel.axvline(spacing.aliasing_hz, color=INK, lw=1.6, ls=spacing.style, label=label)
            panel.axvspan(spacing.aliasing_hz, highest, color=GRID, alpha=0.35, lw=0, zorder=0)
