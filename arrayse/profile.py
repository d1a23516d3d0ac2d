"""What a network costs."""

from __future__ import annotations

from arrayse.models import Enhancer

SECONDS = 4.0
"""Length of the utterance that costs are counted over: attention costs more per second the longer it is."""


def n_parameters(enhancer: Enhancer) -> int:
    """Trainable numbers."""
    return sum(parameter.numel() for parameter in enhancer.parameters())


def macs_per_second(enhancer: Enhancer) -> float:
    """Multiply-accumulates per second of audio, over an utterance of :data:`SECONDS`; transforms not included."""
    return enhancer.macs(round(SECONDS * enhancer.sample_rate)) / SECONDS
