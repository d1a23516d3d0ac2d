"""Mixing of independent spectra, so that they have a given covariance at every frequency."""

from __future__ import annotations

import numpy as np

BINS_AT_ONCE = 4096
"""Bins mixed in one go: what is computed on the way stays in the cache."""


def node_bins(n_bins: int, step: int) -> np.ndarray:
    """The bins 0, step, 2 step, ... at which :func:`mix` needs the coherence, the last one beyond ``n_bins``."""
    return step * np.arange(-(-n_bins // step) + 1)


def mix(spectra: np.ndarray, covariance: np.ndarray, step: int) -> None:
    """Mixes independent spectra, in place, so that they have a given covariance.

    The symmetric root of the covariance matrix treats the microphones alike and is smooth in frequency: it is
    computed at some bins (:func:`node_bins`) and interpolated linearly in between.

    Args:
        spectra: (n_mics, n_bins) complex64, overwritten.
        covariance: (n_nodes, n_mics, n_mics) real or Hermitian, at every ``step``-th bin; its rank may be less
            than n_mics.
        step: bins from one node to the next.
    """
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))[:, None]) @ vectors.conj().transpose(0, 2, 1)
    flat = spectra if np.iscomplexobj(root) else spectra.view(np.float32)  # m (f 2): real, imaginary, real, …
    n_mics, n_bins = spectra.shape
    width = flat.shape[1] // n_bins * step  # of a cell from one node to the next
    low, slope = root[:-1].astype(flat.dtype), np.diff(root, axis=0).astype(flat.dtype)
    ramp = np.repeat(np.arange(step, dtype=np.float32) / np.float32(step), width // step)
    n_whole = n_bins // step
    whole = flat[:, : n_whole * width].reshape(n_mics, n_whole, width).transpose(1, 0, 2)  # cell m (f 2), a view
    n_at_once = max(1, BINS_AT_ONCE // step)
    for start in range(0, n_whole, n_at_once):
        part = slice(start, min(start + n_at_once, n_whole))
        whole[part] = low[part] @ whole[part] + slope[part] @ (ramp * whole[part])
    rest = flat[:, n_whole * width :]
    if rest.size:
        rest[:] = low[-1] @ rest + slope[-1] @ (ramp[: rest.shape[1]] * rest)
