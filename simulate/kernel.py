"""The Kaiser-Bessel kernel that puts an arrival onto a grid, and its Fourier transform that takes it out again.

A type-1 non-uniform Fourier transform (Dutt and Rokhlin, SIAM J. Sci. Comput. 14, 1993) adds to a grid a short kernel
about the exact moment of every arrival; one transform of the grid, over that of the kernel, is the sum of all
arrivals at all frequencies. The kernel is that of Fessler and Sutton, IEEE Trans. Signal Process. 51 (2003).
"""

from __future__ import annotations

import functools

import numpy as np
import scipy.special

from simulate.compiled.rows import STEPS_BITS
from simulate.compiled.vectors import TAPS

OVERSAMPLING = 3
"""Grid cells a sample."""

BETA = 10.5
"""Shape of the kernel: least error up to 7 of 8 kHz for this width and oversampling, -79 dB."""


@functools.cache
def kernel_table() -> np.ndarray:
    """The kernel at TAPS cells for each of the places of an arrival between two cells: flat float32."""
    steps = 1 << STEPS_BITS
    place = (np.arange(steps)[:, None] + 0.5) / steps
    offset = (np.arange(TAPS) - (TAPS // 2 - 1) - place) / (TAPS / 2)
    kernel = scipy.special.i0(BETA * np.sqrt(1 - offset**2)) / scipy.special.i0(BETA)
    return np.ascontiguousarray(kernel, dtype=np.float32).ravel()


def kernel_spectrum(frequency: np.ndarray) -> np.ndarray:
    """Fourier transform of the kernel at cycles a sample, same shape."""
    root = np.sqrt(BETA**2 - (np.pi * TAPS * frequency / OVERSAMPLING) ** 2)
    return TAPS * np.sinh(root) / (root * scipy.special.i0(BETA))
