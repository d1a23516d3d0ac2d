"""Rows of images onto the grid: which images of a row are heard, and the kernels of all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulate.compiled import inlined
from simulate.compiled.vectors import BANDS, TAPS, add_bands, add_taps

STEPS_BITS = 10
"""The kernel is tabulated at 2^10 places between two cells: -76 dB of error, and a table of 16 KB."""

LANES = 16
"""Loops over a row are rounded up to whole vectors of so many images; what is too much is overwritten."""

BLOCK = 512
"""Images that are collected before they go to the grid: enough for long loops, few enough for the first cache."""

_U64 = np.uint64
STEPS = np.float32(1 << STEPS_BITS)
_BITS, _MASK = _U64(STEPS_BITS), _U64((1 << STEPS_BITS) - 1)
_TAPS, _BANDS = _U64(TAPS), _U64(BANDS)
_ZERO = np.float32(0)


@inlined
def padded(count: int) -> int:
    """The number of images that a loop over ``count`` of them computes."""
    return (count + LANES - 1) & ~(LANES - 1)


# --- which images -------------------------------------------------------------------------------------------


@inlined
def _heard(square: float, strength: float, far: float, guard: float, faintest: float) -> bool:
    """Whether an image is near and strong enough to count for any microphone; without a root for speed."""
    return square <= far and strength > 0 and (strength + guard * faintest) ** 2 >= faintest * faintest * square


@inlined
def _extent(
    low: int, high: int, nearest: int, squares: Any, peaks: Any, rest: float, wall: float,
    far: float, guard: float, faintest: float,
) -> tuple[int, int]:  # fmt: skip
    """The images heard of a row, from those of the row before; ``nearest`` twice if there are none."""
    if not _heard(squares[nearest] + rest, wall * peaks[nearest], far, guard, faintest):
        return nearest, nearest
    low, high = min(low, nearest) - 1, max(high, nearest + 1)
    while low >= 0 and _heard(squares[low] + rest, wall * peaks[low], far, guard, faintest):
        low -= 1
    low += 1
    while not _heard(squares[low] + rest, wall * peaks[low], far, guard, faintest):
        low += 1
    while high < len(peaks) and _heard(squares[high] + rest, wall * peaks[high], far, guard, faintest):
        high += 1
    while not _heard(squares[high - 1] + rest, wall * peaks[high - 1], far, guard, faintest):
        high -= 1
    return low, high


@inlined
def find_extents(
    extents: Any, nearest: int, squares: Any, peaks: Any, rest: Any, loudest: Any,
    far: float, guard: float, faintest: float,
) -> None:  # fmt: skip
    """First and last image heard of every row of a plane, (n_rows, 2); in place of those of the plane before."""
    low, high = extents[-1, 0], extents[-1, 1]
    for row in range(len(extents)):
        low, high = _extent(low, high, nearest, squares, peaks, rest[row], loudest[row], far, guard, faintest)
        extents[row] = low, high


# --- images onto the grid -----------------------------------------------------------------------------------


@inlined
def add_images(grid: Any, table: Any, place: Any, size: Any, count: int) -> None:
    """Adds the kernels of ``count`` images; ``place`` is in steps."""
    for j in range(count):
        steps = _U64(place[j])
        add_taps(grid, steps >> _BITS, table, (steps & _MASK) * _TAPS, size[j])


@inlined
def add_in_bands(grid: Any, table: Any, place: Any, size: Any, walls: Any, image: Any, wall: Any, row: Any) -> None:
    """Adds the kernel of one image in all bands; ``walls`` of the images of a row, ``wall`` of the rows."""
    steps = _U64(place)
    cell, entry = (steps >> _BITS) * _BANDS, (steps & _MASK) * _TAPS
    add_bands(grid, cell, table, entry, walls, _U64(image) * _BANDS, wall, _U64(row) * _BANDS, size)


@inlined
def add_rows(
    grid: Any, table: Any, squares: Any, gains: Any, rest: Any, gain: Any, extents: Any, reach: float,
    walls: Any, wall: Any, place: Any, size: Any,
) -> None:  # fmt: skip
    """Adds the rows of a plane for one microphone; ``walls`` and ``wall`` are empty or of the bands.

    Args:
        grid: flat.
        squares, gains: of the images of a row, with LANES more at the end.
        rest, gain, extents: of the rows: what is missing in the squares, amplitude, first and last image.
        reach: square of the distance beyond which images do not count.
        place, size: room for BLOCK images and a row.
    """
    count = 0
    for row in range(len(extents)):
        low, n_images = extents[row, 0], extents[row, 1] - extents[row, 0]
        if n_images > 0:
            n_padded = padded(n_images)
            here, offset = squares[low : low + n_padded], rest[row]
            each, all_ = gains[low : low + n_padded], gain[row]
            steps, sizes = place[count : count + n_padded], size[count : count + n_padded]
            for j in range(n_padded):
                square = here[j] + offset
                distance = np.sqrt(square)
                sizes[j] = all_ * each[j] / distance if square <= reach else _ZERO
                steps[j] = np.int32(distance * STEPS)
            count += n_images
        if len(walls) > 0:
            for j in range(count):
                add_in_bands(grid, table, place[j], size[j], walls, low + j, wall, row)
            count = 0
        elif count >= BLOCK or row == len(extents) - 1:
            add_images(grid, table, place, size, count)
            count = 0
