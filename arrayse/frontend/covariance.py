"""Spatial covariance matrices of spectra: over a whole utterance, and recursively as a stream comes in.

The covariance of the spectra ``y`` (n_mics) of one frequency is the weighted mean of ``y y^H`` over frames. A mask as
weights makes it the covariance of what the mask is of: speech, noise. Matrices are complex128: beamformers invert
them, and those of a compact array are nearly singular at low frequencies.

Source: Souden, Benesty and Affes, "On optimal frequency-domain multichannel linear filtering for noise reduction",
IEEE TASLP 18 (2010); masks as weights: Heymann, Drude and Haeb-Umbach, "Neural network based spectral mask estimation
for acoustic beamforming", ICASSP 2016.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class CovarianceState(NamedTuple):
    """What :func:`recursive_covariance` remembers of the frames gone by.

    Attributes:
        total: (batch, n_freqs, n_mics, n_mics) complex128, the sum of weighted products, older ones faded.
        weight: (batch, n_freqs) float64, the sum of the weights, faded likewise.
    """

    total: Tensor
    weight: Tensor


def spatial_covariance(spec: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean of ``y y^H`` over all frames.

    Args:
        spec: (batch, n_mics, n_freqs, n_frames) complex.
        weights: (batch, n_freqs, n_frames) real, at least 0: how much each bin counts; None: all the same.

    Returns:
        (batch, n_freqs, n_mics, n_mics) complex128, Hermitian and positive semidefinite; zeros where no bin counts.

    Raises:
        ValueError: a spectrum that is not complex or has no frames, weights of another shape or below 0.
    """
    checked = _checked_weights(spec, weights)
    heard = spec.to(torch.complex128).transpose(1, 2)  # b f m t
    total = (heard * checked[:, :, None]) @ heard.mH
    return _mean(total, checked.sum(-1))


def recursive_covariance(
    spec: Tensor, forget: float, weights: Tensor | None = None, state: CovarianceState | None = None
) -> tuple[Tensor, CovarianceState]:
    """Running mean of ``y y^H`` per frame, in which a frame fades by ``forget`` with every later one.

    There is no bias towards zero at the start: the first frame that counts gives its own product. Consecutive calls,
    each with the state of the one before, give what one call on all frames gives.

    Args:
        spec: (batch, n_mics, n_freqs, n_frames) complex.
        forget: factor per frame, from 0 (each frame alone) to less than 1; see :func:`forgetting_factor`.
        weights: (batch, n_freqs, n_frames) real, at least 0; None: all the same. Frames of weight 0 leave the mean as
            it is.
        state: after the frames before; None at the start.

    Returns:
        (batch, n_frames, n_freqs, n_mics, n_mics) complex128, the mean up to and with each frame, zeros as long as no
        bin has counted; and the state after the last frame.

    Raises:
        ValueError: see :func:`spatial_covariance`; a factor out of range; the state of other microphones or batches.
    """
    if not 0 <= forget < 1:
        raise ValueError(f"forget: expected a number from 0 to less than 1, got {forget}")
    checked = _checked_weights(spec, weights)
    n_batch, n_mics, n_freqs, n_frames = spec.shape
    shape = (n_batch, n_freqs, n_mics, n_mics)
    if state is None:
        state = CovarianceState(spec.new_zeros(shape, dtype=torch.complex128), checked.new_zeros(shape[:2]))
    if tuple(state.total.shape) != shape:
        raise ValueError(f"state: expected one of shape {shape}, got {tuple(state.total.shape)}")
    total, weight = state
    means = []
    for frame in range(n_frames):
        heard = spec[..., frame].to(torch.complex128).transpose(1, 2)  # b f m
        now = (1 - forget) * checked[..., frame]
        product = heard[..., :, None] * heard[..., None, :].conj()
        total = forget * total + now[..., None, None] * product
        weight = forget * weight + now
        means.append(_mean(total, weight))
    return torch.stack(means, dim=1), CovarianceState(total, weight)


def forgetting_factor(time_constant: float, frame_rate: float) -> float:
    """Factor per frame with which a running mean fades to 1/e in ``time_constant``.

    Args:
        time_constant: in seconds.
        frame_rate: frames per second.

    Raises:
        ValueError: a number that is not positive and finite.
    """
    for name, value in (("time_constant", time_constant), ("frame_rate", frame_rate)):
        if not 0 < value < math.inf:
            raise ValueError(f"{name}: expected a positive number, got {value}")
    return math.exp(-1 / (time_constant * frame_rate))


def mean_power(covariance: Tensor) -> Tensor:
    """Mean power of the microphones: the trace of (..., n_mics, n_mics) over n_mics, (...) real."""
    return covariance.diagonal(dim1=-2, dim2=-1).real.mean(-1)


def _mean(total: Tensor, weight: Tensor) -> Tensor:
    """``total / weight``, zeros where nothing counted."""
    weight = weight[..., None, None]
    return torch.where(weight > 0, total / torch.where(weight > 0, weight, 1), 0)


def _checked_weights(spec: Tensor, weights: Tensor | None) -> Tensor:
    """Weights (batch, n_freqs, n_frames) in float64."""
    if spec.ndim != 4 or not spec.is_complex() or spec.shape[-1] == 0:
        got = f"{spec.dtype} {tuple(spec.shape)}"
        raise ValueError(f"spec: expected complex (batch, n_mics, n_freqs, n_frames) with frames, got {got}")
    shape = (spec.shape[0], spec.shape[2], spec.shape[3])
    if weights is None:
        return torch.ones(shape, dtype=torch.float64, device=spec.device)
    if tuple(weights.shape) != shape:
        raise ValueError(f"weights: expected shape {shape}, got {tuple(weights.shape)}")
    if not (weights >= 0).all():
        raise ValueError(f"weights: expected numbers from 0 up, got {weights.min().item():g}")
    return weights.double()
