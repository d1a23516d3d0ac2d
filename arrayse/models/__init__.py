"""Networks, and the enhancers that put the front-end around them."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from arrayse.frontend.features import Features
from arrayse.frontend.stft import Stft
from arrayse.geometry import ArrayGeometry, check_mics
from arrayse.installed import Table
from arrayse.models.conv_tasnet import ConvTasNet
from arrayse.models.dccrn import DCCRN
from arrayse.models.dpdcrn import DPDCRN
from arrayse.models.dptnet import DPTNet
from arrayse.models.enhancer import Enhanced, Enhancer
from arrayse.models.ft_jnf import FTJNF
from arrayse.models.fullband import FullBandLSTM
from arrayse.models.spectral import SpectralEnhancer
from arrayse.models.subband import SubBandLSTM
from arrayse.models.time_domain import TimeDomainEnhancer

__all__ = ["GIVEN", "NETS", "Enhanced", "Enhancer", "SpectralEnhancer", "TimeDomainEnhancer", "build_enhancer"]

GIVEN = ("n_mics", "n_freqs", "ref_channel", "sample_rate")
"""Arguments of networks that follow from the rest of an enhancer; a network has those that it needs."""

NETS = Table(
    {
        "ft_jnf": FTJNF,
        "dccrn": DCCRN,
        "conv_tasnet": ConvTasNet,
        "dptnet": DPTNet,
        "dpdcrn": DPDCRN,
        "subband": SubBandLSTM,
        "fullband": FullBandLSTM,
    },
    "arrayse.networks",
    nn.Module,
    ("domain", "macs"),
    GIVEN,
)
"""The table of networks, and those of installed packages: nothing else can be named in a config or a checkpoint."""


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
        features: arguments of :class:`Features`, frame rate aside; networks in the time domain have none.
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
    if ref_mic not in mics:
        raise ValueError(f"ref_mic: expected one of the mics {mics}, got {ref_mic}")
    transform = Stft(**stft)
    arguments = dict(net)
    name = arguments.pop("name", None)
    if name not in NETS:
        hint = "a network of another package wants that package installed"
        raise ValueError(f"model name: expected one of {', '.join(NETS)}, got {name}: {hint}")
    known = dict(zip(GIVEN, (len(mics), transform.n_freqs, mics.index(ref_mic), sample_rate), strict=True))
    wanted = inspect.signature(NETS[name]).parameters
    network = NETS[name](**{key: value for key, value in known.items() if key in wanted}, **arguments)
    if network.domain == "time":
        if features:
            raise ValueError(f"features: expected none for {name}, which hears waves, got {', '.join(features)}")
        return TimeDomainEnhancer(network, transform, geometry, mics, ref_mic, sample_rate)
    front_end = Features(sample_rate / transform.hop_length, **features)
    if front_end.norm == "segment" and getattr(network, "needs_spectrum", False):
        raise ValueError(
            f"features.norm: expected recursive or none for masks of {name} that are made from the spectrum itself, "
            "got segment, which subtracts a mean"
        )
    return SpectralEnhancer(network, transform, front_end, geometry, mics, ref_mic, sample_rate)
