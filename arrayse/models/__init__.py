"""Networks, and the enhancer that puts the front-end around them."""

from __future__ import annotations

from typing import Any

from arrayse.frontend.features import Features
from arrayse.frontend.stft import Stft
from arrayse.geometry import ArrayGeometry, check_mics
from arrayse.models.enhancer import Enhanced, Enhancer, Net
from arrayse.models.ft_jnf import FTJNF

__all__ = ["FTJNF", "NETS", "Enhanced", "Enhancer", "Net", "build_enhancer"]

NETS = {"ft_jnf": FTJNF}
"""The fixed table of networks: nothing else can be named in a config or a checkpoint."""


def build_enhancer(
    net: dict[str, Any],
    stft: dict[str, Any],
    features: dict[str, Any],
    array: dict[str, Any],
    mics: list[int] | None,
    ref_mic: int | None,
    sample_rate: int,
) -> Enhancer:
    """Builds an enhancer from plain values, as they stand in a checkpoint.

    Args:
        net: ``name`` of :data:`NETS` and the arguments of that class.
        stft: arguments of :class:`Stft`.
        features: arguments of :class:`Features`, frame rate aside.
        array: arguments of :class:`ArrayGeometry`.
        mics: channels that the network hears; None for all.
        ref_mic: channel to be estimated; None for the array's reference if it is heard, else the first of
            ``mics``.
        sample_rate: Hz.

    Raises:
        ValueError: an unknown network, or what the classes refuse.
        TypeError: arguments that the classes do not have.
    """
    geometry = ArrayGeometry(**array)
    mics = list(range(geometry.n_mics)) if mics is None else mics
    check_mics(mics, geometry.n_mics)
    if ref_mic is None:
        ref_mic = geometry.ref_mic if geometry.ref_mic in mics else mics[0]
    transform = Stft(**stft)
    arguments = dict(net)
    name = arguments.pop("name", None)
    if name not in NETS:
        raise ValueError(f"model name: expected one of {', '.join(NETS)}, got {name}")
    network = NETS[name](n_mics=len(mics), **arguments)
    frame_rate = sample_rate / transform.hop_length
    return Enhancer(network, transform, Features(frame_rate, **features), geometry, mics, ref_mic, sample_rate)
