"""A corpus of a few seconds, made of tones and noise: enough for scenes that nobody listens to."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import soundfile

SAMPLE_RATE = 16000
COLUMNS = ("path", "split", "kind", "speaker_or_type", "seconds", "source", "license", "channels")
SPEAKERS = {"train": ("ann", "bob", "cat"), "valid": ("dan", "eve"), "test": ("fay", "gus")}
N_NOISES = {"train": 3, "valid": 2, "test": 2}


def speech_like(rng: np.random.Generator, pitch_hz: float, seconds: float) -> np.ndarray:
    """A voice (n_samples,): harmonics of a wandering pitch under syllables of four a second."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = pitch_hz * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(0.5, 1.5) * time + rng.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    wave = np.zeros(len(time))
    for order in range(1, 21):
        wave += rng.uniform(0.5, 1) / order * np.sin(order * phase + rng.uniform(0, 6))
    wave *= np.clip(np.sin(2 * np.pi * 4 * time + rng.uniform(0, 6)), 0, None) + 0.02
    return 0.3 * wave / np.abs(wave).max()


def coloured_noise(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Noise (n_samples,) that falls towards high frequencies from a random corner on."""
    n_samples = round(seconds * SAMPLE_RATE)
    hertz = np.fft.rfftfreq(n_samples, 1 / SAMPLE_RATE)
    spectrum = np.fft.rfft(rng.standard_normal(n_samples)) / (1 + hertz / rng.uniform(300, 2000))
    wave = np.fft.irfft(spectrum, n_samples)
    return 0.3 * wave / np.abs(wave).max()


def write_corpus(folder: Path) -> Path:
    """A folder of 16 kHz mono WAVs with MANIFEST.csv: 14 utterances of 7 speakers, 7 noises, 3 splits."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    rows: list[tuple[str, str, str, str, np.ndarray]] = []
    for split, speakers in SPEAKERS.items():
        for speaker in speakers:
            pitch_hz = rng.uniform(90, 240)
            for k in range(2):
                wave = speech_like(rng, pitch_hz, 1.2 + 0.4 * k)
                rows.append((f"speech/{speaker}_{k}.wav", split, "speech", speaker, wave))
        for k in range(N_NOISES[split]):
            rows.append((f"noise/{split}_{k}.wav", split, "noise", f"hiss{k}", coloured_noise(rng, 2.0)))
    with (folder / "MANIFEST.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for path, split, kind, group, wave in rows:
            (folder / path).parent.mkdir(exist_ok=True)
            soundfile.write(folder / path, wave, SAMPLE_RATE, "PCM_16")
            seconds = len(wave) / SAMPLE_RATE
            writer.writerow([path, split, kind, group, seconds, "made by the tests", "synthetic", 1])
    return folder
