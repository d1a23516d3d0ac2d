"""The filter that puts a sound between two samples: a sinc under a Hann window of 81, as pyroomacoustics has it."""

from __future__ import annotations

import numpy as np
from scipy.special import sici

LEAD = 40
"""Half of the filter: a response has so many samples before the moment of emission, whatever its engine."""


def filter_spectrum(frequency: np.ndarray) -> np.ndarray:
    """Fourier transform of the filter (before it is sampled), at cycles a sample; same shape."""

    def cut_sinc(shifted: np.ndarray) -> np.ndarray:
        upper, lower = (sici(2 * np.pi * LEAD * (shifted + edge))[0] for edge in (0.5, -0.5))
        return (upper - lower) / np.pi

    side = 0.5 / LEAD
    return 0.5 * cut_sinc(frequency) + 0.25 * (cut_sinc(frequency - side) + cut_sinc(frequency + side))
