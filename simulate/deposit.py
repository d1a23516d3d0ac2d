"""The compiled loops of the image-source engine: which images there are, and their kernels onto the grid.

Images lie in planes of rows; a row runs along the shortest side of the room, so that it is long. An image costs a
distance and an amplitude per microphone, which the compiler turns into vectors over the images, and then one vector
of TAPS cells that is added to the grid, or with octave bands TAPS vectors of one cell in all bands. Lengths are in
cells of the grid, amplitudes 1/cells.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, float64, int64, uint32, void

from simulate.vectors import BANDS, TAPS, add_bands, add_taps, compiled, inlined

STEPS_BITS = 10
"""The kernel is tabulated at 2^10 places between two cells: -76 dB of error, and a table of 16 KB."""

LANES = 16
"""Loops over a row are rounded up to whole vectors of so many images; what is too much is overwritten."""

BLOCK = 512
"""Images that are collected before they go to the grid: enough for long loops, few enough for the first cache."""

_U32, _U64 = np.uint32, np.uint64
_STEPS = np.float32(1 << STEPS_BITS)
_BITS, _MASK = _U64(STEPS_BITS), _U64((1 << STEPS_BITS) - 1)
_TAPS, _BANDS = _U64(TAPS), _U64(BANDS)
_ZERO, _ONE = np.float32(0), np.float32(1)


@inlined
def _padded(count: int) -> int:
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
def _hash(number: Any) -> Any:
    """32 well-mixed bits: the function lowbias32 of C. Wellons."""
    x = _U32(number)
    x = _U32((x ^ (x >> _U32(16))) * _U32(0x7FEB352D))
    x = _U32((x ^ (x >> _U32(15))) * _U32(0x846CA68B))
    return _U32(x ^ (x >> _U32(16)))


@inlined
def _candidates(
    low: int, high: int, core_low: int, core_high: int, nearest: Any, inner: Any, rest: float, thin: float,
    seed: Any, image: Any, gain: Any,
) -> Any:  # fmt: skip
    """Chooses images low to high of a row, without the core, with the probability ``thin`` / distance².

    At most one of ``stride`` neighbours is kept, so that the others cost nothing: half of a hash says which one
    is the candidate, the other half whether it is kept. Writes the candidates and their gains, 0 for what is not
    kept, and returns their number. Offsets are computed, since the compiler makes no vectors of what it looks up.
    """
    stride = _U32(max(_ONE, nearest / thin))
    count = (high - low + np.int64(stride) - 1) // np.int64(stride)
    images, gains = image[: _padded(count)], gain[: _padded(count)]
    first, beyond, end = _U32(core_low), _U32(core_high), _U32(high)
    limit, scale = np.float32(stride) * np.float32(65536), _ONE / thin
    even, odd, period = np.float32(inner[0]), np.float32(inner[1]), np.float32(inner[2] - inner[0])
    for j in range(_padded(count)):
        bits = _hash(seed + _U32(j))
        place = _U32(_U32(low) + _U32(_U32(j) * stride) + _U32(_U32(_U32(bits >> _U32(16)) * stride) >> _U32(16)))
        offset = np.float32(np.int32(place >> _U32(1))) * period + (odd if place & _U32(1) else even)
        rarity = (offset * offset + rest) * scale
        wanted = np.float32(np.int32(bits & _U32(65535))) * rarity < limit
        images[j] = np.int32(place)
        gains[j] = np.sqrt(rarity) if wanted & (place < end) & ((place < first) | (place >= beyond)) else _ZERO
    return count


@inlined
def _keep(image: Any, gain: Any, row: Any, count: int) -> int:
    """Moves what is kept of the candidates to the front; returns how many."""
    kept = 0
    for j in range(count):
        image[kept], gain[kept], row[kept] = image[j], gain[j], row[j]
        kept += gain[j] > _ZERO
    return kept


@inlined
def _look_up(image: Any, row: Any, inner: Any, middle: Any, outer: float, chosen: Any) -> None:
    """Squared distances from the centre, and offsets along and across the rows, of chosen images: (3, n_images)."""
    for j in range(len(image)):
        along, across = inner[image[j]], middle[row[j]]
        chosen[0, j] = along * along + across * across + outer * outer
        chosen[1, j], chosen[2, j] = along, across


# --- images onto the grid -----------------------------------------------------------------------------------


@inlined
def _scatter(grid: Any, table: Any, place: Any, size: Any, count: int) -> None:
    """Adds the kernels of ``count`` images; ``place`` is in steps."""
    for j in range(count):
        steps = _U64(place[j])
        add_taps(grid, steps >> _BITS, table, (steps & _MASK) * _TAPS, size[j])


@inlined
def _whole_rows(
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
            n_padded = _padded(n_images)
            here, offset = squares[low : low + n_padded], rest[row]
            each, all_ = gains[low : low + n_padded], gain[row]
            steps, sizes = place[count : count + n_padded], size[count : count + n_padded]
            for j in range(n_padded):
                square = here[j] + offset
                distance = np.sqrt(square)
                sizes[j] = all_ * each[j] / distance if square <= reach else _ZERO
                steps[j] = np.int32(distance * _STEPS)
            count += n_images
        if len(walls) > 0:
            for j in range(count):
                at = _U64(place[j])
                cell, entry = (at >> _BITS) * _BANDS, (at & _MASK) * _TAPS
                add_bands(grid, cell, table, entry, walls, _U64(low + j) * _BANDS, wall, _U64(row) * _BANDS, size[j])
            count = 0
        elif count >= BLOCK or row == len(extents) - 1:
            _scatter(grid, table, place, size, count)
            count = 0


@inlined
def _chosen_images(
    grid: Any, table: Any, squares: Any, along: Any, across: Any, strength: Any, count: int, shift: Any, reach: float,
    image: Any, row: Any, walls: Any, wall: Any, place: Any, size: Any,
) -> None:  # fmt: skip
    """Adds the chosen images of a plane for a microphone whose distance from the centre enters by ``shift``."""
    x, y, z = shift[0], shift[1], shift[2]
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        square, here, there, sizes = squares[start:stop], along[start:stop], across[start:stop], strength[start:stop]
        images, rows = image[start:stop], row[start:stop]
        for j in range(stop - start):  # two loops: with more arrays in one the compiler gives up vectors
            size[j] = square[j] + x * here[j] + y * there[j] + z
        for j in range(stop - start):
            distance = np.sqrt(size[j])
            place[j] = np.int32(distance * _STEPS)
            size[j] = sizes[j] / distance if size[j] <= reach else _ZERO
        if len(walls) > 0:
            for j in range(stop - start):
                at = _U64(place[j])
                cell, entry = (at >> _BITS) * _BANDS, (at & _MASK) * _TAPS
                which, line = _U64(images[j]) * _BANDS, _U64(rows[j]) * _BANDS
                add_bands(grid, cell, table, entry, walls, which, wall, line, size[j])
        else:
            _scatter(grid, table, place, size, stop - start)


_FLAT, _TABLE = float32[::1], float64[:, ::1]


@compiled(void(float32[:, ::1], _FLAT, *[_TABLE] * 3, *[_FLAT] * 4, int64, *[float64] * 4, uint32))
def deposit(
    grid: Any, table: Any, outer: Any, middle: Any, inner: Any, outer_walls: Any, middle_walls: Any, inner_walls: Any,
    peaks: Any, nearest: int, reach: float, guard: float, faintest: float, thin_from: float, seed: int,
) -> None:  # fmt: skip
    """Adds all images of one source to the grids of the microphones.

    Args:
        grid: (n_mics, n_cells), or (n_mics, n_cells x BANDS) with the bands side by side; the kernel of an image
            at distance x is added from cell floor(x) + 2 on.
        table: kernels at 2^STEPS_BITS places between two cells, TAPS values each.
        outer, middle, inner: offsets of the images along each axis, (n_mics + 1, n_images), the last row those
            from the centre of the array; ascending, ``inner`` with LANES images more than are asked for.
        outer_walls, middle_walls, inner_walls: products of reflection coefficients, n_images or n_images x BANDS.
        peaks: largest product at or beyond each image along the inner axis as seen from the ``nearest``.
        reach: images farther away do not count.
        guard: no microphone is farther from the centre.
        faintest: images of lower amplitude may be left out.
        thin_from: distance from which on images are thinned.
        seed: of the thinning.
    """
    n_mics, n_middle, n_inner = len(grid), middle.shape[1], len(peaks)
    n_bands = len(middle_walls) // n_middle
    far, near, thin = (reach + guard) ** 2, np.float32(reach * reach), np.float32(thin_from * thin_from)
    squares = np.empty((n_mics + 1, n_inner + LANES), np.float32)
    for mic in range(n_mics + 1):
        for i in range(n_inner + LANES):
            squares[mic, i] = inner[mic, i] ** 2
    centre = squares[n_mics]
    place, size = np.empty(BLOCK + n_inner + LANES, np.int32), np.empty(BLOCK + n_inner + LANES, np.float32)
    room = n_middle * n_inner + LANES if thin < far else 0
    image, row, strength = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.float32)
    chosen = np.empty((3, room), np.float32)
    extents, rest = np.empty((n_middle, 2), np.int64), np.empty(n_middle, np.float32)
    wall, plain = np.empty(len(middle_walls), np.float32), np.ones(max(n_inner + LANES, n_middle), np.float32)
    shift = np.empty(3, np.float32)
    if n_bands == 1:
        walls, each, all_ = plain[:0], inner_walls, wall
    else:
        walls, each, all_ = inner_walls, plain, plain
    core_low = core_high = low = high = nearest
    for plane in range(outer.shape[1]):
        count = 0
        for line in range(n_middle):
            loudest, offset = _ZERO, np.float32(outer[n_mics, plane] ** 2 + middle[n_mics, line] ** 2)
            for band in range(n_bands):
                product = outer_walls[plane * n_bands + band] * middle_walls[line * n_bands + band]
                wall[line * n_bands + band] = product
                loudest = max(loudest, abs(product))
            core_low, core_high = _extent(
                core_low, core_high, nearest, centre, peaks, offset, loudest, min(far, thin), guard, faintest
            )
            extents[line] = core_low, core_high
            if thin < far:
                low, high = _extent(low, high, nearest, centre, peaks, offset, loudest, far, guard, faintest)
                if low < core_low or core_high < high:
                    mixed, closest = _hash(seed + _hash(plane * n_middle + line)), centre[nearest] + offset
                    start = count
                    count += _candidates(
                        low, high, core_low, core_high, closest, inner[n_mics], offset, thin, mixed,
                        image[start:], strength[start:],
                    )  # fmt: skip
                    row[start:count] = line
        count = _keep(image, strength, row, count)
        _look_up(image[:count], row[:count], inner[n_mics], middle[n_mics], outer[n_mics, plane], chosen)
        if n_bands == 1:
            for j in range(count):
                strength[j] *= wall[row[j]] * inner_walls[image[j]]
        for mic in range(n_mics):
            for line in range(n_middle):
                rest[line] = outer[mic, plane] ** 2 + middle[mic, line] ** 2
            cells = grid[mic, 2 * n_bands :]
            _whole_rows(cells, table, squares[mic], each, rest, all_, extents, near, walls, wall, place, size)
            if count > 0:
                x, y, z = inner[mic, 0] - inner[-1, 0], middle[mic, 0] - middle[-1, 0], outer[mic, 0] - outer[-1, 0]
                shift[0], shift[1], shift[2] = 2 * x, 2 * y, x * x + y * y + z * z + 2 * z * outer[n_mics, plane]
                _chosen_images(
                    cells, table, chosen[0], chosen[1], chosen[2], strength, count, shift, near,
                    image, row, walls, wall, place, size,
                )  # fmt: skip
