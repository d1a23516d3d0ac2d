"""Reading and writing audio files, with every trap named: one place decides what a usable file is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from arrayse.files import one_line, write_whole

MAX_SAMPLES = 1 << 29
"""Most samples (frames x channels) decoded at once, 2 GB: a small FLAC file can unpack to many gigabytes."""

AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".aiff", ".aif", ".mp3"}
"""Endings, in small letters, of the files that a folder of audio is searched for."""

_BYTE_ORDER: dict[bytes, Literal["little", "big"]] = {b"RIFF": "little", b"FORM": "big"}
_UNKNOWN_LENGTH = 0x7FFF0000
"""From this length on, a header was written before the length was known (a stream)."""


@dataclass(frozen=True)
class AudioInfo:
    """What the header of an audio file says: rate in Hz, channels, and samples of each channel."""

    sample_rate: int
    n_channels: int
    n_samples: int


def audio_info(path: Path) -> AudioInfo:
    """Reads the header.

    Raises:
        ValueError: no such file, not audio, empty or truncated.
    """
    if not path.is_file():
        raise ValueError(f"{path}: expected an audio file, got none there")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: expected audio, got an empty file")
    try:
        header = soundfile.info(str(path))
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        raise ValueError(f"{path}: expected an audio file, got {one_line(error)}") from None
    if header.frames <= 0:
        raise ValueError(f"{path}: expected audio, got no samples")
    _check_whole(path)
    return AudioInfo(header.samplerate, header.channels, header.frames)


def read_audio(path: Path, sample_rate: int, start: int = 0, n_samples: int | None = None) -> np.ndarray:
    """Reads samples as float32; integer formats give [-1, 1), float formats what they hold.

    Args:
        path: an audio file.
        sample_rate: the rate in Hz that it must have; nothing is resampled here.
        start: first sample.
        n_samples: how many; None reads to the end.

    Returns:
        (n_channels, n_samples).

    Raises:
        ValueError: what :func:`audio_info` refuses, another rate, fewer samples than asked for, more than fit into
            memory, NaN or infinite samples.
    """
    info = audio_info(path)
    check_rate(info.sample_rate, sample_rate, str(path))
    wanted = info.n_samples - start if n_samples is None else n_samples
    if start < 0 or wanted < 1 or start + wanted > info.n_samples:
        asked = "samples" if n_samples is None else f"{n_samples} samples"
        raise ValueError(f"{path}: expected {asked} from number {start} on, got a file of {info.n_samples}")
    if wanted * info.n_channels > MAX_SAMPLES:
        got = f"{wanted} frames x {info.n_channels} channels"
        raise ValueError(f"{path}: expected at most {MAX_SAMPLES} samples to read at once, got {got}")
    try:
        wave, _ = soundfile.read(str(path), frames=wanted, start=start, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise ValueError(f"{path}: expected readable audio, got {one_line(error)}") from None
    if len(wave) != wanted:
        raise ValueError(f"{path}: expected {wanted} samples, got {len(wave)}: the file is truncated")
    check_finite(wave, str(path))
    return np.ascontiguousarray(wave.T)


def write_audio(path: Path, wave: np.ndarray, sample_rate: int) -> None:
    """Writes a 16-bit WAV or FLAC file whole.

    Args:
        path: its ending decides the format.
        wave: (n_channels, n_samples) or (n_samples,), within [-1, 1].
        sample_rate: Hz.

    Raises:
        ValueError: another ending, no samples, NaN or infinite samples, samples that would clip.
        OSError: it cannot be written.
    """
    check_suffix(path)
    if wave.size == 0:
        raise ValueError(f"{path}: expected samples to write, got an array of shape {wave.shape}")
    check_finite(wave, str(path))
    peak = float(np.abs(wave).max())
    if peak > 1.0:
        raise ValueError(f"{path}: expected samples within [-1, 1], got a peak of {peak:.3g}")
    kind = path.suffix[1:].upper()

    def write(temporary: Path) -> None:
        try:
            soundfile.write(str(temporary), wave.T, sample_rate, "PCM_16", format=kind)
        except soundfile.LibsndfileError as error:
            # libsndfile does not tell why
            raise OSError(f"{path}: expected to be written, got {one_line(error)} Is the disk full?") from None

    write_whole(path, write)


def check_suffix(path: Path) -> None:
    """Raises ValueError unless the name says what to write: WAV or FLAC."""
    if path.suffix.lower() not in {".wav", ".flac"}:
        raise ValueError(f"{path}: expected a name ending in .wav or .flac, got {path.suffix or 'no ending'}")


def check_rate(got: int, expected: int, what: str) -> None:
    """Raises ValueError unless the sample rates agree."""
    if got != expected:
        raise ValueError(f"{what}: expected {expected} Hz, got {got} Hz: resample it first")


def check_finite(wave: np.ndarray, what: str) -> None:
    """Raises ValueError if a sample is NaN or infinite."""
    n_bad = int((~np.isfinite(wave)).sum())
    if n_bad:
        raise ValueError(f"{what}: expected finite samples, got {n_bad} NaN or infinite ones")


def _check_whole(path: Path) -> None:
    """Raises ValueError if a WAV or AIFF file ends before its samples do: a decoder takes what is there.

    Both are a list of chunks, each a name (4 bytes), a length (4 bytes) and so many bytes, filled up to an
    even number. The other formats notice while they decode.
    """
    with path.open("rb") as file:
        order = _BYTE_ORDER.get(file.read(12)[:4])
        while order and len(head := file.read(8)) == 8:
            length, start = int.from_bytes(head[4:], order), file.tell()
            if head[:4] in (b"data", b"SSND"):
                there = path.stat().st_size - start
                if there < length < _UNKNOWN_LENGTH:
                    raise ValueError(f"{path}: expected {length} bytes of samples, got {there}: the file is truncated")
                return
            file.seek(start + length + length % 2)
