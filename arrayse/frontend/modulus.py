"""Absolute values of complex numbers that are kept as real channels."""

from __future__ import annotations

import torch
from torch import Tensor


def modulus(parts: Tensor) -> Tensor:
    """Absolute values, with a gradient of 0, not NaN, at 0.

    Args:
        parts: (batch, 2·channel, freq, frame), real parts before imaginary ones.

    Returns:
        (batch, channel, freq, frame).
    """
    return torch.linalg.vector_norm(torch.stack(parts.chunk(2, dim=1)), dim=0)
