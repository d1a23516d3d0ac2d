"""Directions on rings, and the compiled loop that shares the arrivals of image sources among them.

A ring is a row of directions of equal elevation; rings are equally far apart, and so are the directions of a ring.
An arrival goes to the four directions around it on each of the four rings around it, with the weights of cubic
interpolation, and there onto a grid of cells in time, as a Kaiser-Bessel kernel about its exact moment.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from scipy.special import i0

WIDTH = 6
"""Cells of the grid that an arrival is spread over."""

BETA = 12.0
"""Shape of the kernel."""

STEPS = 512
"""Places between two cells at which the kernel is tabulated; between them it is linear."""

LEAST_AROUND = 8
"""Directions of the rings next to the poles."""


def ring_directions(ring: int, n_rings: int) -> np.ndarray:
    """Unit vectors (n, 3) of a ring of equal elevation; at the poles more than the spacing asks for."""
    elevation = math.pi * ((ring + 0.5) / n_rings - 0.5)
    size = max(LEAST_AROUND, math.ceil(2 * n_rings * math.cos(elevation)))
    azimuth = 2 * np.pi * np.arange(size) / size
    level, height = math.cos(elevation), np.full(size, math.sin(elevation))
    return np.stack([level * np.cos(azimuth), level * np.sin(azimuth), height], axis=1)


@functools.cache
def kernel_table() -> np.ndarray:
    """The kernel at the WIDTH cells around an arrival, for its places between two cells, (STEPS + 1, WIDTH)."""
    place = np.arange(STEPS + 1)[:, None] / STEPS
    offset = 2 * (np.arange(WIDTH) - (WIDTH // 2 - 1) - place) / WIDTH
    return i0(BETA * np.sqrt(np.maximum(1 - offset**2, 0))).astype(np.float32)


def kernel_spectrum(cycles: np.ndarray) -> np.ndarray:
    """Fourier transform of the kernel at cycles a cell."""
    root = np.sqrt(BETA**2 - (np.pi * WIDTH * cycles) ** 2)
    return WIDTH * np.sinh(root) / root


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a function; kept on disk for the next process wherever the disk lets it."""
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # no folder can be written
        return numba.njit(nogil=True, error_model="numpy")(function)


@_compiled
def deposit(
    arrivals: np.ndarray,
    ring: int,
    n_rings: int,
    offsets: tuple[np.ndarray, ...],
    gains: tuple[np.ndarray, ...],
    reach: float,
    thin_from: float,
    seed: int,
    yaw: float,
    lead: float,
    cells_per_metre: float,
    kernel: np.ndarray,
) -> None:
    """Adds to one ring what all image sources bring, but for the first of each table: the source itself.

    Args:
        arrivals: (n_bands, n_directions, n_cells) grids of the ring.
        ring: its number, from the lowest.
        n_rings: of how many.
        offsets: of the images from the listener in metres, (n_images,) for each axis; all triples are images.
        gains: their amplitudes at 1 m, (n_bands, n_images) for each axis.
        reach: metres; images beyond are left out.
        thin_from: metres; beyond, the probability p that an image is kept falls with the square of its distance, and
            what is kept is louder by 1 / sqrt(p).
        seed: of that choice, which must be the same for every ring.
        yaw: azimuth of the first direction of the ring, in radians.
        lead: cell that is the moment of emission.
        cells_per_metre: delay of the arrivals.
        kernel: :func:`kernel_table`.
    """
    taps = np.empty(WIDTH, dtype=np.float32)
    for iz, z in enumerate(offsets[2]):
        nearest, farthest = _distances_near(ring, n_rings, z)
        farthest = min(farthest, reach)
        for ix, x in enumerate(offsets[0]):
            across = x * x + z * z
            if across > farthest**2:
                continue
            for iy, y in enumerate(offsets[1]):
                squared = across + y * y
                if squared > farthest**2 or squared < nearest**2 or ix + iy + iz == 0:
                    continue
                distance = np.sqrt(squared)
                kept = min(thin_from / distance, 1.0)
                if kept < 1 and _chance(seed, (iz * len(offsets[0]) + ix) * len(offsets[1]) + iy) >= kept**2:
                    continue
                height = (np.arcsin(z / distance) / np.pi + 0.5) * n_rings - 0.5
                turn = (np.arctan2(y, x) - yaw) / (2 * np.pi)
                first = _tabulated(kernel, lead + cells_per_metre * distance, taps)
                # a ring is also the one beyond the pole, seen half a turn away
                here = _cubic(height - ring)
                beyond = _cubic(height + 1 + ring) + _cubic(height + 1 + ring - 2 * n_rings)
                for band in range(len(arrivals)):
                    gain = gains[0][band, ix] * gains[1][band, iy] * gains[2][band, iz] / (kept * distance)
                    _share(arrivals[band], gain * here, turn, first, taps)
                    if beyond != 0:
                        _share(arrivals[band], gain * beyond, turn + 0.5, first, taps)


