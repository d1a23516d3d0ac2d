"""An exported file against the network that it was made from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from arrayse.stream import Backend

BLOCKS = (1, 7, 61, 500)
"""Lengths of the streams that are compared."""

TOLERANCE = 1e-4
"""Largest difference of a sample; the noise has a standard deviation of 0.1."""


@dataclass(frozen=True)
class Deviation:
    """How far a stream through the file is from one through the network.

    Attributes:
        n_blocks: length of the stream.
        largest: difference of a sample.
        level_db: power of the difference over that of the network's estimate; None where there is none.
    """

    n_blocks: int
    largest: float
    level_db: float | None


def deviations(network: Backend, exported: Backend) -> list[Deviation]:
    """Pushes noise with silence in it through both, for every length of :data:`BLOCKS`."""
    return [_deviation(network, exported, n_blocks) for n_blocks in BLOCKS]


def check_deviations(found: list[Deviation]) -> None:
    """Raises RuntimeError if a stream through the file is too far from the network's."""
    for each in found:
        if not each.largest <= TOLERANCE:  # no comparison with NaN is true
            wanted = f"expected the estimate of the network to {TOLERANCE:g} over {each.n_blocks} blocks"
            raise RuntimeError(f"export: {wanted}, got a difference of {each.largest:.2g}: no file was written")


def check_finite(found: list[Deviation]) -> None:
    """Raises RuntimeError if a stream through the file has a sample that is no number."""
    for each in found:
        if not math.isfinite(each.largest):
            wanted = f"expected finite samples of the file in 8 bits over {each.n_blocks} blocks"
            raise RuntimeError(f"export: {wanted}, got NaN or infinite ones: no file was written")


def _deviation(network: Backend, exported: Backend, n_blocks: int) -> Deviation:
    rng = np.random.default_rng(n_blocks)
    states, largest, error, power = [network.start(), exported.start()], 0.0, 0.0, 0.0
    for number in range(n_blocks):
        block = 0.1 * rng.standard_normal((len(network.mics), network.block_samples), np.float32)
        if (number + 7 * n_blocks) % 50 >= 35:  # the stream of 7 blocks begins with silence
            block[:] = 0
        wanted, states[0] = network.push(block, states[0])
        got, states[1] = exported.push(block, states[1])
        difference = np.abs(got.astype(np.float64) - wanted)
        largest = max(largest, float(difference.max())) if np.isfinite(difference).all() else float("nan")
        error += float((difference**2).sum())
        power += float((wanted.astype(np.float64) ** 2).sum())
    level_db = 10 * np.log10(error / power) if error > 0 and power > 0 else None
    return Deviation(n_blocks, largest, None if level_db is None else float(level_db))
