"""The Kaiser-Bessel kernel that puts an arrival onto a grid, and its Fourier transform that takes it out again.

A type-1 non-uniform Fourier transform (Dutt and Rokhlin, SIAM J. Sci. Comput. 14, 1993) adds to a grid a short kernel
about the exact moment of every arrival; the transform of the grid over that of the kernel is the sum of all arrivals
at all frequencies. The kernel is that of Fessler and Sutton, IEEE Trans. Signal Process. 51 (2003).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.special


@dataclass(frozen=True)
class Kernel:
    """A kernel on a grid.

    Attributes:
        taps: cells of the grid that it covers.
        oversampling: cells a sample.
        beta: its shape.
        steps_bits: it is tabulated at 2^steps_bits places between two cells.
    """

    taps: int
    oversampling: float
    beta: float
    steps_bits: int

    @cached_property
    def table(self) -> np.ndarray:
        """Its values at the cells around each place between two cells, places x taps flat float32."""
        steps = 1 << self.steps_bits
        place = (np.arange(steps)[:, None] + 0.5) / steps
        offset = (np.arange(self.taps) - (self.taps // 2 - 1) - place) / (self.taps / 2)
        values = scipy.special.i0(self.beta * np.sqrt(1 - offset**2)) / scipy.special.i0(self.beta)
        return np.ascontiguousarray(values, dtype=np.float32).ravel()

    def spectrum(self, frequency: np.ndarray) -> np.ndarray:
        """Fourier transform in cells at cycles a sample, same shape; up to beta oversampling / (pi taps)."""
        root = np.sqrt(self.beta**2 - (np.pi * self.taps * frequency / self.oversampling) ** 2)
        return self.taps * np.sinh(root) / (root * scipy.special.i0(self.beta))
