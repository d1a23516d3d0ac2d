"""Steering vectors, the diffuse field, and the fixed beamformers that follow from them.

Sign convention, used by every function here. A plane wave from unit direction ``u`` (from the array towards
the source) reaches a microphone at ``p`` with the delay ``-(p · u) / c``: the microphone nearer to the source
receives earlier. Its spectrum carries ``exp(-j 2 pi f delay)``, as the STFT of a recording does. Delays are
relative to the reference microphone, where the steering vector is 1.

A beamformer is one vector of weights ``w`` per frequency, and its output is ``w^H x``. *Distortionless* means
``w^H d = 1``: the wave from the look direction leaves as the reference microphone heard it. Weights are
computed in double precision, because the diffuse coherence of a compact array is nearly singular at low
frequencies.

Source: Bitzer and Simmer, "Superdirective Microphone Arrays", in Microphone Arrays, Springer 2001.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from arrayse.geometry import SPEED_OF_SOUND, ArrayGeometry, direction, pairwise_distances


def steering_vector(
    geometry: ArrayGeometry,
    azimuth_deg: Tensor | float,
    elevation_deg: Tensor | float,
    frequencies_hz: Tensor,
) -> Tensor:
    """Far-field plane wave as the array hears it, relative to the reference microphone.

    Args:
        geometry: the array.
        azimuth_deg: (...) in degrees, 0 to the front, 90 to the left; a number is a tensor without axes.
        elevation_deg: broadcasts with ``azimuth_deg``; 90 is up.
        frequencies_hz: (n_freqs,) in Hz.

    Returns:
        (..., n_freqs, n_mics) complex128, on the device of ``frequencies_hz``.

    Raises:
        ValueError: frequencies that are negative, not finite or not one row.
    """
    frequencies = _checked_frequencies(frequencies_hz)
    degrees = [torch.as_tensor(angle, dtype=torch.float64) for angle in (azimuth_deg, elevation_deg)]
    azimuth, elevation = torch.broadcast_tensors(*degrees)
    angles = zip(azimuth.flatten().tolist(), elevation.flatten().tolist(), strict=True)
    towards = np.array([direction(*pair) for pair in angles]).reshape(*azimuth.shape, 3)
    offsets = geometry.positions - geometry.positions[geometry.ref_mic]
    delay = torch.from_numpy(-(towards @ offsets.T) / SPEED_OF_SOUND).to(frequencies.device)  # ... m, seconds
    phase = -2 * math.pi * frequencies[:, None] * delay[..., None, :]
    return torch.polar(torch.ones_like(phase), phase)


def diffuse_coherence(geometry: ArrayGeometry, frequencies_hz: Tensor) -> Tensor:
    """Coherence of a spherically isotropic noise field, ``sin(k d) / (k d)`` with ``k = 2 pi f / c``.

    Args:
        geometry: the array.
        frequencies_hz: (n_freqs,) in Hz.

    Returns:
        (n_freqs, n_mics, n_mics) float64, symmetric, ones on the diagonal.

    Raises:
        ValueError: frequencies that are negative, not finite or not one row.
    """
    frequencies = _checked_frequencies(frequencies_hz)
    distances = torch.from_numpy(pairwise_distances(geometry.positions)).to(frequencies.device)
    return torch.sinc(2 * frequencies[:, None, None] * distances / SPEED_OF_SOUND)


def delay_and_sum(steering: Tensor) -> Tensor:
    """Weights ``d / n_mics``: aligns and averages, which is best against noise of the microphones themselves.

    Args:
        steering: (..., n_freqs, n_mics) from :func:`steering_vector`.

    Returns:
        (..., n_freqs, n_mics), distortionless.
    """
    return steering / steering.shape[-1]


def superdirective(steering: Tensor, coherence: Tensor, loading: float) -> Tensor:
    """MVDR weights against a diffuse field: ``A^-1 d / (d^H A^-1 d)`` with ``A = coherence + loading * I``.

    ``loading`` is the assumed power of microphone noise over that of the diffuse field: 0 gives the largest
    directivity and amplifies microphone noise without bound, large values approach :func:`delay_and_sum`.

    Args:
        steering: (..., n_freqs, n_mics) from :func:`steering_vector`.
        coherence: (n_freqs, n_mics, n_mics) from :func:`diffuse_coherence`.
        loading: diagonal loading, at least 0; more than 0 if 0 Hz is among the frequencies.

    Returns:
        (..., n_freqs, n_mics), distortionless.

    Raises:
        ValueError: negative loading, a singular matrix, shapes that do not match.
    """
    _check_tail("coherence", coherence, (*steering.shape[-2:], steering.shape[-1]))
    if not 0 <= loading < math.inf:
        raise ValueError(f"loading: expected a finite number of at least 0, got {loading}")
    identity = torch.eye(steering.shape[-1], dtype=coherence.dtype, device=coherence.device)
    loaded = (coherence + loading * identity).to(steering)
    whitened, failed = torch.linalg.solve_ex(loaded, steering[..., None])  # A^-1 d: ... f m 1
    if failed.any():
        raise ValueError(f"loading: expected more than {loading}, got a singular coherence matrix")
    whitened = whitened[..., 0]
    return whitened / _inner(steering, whitened)[..., None].real


def apply_weights(weights: Tensor, spec: Tensor) -> Tensor:
    """Beamformer output ``w^H x``.

    Args:
        weights: (n_freqs, n_mics), or (batch, n_freqs, n_mics) for one beamformer per item.
        spec: (batch, n_mics, n_freqs, n_frames) complex.

    Returns:
        (batch, n_freqs, n_frames) in the precision of ``spec``.

    Raises:
        ValueError: weights for another number of frequencies or microphones.
    """
    _check_tail("weights", weights, (spec.shape[-2], spec.shape[-3]))
    return torch.einsum("...fm,...mft->...ft", weights.conj().to(spec), spec)


def beampattern(weights: Tensor, steering_grid: Tensor) -> Tensor:
    """Power response ``|w^H d|^2`` to plane waves; 1 in the look direction of a distortionless beamformer.

    Args:
        weights: (..., n_freqs, n_mics).
        steering_grid: (n_directions, n_freqs, n_mics) from :func:`steering_vector`.

    Returns:
        (..., n_directions, n_freqs) linear power.
    """
    _check_tail("steering_grid", steering_grid, tuple(weights.shape[-2:]))
    return _power(torch.einsum("...fm,dfm->...df", weights.conj(), steering_grid))


def directivity_factor(weights: Tensor, steering: Tensor, coherence: Tensor) -> Tensor:
    """Gain in signal-to-noise ratio against the diffuse field: ``|w^H d|^2 / (w^H coherence w)``.

    Args:
        weights: (..., n_freqs, n_mics).
        steering: (..., n_freqs, n_mics) of the wanted direction.
        coherence: (n_freqs, n_mics, n_mics) from :func:`diffuse_coherence`, without loading.

    Returns:
        (..., n_freqs) linear; ``10 log10`` of it is the directivity index in dB.
    """
    _check_tail("coherence", coherence, (*weights.shape[-2:], weights.shape[-1]))
    filtered = (coherence.to(weights) @ weights[..., None])[..., 0]  # ... f m
    return _power(_inner(weights, steering)) / _inner(weights, filtered).real


def white_noise_gain(weights: Tensor, steering: Tensor) -> Tensor:
    """Gain in signal-to-noise ratio against independent noise per microphone: ``|w^H d|^2 / (w^H w)``.

    At most n_mics; below 1 the beamformer amplifies the noise of its microphones.

    Args:
        weights: (..., n_freqs, n_mics).
        steering: (..., n_freqs, n_mics) of the wanted direction.

    Returns:
        (..., n_freqs) linear.
    """
    return _power(_inner(weights, steering)) / _inner(weights, weights).real


def _inner(left: Tensor, right: Tensor) -> Tensor:
    """``left^H right`` over microphones: (..., n_freqs, n_mics) twice → (..., n_freqs)."""
    _check_tail("steering", right, tuple(left.shape[-2:]))
    return (left.conj() * right).sum(-1)


def _power(response: Tensor) -> Tensor:
    return response.real**2 + response.imag**2  # has a gradient at zero, which abs() has not


def _checked_frequencies(frequencies_hz: Tensor) -> Tensor:
    if frequencies_hz.ndim != 1:
        raise ValueError(f"frequencies_hz: expected shape (n_freqs,), got {tuple(frequencies_hz.shape)}")
    if not (torch.isfinite(frequencies_hz) & (frequencies_hz >= 0)).all():
        raise ValueError(f"frequencies_hz: expected finite numbers from 0 up, got {frequencies_hz.tolist()}")
    return frequencies_hz.double()


def _check_tail(what: str, tensor: Tensor, expected: tuple[int, ...]) -> None:
    """Equal last axes, since broadcasting would accept one microphone in place of many."""
    if tuple(tensor.shape[-len(expected) :]) != expected:
        shape = ", ".join(map(str, expected))
        raise ValueError(f"{what}: expected last axes ({shape}), got shape {tuple(tensor.shape)}")
