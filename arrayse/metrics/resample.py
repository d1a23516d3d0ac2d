"""Resampling to 10 kHz as the intelligibility measures have it, as products of matrices."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

RATE = 10_000
"""Sample rate in Hz of the intelligibility measures."""

REJECTION_DB = 60.0
LARGEST_MATRIX = 2**20
"""Elements (8 MiB); rates that share little with 10 kHz would need more, and take the way of scipy."""


N_AT_ONCE = 32
"""Blocks of a product: the system would map and clear the memory of larger copies anew each time."""


@dataclass(frozen=True, eq=False)
class _Plan:
    """A block of ``block_in`` samples, ``reach`` more on each side, times ``matrix``: a block of the output."""

    block_in: int
    reach: int
    matrix: np.ndarray


def to_10_khz(waves: Sequence[np.ndarray], sample_rate: int) -> np.ndarray:
    """Equally long waves (n_samples,) at ``sample_rate`` Hz as (n_waves, ceil(n_samples · 10000 / sample_rate)).

    The filter is the Kaiser-windowed sinc of Octave's ``resample``, on which the published implementations rest.
    Only samples within its reach enter an output, so that digital silence stays exactly zero.
    """
    if sample_rate == RATE:
        return np.stack(waves)
    plan, n_samples = _plan(sample_rate), waves[0].size
    if plan is None:
        from scipy.signal import resample_poly

        return np.asarray(resample_poly(np.stack(waves), RATE, sample_rate, axis=1, window=_filter(sample_rate)))
    padded = np.zeros((len(waves), plan.reach + n_samples + -n_samples % plan.block_in + plan.reach))
    padded[:, plan.reach : plan.reach + n_samples] = waves
    blocks = sliding_window_view(padded, plan.block_in + 2 * plan.reach, axis=1)[:, :: plan.block_in]
    resampled = np.empty((*blocks.shape[:2], plan.matrix.shape[1]))
    for start in range(0, blocks.shape[1], N_AT_ONCE):
        some = slice(start, start + N_AT_ONCE)
        np.matmul(blocks[:, some], plan.matrix, out=resampled[:, some])
    return resampled.reshape(len(waves), -1)[:, : -(-n_samples * RATE // sample_rate)]


def _ratio(sample_rate: int) -> tuple[int, int]:
    """(up, down): the conversion to 10 kHz in lowest terms."""
    common = math.gcd(RATE, sample_rate)
    return RATE // common, sample_rate // common


def _filter(sample_rate: int) -> np.ndarray:
    """The low-pass filter (2·half + 1,) at ``up`` times the input's rate, with sum 1."""
    up, down = _ratio(sample_rate)
    cutoff = 1 / (2 * max(up, down))
    half = math.ceil((REJECTION_DB - 8) / (28.714 * cutoff / 10))
    ideal = np.sinc(2 * cutoff * np.arange(-half, half + 1))
    taps = np.kaiser(2 * half + 1, 0.1102 * (REJECTION_DB - 8.7)) * ideal
    return taps / taps.sum()


@functools.lru_cache(maxsize=4)
def _plan(sample_rate: int) -> _Plan | None:
    """None where the matrix would be too large."""
    up, down = _ratio(sample_rate)
    n_blocks = max(1, 40 // up)  # about 40 outputs by 200 inputs are fastest
    taps = up * _filter(sample_rate)
    half = taps.size // 2
    reach = half // up + 1
    if (n_blocks * down + 2 * reach) * n_blocks * up > LARGEST_MATRIX:
        return None
    outputs, inputs = np.arange(n_blocks * up), np.arange(-reach, n_blocks * down + reach)
    tap = half + outputs[None] * down - inputs[:, None] * up
    matrix = np.where((tap >= 0) & (tap < taps.size), taps[np.clip(tap, 0, taps.size - 1)], 0.0)
    return _Plan(n_blocks * down, reach, matrix)
