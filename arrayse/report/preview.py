"""Makes the page that a person looks at before a long simulation: some scenes, drawn, measured and audible."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import gcd
from pathlib import Path

import numpy as np
import scipy.signal

from arrayse.files import write_text
from arrayse.report.build import render_page
from arrayse.report.figures import array_figure
from arrayse.report.players import PlayerView, player_of
from arrayse.report.preview_figures import (
    coherence_figure,
    decay_figure,
    mics_figure,
    response_figure,
    spectra_figure,
)
from arrayse.report.preview_overview import overview_figure, sources_figure
from arrayse.report.preview_room import room_figure
from arrayse.report.preview_scene import Preview, PreviewScene, mark, source_colour
from arrayse.report.text import decibels, number

LISTEN_RATE = 16000
"""Most Hz of the sounds in the page, which is to stay small."""

LISTEN_SECONDS = 20.0
"""What is to be heard of longer scenes."""

CAPTIONS = {
    "noisy": "speech + noise through the converter",
    "speech": "reverberant, with the target in it",
    "target": "what a network is to give",
    "noise": "all that is not speech",
}


@dataclass(frozen=True)
class SourceRow:
    """One line of the table of sources."""

    mark: str
    colour: int
    plays: str
    files: str
    level: str
    distance: str
    azimuth: str
    walk: str


@dataclass(frozen=True)
class SceneView:
    """What the template shows of a scene, whose waves it needs no more; figures are SVG text, or empty."""

    id: str
    scene: PreviewScene
    rows: tuple[SourceRow, ...]
    room: str
    figures: tuple[str, ...]
    wide_figures: tuple[str, ...]
    player: PlayerView


def write_preview(
    preview: Preview, scenes: Iterable[PreviewScene], out: Path, progress: Callable[[int], None] = lambda done: None
) -> Path:
    """Writes the page.

    Args:
        preview: what scenes are drawn from.
        scenes: one or more; no more than one of them is held with its waves.
        out: the HTML file to write.
        progress: called with the number of scenes that are drawn.

    Returns:
        ``out``.

    Raises:
        ValueError: no scene.
    """
    views = []
    for place, scene in enumerate(scenes, start=1):
        views.append(scene_view(scene, f"s{place}"))
        progress(place)
    if not views:
        raise ValueError("scenes: expected at least one to preview, got none")
    shown, anchors = [view.scene for view in views], [view.id for view in views]
    values = {
        "preview": preview,
        "views": views,
        "array": array_figure(preview.array, "array"),
        "seen": sources_figure(preview, shown, "seen"),
        "overview": overview_figure(preview, shown, anchors, "overview"),
        "findings": [(view, finding) for view in views for finding in view.scene.findings],
    }
    write_text(out, render_page("preview.html", values, ("style.css", "preview.css")))
    return out


def scene_view(scene: PreviewScene, name: str) -> SceneView:
    """Makes what is shown of a scene; ``name`` starts every id in it."""
    coherence = scene.coherence
    return SceneView(
        id=name,
        scene=replace(scene, stems={}),
        rows=tuple(_row(scene, source) for source in range(len(scene.sources))),
        room="" if scene.room is None else room_figure(scene, f"{name}-room"),
        figures=(
            response_figure(scene, f"{name}-response"),
            decay_figure(scene, f"{name}-decay"),
            spectra_figure(scene, f"{name}-spectra"),
        ),
        wide_figures=(
            mics_figure(scene, f"{name}-mics"),
            *([] if coherence is None else [coherence_figure(coherence, f"{name}-coherence")]),
        ),
        player=_player(scene, f"{name}-p"),
    )


def _player(scene: PreviewScene, name: str) -> PlayerView:
    waves = {stem: _for_ears(scene.stems[stem][scene.ref_mic], scene.sample_rate) for stem in CAPTIONS}
    rate = min(scene.sample_rate, LISTEN_RATE)
    seconds = len(waves["noisy"]) / rate
    title = f"Microphone {scene.ref_mic}"
    if seconds < scene.stems["noisy"].shape[1] / scene.sample_rate - 1e-3:
        title += f", the first {seconds:g} s"
    return player_of(name, title, scene.snr_db, waves, rate, CAPTIONS)


def _for_ears(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """The start of a wave (n_samples,) at no more than :data:`LISTEN_RATE`."""
    wave = wave[: round(LISTEN_SECONDS * sample_rate)]
    if sample_rate <= LISTEN_RATE:
        return wave
    common = gcd(LISTEN_RATE, sample_rate)
    resampled: np.ndarray = scipy.signal.resample_poly(wave, LISTEN_RATE // common, sample_rate // common)
    return resampled


def _row(scene: PreviewScene, place: int) -> SourceRow:
    source = scene.sources[place]
    distance, azimuth = scene.distance(place), scene.azimuth_deg(place)
    return SourceRow(
        mark=mark(place),
        colour=source_colour(place),
        plays=source.plays,
        files=", ".join(source.files),
        level=f"{number(source.level_db, 1)} dB",
        distance="–" if distance is None else f"{distance:.2f} m",
        azimuth="–" if azimuth is None else f"{decibels(round(azimuth) + 0.0)}°",
        walk=_walk(source.path),
    )


def _walk(path: np.ndarray | None) -> str:
    metres = 0.0 if path is None else float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    return f"{metres:.1f} m" if metres > 0 else "–"