@_compiled
def _distances_near(ring: int, n_rings: int, z: float) -> tuple[float, float]:
    """Nearest and farthest places at the height ``z`` that are less than two rings away from a ring."""
    low, high = np.pi * ((ring - 1.5) / n_rings - 0.5), np.pi * ((ring + 2.5) / n_rings - 0.5)
    lowest = np.sin(low) if low > -np.pi / 2 else -2.0  # of z / distance
    highest = np.sin(high) if high < np.pi / 2 else 2.0
    if z < 0:
        return (z / lowest if lowest < 0 else np.inf), (z / highest if highest < 0 else np.inf)
    return (z / highest if highest > 0 else np.inf), (z / lowest if lowest > 0 else np.inf)


@_compiled
def _chance(seed: int, number: int) -> float:
    """A number from 0 to 1 that looks random (splitmix64, Steele et al., OOPSLA 2014)."""
    x = np.uint64(seed) + np.uint64(number + 1) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return float((x ^ (x >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


@_compiled
def _tabulated(kernel: np.ndarray, cell: float, taps: np.ndarray) -> int:
    """Fills in the values of the kernel (WIDTH,) around ``cell`` and gives the number of their first cell."""
    whole = int(cell)
    step = (cell - whole) * STEPS
    row = int(step)
    part = np.float32(step - row)
    for tap in range(WIDTH):
        taps[tap] = kernel[row, tap] + part * (kernel[row + 1, tap] - kernel[row, tap])
    return whole - WIDTH // 2 + 1


@_compiled
def _cubic(offset: float) -> float:
    """Weight of cubic Lagrange interpolation for a point ``offset`` points away."""
    x = abs(offset)
    if x < 1:
        return (1 - x * x) * (2 - x) / 2
    return (1 - x) * (2 - x) * (3 - x) / 6 if x < 2 else 0.0


@_compiled
def _share(arrivals: np.ndarray, gain: float, turn: float, first: int, taps: np.ndarray) -> None:
    """Adds one arrival to the four directions around its azimuth, in turns, from cell ``first`` on."""
    place = turn * len(arrivals)
    nearest = int(np.floor(place))
    for number in range(nearest - 1, nearest + 3):
        amplitude = np.float32(gain * _cubic(place - number))
        grid = arrivals[number % len(arrivals)]
        for tap in range(WIDTH):
            grid[first + tap] += amplitude * taps[tap]


@_compiled
def accumulate(total: np.ndarray, spectra: np.ndarray, transfer: np.ndarray) -> None:
    """Adds to ``total`` (mic, freq) the sum over directions of ``spectra`` (direction, freq) times ``transfer``.

    ``transfer`` is (direction, mic, freq). Twenty times as fast as :func:`numpy.einsum`.
    """
    for direction in range(transfer.shape[0]):
        for mic in range(transfer.shape[1]):
            for freq in range(transfer.shape[2]):
                a, b = spectra[direction, freq], transfer[direction, mic, freq]
                real, imaginary = a.real * b.real - a.imag * b.imag, a.real * b.imag + a.imag * b.real
                total[mic, freq] += np.complex64(complex(real, imaginary))
