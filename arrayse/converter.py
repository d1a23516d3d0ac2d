"""The analogue-to-digital converter: an inexact clock, clipping and quantisation.

The clock is linear and acts on every stem alike; clipping and quantisation are not: they act on the sum of all stems,
after the SNR was chosen.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np

MIN_BITS, MAX_BITS = 4, 24

N_TAPS, ORDER, BLOCK = 63, 7, 32
"""Reading between samples: taps (flat up to 0.9 of the Nyquist frequency), polynomial terms, samples at a time."""


@dataclass(frozen=True)
class Converter:
    """Hard clipping and uniform mid-tread quantisation without dither, the same for every channel.

    With bits the levels are those of two's complement: step q = 2 x full scale / 2**bits, from -full scale to
    full scale - q, so a converter with bits always clips. Far from clipping, and for signals that cross many
    steps, the error has a power of q**2 / 12: 6.02 dB x bits + 1.76 dB below a sine of full scale (W. R. Bennett,
    "Spectra of quantized signals", Bell System Technical Journal 27, 1948).

    Attributes:
        clip: full scale, as a sample value; None: 1 if there are bits, else nothing clips.
        bits: bits of a sample; None: not quantised.

    Raises:
        ValueError: a full scale that is not positive, bits outside 4 to 24.
    """

    clip: float | None = None
    bits: int | None = None

    def __post_init__(self) -> None:
        if self.clip is not None and not (math.isfinite(self.clip) and self.clip > 0):
            raise ValueError(f"clip: expected a full scale above 0, got {self.clip}")
        if self.bits is not None and not MIN_BITS <= self.bits <= MAX_BITS:
            raise ValueError(f"bits: expected {MIN_BITS} to {MAX_BITS}, got {self.bits}")

    @classmethod
    def from_dbfs(cls, clip_dbfs: float | None, bits: int | None) -> Converter:
        """The converter that clips at a level in dB re 1."""
        return cls(None if clip_dbfs is None else 10 ** (clip_dbfs / 20), bits)

    @property
    def step(self) -> float:
        """Difference between two levels; 0 without bits."""
        if self.bits is None:
            return 0.0
        return (1.0 if self.clip is None else self.clip) * 2.0 ** (1 - self.bits)

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        """Converts samples.

        Args:
            wave: floating point, any shape.

        Returns:
            The same shape and type; ``wave`` itself if the converter is ideal. Converting again changes nothing.
        """
        if self.bits is None:
            return wave if self.clip is None else np.clip(wave, -self.clip, self.clip)
        n_steps = 2 ** (self.bits - 1)
        # in double precision: float32 cannot tell the levels of 24 bits apart when the step is no power of two
        levels = np.multiply(wave, 1 / self.step, dtype=np.float64)
        np.rint(levels, out=levels)
        np.clip(levels, -n_steps, n_steps - 1, out=levels)
        return np.multiply(levels, self.step, out=levels).astype(wave.dtype)


def offset_rate(wave: np.ndarray, offset_ppm: float) -> np.ndarray:
    """What a converter takes whose sample rate is off: sample n is that of the time n / (1 + offset), band-limited.

    The delay drifts from 0 on. A sine below 0.9 of the Nyquist frequency comes out within 1e-4 of its amplitude.

    Args:
        wave: (..., n_samples) at the nominal rate, silent before and after.
        offset_ppm: parts per million, up to some thousand; positive is a faster clock.

    Returns:
        The same shape in float32; ``wave`` itself if there is no offset.
    """
    drift = 1 / (1 + offset_ppm * 1e-6) - 1
    if drift == 0:
        return wave
    n_samples, sign = wave.shape[-1], 1 if drift > 0 else -1
    most = int(abs(drift) * n_samples) + 1  # whole samples that the drift can come to
    # where the nearest whole sample changes
    edges = np.clip(np.ceil((np.arange(most + 2) - 0.5) / abs(drift)), 0, n_samples).astype(int).tolist()
    padded = np.zeros(-(-(n_samples + most) // BLOCK) * BLOCK + N_TAPS - 1, np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, BLOCK + N_TAPS - 1)[::BLOCK]
    sampled = np.empty(wave.shape, np.float32)
    for index in np.ndindex(wave.shape[:-1]):
        padded[N_TAPS // 2 :][:n_samples] = wave[index]
        frames = windows.copy()  # once, where every product would
        terms = [(frames @ reader).ravel() for reader in _readers()]
        for whole, (start, stop) in enumerate(itertools.pairwise(edges)):
            fraction = (np.arange(start, stop) * drift - sign * whole).astype(np.float32)
            value = np.zeros_like(fraction)
            for term in terms[::-1]:
                value *= fraction
                value += term[start + sign * whole : stop + sign * whole]
            sampled[index][start:stop] = value
    return sampled


@functools.cache
def _readers() -> np.ndarray:
    """Filters that read between samples, as matrices (ORDER, BLOCK + N_TAPS - 1, BLOCK) from frames to blocks.

    Their outputs times 1, u, u**2... add up to the signal read u samples later, u from -1/2 to 1/2 (C. W. Farrow, "A
    continuously variable digital delay element", ISCAS 1988): polynomials through a sinc in a Kaiser window.
    """
    nodes = np.cos(np.pi * (np.arange(ORDER) + 0.5) / ORDER) / 2
    times = np.arange(N_TAPS) - N_TAPS // 2 - nodes[:, None]
    window = np.i0(9 * np.sqrt(np.maximum(1 - (2 * times / N_TAPS) ** 2, 0))) / np.i0(9)
    filters = np.linalg.solve(np.vander(nodes, increasing=True), np.sinc(times) * window)
    matrices = np.zeros((ORDER, BLOCK + N_TAPS - 1, BLOCK), np.float32)
    for place in range(BLOCK):
        matrices[:, place : place + N_TAPS, place] = filters
    return matrices
