"""One listening example as the page shows it: for each version a sound, a picture and its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from arrayse.report.audio import data_uri, flac_uri, read_waves
from arrayse.report.evaluation import Example
from arrayse.report.figures import spectrogram, spectrogram_webp
from arrayse.report.results import Results
from arrayse.report.text import metric_style, number

REFERENCE = "target"
"""The clean wave; it and the noisy input are shown first."""

Scores = Mapping[tuple[str, str, float], Mapping[str, Any]]
"""Rows of ``rows.jsonl`` by (system, scene, snr_db)."""


@dataclass(frozen=True)
class Source:
    """One version of an example; audio and picture are data URIs."""

    name: str
    scores: str
    audio: str
    picture: str


@dataclass(frozen=True)
class PlayerView:
    """One example with all its versions."""

    id: str
    title: str
    snr_db: float
    seconds: float
    sources: tuple[Source, ...]

    @property
    def columns(self) -> int:
        """How many pictures stand side by side on a wide screen: as many as leave the fewest empty places."""
        n_sources = len(self.sources)
        return n_sources if n_sources <= 5 else min((4, 3, 5), key=lambda columns: -n_sources % columns)


def player_view(name: str, example: Example, results: Results, scores: Scores) -> PlayerView | None:
    """Reads the waves of an example; None if it has none."""
    if not example.waves:
        return None
    waves, sample_rate = read_waves(example.waves)
    captions = {
        version: _scores(results, scores.get((version, example.scene, example.snr_db), {}), version)
        for version in _order(list(waves), results)
    }
    seconds = len(next(iter(waves.values()))) / sample_rate
    return PlayerView(name, example.title, example.snr_db, seconds, sources_of(waves, sample_rate, captions))


def sources_of(waves: Mapping[str, np.ndarray], sample_rate: int, captions: Mapping[str, str]) -> tuple[Source, ...]:
    """Sounds and pictures, whose colours are those of one scale, in the order of the captions.

    Args:
        waves: (n_samples,) each, within [-1, 1], by name.
        sample_rate: Hz.
        captions: what stands below each name.
    """
    pictures = {name: spectrogram(wave) for name, wave in waves.items()}
    ceiling_db = max(float(picture.max()) for picture in pictures.values())
    return tuple(
        Source(
            name=name,
            scores=caption,
            audio=flac_uri(waves[name], sample_rate),
            picture=data_uri("image/webp", spectrogram_webp(pictures[name], ceiling_db)),
        )
        for name, caption in captions.items()
    )


def _order(versions: Sequence[str], results: Results) -> list[str]:
    """Noisy input and reference first, then the systems as in the table, then whatever else there is."""
    inputs = [system.name for system in results.systems if system.is_input]
    others = [system.name for system in results.systems if not system.is_input]
    wanted = [*inputs, REFERENCE, *others]
    return sorted(versions, key=lambda version: wanted.index(version) if version in wanted else len(wanted))


def _scores(results: Results, row: Mapping[str, Any], version: str) -> str:
    if version == REFERENCE:
        return "clean reference"
    parts = []
    for metric in results.metrics:
        if metric in row:
            style = metric_style(metric)
            parts.append(f"{style.label} {number(row[metric], style.digits)} {style.unit}".rstrip())
    unbroken = str.maketrans({" ": "\N{NO-BREAK SPACE}", "-": "\N{NON-BREAKING HYPHEN}"})
    return " · ".join(part.translate(unbroken) for part in parts)
