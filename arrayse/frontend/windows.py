"""Windows of the short-time Fourier transform: what a frame sees of a signal, and what it gives back."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

Window = Literal["sqrt_hann", "hann", "asymmetric"]


def window_pair(
    window: Window, win_length: int, hop_length: int, synthesis_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Analysis and synthesis window whose products, a hop apart, add up to one.

    ``sqrt_hann`` and ``hann`` (periodic) come with their canonical dual. ``asymmetric`` rises slowly and falls fast: a
    long analysis window for the resolution, whose product with the short synthesis window at its end is a periodic
    Hann window of ``synthesis_length`` samples. A sample is whole as soon as the short window has passed over it.
    Source: Mauler and Martin, "A low delay, variable resolution, perfect reconstruction spectral analysis-synthesis
    system for speech enhancement", EUSIPCO 2007; with networks: Wang et al., "STFT-domain neural speech enhancement
    with very low algorithmic latency", IEEE/ACM TASLP 31 (2023).

    Args:
        window: see above.
        win_length: samples of both windows.
        hop_length: samples between frames.
        synthesis_length: for ``asymmetric`` only: the last samples of the frame, which it gives back; before them the
            synthesis window is zero.

    Returns:
        Two (win_length,), float64.

    Raises:
        ValueError: an unknown window, a synthesis_length that does not fit, or a hop_length that does not divide it,
            or win_length for the others, or leaves no overlap.
    """
    if window not in get_args(Window):
        raise ValueError(f"window: expected one of {', '.join(get_args(Window))}, got {window}")
    if window != "asymmetric":
        if synthesis_length is not None:
            raise ValueError(f"synthesis_length: expected none for the window {window}, got {synthesis_length}")
        return _symmetric(window, win_length, hop_length)
    if synthesis_length is None or not 0 < synthesis_length < win_length:
        wanted = f"expected less than win_length {win_length} for an asymmetric window"
        raise ValueError(f"synthesis_length: {wanted}, got {synthesis_length}")
    _check_hop(hop_length, "synthesis_length", synthesis_length)
    return _asymmetric(win_length, hop_length, synthesis_length)


def _symmetric(window: Window, win_length: int, hop_length: int) -> tuple[Tensor, Tensor]:
    _check_hop(hop_length, "win_length", win_length)
    analysis = torch.hann_window(win_length, dtype=torch.float64)
    if window == "sqrt_hann":
        analysis = analysis.sqrt()
    overlap = analysis.square().reshape(-1, hop_length).sum(0).repeat(win_length // hop_length)
    return analysis, analysis / overlap


def _asymmetric(win_length: int, hop_length: int, synthesis_length: int) -> tuple[Tensor, Tensor]:
    """Two halves of square roots of Hann windows, joined where both are 1, in the middle of the synthesis."""
    places = torch.arange(win_length, dtype=torch.float64)
    rise, fall = win_length - synthesis_length / 2, synthesis_length / 2
    rising, falling = (math.pi / 2 * places / rise).sin(), (math.pi / 2 * (win_length - places) / fall).sin()
    analysis = torch.where(places < rise, rising, falling)
    product = torch.zeros_like(analysis)
    product[-synthesis_length:] = torch.hann_window(synthesis_length, dtype=torch.float64)
    first, overlap = win_length - synthesis_length, synthesis_length / (2 * hop_length)
    synthesis = torch.zeros_like(analysis)
    synthesis[first:] = product[first:] / analysis[first:] / overlap  # the analysis is zero at its first sample only
    return analysis, synthesis


def _check_hop(hop_length: int, name: str, length: int) -> None:
    if not 1 <= hop_length < length or length % hop_length:
        raise ValueError(f"hop_length: expected a proper divisor of {name} {length}, got {hop_length}")
