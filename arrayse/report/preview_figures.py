"""Figures of the preview: all scenes at a glance, and for each the response, the decay, spectra, levels, coherence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arrayse.report.figures import (
    ACCENT,
    CARD,
    GRID,
    INK,
    MUTED,
    inline_svg,
    new_figure,
    page_colour,
)
from arrayse.report.preview_measures import decibels_of, level_dbfs, third_octave_levels
from arrayse.report.preview_scene import PreviewCoherence, PreviewScene, mark, source_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SMALL, WIDE = (4.4, 3.1), (6.8, 3.1)
"""Inches: three or two such figures beside each other."""

RESPONSE_SECONDS = 0.08
"""Shown of a response; the decay shows the rest."""

DECAY_FLOOR_DB = -70.0
DECAY_POINTS = 400
LEAST_DECAY_SECONDS = 0.05

STEM_COLOURS = {"noise": 2, "speech": 3, "target": 1}
"""Colour numbers of the page; noise is drawn first."""

LEGEND: dict[str, Any] = {
    "frameon": False,
    "fontsize": 9,
    "labelcolor": MUTED,
    "handlelength": 1.2,
    "handletextpad": 0.5,
    "borderpad": 0.1,
}

SPECTRUM_RANGE_DB = 70.0
LEVEL_RANGE_DB = 45.0


def response_figure(scene: PreviewScene, salt: str) -> str:
    """Response from the target to the reference microphone, its direct part in colour, as SVG."""
    figure, axes = _figure(*SMALL)
    response, rate = scene.response, scene.sample_rate
    arrival = int(np.abs(response.direct[0]).argmax())
    stop = min(response.full.shape[1], arrival + round(RESPONSE_SECONDS * rate))
    start = max(0, arrival - round(0.004 * rate))
    milliseconds = 1e3 * (np.arange(start, stop) - response.lead) / rate
    if scene.early_ms > 0:
        begin = 1e3 * (arrival - response.lead) / rate
        end = min(begin + scene.early_ms, milliseconds[-1])
        axes.axvspan(begin, end, color=ACCENT, alpha=0.1, lw=0)
        axes.text(end, 1.0, "target ", transform=axes.get_xaxis_transform(), color=ACCENT, size=9, ha="right", va="top")
    axes.axhline(0, color=GRID, lw=0.8)
    axes.plot(milliseconds, response.full[0, start:stop], color=MUTED, lw=1)
    part = np.flatnonzero(np.abs(response.direct[0]) > 1e-3 * np.abs(response.direct[0]).max())
    where = slice(max(start, int(part[0]) - 1), min(stop, int(part[-1]) + 2))
    axes.plot(
        1e3 * (np.arange(where.start, where.stop) - response.lead) / rate,
        response.direct[0, where],
        color=ACCENT,
        lw=1.7,
    )
    axes.margins(x=0.01)
    axes.set_xlabel("ms after the first arrival" if scene.room is None else "ms after emission")
    _title(axes, f"Response at microphone {scene.ref_mic}")
    axes.text(
        0.98, 0.97, "direct", transform=axes.transAxes, color=ACCENT, size=9.5, ha="right", va="top", weight="bold"
    )
    axes.text(0.98, 0.88, "reflections", transform=axes.transAxes, color=MUTED, size=9.5, ha="right", va="top")
    label = f"Impulse response from the target to microphone {scene.ref_mic}, its direct part marked"
    return inline_svg(figure, label, salt)


def decay_figure(scene: PreviewScene, salt: str) -> str:
    """Decays of all sources at the reference microphone with the T30 line of the target, as SVG."""
    figure, axes = _figure(*SMALL)
    response = scene.response
    seconds = (np.arange(response.full.shape[1]) - response.lead) / scene.sample_rate
    last = 0.0
    for number in reversed(range(len(response.decays_db))):
        decay = response.decays_db[number]
        shown = np.flatnonzero(decay > DECAY_FLOOR_DB)
        some = np.unique(np.linspace(shown[0], shown[-1], DECAY_POINTS).round().astype(int))
        axes.plot(
            seconds[some],
            decay[some],
            color=page_colour(source_colour(number)),
            lw=1.2 if number else 2.2,
            alpha=0.75 if number else 1,
            label="target" if number == 0 else mark(number),
        )
        last = max(last, float(seconds[shown[-1]]))
    if response.t30 > 0:
        times, levels = t30_line(response.decays_db[0], response.t30, scene.sample_rate)
        axes.plot(times - response.lead / scene.sample_rate, levels, color=INK, lw=1.6, ls=(0, (4, 2.5)))
    axes.set(xlim=(0, 1.02 * max(last, LEAST_DECAY_SECONDS)), ylim=(DECAY_FLOOR_DB, 2))
    axes.set_yticks([0, -20, -40, -60], ["0", "−20", "−40", "−60"])
    axes.locator_params(axis="x", nbins=6)
    axes.grid(axis="y", color=GRID, lw=0.8)
    axes.set_xlabel("s")
    _title(axes, "Energy decay (dB)")
    handles, labels = axes.get_legend_handles_labels()
    _legend(axes, handles[::-1], labels[::-1])
    told = f", T30 {response.t30:.2f} s dashed" if response.t30 > 0 else ""
    if response.t30 > 0:
        axes.text(
            0.98, 0.96, f"T30 {response.t30:.2f} s", transform=axes.transAxes, color=INK, size=9.5, ha="right", va="top"
        )
    return inline_svg(figure, f"Energy decay curves at microphone {scene.ref_mic}{told}", salt)


def t30_line(decay_db: np.ndarray, t30: float, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Ends (times in s, levels in dB), at 0 and -65 dB, of the line of that T30 through the decay (n,)."""
    start, stop = (int(np.argmax(decay_db <= level)) for level in (-5.0, -35.0))
    slope = -60 / t30
    middle, level = (start + stop - 1) / 2 / sample_rate, float(np.mean(decay_db[start:stop]))
    ends = np.array([0.0, -65.0])
    return middle + (ends - level) / slope, ends


