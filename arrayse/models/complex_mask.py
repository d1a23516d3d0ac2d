"""Complex masks made of two unbounded numbers per bin."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

MaskMode = Literal["E", "C", "R"]

MIN_POWER = 1e-30
"""Power of a bin, or of a mask, under which its phase counts as 0; also keeps gradients finite."""


def tanh_bounded(raw: Tensor) -> Tensor:
    """Complex numbers with their phase and the tanh of their modulus: (batch, 2, freq, frame) → the same shape."""
    modulus = raw.square().sum(dim=1, keepdim=True).clamp_min(MIN_POWER).sqrt()
    return raw * (torch.tanh(modulus) / modulus)


def mask_parts(raw: Tensor, mode: MaskMode, ref: Tensor) -> Tensor:
    """Mask in the sense of the modes of DCCRN, for the spectrum Y of the reference microphone.

    Hu et al., "DCCRN", Interspeech 2020, with M the two numbers given:

    - ``E``: tanh|M| · |Y| at the phase of Y plus that of M;
    - ``C``: the complex product M · Y;
    - ``R``: M_r · Y_r + jM_i · Y_i, which is Y times the mask (M_r + M_i)/2 + (M_r − M_i)/2 · Y*/Y.

    Args:
        raw: (batch, 2, freq, frame) float32: M_r and M_i.
        mode: see above.
        ref: (batch, 2, freq, frame) float32: Y_r and Y_i, at any level.

    Returns:
        (batch, 2, freq, frame): real and imaginary part of the mask that multiplies Y.
    """
    if mode == "C":
        return raw
    if mode == "E":
        return tanh_bounded(raw)
    real, imag = ref.chunk(2, dim=1)
    power = (real.square() + imag.square()).clamp_min(MIN_POWER)
    mean, half = raw.mean(dim=1, keepdim=True), (raw[:, :1] - raw[:, 1:]) / 2
    return torch.cat([mean + half * (real.square() - imag.square()) / power, -2 * half * real * imag / power], dim=1)
