"""What tests share: a tiny corpus, a tiny dataset made from it, and the real audio pack where there is one.

The shared folders are made once a session: a test that changes files copies them first.
"""

from __future__ import annotations

import csv
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import settings

from arrayse.geometry import circular
from simulate.corpus import load_corpus
from simulate.generate import generate
from simulate.recipe import Recipe
from simulate.scene import World
from tests.tiny_scenes import Corpora

settings.register_profile("arrayse", deadline=None)  # no test depends on the speed of the machine
settings.load_profile("arrayse")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script, which child processes inherit
    signal.signal(signal.SIGINT, signal.default_int_handler)

SAMPLE_RATE = 16000
COLUMNS = ("path", "split", "kind", "speaker_or_type", "seconds", "source", "license", "channels")
SPEAKERS = {"train": ("ann", "bob", "cat"), "valid": ("dan", "eve"), "test": ("fay", "gus")}
N_NOISES = {"train": 3, "valid": 2, "test": 2}


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """Scenes of one second in small dry rooms: a few hundredths of a second of work each."""
    return Recipe(
        seconds=1.0,
        room_min=[3.0, 3.0, 2.4],
        room_max=[3.6, 3.4, 2.6],
        rt60=[0.15, 0.2],
        target_distance=[0.4, 1.0],
        interferer_distance=[0.8, 1.4],
        n_interferers=[1, 2],
    )


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


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 16 kHz mono WAVs with MANIFEST.csv: 14 utterances of 7 speakers, 7 noises, 3 splits."""
    folder = tmp_path_factory.mktemp("corpus")
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


@pytest.fixture(scope="session")
def tiny_dataset(tiny_corpus: Path, tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset folder for ``circular()`` (5 mics): 6 train, 2 valid and 2 test scenes of one second."""
    out = tmp_path_factory.mktemp("dataset") / "tiny"
    speech, noise = (load_corpus(str(tiny_corpus), kind, SAMPLE_RATE) for kind in ("speech", "noise"))
    n_scenes = {"train": 6, "valid": 2, "test": 2}
    generate(out, World(tiny_recipe, circular(), speech, noise, 7), n_scenes, workers=1)
    return out


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real audio pack; a test that asks for it carries the marker ``real`` and is skipped without it."""
    named = os.environ.get("ARRAYSE_REAL_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "MANIFEST.csv").is_file():
        pytest.skip(f"no real audio pack in {folder}: set ARRAYSE_REAL_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def corpora(tiny_corpus: Path) -> Corpora:
    speech, noise = (load_corpus(str(tiny_corpus), kind, SAMPLE_RATE) for kind in ("speech", "noise"))
    return speech, noise


@pytest.fixture(scope="session")
def recipe(tiny_recipe: Recipe) -> Recipe:
    """A few milliseconds of work a scene."""
    return replace(tiny_recipe, seconds=0.25, rt60=[0.1, 0.11], n_interferers=[1, 1])
