"""Distance between spectra of short frames."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from arrayse.metrics.utterance import Score, as_float, unfit

FRAME_SECONDS = 0.032
DYNAMIC_RANGE_DB = 50.0
"""What lies further below the highest point of a signal in time and frequency is lifted there: it is not heard."""


def log_spectral_distance(estimate: np.ndarray, target: np.ndarray, sample_rate: int) -> Score:
    """Log-spectral distance in dB, the less the better (Cohen and Gannot, Spectral Enhancement Methods, 2008).

    Over frames the mean of the root of the mean over frequencies of ``(E - T)^2``, with E and T the levels in dB of
    estimate and target, each limited from below to ``DYNAMIC_RANGE_DB`` under its own highest one. Frames of 32 ms,
    periodic Hann window, half overlapping, filled up with zeros at both ends so that two frames see every sample.

    Args:
        estimate: (n_samples,) real waveform.
        target: (n_samples,) real waveform.
        sample_rate: in Hz.

    Returns:
        The distance in dB, at least 0, or the reason why there is none.
    """
    if problem := unfit(sample_rate, {"estimate": estimate, "target": target}):
        return Score(None, problem)
    hop = max(1, round(FRAME_SECONDS * sample_rate / 2))
    difference = _levels_db(as_float(estimate), hop) - _levels_db(as_float(target), hop)
    return Score(float(np.mean(np.sqrt(np.mean(difference**2, axis=-1)))))


def _levels_db(wave: np.ndarray, hop: int) -> np.ndarray:
    """(n_samples,) → (frame, freq) in dB, from the highest one down to ``DYNAMIC_RANGE_DB`` below it."""
    padded = np.pad(wave, (hop, hop + -wave.size % hop))
    window = np.hanning(2 * hop + 1)[:-1]
    spectrum = np.fft.rfft(sliding_window_view(padded, 2 * hop)[::hop] * window)
    power = spectrum.real**2 + spectrum.imag**2
    return 10 * np.log10(np.maximum(power, power.max() * 10 ** (-DYNAMIC_RANGE_DB / 10)))
