"""Data-dependent beamformers: weights from spatial covariance matrices, as MVDR and as multichannel Wiener filters.

With ``x`` the wanted and ``v`` the unwanted part of the microphones, their covariances ``X`` and ``V`` and ``u`` the
unit vector of the reference microphone:

- MVDR: the least ``w^H V w`` among all ``w`` with ``w^H d = 1``, from a steering vector (:func:`mvdr`) or from
  covariances alone (:func:`mvdr_souden`);
- speech-distortion-weighted multichannel Wiener filter (SDW-MWF): the least ``E|u^H x - w^H x|^2 + mu w^H V w``, for
  any ``X`` (:func:`sdw_mwf`) or for ``X`` of rank one (:func:`sdw_mwf_rank1`). With ``mu = 1`` it is the multichannel
  Wiener filter.

Leading axes are free: (n_freqs, ...) for one utterance, (batch, n_freqs, ...), or (batch, n_frames, n_freqs, ...) for
weights per frame, as :func:`arrayse.frontend.covariance.recursive_covariance` gives matrices. Everything is computed in
double precision. A common factor of ``X`` and ``V`` changes no weights.

``loading`` is added to the diagonal of the matrix that is inverted, as a part of its mean diagonal: what is assumed of
the noise of the microphones themselves. A matrix of zeros counts as the identity: silence gives finite weights.

Sources: Capon, Proc. IEEE 57 (1969); Souden, Benesty and Affes, "On optimal frequency-domain multichannel linear
filtering for noise reduction", IEEE TASLP 18 (2010); Doclo and Moonen, "GSVD-based optimal filtering for single and
multimicrophone speech enhancement", IEEE TSP 50 (2002); Spriet, Moonen and Wouters, "Spatially pre-processed speech
distortion weighted multi-channel Wiener filtering for noise reduction", Signal Processing 84 (2004).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from arrayse.frontend.covariance import mean_power

SILENCE = 1e-200
"""Mean power below which a matrix counts as zero: 32-bit spectra end at 1e-90."""


def mvdr(noise: Tensor, steering: Tensor, loading: float) -> Tensor:
    """MVDR weights ``V^-1 d / (d^H V^-1 d)``.

    Args:
        noise: (..., n_mics, n_mics) ``V``, Hermitian and positive semidefinite.
        steering: (..., n_mics) ``d``, broadcasts with the leading axes of ``noise``; from
            :func:`arrayse.frontend.spatial.steering_vector`, which is 1 at the reference microphone.
        loading: at least 0, see above.

    Returns:
        (..., n_mics) complex128 with ``w^H d = 1``.

    Raises:
        ValueError: shapes that do not match, bad loading, a matrix that stays singular.
    """
    if noise.shape[-2:] != (steering.shape[-1], steering.shape[-1]):
        n_mics = steering.shape[-1]
        raise ValueError(f"noise: expected last axes ({n_mics}, {n_mics}) as steering, got {tuple(noise.shape)}")
    look = steering.to(torch.complex128)
    look = look.expand(*torch.broadcast_shapes(noise.shape[:-1], look.shape))
    whitened = _whiten(noise, look[..., None], loading)[0][..., 0]
    return whitened / (look.conj() * whitened).sum(-1, keepdim=True).real


def mvdr_souden(speech: Tensor, noise: Tensor, ref_mic: int, loading: float) -> Tensor:
    """MVDR weights without a steering vector: ``V^-1 X u / tr(V^-1 X)`` (Souden et al. 2010).

    For ``X`` of rank one these are the weights of :func:`mvdr` towards it, relative to the reference microphone.

    Args:
        speech: (..., n_mics, n_mics) ``X``, Hermitian and positive semidefinite.
        noise: (..., n_mics, n_mics) ``V``, likewise.
        ref_mic: as which microphone the speech is to leave.
        loading: of ``V``; at least 0, see above.

    Returns:
        (..., n_mics) complex128; where there is no speech, those that pass the reference microphone.

    Raises:
        ValueError: shapes that do not match, no such microphone, bad loading, a matrix that stays singular.
    """
    return sdw_mwf_rank1(speech, noise, ref_mic, 0.0, loading)


def sdw_mwf_rank1(speech: Tensor, noise: Tensor, ref_mic: int, mu: float, loading: float) -> Tensor:
    """SDW-MWF for speech of rank one: ``V^-1 X u / (mu + tr(V^-1 X))`` (Souden et al. 2010).

    It is :func:`mvdr_souden` with a Wiener gain behind it, and becomes it for ``mu = 0``.

    Args:
        speech, noise, ref_mic, loading: see :func:`mvdr_souden`.
        mu: what noise costs beside distortion of speech, at least 0.

    Returns:
        (..., n_mics) complex128. Where there is no speech they are zeros; where there is no noise either, or ``mu`` is
        0, those that pass the reference microphone.

    Raises:
        ValueError: see :func:`mvdr_souden`; bad ``mu``.
    """
    _check_number("mu", mu)
    _check_pair(speech, noise, ref_mic)
    whitened, level = _whiten(noise, speech.to(torch.complex128), loading)
    ratio = whitened.diagonal(dim1=-2, dim2=-1).real.sum(-1)  # of speech to noise behind an MVDR, times level
    weight = (mu * level + ratio)[..., None]
    passed = torch.eye(speech.shape[-1], dtype=whitened.dtype, device=speech.device)[ref_mic]
    return torch.where(weight > 0, whitened[..., ref_mic] / torch.where(weight > 0, weight, 1), passed)


def sdw_mwf(speech: Tensor, noise: Tensor, ref_mic: int, mu: float, loading: float) -> Tensor:
    """SDW-MWF for speech of any rank: ``(X + mu V)^-1 X u`` (Doclo and Moonen 2002, Spriet et al. 2004).

    Args:
        speech, noise, ref_mic: see :func:`mvdr_souden`.
        mu: what noise costs beside distortion of speech, more than 0.
        loading: of ``X + mu V``; at least 0, see above.

    Returns:
        (..., n_mics) complex128; zeros where there is no speech.

    Raises:
        ValueError: see :func:`mvdr_souden`; bad ``mu``.
    """
    _check_number("mu", mu)
    if mu == 0:
        raise ValueError("mu: expected more than 0 (at 0 this filter passes the reference microphone), got 0")
    _check_pair(speech, noise, ref_mic)
    wanted = speech.to(torch.complex128)
    solved, level = _whiten(wanted + mu * noise, wanted[..., ref_mic, None], loading)
    return solved[..., 0] / torch.where(level > 0, level, 1)[..., None]


def apply_per_frame(weights: Tensor, spec: Tensor) -> Tensor:
    """Beamformer output ``w^H x`` with weights of each frame.

    Args:
        weights: (batch, n_frames, n_freqs, n_mics).
        spec: (batch, n_mics, n_freqs, n_frames) complex.

    Returns:
        (batch, n_freqs, n_frames) in the precision of ``spec``.

    Raises:
        ValueError: weights of another shape.
    """
    expected = tuple(spec.shape[axis] for axis in (0, 3, 2, 1))
    if tuple(weights.shape) != expected:
        raise ValueError(f"weights: expected shape {expected}, got {tuple(weights.shape)}")
    return torch.einsum("btfm,bmft->bft", weights.conj().to(spec), spec)


def _whiten(matrix: Tensor, right: Tensor, loading: float) -> tuple[Tensor, Tensor]:
    """``(matrix / level + loading I)^-1 right`` and the level, the mean diagonal of (..., n_mics, n_mics)."""
    _check_number("loading", loading)
    level = mean_power(matrix.to(torch.complex128))
    identity = torch.eye(matrix.shape[-1], dtype=torch.complex128, device=matrix.device)
    level = torch.where(level <= SILENCE, 0, level)
    silent = (level == 0)[..., None, None]
    scaled = torch.where(silent, identity, matrix / torch.where(silent, 1, level[..., None, None]))
    factors, pivots, _ = torch.linalg.lu_factor_ex(scaled + loading * identity)
    least = factors.diagonal(dim1=-2, dim2=-1).abs().amin(-1)
    if not (least > matrix.shape[-1] * torch.finfo(torch.float64).eps).all():
        raise ValueError(f"loading: expected more than {loading:g}, got a singular or not finite covariance")
    return torch.linalg.lu_solve(factors, pivots, right), level


def _check_number(name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"{name}: expected a finite number of at least 0, got {value}")


def _check_pair(speech: Tensor, noise: Tensor, ref_mic: int) -> None:
    n_mics = speech.shape[-1]
    if speech.shape[-2:] != (n_mics, n_mics) or noise.shape != speech.shape:
        shapes = f"{tuple(speech.shape)} and {tuple(noise.shape)}"
        raise ValueError(f"speech and noise: expected one shape (..., n_mics, n_mics), got {shapes}")
    if not 0 <= ref_mic < n_mics:
        raise ValueError(f"ref_mic: expected 0 to {n_mics - 1}, got {ref_mic}")
