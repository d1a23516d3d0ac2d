"""Where a distillation loss looks: a spectrogram in colour where it compares two networks, in grey elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arrayse.report.figures import DYNAMIC_RANGE_DB, INK, inline_svg, new_figure
from arrayse.report.text import decibels, percent

WIDTH, HEIGHT = 11.0, 3.4

GREY = 0.55
"""Brightest grey of bins that do not count, so that they stand back."""

LINE = "#4be3f2"
"""On the picture, which is dark in both themes of the page."""


@dataclass(frozen=True, eq=False)
class PatchView:
    """What a distillation term looks at in one scene.

    Attributes:
        term: its name.
        scene: which one.
        snr_db: of the scene.
        levels_db: the noisy input in the transform of the loss, (freq, frame).
        bins_hz: distance of frequencies.
        hop_seconds: distance of frames.
        first_seconds: the middle of what the first frame gives back, in the time of the wave.
        selected: the bins that count, bool (freq, frame); None: all of them.
        crossover: in each frame the bin where the low band ends, (frame,); None: there are no bands.
    """

    term: str
    scene: str
    snr_db: float
    levels_db: np.ndarray
    bins_hz: float
    hop_seconds: float
    first_seconds: float
    selected: np.ndarray | None
    crossover: np.ndarray | None

    @property
    def share(self) -> float:
        """Part of the bins that count."""
        return 1.0 if self.selected is None else float(self.selected.mean())

    def title(self) -> str:
        """Scene, SNR, and what was found, in one line."""
        parts = [f"{self.scene} at {decibels(round(self.snr_db, 1) + 0.0)} dB SNR"]
        if self.selected is not None:
            parts.append(f"{self.term} selects {percent(self.share)} of the bins")
        if self.crossover is not None:
            middle = self.bins_hz * float(np.median(self.crossover))
            owner = "" if self.selected is not None else f"{self.term}: "
            parts.append(f"{owner}median crossover {middle:.0f} Hz")
        return " · ".join(parts)


def patches_figure(view: PatchView, salt: str) -> str:
    """The spectrogram with what is selected in colour, and the crossover as a line, as SVG.

    Args:
        view: what to draw.
        salt: tells the figures of one page apart.
    """
    figure, axes = new_figure(WIDTH, HEIGHT)
    n_freqs, n_frames = view.levels_db.shape
    left = view.first_seconds - view.hop_seconds / 2
    right, bottom = left + n_frames * view.hop_seconds, -view.bins_hz / 2e3
    box = (left, right, bottom, bottom + n_freqs * view.bins_hz / 1e3)
    axes.imshow(picture(view), origin="lower", aspect="auto", interpolation="none", extent=box)
    if view.crossover is not None:
        edges = left + view.hop_seconds * np.arange(n_frames + 1)
        axes.stairs(view.bins_hz / 1e3 * view.crossover, edges, baseline=None, color=LINE, lw=1.3)
    axes.spines[:].set_visible(False)
    axes.set_xlim(max(left, 0.0), right)
    axes.set_xlabel("s")
    axes.set_ylabel("kHz")
    axes.set_title(view.title(), loc="left", fontsize=11, color=INK, fontweight="bold", parse_math=False)
    return inline_svg(figure, f"Spectrogram of the noisy input: {view.title()}", salt)


def picture(view: PatchView) -> np.ndarray:
    """Colours from 0 to 1, (freq, frame, red green blue)."""
    from matplotlib import colormaps

    ceiling_db = float(view.levels_db.max())
    level = np.clip(1 + (view.levels_db - ceiling_db) / DYNAMIC_RANGE_DB, 0, 1)
    coloured: np.ndarray = colormaps["magma"](level)[..., :3]
    if view.selected is None:
        return coloured
    return np.where(view.selected[..., None], coloured, GREY * level[..., None])
