"""Listening examples as small strings that fit into a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile

from arrayse.audio import audio_info, read_audio

PEAK = 0.97
"""Highest sample of the loudest wave of an example."""

LISTEN_SECONDS = 30.0
"""What is to be heard of longer examples."""

LOSSLESS_BYTES = 4_500_000
"""Sounds of a page are lossless as long as they take no more than this: a page is to stay below 10 MB."""

MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


def read_waves(paths: Mapping[str, Path]) -> tuple[dict[str, np.ndarray], int]:
    """Reads the waves of one example with one common gain, so that differences in level stay audible.

    Args:
        paths: mono files of one sample rate, by name.

    Returns:
        Each wave as (n_samples,), zero-padded to the longest, and the sample rate in Hz. Of long waves only the first
        :data:`LISTEN_SECONDS`.

    Raises:
        ValueError: unreadable, not mono, or not all at one rate.
    """
    sample_rate = audio_info(next(iter(paths.values()))).sample_rate
    waves = {}
    for name, path in paths.items():
        wave = read_audio(path, sample_rate)
        if len(wave) != 1:
            raise ValueError(f"{path}: expected 1 channel, got {len(wave)}")
        waves[name] = wave[0, : round(LISTEN_SECONDS * sample_rate)]
    return in_common(waves), sample_rate


def in_common(waves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Waves (n_samples,) zero-padded to the longest, with the one gain that brings the loudest sample to ``PEAK``."""
    n_samples = max(len(wave) for wave in waves.values())
    peak = max(float(np.abs(wave).max()) for wave in waves.values())
    gain = PEAK / peak if peak > 0 else 1.0
    return {name: gain * np.pad(wave, (0, n_samples - len(wave))) for name, wave in waves.items()}


def flac(wave: np.ndarray, sample_rate: int) -> bytes:
    """A wave (n_samples,) within [-1, 1] as 16-bit FLAC, which every current browser decodes."""
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, sample_rate, "PCM_16", format="FLAC")
    return buffer.getvalue()


def mp3(wave: np.ndarray, sample_rate: int) -> bytes:
    """A wave (n_samples,) within [-1, 1] as MP3 of the best variable bit rate, half as large as FLAC.

    Ogg would be as good at this size, but not every phone plays it, and its files hold random numbers.
    """
    buffer = io.BytesIO()
    how = {"format": "MP3", "bitrate_mode": "VARIABLE", "compression_level": 0.0}
    soundfile.write(buffer, wave, sample_rate, "MPEG_LAYER_III", **how)
    return buffer.getvalue()


def sound_uri(wave: np.ndarray, sample_rate: int, lossless: bool = True) -> str:
    """A wave (n_samples,) within [-1, 1] as a data URI: FLAC, or MP3 where it need not be lossless and can be made."""
    if lossless or sample_rate not in MP3_RATES or "MP3" not in soundfile.available_formats():
        return data_uri("audio/flac", flac(wave, sample_rate))
    return data_uri("audio/mpeg", mp3(wave, sample_rate))


def data_uri(media_type: str, content: bytes) -> str:
    """Bytes as a base64 data URI."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
