"""Directions on rings, and the compiled loop that shares the arrivals of image sources among them.

A ring is a row of directions of equal elevation; rings are equally far apart, and so are the directions of a ring.
An arrival goes to the four directions around it on each of the four rings around it, with the weights of cubic
interpolation, and there onto a grid of cells in time, as a kernel about its exact moment.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import complex64, float32, float64, int64, types, void

from simulate.compiled import compiled, inlined
from simulate.compiled.vectors import RING_TAPS, add_ring_taps

RING_STEPS_BITS = 12
"""The kernel is tabulated at 2^12 places between two cells."""

LEAST_AROUND = 8
"""Directions of the rings next to the poles."""

_FAR = 1e9
"""Metres, beyond all images."""

_U64 = np.uint64
_BITS, _MASK, _TAPS = _U64(RING_STEPS_BITS), _U64((1 << RING_STEPS_BITS) - 1), _U64(RING_TAPS)


def ring_directions(ring: int, n_rings: int) -> np.ndarray:
    """Unit vectors (n, 3) of a ring of equal elevation; at the poles more than the spacing asks for."""
    elevation = math.pi * ((ring + 0.5) / n_rings - 0.5)
    size = max(LEAST_AROUND, math.ceil(2 * n_rings * math.cos(elevation)))
    azimuth = 2 * np.pi * np.arange(size) / size
    level, height = math.cos(elevation), np.full(size, math.sin(elevation))
    return np.stack([level * np.cos(azimuth), level * np.sin(azimuth), height], axis=1)


# --- compiled -----------------------------------------------------------------------------------------------


@inlined
def _distances_near(ring: int, n_rings: int, z: float) -> tuple[float, float]:
    """Nearest and farthest places at the height ``z`` that are less than two rings away from a ring."""
    low, high = np.pi * ((ring - 1.5) / n_rings - 0.5), np.pi * ((ring + 2.5) / n_rings - 0.5)
    lowest = np.sin(low) if low > -np.pi / 2 else -2.0  # of z / distance
    highest = np.sin(high) if high < np.pi / 2 else 2.0
    if z < 0:
        return (z / lowest if lowest < 0 else _FAR), (z / highest if highest < 0 else _FAR)
    return (z / highest if highest > 0 else _FAR), (z / lowest if lowest > 0 else _FAR)


@inlined
def _cubic(offset: float) -> float:
    """Weight of cubic Lagrange interpolation for a point ``offset`` points away."""
    x = abs(offset)
    if x < 1:
        return (1 - x * x) * (2 - x) / 2
    return (1 - x) * (2 - x) * (3 - x) / 6 if x < 2 else 0.0


@inlined
def _share(grid: Any, table: Any, gain: float, turn: float, steps: Any, size: int, n_cells: int) -> None:
    """Adds one arrival to the four directions around its azimuth, in turns, of the ``size`` of a flat grid."""
    place = turn * size
    nearest = int(np.floor(place))
    for number in range(nearest - 1, nearest + 3):
        amplitude = np.float32(gain * _cubic(place - number))
        cell = _U64(number % size * n_cells) + (steps >> _BITS)
        add_ring_taps(grid, cell, table, (steps & _MASK) * _TAPS, amplitude)


@inlined
def _arrive(
    arrivals: Any, table: Any, gains: Any, ring: int, n_rings: int, height: float, turn: float, at: float
) -> None:
    """Adds one image, ``height`` rings above the lowest, to all bands of a ring from the cell ``at`` on."""
    n_bands, size, n_cells = arrivals.shape
    steps = _U64(at * (1 << RING_STEPS_BITS))
    here = _cubic(height - ring)
    # a ring is also the one beyond the pole, seen half a turn away
    beyond = _cubic(height + 1 + ring) + _cubic(height + 1 + ring - 2 * n_rings)
    for band in range(n_bands):
        grid = arrivals[band].ravel()
        _share(grid, table, gains[band] * here, turn, steps, size, n_cells)
        if beyond != 0:
            _share(grid, table, gains[band] * beyond, turn + 0.5, steps, size, n_cells)


_THREE = types.UniTuple


@compiled(
    void(
        float32[:, :, ::1], float32[::1], _THREE(float64[::1], 3), _THREE(float32[:, ::1], 3), _THREE(int64, 3),
        int64, int64, *[float64] * 4,
    )
)  # fmt: skip
def deposit_ring(
    arrivals: Any, table: Any, offsets: Any, products: Any, source: Any, ring: int, n_rings: int, yaw: float,
    reach: float, lead: float, cells_per_metre: float,
) -> None:  # fmt: skip
    """Adds to one ring what all image sources bring, but for the source itself.

    Args:
        arrivals: (n_bands, n_directions, n_cells) grids of the ring.
        table: kernels at 2^RING_STEPS_BITS places between two cells, RING_TAPS values each.
        offsets: of the images from the listener in metres, (n_images,) for each axis; all triples are images.
        products: of reflection coefficients, (n_images, n_bands) for each axis.
        source: which images are the source itself.
        ring, n_rings: its number from the lowest, and of how many.
        yaw: azimuth of the first direction of the ring, in radians.
        reach: metres; images beyond are left out.
        lead: cell that is the moment of emission.
        cells_per_metre: delay of the arrivals.
    """
    gains = np.empty(len(arrivals))
    for iz, z in enumerate(offsets[2]):
        nearest, farthest = _distances_near(ring, n_rings, z)
        farthest = min(farthest, reach)
        for ix, x in enumerate(offsets[0]):
            across = x * x + z * z
            if across > farthest**2:
                continue
            for iy, y in enumerate(offsets[1]):
                squared = across + y * y
                if squared > farthest**2 or squared < nearest**2 or (ix, iy, iz) == source:
                    continue
                distance = np.sqrt(squared)
                for band in range(len(gains)):
                    gains[band] = products[0][ix, band] * products[1][iy, band] * products[2][iz, band] / distance
                height = (np.arcsin(z / distance) / np.pi + 0.5) * n_rings - 0.5
                turn = (np.arctan2(y, x) - yaw) / (2 * np.pi)
                at = lead + cells_per_metre * distance - (RING_TAPS // 2 - 1)
                _arrive(arrivals, table, gains, ring, n_rings, height, turn, at)


@compiled(void(complex64[:, ::1], complex64[:, ::1], complex64[:, :, ::1]))
def accumulate(total: Any, spectra: Any, transfer: Any) -> None:
    """Adds to ``total`` (mic, freq) the sum over directions of ``spectra`` (direction, freq) times ``transfer``.

    ``transfer`` is (direction, mic, freq). Twenty times as fast as :func:`numpy.einsum`.
    """
    for direction in range(transfer.shape[0]):
        for mic in range(transfer.shape[1]):
            for freq in range(transfer.shape[2]):
                total[mic, freq] += spectra[direction, freq] * transfer[direction, mic, freq]
