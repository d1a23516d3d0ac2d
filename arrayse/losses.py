"""Training losses on (estimate, target): the estimate as an enhancer gives it, the target as wave and
spectrum.

The loss of a batch is the mean of the losses of its items.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge
from torch import Tensor, nn

MIN_ENERGY = 1e-8
"""Energy under which a wave counts as silent; also keeps ratios of energies away from 0 and infinity."""


class WaveMagnitudeL1(nn.Module):
    """wave_weight · mean|s − ŝ| + mean||S| − |Ŝ||.

    With 10 the loss of Tesch and Gerkmann, TASLP 31 (2023); with 1 that of Metzger et al., arXiv 2507.19208.
    """

    def __init__(self, wave_weight: Annotated[float, Ge(0)] = 10.0) -> None:
        super().__init__()
        self.wave_weight = wave_weight

    def forward(self, wave: Tensor, spec: Tensor, target: Tensor, target_spec: Tensor) -> Tensor:
        """Waves (batch, n_samples), spectra complex (batch, freq, frame) → one number."""
        magnitude = (magnitude_of(spec) - magnitude_of(target_spec)).abs().mean()
        return self.wave_weight * (wave - target).abs().mean() + magnitude


class NegativeSiSdr(nn.Module):
    """−10 log10(|a s|² / |ŝ − a s|²) in dB with a = ⟨ŝ, s⟩ / |s|², both without their means.

    Le Roux et al., "SDR: half-baked or well done?", ICASSP 2019. A silent target gives 0: it teaches nothing.
    """

    def forward(self, wave: Tensor, spec: Tensor, target: Tensor, target_spec: Tensor) -> Tensor:
        """Waves (batch, n_samples), spectra complex (batch, freq, frame) → one number."""
        return -si_sdr_db(wave, target).mean()


class NegativeSnr(nn.Module):
    """−10 log10(|s|² / |s − ŝ|²) in dB: as :class:`NegativeSiSdr`, but the level and the mean count.

    A silent target gives 0: it teaches nothing.
    """

    def forward(self, wave: Tensor, spec: Tensor, target: Tensor, target_spec: Tensor) -> Tensor:
        """Waves (batch, n_samples), spectra complex (batch, freq, frame) → one number."""
        return -snr_db(wave, target).mean()


class MagnitudeMse(nn.Module):
    """mean(|S| − |Ŝ|)² over bins and frames.

    The spectral mapping of Hao et al., Interspeech 2020 (arXiv 2005.14435). No bin's gradient depends on another bin.
    """

    def forward(self, wave: Tensor, spec: Tensor, target: Tensor, target_spec: Tensor) -> Tensor:
        """Waves (batch, n_samples), spectra complex (batch, freq, frame) → one number."""
        return (magnitude_of(target_spec) - magnitude_of(spec)).square().mean()


LOSSES = {
    "wave_magnitude_l1": WaveMagnitudeL1,
    "negative_si_sdr": NegativeSiSdr,
    "negative_snr": NegativeSnr,
    "magnitude_mse": MagnitudeMse,
}
"""The fixed table of supervised losses."""


def magnitude_of(spec: Tensor) -> Tensor:
    """|spec| with a gradient of zero, not NaN, where the spectrum is zero."""
    return (spec.real.square() + spec.imag.square()).clamp_min(1e-14).sqrt()


def si_sdr_db(wave: Tensor, target: Tensor) -> Tensor:
    """SI-SDR in dB for each item: (batch, n_samples) twice → (batch,); 0 where the target is silent."""
    wave, target = wave - wave.mean(-1, keepdim=True), target - target.mean(-1, keepdim=True)
    energy = target.square().sum(-1)
    scale = (wave * target).sum(-1) / energy.clamp_min(MIN_ENERGY)
    projection = scale[:, None] * target
    residual = (wave - projection).square().sum(-1)
    ratio = (projection.square().sum(-1) + MIN_ENERGY) / (residual + MIN_ENERGY)
    return (10 * ratio.log10()).where(energy > MIN_ENERGY, 0.0)


def snr_db(wave: Tensor, target: Tensor) -> Tensor:
    """SNR in dB for each item: (batch, n_samples) twice → (batch,); 0 where the target is silent."""
    energy = target.square().sum(-1)
    ratio = (energy + MIN_ENERGY) / ((wave - target).square().sum(-1) + MIN_ENERGY)
    return (10 * ratio.log10()).where(energy > MIN_ENERGY, 0.0)
