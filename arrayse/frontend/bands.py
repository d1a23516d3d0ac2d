"""Splits of the frequencies of a spectrum into contiguous bands."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

import numpy as np

Split = Literal["uniform", "bark"]


def bark(frequencies_hz: np.ndarray) -> np.ndarray:
    """Critical-band rate in Bark: ``26.81 f / (1960 + f) − 0.53``, without the corrections at the ends of the scale.

    Traunmüller, "Analytical expressions for the tonotopic sensory scale", JASA 88 (1990).
    """
    return 26.81 * frequencies_hz / (1960 + frequencies_hz) - 0.53


def band_edges(n_freqs: int, n_bands: int, split: Split, sample_rate: int) -> list[int]:
    """Edges of bands that cover a spectrum: band k has the bins ``edges[k]`` to ``edges[k + 1] − 1``.

    Args:
        n_freqs: bins, from 0 Hz to half the sample rate.
        n_bands: bands.
        split: ``uniform``: numbers of bins that differ by one at most; ``bark``: equal widths on the Bark scale, each
            bin in the band that has its frequency.
        sample_rate: Hz; without effect on ``uniform``.

    Returns:
        n_bands + 1 numbers from 0 to n_freqs.

    Raises:
        ValueError: an unknown split, no bands, or bands without a bin.
    """
    if split not in get_args(Split):
        raise ValueError(f"split: expected one of {', '.join(get_args(Split))}, got {split}")
    if n_bands < 1:
        raise ValueError(f"n_bands: expected at least 1, got {n_bands}")
    edges = _edges(n_freqs, n_bands, split, sample_rate)
    empty = _first_empty(edges)
    if empty is not None:
        fewer = range(min(n_bands - 1, n_freqs), 0, -1)
        possible = next(n for n in fewer if _first_empty(_edges(n_freqs, n, split, sample_rate)) is None)
        wanted = f"expected at most {possible} {split} bands of {n_freqs} frequencies"
        raise ValueError(f"n_bands: {wanted}, got {n_bands}, of which band {empty} would be empty")
    return edges


def _edges(n_freqs: int, n_bands: int, split: Split, sample_rate: int) -> list[int]:
    if split == "uniform":
        return [band * n_freqs // n_bands for band in range(n_bands + 1)]
    scale = bark(np.linspace(0, sample_rate / 2, n_freqs))
    inner = np.searchsorted(scale, np.linspace(scale[0], scale[-1], n_bands + 1)[1:-1])
    return [0, *inner.tolist(), n_freqs]


def _first_empty(edges: list[int]) -> int | None:
    return next((band for band, (first, end) in enumerate(pairwise(edges)) if first == end), None)
