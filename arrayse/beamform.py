"""Fixed beamformers as baselines: a scene of a dataset and its noisy microphones → one wave.

They are oracles in one respect: they are told the true direction of the target, from the places in the manifest. Of
everything else they know what a designer knows: the drawn positions of the microphones, plane waves in free air.
Bodies, tolerances, faults and distances are not modelled.

A beamformer is one FIR filter a microphone, whose outputs are summed: the weights of :mod:`arrayse.frontend.spatial`,
sampled in frequency. The output is aligned with the reference microphone; the filters look 32 ms ahead, half of their
length, as the 512-sample STFT of the networks does at 16 kHz. Up to 15/16 of half of the sample rate, the wave from the
look direction is unchanged to 1e-4 from 100 Hz on (wide superdirective arrays such as earbuds: 1e-3). As factors of an
STFT the same weights would leave its windows where they are while the wave moves: 1e-3 at a delay of 17 cm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.signal
import torch
from torch import Tensor

from arrayse.frontend import spatial
from arrayse.geometry import ArrayGeometry
from arrayse.mixture import SceneEntry

LOADING = 1e-2
"""Of the superdirective beamformer: microphone noise 20 dB below the diffuse field."""

FILTER_SECONDS = 0.064
"""Length of the filters: those of superdirective beamformers ring at low frequencies."""


def _superdirective(geometry: ArrayGeometry, steering: Tensor, frequencies_hz: Tensor) -> Tensor:
    return spatial.superdirective(steering, spatial.diffuse_coherence(geometry, frequencies_hz), LOADING)


Design = Callable[[ArrayGeometry, Tensor, Tensor], Tensor]
"""``design(geometry, steering, frequencies_hz)``: weights (n_freqs, n_mics), distortionless."""

BEAMFORMERS: dict[str, Design] = {
    "delay_and_sum": lambda geometry, steering, frequencies_hz: spatial.delay_and_sum(steering),
    "superdirective": _superdirective,
}

DESCRIPTIONS = {
    "delay_and_sum": "fixed delay-and-sum",
    "superdirective": f"fixed superdirective (spherically diffuse field, diagonal loading {LOADING:g})",
}


def describe(name: str, entries: list[SceneEntry]) -> str:
    """What a beamformer is and is told in these scenes, in one line."""
    n_moving = sum(map(moves, entries))
    at_start = f", in {n_moving} of {len(entries)} scenes, where target or array moves, to that at the start"
    return f"{DESCRIPTIONS[name]}, oracle: steered to the true direction of the target" + (at_start if n_moving else "")


def beamform(name: str, noisy: np.ndarray, entry: SceneEntry, geometry: ArrayGeometry, sample_rate: int) -> np.ndarray:
    """What a fixed beamformer makes of a scene.

    Args:
        name: one of :data:`BEAMFORMERS`.
        noisy: (n_mics, n_samples), all microphones of the array.
        entry: the scene, which knows the direction.
        geometry: the array of the dataset.
        sample_rate: Hz.

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
    if name not in BEAMFORMERS:
        raise ValueError(f"beamformers: expected some of {', '.join(BEAMFORMERS)}, got {name}")
    n_taps = 2 * round(FILTER_SECONDS * sample_rate / 2)
    frequencies_hz = torch.fft.rfftfreq(n_taps, 1 / sample_rate, dtype=torch.float64)
    steering = spatial.steering_vector(geometry, azimuth_deg, elevation_deg, frequencies_hz)
    weights = BEAMFORMERS[name](geometry, steering, frequencies_hz)
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
