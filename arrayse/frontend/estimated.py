"""MVDR and multichannel Wiener filter whose statistics are estimated from the noisy stream alone.

They are told the direction of the talker and the array, as fixed beamformers are, and adapt to the noise:

1. a superdirective beamformer looks in the direction; how likely speech is in each bin of its output is estimated
   (:mod:`arrayse.frontend.presence`);
2. the noise covariance of the microphones is a running mean in which a bin counts by the probability that it holds no
   speech; a part of diffuse noise is added, which bounds what errors of the direction and of the estimate can do;
3. the MVDR weights of each frame follow from it;
4. for the multichannel Wiener filter, which for one talker is an MVDR beamformer with a Wiener gain behind it, the gain
   follows from the noise that is left, by the decision-directed estimate of the speech.

No frame depends on later ones, and consecutive calls give what one call on all frames gives.

Sources: for covariances weighted by probabilities Souden, Chen, Benesty and Affes, "An integrated solution for online
multichannel noise tracking and reduction", IEEE TASLP 19 (2011); for the gain Simmer, Bitzer and Marro, "Post-filtering
techniques", in Microphone Arrays, Springer 2001, and Ephraim and Malah, "Speech enhancement using a minimum mean-square
error short-time spectral amplitude estimator", IEEE TASSP 32 (1984). The arrangement of the steps is this project's;
the constants below were set on scenes of a circular array of 10 cm.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from arrayse.frontend import spatial
from arrayse.frontend.adaptive import apply_per_frame, mvdr
from arrayse.frontend.covariance import CovarianceState, forgetting_factor, mean_power, recursive_covariance
from arrayse.frontend.modulus import power
from arrayse.frontend.presence import PresenceState, speech_presence

COVARIANCE_SECONDS = 0.5
"""Time constant of the noise covariance."""

SELF_NOISE = 1e-2
"""Power of microphone noise over that of the diffuse field: 20 dB below it."""

DIFFUSE_SHARE = 0.1
"""Power of the diffuse noise that is added over that of the estimate: 10 dB below it."""

SPEECH_SECONDS = 0.2
"""Time constant of the decision-directed speech power."""

MIN_GAIN = 10 ** (-15 / 20)
"""Of the Wiener gain: -15 dB, so that what is left of the noise sounds like noise."""

_TINY = torch.finfo(torch.float64).tiny


class MvdrState(NamedTuple):
    """What :func:`estimated_mvdr` remembers: see the states of its parts."""

    presence: PresenceState
    covariance: CovarianceState


def estimated_mvdr(
    spec: Tensor, steering: Tensor, coherence: Tensor, frame_rate: float, state: MvdrState | None = None
) -> tuple[Tensor, Tensor, MvdrState]:
    """Recursive MVDR beamformer, steps 1 to 3 above.

    Args:
        spec: (batch, n_mics, n_freqs, n_frames) complex.
        steering: (n_freqs, n_mics), or (batch, n_freqs, n_mics) for one direction per item; from
            :func:`arrayse.frontend.spatial.steering_vector`.
        coherence: (n_freqs, n_mics, n_mics) from :func:`arrayse.frontend.spatial.diffuse_coherence`.
        frame_rate: frames per second.
        state: after the frames before; None at the start.

    Returns:
        The output (batch, n_freqs, n_frames) in the precision of ``spec``, the estimated noise power in it (the same
        shape, float64), and the state after the last frame.

    Raises:
        ValueError: shapes that do not match, a frame rate that is not positive.
    """
    presence_before, covariance_before = (None, None) if state is None else state
    fixed = spatial.superdirective(steering, coherence, SELF_NOISE)
    presence, _, presence_state = speech_presence(spatial.apply_weights(fixed, spec), frame_rate, presence_before)
    forget = forgetting_factor(COVARIANCE_SECONDS, frame_rate)
    noise, covariance_state = recursive_covariance(spec, forget, 1 - presence, covariance_before)  # b t f m n
    field = coherence + SELF_NOISE * torch.eye(coherence.shape[-1], dtype=coherence.dtype, device=coherence.device)
    share = DIFFUSE_SHARE * mean_power(noise)[..., None, None]
    weights = mvdr(noise + share * field, steering[..., None, :, :], loading=0.0)
    left = (weights.conj() * (noise @ weights[..., None])[..., 0]).sum(-1).real.transpose(1, 2)  # b f t
    return apply_per_frame(weights, spec), left, MvdrState(presence_state, covariance_state)


def decision_directed_gain(
    spec: Tensor, noise: Tensor, frame_rate: float, mu: float = 1.0, state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Wiener gain ``xi / (mu + xi)`` by the decision-directed estimate of the speech-to-noise ratio ``xi``, step 4.

    Behind :func:`estimated_mvdr` it makes the SDW-MWF of a talker in one direction.

    Args:
        spec: (batch, n_freqs, n_frames) complex.
        noise: noise power in it, the same shape.
        frame_rate: frames per second.
        mu: what noise costs beside distortion of speech, more than 0.
        state: after the frames before; None at the start.

    Returns:
        The gain (batch, n_freqs, n_frames), float64, from ``MIN_GAIN`` to 1, and the state after the last frame: the
        power of the speech in it, (batch, n_freqs).

    Raises:
        ValueError: shapes that do not match, ``mu`` or a frame rate that is not positive.
    """
    if spec.ndim != 3 or noise.shape != spec.shape:
        raise ValueError(
            f"spec and noise: expected one shape (batch, n_freqs, n_frames), got {tuple(spec.shape)} "
            f"and {tuple(noise.shape)}"
        )
    if not 0 < mu < math.inf:
        raise ValueError(f"mu: expected a positive number, got {mu}")
    keep = forgetting_factor(SPEECH_SECONDS, frame_rate)
    powers = power(spec)
    speech = torch.zeros_like(powers[..., 0]) if state is None else state
    gains = []
    for now, left in zip(powers.unbind(-1), noise.double().clamp_min(_TINY).unbind(-1), strict=True):
        ratio = keep * speech / left + (1 - keep) * (now / left - 1).clamp_min(0)
        gain = (1 - mu / (mu + ratio)).clamp_min(MIN_GAIN)  # an infinite ratio gives 1
        speech = gain.square() * now
        gains.append(gain)
    return torch.stack(gains, dim=-1), speech
