"""Absolute values and powers of complex numbers."""

from __future__ import annotations

import torch
from torch import Tensor


def modulus(parts: Tensor) -> Tensor:
    """Absolute values of what is kept as real channels, with a gradient of 0, not NaN, at 0.

    Args:
        parts: (batch, 2·channel, freq, frame), real parts before imaginary ones.

    Returns:
        (batch, channel, freq, frame).
    """
    return torch.linalg.vector_norm(torch.stack(parts.chunk(2, dim=1)), dim=0)


def power(spec: Tensor) -> Tensor:
    """Squared absolute values of complex numbers, in double precision: those of small 32-bit numbers would be zero."""
    wide = spec.to(torch.complex128)
    return wide.real.square() + wide.imag.square()