def spectra_figure(scene: PreviewScene, salt: str) -> str:
    """Long-term third-octave levels of the stems at the reference microphone, as SVG."""
    figure, axes = _figure(*SMALL)
    highest = -np.inf
    for name, colour in STEM_COLOURS.items():
        centres, levels = third_octave_levels(scene.stems[name][scene.ref_mic], scene.sample_rate)
        axes.plot(centres, levels, color=page_colour(colour), lw=2, label=name)
        highest = max(highest, float(levels.max()))
    axes.set_ylim(highest - SPECTRUM_RANGE_DB, highest + 4)
    _frequency_axis(axes, float(centres[0]), scene.sample_rate / 2)
    axes.set_xlabel("Hz, third octaves")
    axes.grid(axis="y", color=GRID, lw=0.8)
    _title(axes, "Spectra (dBFS)")
    _legend(axes, *axes.get_legend_handles_labels())
    return inline_svg(figure, f"Third-octave levels of speech, target and noise at microphone {scene.ref_mic}", salt)


def coherence_figure(coherence: PreviewCoherence, salt: str) -> str:
    """Measured coherence of the diffuse noise over that of theory, as SVG."""
    figure, axes = _figure(*WIDE)
    axes.axhline(0, color=GRID, lw=0.8)
    rows = zip(coherence.pairs, coherence.distances, coherence.measured, coherence.theory, strict=True)
    some = coherence.frequencies > 0
    for number, ((first, second), distance, measured, theory) in enumerate(rows):
        colour = page_colour(1 + number)
        axes.plot(coherence.frequencies[some], theory[some], color=colour, lw=5, alpha=0.3)
        label = f"{first} and {second}, {1e3 * distance:.3g} mm"
        axes.plot(coherence.frequencies[some], measured[some], color=colour, lw=1.3, label=label)
    axes.plot([], [], color=MUTED, lw=5, alpha=0.4, label="theory")
    axes.set_ylim(min(-0.5, float(coherence.measured.min()) - 0.05), 1.05)
    _frequency_axis(axes, 50.0, float(coherence.frequencies[-1]))
    axes.grid(axis="y", color=GRID, lw=0.8)
    _title(axes, "Coherence of the diffuse noise (real part)")
    axes.legend(**LEGEND, loc="upper right")
    pairs = "; ".join(f"{first} and {second}" for first, second in coherence.pairs)
    return inline_svg(figure, f"Coherence between microphones {pairs}: measured and of a {coherence.field} field", salt)


