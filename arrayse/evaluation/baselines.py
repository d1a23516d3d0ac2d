"""Baselines beside networks: a scene of a dataset → one wave at the reference microphone of the array.

Every one is an oracle in some respect, and its description says in which:

- fixed beamformers (``delay_and_sum``, ``superdirective``) are told the true direction of the target, from the places
  in the manifest. Of everything else they know what a designer knows: the drawn positions of the microphones, plane
  waves in free air. Bodies, tolerances, faults and distances are not modelled;
- ``mvdr_estimated`` and ``mwf_estimated`` know the same, and estimate the noise from the recording as it comes in;
- ``mvdr_oracle`` and ``mwf_oracle`` are told the covariances of the target and of all else, over the whole scene;
- oracle masks are told both in every bin of the reference microphone, the only one that they hear.

*All else* is the recording minus the target: noise, reverberation, and what the converter does.

A fixed beamformer is one FIR filter a microphone, whose outputs are summed: the weights of
:mod:`arrayse.frontend.spatial`, sampled in frequency. The output is aligned with the reference microphone; the filters
look 32 ms ahead, half of their length, as the 512-sample STFT of the networks does at 16 kHz. Up to 15/16 of half of
the sample rate, the wave from the look direction is unchanged to 1e-4 from 100 Hz on (wide superdirective arrays such
as earbuds: 1e-3). As factors of an STFT the same weights would leave its windows where they are while the wave moves:
1e-3 at a delay of 17 cm. The other baselines, which follow from spectra, are such factors all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.signal
import torch
from torch import Tensor

from arrayse.frontend import spatial
from arrayse.frontend.adaptive import mvdr_souden, sdw_mwf
from arrayse.frontend.covariance import spatial_covariance
from arrayse.frontend.estimated import decision_directed_gain, estimated_mvdr
from arrayse.frontend.oracle import complex_ratio_mask, ideal_ratio_mask, phase_sensitive_mask, wiener_mask
from arrayse.frontend.stft import Stft
from arrayse.geometry import ArrayGeometry
from arrayse.manifest import SceneEntry
from arrayse.mixture import Mixture

LOADING = 1e-2
"""Of the superdirective beamformer: microphone noise 20 dB below the diffuse field."""

ORACLE_LOADING = 1e-6
"""Of the true covariances: microphone noise 60 dB below them."""

FILTER_SECONDS = 0.064
"""Length of the filters: those of superdirective beamformers ring at low frequencies."""

WINDOW_SECONDS = 0.032
"""Of the STFT, 512 samples at 16 kHz as networks have; it overlaps by half."""

BLOCK_FRAMES = 256
"""Frames that estimated beamformers filter at once, which bounds their memory."""


@dataclass(frozen=True)
class Baseline:
    """What one is.

    Attributes:
        text: in one line, without what it is told.
        steered: told the direction of the target, else the target and all else.
        causal: whether no sample depends on others than those within the window of filter or STFT.
        one_mic: hears the reference microphone alone.
    """

    text: str
    steered: bool
    causal: bool = True
    one_mic: bool = False


BEAMFORMERS: dict[str, Baseline] = {
    "delay_and_sum": Baseline("fixed delay-and-sum", steered=True),
    "superdirective": Baseline(
        f"fixed superdirective (spherically diffuse field, diagonal loading {LOADING:g})", steered=True
    ),
    "mvdr_estimated": Baseline("recursive MVDR (noise covariance by speech presence probability)", steered=True),
    "mwf_estimated": Baseline("recursive multichannel Wiener filter: mvdr_estimated, then a Wiener gain", steered=True),
    "mvdr_oracle": Baseline("MVDR, one filter for the whole scene", steered=False, causal=False),
    "mwf_oracle": Baseline("multichannel Wiener filter, one for the whole scene", steered=False, causal=False),
    "irm_oracle": Baseline("ideal ratio mask at the reference microphone", steered=False, one_mic=True),
    "wiener_oracle": Baseline("Wiener-like mask at the reference microphone", steered=False, one_mic=True),
    "psm_oracle": Baseline("phase-sensitive mask at the reference microphone", steered=False, one_mic=True),
    "cirm_oracle": Baseline(
        "complex ratio mask of modulus up to 1 at the reference microphone", steered=False, one_mic=True
    ),
}

Design = Callable[[ArrayGeometry, Tensor, Tensor], Tensor]
"""``design(geometry, steering, frequencies_hz)``: weights (n_freqs, n_mics), distortionless."""

FIXED: dict[str, Design] = {
    "delay_and_sum": lambda geometry, steering, frequencies_hz: spatial.delay_and_sum(steering),
    "superdirective": lambda geometry, steering, frequencies_hz: spatial.superdirective(
        steering, spatial.diffuse_coherence(geometry, frequencies_hz), LOADING
    ),
}

Filter = Callable[[Tensor, Tensor, int], Tensor]
"""``filter(target, rest, ref_mic)`` of covariances (1, n_freqs, n_mics, n_mics): weights (1, n_freqs, n_mics)."""

FILTERS: dict[str, Filter] = {
    "mvdr_oracle": lambda target, rest, ref_mic: mvdr_souden(target, rest, ref_mic, ORACLE_LOADING),
    "mwf_oracle": lambda target, rest, ref_mic: sdw_mwf(target, rest, ref_mic, 1.0, ORACLE_LOADING),
}

MASKS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "irm_oracle": ideal_ratio_mask,
    "wiener_oracle": wiener_mask,
    "psm_oracle": phase_sensitive_mask,
    "cirm_oracle": lambda target, rest: complex_ratio_mask(target, rest, 1.0),
}
"""``mask(target, rest)`` of spectra (1, n_freqs, n_frames)."""


def describe(name: str, entries: list[SceneEntry]) -> str:
    """What a baseline is and is told in these scenes, in one line."""
    about = BEAMFORMERS[name]
    if not about.steered:
        told = "target and all else in every bin" if about.one_mic else "the covariances of target and all else"
        return f"{about.text}, oracle: told {told}"
    n_moving = sum(map(moves, entries))
    at_start = f", in {n_moving} of {len(entries)} scenes, where target or array moves, to that at the start"
    return f"{about.text}, oracle: steered to the true direction of the target" + (at_start if n_moving else "")


def baseline(name: str, mixture: Mixture, entry: SceneEntry, geometry: ArrayGeometry, sample_rate: int) -> np.ndarray:
    """What a baseline makes of a scene.

    Args:
        name: one of :data:`BEAMFORMERS`.
        mixture: the stems of the scene at the SNR wanted; those that are not steered see more than their sum.
        entry: the scene, which knows the direction.
        geometry: the array of the dataset.
        sample_rate: Hz.

    Returns:
        (n_samples,) float32, aligned with ``geometry.ref_mic``.

    Raises:
        ValueError: an unknown name; another number of microphones; a scene without a direction for one that is steered.
    """
    if name not in BEAMFORMERS:
        raise ValueError(f"beamformers: expected some of {', '.join(BEAMFORMERS)}, got {name}")
    noisy = mixture.noisy
    if len(noisy) != geometry.n_mics:
        raise ValueError(f"mixture: expected {geometry.n_mics} microphones, got {len(noisy)}")
    if name in FIXED:
        return beamform(name, noisy, entry, geometry, sample_rate)
    if not BEAMFORMERS[name].steered:
        return oracle(name, noisy, mixture.target, geometry.ref_mic, sample_rate)
    stft, direction = _stft(sample_rate), target_direction(entry, geometry)
    estimate = _estimated(stft, torch.from_numpy(noisy), direction, geometry, sample_rate, name == "mwf_estimated")
    return stft.inverse(estimate[0], noisy.shape[1]).numpy()


def oracle(name: str, noisy: np.ndarray, target: np.ndarray, ref_mic: int, sample_rate: int) -> np.ndarray:
    """What a baseline that is told the target makes of any recording.

    Args:
        name: one of :data:`FILTERS` or :data:`MASKS`.
        noisy: (n_mics, n_samples).
        target: (n_mics, n_samples), what of it is wanted.
        ref_mic: microphone that is estimated.
        sample_rate: Hz.

    Returns:
        (n_samples,) float32, aligned with ``ref_mic``.
    """
    stft = _stft(sample_rate)
    wanted, rest = (stft(torch.from_numpy(wave))[None] for wave in (target, noisy - target))
    return stft.inverse(_told(name, wanted, rest, ref_mic)[0], noisy.shape[1]).numpy()


def _stft(sample_rate: int) -> Stft:
    hop = round(WINDOW_SECONDS / 2 * sample_rate)
    return Stft(2 * hop, hop)


def _told(name: str, target: Tensor, rest: Tensor, ref_mic: int) -> Tensor:
    """The estimate (1, n_freqs, n_frames) of an oracle, from spectra (1, n_mics, n_freqs, n_frames)."""
    if name in MASKS:
        target, rest = target[:, ref_mic], rest[:, ref_mic]
        return MASKS[name](target, rest) * (target + rest)
    weights = FILTERS[name](spatial_covariance(target), spatial_covariance(rest), ref_mic)
    return spatial.apply_weights(weights, target + rest)


def _estimated(
    stft: Stft,
    noisy: Tensor,
    direction: tuple[float, float],
    geometry: ArrayGeometry,
    sample_rate: int,
    gain: bool,
) -> Tensor:
    """The output (1, n_freqs, n_frames) of a beamformer that adapts, with or without the Wiener gain behind it."""
    frequencies_hz = torch.fft.rfftfreq(stft.n_fft, 1 / sample_rate, dtype=torch.float64)
    steering = spatial.steering_vector(geometry, *direction, frequencies_hz)
    coherence = spatial.diffuse_coherence(geometry, frequencies_hz)
    frame_rate = sample_rate / stft.hop_length
    parts, state, gain_state = [], None, None
    for block in stft(noisy)[None].split(BLOCK_FRAMES, dim=-1):
        part, noise, state = estimated_mvdr(block, steering, coherence, frame_rate, state)
        if gain:
            factor, gain_state = decision_directed_gain(part, noise, frame_rate, state=gain_state)
            part = factor.to(part.real.dtype) * part
        parts.append(part)
    return torch.cat(parts, dim=-1)


def beamform(name: str, noisy: np.ndarray, entry: SceneEntry, geometry: ArrayGeometry, sample_rate: int) -> np.ndarray:
    """What a fixed beamformer makes of any waves at the microphones of a scene.

    Args:
        name: one of :data:`FIXED`.
        noisy: (n_mics, n_samples), all microphones of the array.
        entry, geometry, sample_rate: see :func:`baseline`.

    Returns:
        (n_samples,) float32, aligned with ``geometry.ref_mic``.

    Raises:
        ValueError: see :func:`target_direction`; another number of microphones.
    """
    filters = design_filters(name, geometry, *target_direction(entry, geometry), sample_rate)
    return filter_and_sum(filters, noisy)


def target_direction(entry: SceneEntry, geometry: ArrayGeometry) -> tuple[float, float]:
    """Azimuth and elevation in degrees of the target as the array sees it, at the start of the scene.

    It is the direction from the centre of the microphones, about which a spherical wave differs least from a plane one;
    for an array whose origin is that centre the azimuth is the one of the manifest.

    Raises:
        ValueError: a measured room, of which no places are known.
    """
    place: dict[str, Any] | None = entry.numbers.get("place")
    if place is None:
        raise ValueError(
            f"beamformers: expected scenes whose target has a known direction, got {entry.id}, "
            "which is in a measured room"
        )
    yaw = np.deg2rad(place["array_yaw_deg"])
    x, y, z = np.subtract(place["source_positions"][0], place["array_centre"])
    seen = [np.cos(yaw) * x + np.sin(yaw) * y, np.cos(yaw) * y - np.sin(yaw) * x, z]  # the array is turned to the left
    x, y, z = seen - geometry.positions.mean(axis=0)
    return float(np.rad2deg(np.arctan2(y, x))), float(np.rad2deg(np.arctan2(z, np.hypot(x, y))))


def moves(entry: SceneEntry) -> bool:
    """Whether the direction of the target changes during the scene."""
    place = entry.numbers["place"]
    return bool(place["array_turns_deg"] or place["source_walks"][0])


def design_filters(
    name: str, geometry: ArrayGeometry, azimuth_deg: float, elevation_deg: float, sample_rate: int
) -> np.ndarray:
    """Filters (n_mics, n_taps) towards a direction; the tap that delays nothing is number ``n_taps // 2``.

    Raises:
        ValueError: an unknown name.
    """
    if name not in FIXED:
        raise ValueError(f"fixed beamformers: expected some of {', '.join(FIXED)}, got {name}")
    n_taps = 2 * round(FILTER_SECONDS * sample_rate / 2)
    frequencies_hz = torch.fft.rfftfreq(n_taps, 1 / sample_rate, dtype=torch.float64)
    steering = spatial.steering_vector(geometry, azimuth_deg, elevation_deg, frequencies_hz)
    weights = FIXED[name](geometry, steering, frequencies_hz)
    taps = np.fft.fftshift(np.fft.irfft(weights.numpy().conj().T, n_taps), axes=1)
    # the ends hold nothing but the ringing of the delays at half of the sample rate
    return taps * scipy.signal.windows.tukey(n_taps + 1, 0.5)[:-1]


def filter_and_sum(filters: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    """Filters every microphone and adds.

    Args:
        filters: (n_mics, n_taps) from :func:`design_filters`.
        noisy: (n_mics, n_samples).

    Returns:
        (n_samples,) float32.

    Raises:
        ValueError: another number of microphones.
    """
    if noisy.ndim != 2 or len(noisy) != len(filters):
        raise ValueError(f"noisy: expected shape ({len(filters)}, n_samples), got {noisy.shape}")
    start = filters.shape[1] // 2
    whole = scipy.signal.oaconvolve(noisy.astype(np.float64), filters, axes=1).sum(axis=0)
    return whole[start : start + noisy.shape[1]].astype(np.float32)
