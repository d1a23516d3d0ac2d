"""One listening example as the page shows it: for each version a sound, pictures and its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from arrayse.report.audio import LISTEN_SECONDS, data_uri, flac, in_common, read_waves, sound_uri
from arrayse.report.cells import System
from arrayse.report.evaluation import Example
from arrayse.report.results import Results, Snr
from arrayse.report.spectrograms import mask_of, mask_webp, spectrogram, spectrogram_webp
from arrayse.report.text import metric_style, number

REFERENCE = "target"
"""The clean wave; it and the noisy input are shown first."""

Scores = Mapping[tuple[str, str, Snr], Mapping[str, Any]]
"""Rows of ``rows.jsonl`` by (name, scene, snr_db)."""


@dataclass(frozen=True)
class Source:
    """One version of an example; audio and pictures are data URIs, ``mask`` is empty where there is none."""

    name: str
    scores: str
    audio: str
    picture: str
    mask: str = ""


@dataclass(frozen=True)
class PlayerView:
    """One example with all its versions."""

    id: str
    title: str
    snr_db: float | None
    seconds: float
    sources: tuple[Source, ...]

    @property
    def columns(self) -> int:
        """How many pictures stand side by side on a wide screen: as many as leave the fewest empty places."""
        n_sources = len(self.sources)
        return n_sources if n_sources <= 5 else min((4, 3, 5), key=lambda columns: -n_sources % columns)


def player_view(name: str, example: Example, results: Results, scores: Scores, lossless: bool) -> PlayerView | None:
    """Reads the waves of an example; None if it has none."""
    if not example.waves:
        return None
    waves, sample_rate = read_waves(example.waves)
    seconds, title = len(next(iter(waves.values()))) / sample_rate, example.title
    if seconds >= LISTEN_SECONDS:
        title += f", the first {LISTEN_SECONDS:g} s"
    captions, titles = {}, {}
    for version in _order(list(waves), results):
        row, system = scores.get((version, example.scene, example.snr_db), {}), _system_of(version, results)
        captions[version] = _scores(results, row, version)
        titles[version] = system.name if system else version
    noisy = next((version for version in waves if (system := _system_of(version, results)) and system.is_input), None)
    sources = sources_of(waves, sample_rate, captions, titles, noisy, lossless)
    return PlayerView(name, title, example.snr_db, seconds, sources)


def player_of(
    name: str,
    title: str,
    snr_db: float,
    waves: Mapping[str, np.ndarray],
    sample_rate: int,
    captions: Mapping[str, str],
) -> PlayerView:
    """A player of the waves of a mixture, with one common gain.

    Args:
        name: id on the page.
        title: heading.
        snr_db: of the mixture; shown with one decimal.
        waves: (n_samples,) each, by name.
        sample_rate: Hz.
        captions: what stands below each name; their order is that of the waves on the page.
    """
    seconds = max(len(wave) for wave in waves.values()) / sample_rate
    sources = sources_of(in_common(waves), sample_rate, captions)
    return PlayerView(name, title, round(snr_db, 1) + 0.0, seconds, sources)


def sources_of(
    waves: Mapping[str, np.ndarray],
    sample_rate: int,
    captions: Mapping[str, str],
    titles: Mapping[str, str] | None = None,
    noisy: str | None = None,
    lossless: bool = True,
) -> tuple[Source, ...]:
    """Sounds and pictures, whose colours are those of one scale, in the order of the captions.

    Args:
        waves: (n_samples,) each, within [-1, 1], by name.
        sample_rate: Hz.
        captions: what stands below each name.
        titles: what is shown in place of some names.
        noisy: the wave whose magnitudes the others are compared with; None: no masks.
        lossless: whether sounds are to be FLAC.
    """
    pictures = {name: spectrogram(wave) for name, wave in waves.items()}
    ceiling_db = max(float(picture.max()) for picture in pictures.values())
    return tuple(
        Source(
            name=(titles or {}).get(name, name),
            scores=caption,
            audio=sound_uri(waves[name], sample_rate, lossless),
            picture=data_uri("image/webp", spectrogram_webp(pictures[name], ceiling_db)),
            mask=""
            if noisy in (None, name)
            else data_uri("image/webp", mask_webp(mask_of(waves[name], waves[str(noisy)]))),
        )
        for name, caption in captions.items()
    )


def lossless_bytes(examples: Sequence[Example]) -> int:
    """What the sounds of examples take as FLAC."""
    total = 0
    for example in examples:
        waves, sample_rate = read_waves(example.waves) if example.waves else ({}, 0)
        total += sum(len(flac(wave, sample_rate)) for wave in waves.values())
    return total


def _system_of(version: str, results: Results) -> System | None:
    """The system that a wave belongs to, by its own name or by that of one of its trainings."""
    return next((system for system in results.systems if version in (system.name, *system.runs)), None)


def _order(versions: Sequence[str], results: Results) -> list[str]:
    """Noisy input and reference first, then the systems as in the table, then whatever else there is."""
    inputs = [name for system in results.systems if system.is_input for name in (system.name, *system.runs)]
    others = [name for system in results.systems if not system.is_input for name in (system.name, *system.runs)]
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