def mics_figure(scene: PreviewScene, salt: str) -> str:
    """Levels of all microphones: noisy as bars with their peaks, speech and noise as marks, as SVG."""
    figure, axes = _figure(*WIDE)
    levels = {name: level_dbfs(wave) for name, wave in scene.stems.items()}
    peaks = decibels_of(np.max(np.abs(scene.stems["noisy"]), axis=1) ** 2.0)
    top = max(float(peaks.max()) + 6, (scene.clip_dbfs or -np.inf) + 4)
    bottom = float(np.median(levels["noisy"])) - LEVEL_RANGE_DB
    mics = np.arange(len(peaks))
    colours = [ACCENT if mic == scene.ref_mic else MUTED for mic in mics]
    shown = np.maximum(levels["noisy"], bottom)
    axes.bar(mics, shown - bottom, 0.62, bottom, color=colours, alpha=0.3, lw=0)
    axes.hlines(shown, mics - 0.31, mics + 0.31, color=colours, lw=2)
    axes.vlines(mics, shown, np.maximum(peaks, bottom), color=colours, lw=1)
    axes.plot(mics, peaks, "_", color=MUTED, ms=9, mew=1.5, label="peak")
    for name, shift, marker in (("speech", -0.14, "o"), ("noise", 0.14, "s")):
        axes.plot(
            mics + shift, levels[name], marker, color=page_colour(STEM_COLOURS[name]), mec=CARD, ms=6.5, label=name
        )
    if scene.clip_dbfs is not None:
        axes.axhline(scene.clip_dbfs, color=page_colour(5), lw=1.3, ls=(0, (5, 3)), label="clipping")
    for mic, note in scene.mic_notes.items():
        axes.text(mic, bottom + 1.5, note, color=INK, size=9, ha="center", va="bottom", weight="bold")
    axes.set(xlim=(-0.6, len(mics) - 0.4), ylim=(bottom, top))
    axes.set_xticks(mics if len(mics) <= 24 else mics[::2])
    axes.grid(axis="y", color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel(f"microphone ({scene.ref_mic} is the reference)")
    _title(axes, "Noisy at each microphone (dBFS)")
    _legend(axes, *axes.get_legend_handles_labels())
    return inline_svg(figure, "Level and peak of the noisy signal, and levels of speech and noise, by microphone", salt)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of a size in inches whose axes stand where those of its neighbours do."""
    figure, axes = new_figure(width, height)
    figure.set_layout_engine("none")  # fitting the margins takes as long as drawing
    left, right, bottom, top = 0.55 / width, 1 - 0.12 / width, 0.52 / height, 1 - 0.34 / height
    figure.subplots_adjust(left, bottom, right, top)
    return figure, axes


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=11, color=INK, fontweight="bold", parse_math=False)


def _legend(axes: Axes, handles: list[Any], labels: list[str]) -> None:
    """In the line of the title, so that it hides nothing."""
    place = {"bbox_to_anchor": (1.02, 0.985), "ncols": len(labels), "columnspacing": 1.1}
    axes.legend(handles, labels, loc="lower right", **place, **LEGEND)


def _frequency_axis(axes: Axes, lowest: float, highest: float) -> None:
    axes.set_xscale("log")
    axes.set_xlim(lowest, highest)
    ticks = [tick for tick in (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000) if lowest <= tick <= highest]
    axes.set_xticks(ticks, [f"{tick // 1000} k" if tick >= 1000 else f"{tick}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("Hz")
