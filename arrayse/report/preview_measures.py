"""What the preview measures on waves: band levels and coherence."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import scipy.signal

LOWEST_BAND_HZ = 50.0

FLOOR_DB = -140.0
"""Level of silence."""


def level_dbfs(wave: np.ndarray) -> np.ndarray:
    """Root mean square along the last axis in dB re 1."""
    return decibels_of(np.mean(np.square(wave, dtype=np.float64), axis=-1))


def decibels_of(power: np.ndarray) -> np.ndarray:
    """Power in dB, :data:`FLOOR_DB` for none."""
    return 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))


def third_octave_levels(wave: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Power in the third octaves of IEC 61260-1 (base ten) that end below half of the sample rate.

    Args:
        wave: (n_samples,).
        sample_rate: Hz.

    Returns:
        Centre frequencies in Hz and levels in dB re 1, (n_bands,) each.
    """
    numbers = np.arange(-40, 41)
    centres = 1000 * 10 ** (numbers / 10)
    centres = centres[(centres >= LOWEST_BAND_HZ) & (centres * 10**0.05 <= sample_rate / 2)]
    n_fft = min(len(wave), 1 << int(np.log2(sample_rate / 4)))  # bins of 4 to 8 Hz: three or more a band
    frequencies, density = scipy.signal.welch(wave, sample_rate, nperseg=n_fft)
    summed = np.append(0, np.cumsum(density)) * frequencies[1]
    edges = np.append(frequencies - frequencies[1] / 2, frequencies[-1] + frequencies[1] / 2)
    low, high = (np.interp(centres * 10**part, edges, summed) for part in (-0.05, 0.05))
    return centres, decibels_of(high - low)


def real_coherence(draws: Iterable[np.ndarray], pairs: tuple[tuple[int, int], ...], n_fft: int) -> np.ndarray:
    """Real part of the complex coherence, averaged over overlapping Hann frames of all draws.

    Args:
        draws: signals (n_mics, n_samples) of one field.
        pairs: of microphones.
        n_fft: samples of a frame; draws are not shorter.

    Returns:
        (n_pairs, n_fft // 2 + 1).
    """
    first, second = np.array(pairs).T
    window = np.hanning(n_fft).astype(np.float32)
    cross = np.zeros((len(pairs), n_fft // 2 + 1))
    power: np.ndarray | None = None
    for wave in draws:
        frames = np.lib.stride_tricks.sliding_window_view(wave, n_fft, axis=-1)[:, :: n_fft // 2]
        spectra = np.fft.rfft(frames * window)  # mic frame freq
        own = np.sum(np.abs(spectra) ** 2, axis=1)
        power = own if power is None else power + own
        cross += np.sum((spectra[first] * spectra[second].conj()).real, axis=1)
    if power is None:
        raise ValueError("draws: expected one or more, got none")
    return cross / np.sqrt(np.maximum(power[first] * power[second], np.finfo(np.float64).tiny))


def spread_pairs(distances: np.ndarray, n_pairs: int) -> tuple[tuple[int, int], ...]:
    """Pairs of microphones with different distances: the closest, the widest and some between.

    Args:
        distances: (n_mics, n_mics).
        n_pairs: how many at most.
    """
    first, second = np.triu_indices(len(distances), k=1)
    lengths = np.round(distances[first, second], 4)  # tenths of millimetres count as equal
    _, chosen = np.unique(lengths, return_index=True)
    spread = np.unique(np.linspace(0, len(chosen) - 1, n_pairs).round().astype(int))
    return tuple((int(first[chosen[place]]), int(second[chosen[place]])) for place in spread)
