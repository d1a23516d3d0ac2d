"""Probability that speech is in a bin, estimated without training while a stream comes in.

The tracker of Gerkmann and Hendriks, "Unbiased MMSE-based noise power estimation with low complexity and low tracking
delay", IEEE TASLP 20 (2012): the probability follows from the power of a bin over that of the noise, with the fixed
priors of the paper; the noise power is a running mean of what the probability says is noise. Its constants, given there
for a hop of 16 ms, are kept as times. As in the paper, the first frames count as noise only; speech in them is taken
for noise until the tracker has forgotten it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from arrayse.frontend.covariance import forgetting_factor
from arrayse.frontend.modulus import power

PRIOR_SNR = 10**1.5
"""Of speech that is present: 15 dB, the optimum of the paper. Presence and absence are equally likely beforehand."""

NOISE_SECONDS = -0.016 / math.log(0.8)
"""Time constant of the noise power."""

STUCK_SECONDS, STUCK_AT = -0.016 / math.log(0.9), 0.99
"""A probability whose running mean exceeds the bound is held at it: else louder noise would be speech for ever."""

START_SECONDS = 0.08
"""How long the input counts as noise."""

_TINY = torch.finfo(torch.float64).tiny


class PresenceState(NamedTuple):
    """What :func:`speech_presence` remembers of the frames gone by.

    Attributes:
        noise: (batch, n_freqs) float64, the noise power.
        stuck: (batch, n_freqs) float64, the running mean of the probability.
        n_frames: how many there were.
    """

    noise: Tensor
    stuck: Tensor
    n_frames: int


def speech_presence(
    spec: Tensor, frame_rate: float, state: PresenceState | None = None
) -> tuple[Tensor, Tensor, PresenceState]:
    """Tracks speech presence and noise power; consecutive calls give what one call on all frames gives.

    Args:
        spec: (batch, n_freqs, n_frames) complex, one channel.
        frame_rate: frames per second.
        state: after the frames before; None at the start.

    Returns:
        The probability of speech (batch, n_freqs, n_frames) from 0 to 1, the noise power of the same shape after each
        frame, both float64, and the state after the last frame.

    Raises:
        ValueError: a spectrum of another kind, a frame rate that is not positive, the state of another shape.
    """
    powers = _checked_power(spec)
    keep_noise = forgetting_factor(NOISE_SECONDS, frame_rate)
    keep_stuck = forgetting_factor(STUCK_SECONDS, frame_rate)
    n_start = max(1, round(START_SECONDS * frame_rate))
    if state is None:
        state = PresenceState(torch.zeros_like(powers[..., 0]), torch.full_like(powers[..., 0], 0.5), 0)
    if state.noise.shape != powers.shape[:2]:
        raise ValueError(f"state: expected one of shape {tuple(powers.shape[:2])}, got {tuple(state.noise.shape)}")
    noise, stuck, n_before = state
    presences, noises = [], []
    for number, now in enumerate(powers.unbind(-1), start=n_before):
        if number < n_start:
            presence = torch.zeros_like(now)
            noise = noise + (now - noise) / (number + 1)
        else:
            presence = _posterior(now / noise.clamp_min(_TINY))
            stuck = keep_stuck * stuck + (1 - keep_stuck) * presence
            presence = torch.where(stuck > STUCK_AT, presence.clamp_max(STUCK_AT), presence)
            noise = keep_noise * noise + (1 - keep_noise) * (presence * noise + (1 - presence) * now)
        presences.append(presence)
        noises.append(noise)
    after = PresenceState(noise, stuck, n_before + powers.shape[-1])
    return torch.stack(presences, dim=-1), torch.stack(noises, dim=-1), after


def _checked_power(spec: Tensor) -> Tensor:
    if spec.ndim != 3 or not spec.is_complex() or spec.shape[-1] == 0:
        got = f"{spec.dtype} {tuple(spec.shape)}"
        raise ValueError(f"spec: expected complex (batch, n_freqs, n_frames) with frames, got {got}")
    return power(spec)


def _posterior(ratio: Tensor) -> Tensor:
    """Probability of speech in a bin whose power is ``ratio`` times that of the noise (eq. 18 of the paper)."""
    return 1 / (1 + (1 + PRIOR_SNR) * torch.exp(-ratio * (PRIOR_SNR / (1 + PRIOR_SNR))))
