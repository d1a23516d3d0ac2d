"""Oracle masks at one microphone: what a perfect mask of each kind would do.

Each takes the spectra of the ``target`` and of the ``rest``, which add up to the noisy spectrum, and gives the mask
that multiplies the noisy one. They are upper limits of networks that estimate such a mask, for their own measure of
error, and no systems that could be built. Where both spectra are zero, so are the masks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from arrayse.frontend.modulus import power


def ideal_ratio_mask(target: Tensor, rest: Tensor) -> Tensor:
    """``(|S|^2 / (|S|^2 + |N|^2))^(1/2)`` (Wang, Narayanan and Wang, IEEE/ACM TASLP 22, 2014).

    Args:
        target: (..., n_freqs, n_frames) complex.
        rest: the same shape.

    Returns:
        The same shape, real, 0 to 1.

    Raises:
        ValueError: different shapes, or spectra that are not complex.
    """
    return wiener_mask(target, rest).sqrt()


def wiener_mask(target: Tensor, rest: Tensor) -> Tensor:
    """``|S|^2 / (|S|^2 + |N|^2)``: the Wiener gain with the powers of each bin.

    Args:
        target, rest: see :func:`ideal_ratio_mask`.

    Returns:
        The same shape, real, 0 to 1.

    Raises:
        ValueError: see :func:`ideal_ratio_mask`.
    """
    _check(target, rest)
    total = power(target) + power(rest)
    return (power(target) / _or_one(total)).to(target.real.dtype)


def phase_sensitive_mask(target: Tensor, rest: Tensor) -> Tensor:
    """``Re(S / Y)`` with ``Y = S + N``, cut to 0..1: the best such real gain of each bin.

    Source: Erdogan, Hershey, Watanabe and Le Roux, "Phase-sensitive and recognition-boosted speech separation using
    deep recurrent neural networks", ICASSP 2015.

    Args:
        target, rest: see :func:`ideal_ratio_mask`.

    Returns:
        The same shape, real, 0 to 1.

    Raises:
        ValueError: see :func:`ideal_ratio_mask`.
    """
    return _quotient(target, rest).real.clamp(0, 1).to(target.real.dtype)


def complex_ratio_mask(target: Tensor, rest: Tensor, limit: float) -> Tensor:
    """``S / Y`` with ``Y = S + N``, its modulus cut to ``limit``: the best such complex gain of each bin.

    Without a limit it would give the target itself. At 1 it is what the bounded complex masks of networks can reach.

    Source: Williamson, Wang and Wang, "Complex ratio masking for monaural speech separation", IEEE/ACM TASLP 24
    (2016), who bound real and imaginary part instead.

    Args:
        target, rest: see :func:`ideal_ratio_mask`.
        limit: of the modulus, more than 0.

    Returns:
        The same shape, complex.

    Raises:
        ValueError: see :func:`ideal_ratio_mask`; a limit that is not positive.
    """
    if not limit > 0:
        raise ValueError(f"limit: expected a positive number, got {limit}")
    mask = _quotient(target, rest)
    return (mask * (limit / mask.abs().clamp_min(limit))).to(target)


def _quotient(target: Tensor, rest: Tensor) -> Tensor:
    """``S / (S + N)`` in double precision."""
    _check(target, rest)
    noisy = target.to(torch.complex128) + rest
    return target * noisy.conj() / _or_one(power(noisy))


def _or_one(total: Tensor) -> Tensor:
    return torch.where(total > 0, total, 1)


def _check(target: Tensor, rest: Tensor) -> None:
    if target.shape != rest.shape or not (target.is_complex() and rest.is_complex()):
        got = f"{target.dtype} {tuple(target.shape)} and {rest.dtype} {tuple(rest.shape)}"
        raise ValueError(f"target and rest: expected complex spectra of one shape, got {got}")
