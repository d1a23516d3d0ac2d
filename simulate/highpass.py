"""The high-pass that every room response goes through.

Image sources with positive reflections add up in phase at 0 Hz: a mode of the room that no source excites and no ear
hears, and that fades more slowly than all others, so that T30 would be 20 to 30 % longer than at any frequency of
speech. Allen and Berkley, "Image method for efficiently simulating small-room acoustics", JASA 65 (1979), filter it
out too.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy.signal import butter, sosfilt

CORNER_HZ = 20.0
ORDER = 2


def high_passed(responses: np.ndarray, sample_rate: int) -> np.ndarray:
    """Responses (..., n_taps) without what lies below 20 Hz (Butterworth, second order), in float32."""
    filtered: np.ndarray = sosfilt(_sections(sample_rate), responses).astype(np.float32)
    return filtered


@functools.cache
def _sections(sample_rate: int) -> np.ndarray:
    sections: np.ndarray = butter(ORDER, CORNER_HZ, "highpass", fs=sample_rate, output="sos")
    return sections
