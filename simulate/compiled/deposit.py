"""All images of a source onto the grids of the microphones.

Images lie in planes of rows; a row runs along the shortest side of the room, so that it is long. An image costs a
distance and an amplitude per microphone, which the compiler turns into vectors over the images, and then one vector
of TAPS cells that is added to the grid, or with octave bands TAPS vectors of one cell in all bands. Lengths are in
cells of the grid, amplitudes 1/cells.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import float32, float64, int64, types, uint32, void

from simulate.compiled import compiled, inlined
from simulate.compiled.rows import BLOCK, LANES, add_rows, find_extents
from simulate.compiled.thinning import add_chosen, choose, look_up, room_for


class Plane(NamedTuple):
    """What is computed of one plane after the other.

    Attributes:
        wall: products of reflection coefficients of its rows, n_rows x n_bands.
        loudest: of these in each row.
        rest: what the squared distances of each row are larger than those along it.
        core, heard: first and last image of each row, of those that are not thinned and of all: (n_rows, 2).
        place, size: of images under way to the grid.
    """

    wall: Any
    loudest: Any
    rest: Any
    core: Any
    heard: Any
    place: Any
    size: Any


@inlined
def _squares(inner: Any) -> Any:
    """Of the offsets along rows, float32."""
    squares = np.empty(inner.shape, np.float32)
    for mic in range(inner.shape[0]):
        for image in range(inner.shape[1]):
            squares[mic, image] = inner[mic, image] ** 2
    return squares


@inlined
def _empty_plane(n_rows: int, n_products: int, n_images: int, nearest: int) -> Any:
    place, size = np.empty(BLOCK + n_images + LANES, np.int32), np.empty(BLOCK + n_images + LANES, np.float32)
    loudest, rest = np.empty(n_rows, np.float32), np.empty(n_rows, np.float32)
    core, heard = np.full((n_rows, 2), nearest), np.full((n_rows, 2), nearest)
    return Plane(np.empty(n_products, np.float32), loudest, rest, core, heard, place, size)


@inlined
def _enter(plane: Any, number: int, outer: Any, middle: Any, products: Any) -> None:
    """Computes what a plane has before it is known which images are heard; offsets are those from the centre."""
    wall, rest, loudest = plane.wall, plane.rest, plane.loudest
    n_bands, across = len(wall) // len(rest), outer[number] ** 2
    for row in range(len(rest)):
        rest[row] = across + middle[row] ** 2
        most = np.float32(0)
        for band in range(n_bands):
            product = products[0][number * n_bands + band] * products[1][row * n_bands + band]
            wall[row * n_bands + band] = product
            most = max(most, abs(product))
        loudest[row] = most


@inlined
def _add_plane(
    grid: Any, table: Any, number: int, offsets: Any, squares: Any, products: Any, plane: Any, chosen: Any, count: int,
    reach: float,
) -> None:  # fmt: skip
    """Adds a plane, of which ``count`` images are chosen beyond the core, for all microphones."""
    (outer, middle, inner), near = offsets, np.float32(reach * reach)
    wall, rest, core, place, size = plane.wall, plane.rest, plane.core, plane.place, plane.size
    if len(wall) == len(rest):
        walls, each, all_ = wall[:0], products, wall
    else:
        ones = np.ones(max(inner.shape[1], len(rest)), np.float32)
        walls, each, all_ = products, ones, ones
    if count > 0:
        look_up(chosen, count, outer[-1, number], middle[-1], inner[-1], all_, each)
    for mic in range(len(grid)):
        cells = grid[mic, 2 * (len(wall) // len(rest)) :]
        for row in range(len(rest)):
            rest[row] = outer[mic, number] ** 2 + middle[mic, row] ** 2
        add_rows(cells, table, squares[mic], each, rest, all_, core, near, walls, wall, place, size)
        if count > 0:
            x, y, z = inner[mic, 0] - inner[-1, 0], middle[mic, 0] - middle[-1, 0], outer[mic, 0] - outer[-1, 0]
            shift = np.float32(2 * x), np.float32(2 * y), np.float32(x * x + y * y + z * z + 2 * z * outer[-1, number])
            add_chosen(cells, table, chosen, count, shift, near, walls, wall, place, size)


_FLAT, _TABLE = float32[::1], float64[:, ::1]
_THREE = types.UniTuple


@compiled(void(float32[:, ::1], _FLAT, _THREE(_TABLE, 3), _THREE(_FLAT, 3), _FLAT, int64, *[float64] * 4, uint32))
def deposit(
    grid: Any, table: Any, offsets: Any, products: Any, peaks: Any, nearest: int,
    reach: float, guard: float, faintest: float, thin_from: float, seed: int,
) -> None:  # fmt: skip
    """Adds all images of one source to the grids of the microphones.

    Args:
        grid: (n_mics, n_cells), or (n_mics, n_cells x BANDS) with the bands side by side; the kernel of an image
            at distance x is added from cell floor(x) + 2 on.
        table: kernels at 2^STEPS_BITS places between two cells, TAPS values each.
        offsets: of the images across planes, across rows and along rows, each (n_mics + 1, n_images), the last of
            these from the centre of the array; ascending, along rows with LANES images more than are asked for.
        products: of reflection coefficients, in that order, n_images or n_images x BANDS each.
        peaks: largest product at or beyond each image of a row as seen from the ``nearest``.
        reach, guard: images farther away do not count; no microphone is farther from the centre.
        faintest: images of lower amplitude may be left out.
        thin_from, seed: distance from which on images are thinned, and by which choice.
    """
    (outer, middle, inner), n_rows = offsets, offsets[1].shape[1]
    squares, plane = _squares(inner), _empty_plane(n_rows, len(products[1]), len(peaks), nearest)
    far, thin, count = (reach + guard) ** 2, np.float32(thin_from * thin_from), 0
    chosen = room_for(n_rows * len(peaks) + LANES if thin < far else 0)
    for number in range(outer.shape[1]):
        _enter(plane, number, outer[-1], middle[-1], products)
        centre, rest, loudest = squares[-1], plane.rest, plane.loudest
        find_extents(plane.core, nearest, centre, peaks, rest, loudest, min(far, thin), guard, faintest)
        if thin < far:
            find_extents(plane.heard, nearest, centre, peaks, rest, loudest, far, guard, faintest)
            first, closest = number * n_rows, centre[nearest]
            count = choose(chosen, plane.core, plane.heard, closest, inner[-1], rest, thin, seed, first)
        _add_plane(grid, table, number, offsets, squares, products[2], plane, chosen, count, reach)
