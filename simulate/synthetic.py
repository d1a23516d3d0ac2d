"""The built-in corpus: voices that espeak-ng speaks and noises that numpy draws, rendered once into a cache.

It lets every command of the project run without a download. The folder has the form of any other corpus:
16 kHz mono FLAC files and a MANIFEST.csv, with voices, sentences and noise files disjoint between the splits.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from scipy.signal import resample_poly

from arrayse.audio import write_audio
from arrayse.files import whole_folder, write_text
from arrayse.mixture import SPLITS, mean_power
from simulate import espeak_worker
from simulate.espeak_worker import SENTENCES, VOICES, Voice
from simulate.known_files import cache_home
from simulate.synthetic_noise import NOISE_TYPES, SAMPLE_RATE, make_noise

RECIPE = "builtin-v1"
"""Name of the recipe and of its folder: any change to what is rendered needs a new one."""

COLUMNS = ("path", "split", "kind", "speaker_or_type", "seconds", "source", "license", "channels")
Row = dict[str, str | int | float]
"""A line of the manifest by :data:`COLUMNS`."""

LEVEL_DB = -26.0
"""Active level of speech and level of noise in dBFS (a full-scale square wave is 0)."""

FRAME = 320
"""Samples (20 ms) over which the power of speech is taken."""


@dataclass(frozen=True)
class Size:
    """How much to render of each split, in the order of :data:`SPLITS`."""

    n_voices: tuple[int, int, int]
    n_utterances: tuple[int, int, int]
    n_noises: tuple[int, int, int]
    noise_seconds: float


SIZES = {
    "full": Size((16, 6, 6), (10, 7, 7), (5, 2, 2), 18.0),
    "small": Size((6, 3, 3), (2, 2, 2), (1, 1, 1), 4.0),
}


def builtin_corpus(cache: Path | None = None, size: Literal["full", "small"] = "full") -> Path:
    """The folder of the built-in corpus; it is rendered (in under a minute) if it is not there yet.

    Args:
        cache: the folder itself; by default ``arrayse/builtin-v1`` under ``$XDG_CACHE_HOME`` or ``~/.cache``.
        size: "full" (train 13 min of speech and 9 of noise) or "small" (under 4 min in all, to try things).

    Returns:
        A folder with MANIFEST.csv and the audio. It appears when it is whole, always with the same bytes.

    Raises:
        ValueError: no such size, espeakng_loader is needed and missing, or the folder holds something else.
    """
    if size not in SIZES:
        raise ValueError(f"size: expected one of {', '.join(SIZES)}, got {size}")
    recipe = RECIPE if size == "full" else f"{RECIPE}-{size}"
    folder = cache if cache is not None else cache_home() / "arrayse" / recipe
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        if importlib.util.find_spec("espeakng_loader") is None:
            raise ValueError("built-in voices: expected the package espeakng_loader, got none: install arrayse[demo]")
        with whole_folder(folder) as temporary:
            _render(temporary, SIZES[size])
            write_text(temporary / "RECIPE", recipe + "\n")
    mark = folder / "RECIPE"
    found = mark.read_text(encoding="utf-8").strip() if mark.is_file() else "no RECIPE"
    if found != recipe:
        raise ValueError(
            f"built-in corpus: expected {recipe} or nothing in {folder}, got {found}: choose another cache"
        )
    return folder


def _render(folder: Path, size: Size) -> None:
    """Write all audio files and MANIFEST.csv, with a progress bar on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    rows: list[Row] = []
    with Progress(console=Console(stderr=True)) as progress:
        n_steps = sum(size.n_voices) + len(NOISE_TYPES) * sum(size.n_noises)
        task = progress.add_task("Rendering the built-in corpus", total=n_steps)
        for index, split in enumerate(SPLITS):
            voices = []
            for number, voice in enumerate(VOICES[split][: size.n_voices[index]]):
                rng = np.random.default_rng([index, number])
                texts = rng.permutation(SENTENCES[split].splitlines())[: size.n_utterances[index]]
                voices.append(_speak(voice, [str(text) for text in texts]))
                for k, utterance in enumerate(voices[-1]):
                    path = f"speech/{voice.name}/{voice.name}_{k}.flac"
                    rows.append(_write(folder, path, split, utterance))
                progress.advance(task)
            for number, kind in enumerate(NOISE_TYPES):
                for k in range(size.n_noises[index]):
                    rng = np.random.default_rng([index, 1000 + number, k])
                    noise = make_noise(kind, rng, round(size.noise_seconds * SAMPLE_RATE), voices)
                    noise = _to_level(noise, mean_power(noise))
                    rows.append(_write(folder, f"noise/{kind}/{kind}_{split}_{k}.flac", split, noise))
                    progress.advance(task)
    with open(folder / "MANIFEST.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: str(row["path"])))


def _speak(voice: Voice, texts: list[str]) -> list[np.ndarray]:
    """The sentences in that voice, each (n_samples,), trimmed and levelled.

    A process of its own speaks them: the library is under the GPL and stays out of this one.

    Raises:
        ValueError: that process failed; its last line is in the message.
    """
    with tempfile.TemporaryDirectory() as temporary:
        paths = [str(Path(temporary) / f"{k}.wav") for k in range(len(texts))]
        job = asdict(voice) | {"sentences": dict(zip(paths, texts, strict=True))}
        # -P keeps the neighbours of the worker out of its imports.
        command = [sys.executable, "-P", espeak_worker.__file__]
        result = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True)
        if result.returncode != 0:
            reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
            raise ValueError(
                f"built-in voice {voice.name}: expected speech, got exit status {result.returncode}: {reason}"
            )
        return [clean_speech(*soundfile.read(path)) for path in paths]


