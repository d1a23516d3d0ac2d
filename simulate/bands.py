"""Octave bands: weights over frequency that join responses of bands into one, without phase."""

from __future__ import annotations

import numpy as np


def checked_centres(bands: np.ndarray) -> np.ndarray:
    """Centre frequencies (n_bands,) in Hz, or the ValueError of :func:`band_weights`."""
    centres = np.asarray(bands, dtype=np.float64)
    if centres.ndim != 1 or len(centres) == 0 or not (centres > 0).all() or not (np.diff(centres) > 0).all():
        raise ValueError(f"bands: expected ascending centre frequencies in Hz, got {centres.tolist()}")
    return centres


def band_weights(frequencies: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Zero-phase weights of octave bands, which sum to 1 at every frequency: (n_bands, n_freqs).

    Between two neighbouring centres the weight goes from the lower to the upper band as cos² and sin² over the
    logarithm of the frequency; below the lowest and above the highest centre that band alone counts.

    Args:
        frequencies: (n_freqs,) Hz.
        centres: (n_bands,) centre frequencies in Hz, ascending.

    Raises:
        ValueError: centres that are not positive and ascending.
    """
    centres = checked_centres(centres)
    place = np.interp(np.log(np.maximum(frequencies, 1e-3)), np.log(centres), np.arange(len(centres)))
    lower = np.minimum(place.astype(int), len(centres) - 1)
    upper = np.sin(0.5 * np.pi * (place - lower)) ** 2
    numbers = np.arange(len(centres))[:, None]
    return np.where(numbers == lower, 1 - upper, 0.0) + np.where(numbers == lower + 1, upper, 0.0)
