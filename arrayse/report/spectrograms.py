"""Spectrograms of the report, and what a system let through of its input, as small pictures."""

from __future__ import annotations

import io

import numpy as np

from arrayse.report.figures import DYNAMIC_RANGE_DB

N_FFT = 512
MAX_FRAMES = 300
"""Frames of a spectrogram at most: more than a narrow picture shows."""

MASK_FRAMES = 150
"""Frames of the picture of a mask at most, which is as restless as noise: it is to stay as small as a spectrogram."""

SPECTROGRAM_QUALITY, MASK_QUALITY = 60, 30


def spectrogram(wave: np.ndarray, max_frames: int = MAX_FRAMES) -> np.ndarray:
    """Power in dB, (n_freqs, n_frames) with the lowest frequency first, of a wave (n_samples,)."""
    hop = max(N_FFT // 4, -(-len(wave) // max_frames))
    padded = np.pad(wave, (0, max(0, N_FFT - len(wave))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::hop]  # frame, sample
    power = np.abs(np.fft.rfft(frames * np.hanning(N_FFT))) ** 2
    return 10 * np.log10(power.T + 1e-12)


def spectrogram_webp(levels_db: np.ndarray, ceiling_db: float) -> bytes:
    """A spectrogram as a WebP picture, low frequencies at the bottom.

    Args:
        levels_db: (n_freqs, n_frames).
        ceiling_db: the level of the brightest colour; ``DYNAMIC_RANGE_DB`` below it all is dark.
    """
    return _webp(levels_db, ceiling_db - DYNAMIC_RANGE_DB, ceiling_db, "magma", quality=SPECTROGRAM_QUALITY)


def mask_of(estimate: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    """Magnitude of an estimate relative to that of its input, within 0 and 1, (n_freqs, n_frames).

    This is what a system did to the input, whether by a mask or not; phases and gains above 1 are not in it.

    Args:
        estimate: wave (n_samples,).
        noisy: wave (n_samples,) of the same gain.
    """
    ratio_db = spectrogram(estimate, MASK_FRAMES) - spectrogram(noisy, MASK_FRAMES)
    mask: np.ndarray = np.clip(10 ** (ratio_db / 20), 0, 1)
    return mask


def mask_webp(mask: np.ndarray) -> bytes:
    """A mask as a WebP picture, low frequencies at the bottom: dark where nothing was let through."""
    return _webp(mask, 0.0, 1.0, "viridis", quality=MASK_QUALITY)


def _webp(values: np.ndarray, low: float, high: float, colours: str, quality: int) -> bytes:
    from matplotlib.image import imsave

    buffer, packing = io.BytesIO(), {"quality": quality, "method": 4}
    imsave(buffer, values[::-1], low, high, cmap=colours, format="webp", pil_kwargs=packing)
    return buffer.getvalue()
