"""Reading and writing audio files, with every trap named: one place decides what a usable file is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from arrayse.files import write_whole

MAX_SAMPLES = 1 << 31
"""Most samples (frames x channels) decoded at once: a small FLAC file can unpack to many gigabytes."""

AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".aiff", ".aif", ".mp3"}


@dataclass(frozen=True)
class AudioInfo:
    """What the header of an audio file says."""

    sample_rate: int
    n_channels: int
    n_samples: int


def audio_info(path: Path) -> AudioInfo:
    """Reads the header.

    Raises:
        ValueError: no such file, not audio, empty, or too large to decode.
    """
    if not path.is_file():
        raise ValueError(f"{path}: expected an audio file, got none there")
    try:
        header = soundfile.info(str(path))
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        raise ValueError(f"{path}: expected an audio file, got {_one_line(error)}") from None
    if header.frames <= 0:
        raise ValueError(f"{path}: expected audio, got an empty file")
    if header.frames * header.channels > MAX_SAMPLES:
        raise ValueError(
            f"{path}: expected at most {MAX_SAMPLES} samples, got {header.frames} frames x {header.channels} channels"
        )
    return AudioInfo(header.samplerate, header.channels, header.frames)


def read_audio(path: Path, sample_rate: int, start: int = 0, n_samples: int | None = None) -> np.ndarray:
    """Reads samples as float32 in [-1, 1).

    Args:
        path: an audio file.
        sample_rate: the rate in Hz that it must have; nothing is resampled here.
        start: first sample.
        n_samples: how many; None reads to the end.

    Returns:
        (n_channels, n_samples).

    Raises:
        ValueError: what :func:`audio_info` refuses, another rate, a truncated file, NaN or infinite samples.
    """
    info = audio_info(path)
    check_rate(info.sample_rate, sample_rate, str(path))
    wanted = info.n_samples - start if n_samples is None else n_samples
    try:
        wave, _ = soundfile.read(str(path), frames=wanted, start=start, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise ValueError(f"{path}: expected readable audio, got {_one_line(error)}") from None
    if len(wave) != wanted:
        raise ValueError(f"{path}: expected {wanted} samples from {start} on, got {len(wave)}: the file is truncated")
    check_finite(wave, str(path))
    return np.ascontiguousarray(wave.T)


def write_audio(path: Path, wave: np.ndarray, sample_rate: int) -> None:
    """Writes (n_channels, n_samples) or (n_samples,) as a 16-bit file whole; refuses what would clip."""
    check_finite(wave, str(path))
    peak = float(np.abs(wave).max(initial=0.0))
    if peak > 1.0:
        raise ValueError(f"{path}: expected samples within [-1, 1], got a peak of {peak:.3g}")
    if path.suffix.lower() not in {".wav", ".flac"}:
        raise ValueError(f"{path}: expected a name ending in .wav or .flac, got {path.suffix or 'no ending'}")
    kind = path.suffix[1:].upper()
    write_whole(path, lambda temporary: soundfile.write(str(temporary), wave.T, sample_rate, "PCM_16", format=kind))


def check_rate(got: int, expected: int, what: str) -> None:
    """Raises ValueError unless the sample rates agree."""
    if got != expected:
        raise ValueError(f"{what}: expected {expected} Hz, got {got} Hz: resample it first")


def check_finite(wave: np.ndarray, what: str) -> None:
    """Raises ValueError if a sample is NaN or infinite."""
    if not np.isfinite(wave).all():
        raise ValueError(f"{what}: expected finite samples, got {int((~np.isfinite(wave)).sum())} NaN or infinite ones")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
