"""Which channels of a recording a network hears: a recording has all of the array, or only those."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from arrayse.geometry import ArrayGeometry

MAX_CHANNELS = 64
"""With more channels than this a recording is more likely transposed than of an array."""


class Hearing(Protocol):
    """A network with its array.

    Attributes:
        geometry: the whole array.
        mics: channels of the array that the network hears, in its order.
    """

    geometry: ArrayGeometry
    mics: list[int]


def check_channels(n_channels: int, network: Hearing, what: str) -> None:
    """Raises ValueError unless a recording has all microphones of the array, or only those that are heard."""
    if n_channels not in (network.geometry.n_mics, len(network.mics)):
        turned = ": is it (n_samples, n_mics)? transpose it" if n_channels > MAX_CHANNELS else ""
        raise ValueError(f"{what}: expected {wanted_channels(network)}, got {n_channels}{turned}")


def wanted_channels(network: Hearing) -> str:
    """What a recording may have, for messages."""
    geometry, mics = network.geometry, network.mics
    heard = "" if len(mics) == geometry.n_mics else f", or {len(mics)} (its microphones {mics})"
    return f"{geometry.n_mics} channels for the array {geometry.name}{heard}"


def heard_channels(wave: np.ndarray, network: Hearing) -> np.ndarray:
    """The channels that the network hears, in its order.

    Args:
        wave: (n_channels, n_samples), as :func:`check_channels` lets pass; as many channels as the array has are those
            of the array, in its order.
        network: hears it.

    Returns:
        (len(mics), n_samples); ``wave`` itself where it has only those.
    """
    heard: np.ndarray = wave[network.mics] if len(wave) == network.geometry.n_mics else wave
    return heard