def clean_speech(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Bring samples (n,) to :data:`SAMPLE_RATE`, cut the silence at both ends, set the active level.

    Raises:
        ValueError: nothing but silence, or less than one frame.
    """
    ratio = Fraction(SAMPLE_RATE, sample_rate)
    speech = resample_poly(samples, ratio.numerator, ratio.denominator)
    power = _frame_power(speech)
    if not power.any():
        raise ValueError(f"speech: expected sound, got {len(samples)} samples of silence")
    loud = np.flatnonzero(power > 1e-5 * power.max())
    # One frame more at either end: the onset of a stop lies below the threshold.
    speech = speech[max(loud[0] - 1, 0) * FRAME : (loud[-1] + 2) * FRAME]
    return _to_level(speech, active_power(speech))


def _frame_power(signal: np.ndarray) -> np.ndarray:
    """Mean power (n_samples // FRAME,) of successive frames; what is left at the end does not count."""
    return np.mean(signal[: len(signal) // FRAME * FRAME].reshape(-1, FRAME) ** 2, axis=1)


def active_power(speech: np.ndarray) -> float:
    """Mean power of the frames that are at most 15.9 dB below the mean power, the margin of ITU-T P.56."""
    power = _frame_power(speech)
    return float(np.mean(power[power > power.mean() * 10**-1.59]))


def _to_level(signal: np.ndarray, power: float) -> np.ndarray:
    """Scale a signal of that power to :data:`LEVEL_DB`."""
    return signal * 10 ** (LEVEL_DB / 20) / np.sqrt(power)


def _write(folder: Path, path: str, split: str, signal: np.ndarray) -> Row:
    """Write a FLAC file of 16 bits at kind/speaker_or_type/name and return its row of the manifest."""
    write_audio(folder / path, signal, SAMPLE_RATE)
    kind, speaker_or_type, _ = path.split("/")
    source = "built-in: espeak-ng synthetic speech" if kind == "speech" else "built-in: numpy"
    seconds = round(len(signal) / SAMPLE_RATE, 3)
    values = (path, split, kind, speaker_or_type, seconds, source, "synthetic", 1)
    return dict(zip(COLUMNS, values, strict=True))
