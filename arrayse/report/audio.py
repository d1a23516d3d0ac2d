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


def read_waves(paths: Mapping[str, Path]) -> tuple[dict[str, np.ndarray], int]:
    """Reads the waves of one example with one common gain, so that differences in level stay audible.

    Args:
        paths: mono files of one sample rate, by name.

    Returns:
        Each wave as (n_samples,), zero-padded to the longest, and the sample rate in Hz.

    Raises:
        ValueError: unreadable, not mono, or not all at one rate.
    """
    sample_rate = audio_info(next(iter(paths.values()))).sample_rate
    waves = {}
    for name, path in paths.items():
        wave = read_audio(path, sample_rate)
        if len(wave) != 1:
            raise ValueError(f"{path}: expected 1 channel, got {len(wave)}")
        waves[name] = wave[0]
    return in_common(waves), sample_rate


def in_common(waves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Waves (n_samples,) zero-padded to the longest, with the one gain that brings the loudest sample to ``PEAK``."""
    n_samples = max(len(wave) for wave in waves.values())
    peak = max(float(np.abs(wave).max()) for wave in waves.values())
    gain = PEAK / peak if peak > 0 else 1.0
    return {name: gain * np.pad(wave, (0, n_samples - len(wave))) for name, wave in waves.items()}


def flac_uri(wave: np.ndarray, sample_rate: int) -> str:
    """A wave (n_samples,) within [-1, 1] as a data URI: 16-bit FLAC, which every current browser decodes."""
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, sample_rate, "PCM_16", format="FLAC")
    return data_uri("audio/flac", buffer.getvalue())


def data_uri(media_type: str, content: bytes) -> str:
    """Bytes as a base64 data URI."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
