"""What a network costs."""

from __future__ import annotations

from arrayse.models import Enhancer


def n_parameters(enhancer: Enhancer) -> int:
    """Trainable numbers."""
    return sum(parameter.numel() for parameter in enhancer.parameters())


def macs_per_second(enhancer: Enhancer) -> float:
    """Multiply-accumulates of the network per second of audio, counted from its weights; transforms not included."""
    frames = enhancer.sample_rate / enhancer.stft.hop_length
    return float(enhancer.net.macs_per_frame(enhancer.stft.n_freqs) * frames)
