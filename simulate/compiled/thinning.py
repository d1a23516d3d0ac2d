"""A late tail with fewer images, each louder in turn: which ones are kept, and how they go to the grid."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from simulate.compiled import inlined
from simulate.compiled.rows import BLOCK, STEPS, add_images, add_in_bands, padded

_U32 = np.uint32
_ZERO, _ONE = np.float32(0), np.float32(1)


class Chosen(NamedTuple):
    """Images of a plane that are kept, each array with room for all images of it.

    Attributes:
        image, row: numbers of an image in its row and of that row.
        gain: how much louder it becomes; 0 where a candidate is not kept.
        place: squared distance from the centre, and offsets along and across the rows, (3, n_images).
    """

    image: Any
    row: Any
    gain: Any
    place: Any


@inlined
def room_for(n_images: int) -> Any:
    """Nothing chosen yet."""
    image, row = np.empty(n_images, np.int32), np.empty(n_images, np.int32)
    return Chosen(image, row, np.empty(n_images, np.float32), np.empty((3, n_images), np.float32))


# --- which images -------------------------------------------------------------------------------------------


@inlined
def choose(
    chosen: Any, core: Any, heard: Any, nearest: float, inner: Any, rest: Any, thin: float,
    seed: Any, first: int,
) -> int:  # fmt: skip
    """Chooses among the images of a plane that are heard but not in the core; returns how many are kept.

    ``first`` is the number of the first row among those of all planes.
    """
    image, gain, rows, count = chosen.image, chosen.gain, chosen.row, 0
    for row in range(len(core)):
        low, high, core_low, core_high = heard[row, 0], heard[row, 1], core[row, 0], core[row, 1]
        if low < core_low or core_high < high:
            mixed, closest, start = _hash(seed + _hash(first + row)), nearest + rest[row], count
            count += _candidates(
                low, high, core_low, core_high, closest, inner, rest[row], thin, mixed, image[start:], gain[start:]
            )
            rows[start:count] = row
    return _keep(image, gain, rows, count)


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
    images, gains = image[: padded(count)], gain[: padded(count)]
    first, beyond, end = _U32(core_low), _U32(core_high), _U32(high)
    limit, scale = np.float32(stride) * np.float32(65536), _ONE / thin
    even, odd, period = np.float32(inner[0]), np.float32(inner[1]), np.float32(inner[2] - inner[0])
    for j in range(padded(count)):
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
def look_up(chosen: Any, count: int, outer: float, middle: Any, inner: Any, row_gain: Any, image_gain: Any) -> None:
    """Fills in the places of what is chosen, and multiplies the gains by those of rows and images in them."""
    image, row, gain, place = chosen.image[:count], chosen.row[:count], chosen.gain[:count], chosen.place
    for j in range(count):
        along, across = inner[image[j]], middle[row[j]]
        place[0, j] = along * along + across * across + outer * outer
        place[1, j], place[2, j] = along, across
    for j in range(count):
        gain[j] *= row_gain[row[j]] * image_gain[image[j]]


# --- images onto the grid -----------------------------------------------------------------------------------


@inlined
def add_chosen(
    grid: Any, table: Any, chosen: Any, count: int, shift: Any, reach: float, walls: Any, wall: Any,
    place: Any, size: Any,
) -> None:  # fmt: skip
    """Adds the chosen images of a plane for a microphone whose distance from the centre enters by ``shift``."""
    x, y, z = shift
    images, rows, gains, places = chosen.image, chosen.row, chosen.gain, chosen.place
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        square, here, there = places[0, start:stop], places[1, start:stop], places[2, start:stop]
        image, row, gain = images[start:stop], rows[start:stop], gains[start:stop]
        for j in range(stop - start):  # two loops: with more arrays in one the compiler gives up vectors
            size[j] = square[j] + x * here[j] + y * there[j] + z
        for j in range(stop - start):
            distance = np.sqrt(size[j])
            place[j] = np.int32(distance * STEPS)
            size[j] = gain[j] / distance if size[j] <= reach else _ZERO
        if len(walls) > 0:
            for j in range(stop - start):
                add_in_bands(grid, table, place[j], size[j], walls, image[j], wall, row[j])
        else:
            add_images(grid, table, place, size, stop - start)
