"""``dfkd``: below a crossover that moves with the teacher's spectrum the phase counts, above it the magnitude too."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor

from arrayse.kd.base import Pair, check_choice
from arrayse.kd.estimates import HOP_LENGTH, N_FFT, Band, EstimateLoss, FftLength, HopLength, Patches, Region

Crossover = Literal["cumulative", "absolute", "fixed"]

SILENT = 1e-4
"""Norm of a piece of spectrum under which it has no direction: rounding to 16 bits leaves as much in one bin of 512."""


class Dfkd(EstimateLoss):
    """mean over frames of (1 − cos_low) + β (1 − cos_high) + (1 − β) mean_high (|S| − |T|)².

    Yuan et al., "Dynamic Frequency-Adaptive Knowledge Distillation for Speech Enhancement", ICASSP 2025
    (arXiv 2502.04711).

    cos = Re⟨T, S⟩ / (‖T‖ ‖S‖) of the complex bins of a frame, in the low band (f ≤ m) or the high one (f ≥ m). The
    teacher's magnitude sets the crossover m of each frame:

    - ``cumulative`` (the paper's): where its cumulative maximum c over frequency grows most for its size, the largest
      (c[f+1] − c[f]) / (c[f] + 1e-8). On speech this lies very low: see the histogram ``crossover``.
    - ``absolute`` (ours): the largest ||T[f+1]| − |T[f]||, not divided, so that loud bins decide and not quiet ones.
    - ``fixed`` (ours): ``fixed_bin`` in all frames, 64 unless it says otherwise: 2 kHz at 16 kHz.

    The first f counts where several are largest. Pieces of spectrum with a norm below 1e-4 have no direction (ours):
    two such are at the distance 0, one such and any other at 1, both without a gradient, since that of a cosine grows
    with 1 / norm.

    The crossovers of all batches in training mode are counted, by bin.

    Args:
        pairs: see :class:`EstimateLoss`.
        beta: share of the direction in the high band.
        crossover: ``cumulative``, ``absolute`` or ``fixed``.
        fixed_bin: crossover where it is fixed, and only there; the frequency is fixed_bin · sample rate / n_fft.
        n_fft: see :class:`EstimateLoss`.
        hop_length: see :class:`EstimateLoss`.

    Raises:
        ValueError: an unknown crossover, a bin above half the sample rate, a share that is none, or what
            :class:`EstimateLoss` refuses.
    """

    paper = "Yuan et al. 2025, ICASSP, arXiv 2502.04711"
    formulas: ClassVar[dict[str, str]] = {
        "": "mean of (1 − cos_low) + β (1 − cos_high) + (1 − β) mean_high (|S| − |T|)², bands split by |T| of the frame"
    }
    regions = ("low", "high")
    crossovers: Tensor

    def __init__(
        self,
        pairs: list[Pair],
        beta: Annotated[float, Ge(0), Le(1)] = 0.5,
        crossover: Crossover = "cumulative",
        fixed_bin: Annotated[int, Ge(0)] | None = None,
        n_fft: FftLength = N_FFT,
        hop_length: HopLength = HOP_LENGTH,
    ) -> None:
        super().__init__(pairs, n_fft, hop_length)
        check_choice("crossover", crossover, Crossover)
        if not 0 <= beta <= 1:
            raise ValueError(f"beta: expected 0 to 1, got {beta}")
        if crossover != "fixed" and fixed_bin is not None:
            raise ValueError(f"fixed_bin: expected none for a crossover that is {crossover}, got {fixed_bin}")
        fixed_bin = 64 if fixed_bin is None else fixed_bin
        if crossover == "fixed" and not 0 <= fixed_bin < self.stft.n_freqs:
            raise ValueError(f"fixed_bin: expected 0 to {self.stft.n_freqs - 1} for n_fft {n_fft}, got {fixed_bin}")
        self.beta, self.crossover, self.fixed_bin = beta, crossover, fixed_bin
        self.register_buffer("crossovers", torch.zeros(self.stft.n_freqs, dtype=torch.int64))

    def formula(self) -> str:
        """See :meth:`DistillationLoss.formula`: with β and how the bands are split."""
        where = f"at bin {self.fixed_bin}" if self.crossover == "fixed" else self.crossover
        return f"{super().formula()} (β = {self.beta:g}, crossover {where})"

    def height(self, region: Region) -> int:
        """See :meth:`EstimateLoss.height`."""
        if self.crossover == "fixed":
            return self.fixed_bin + 1 if region == "low" else self.stft.n_freqs - self.fixed_bin
        return self.stft.n_freqs

    def bands(self, teacher: Tensor) -> list[Band]:
        """The low and the high band, the crossover in both; it is counted in training mode."""
        bins = torch.arange(teacher.shape[1], device=teacher.device)[None, :, None]
        crossover = self._crossover(teacher.abs())[:, None]
        low, high = bins <= crossover, bins >= crossover
        if self.training:
            self.crossovers += (low & high).sum(dim=(0, 2))
        return [Band("low", low), Band("high", high)]

    def distance(self, estimate: Tensor, reference: Tensor, band: Band, patches: Patches) -> Tensor:
        """See :class:`EstimateLoss`; means are over the bins of a patch that lie in the band."""
        direction = cosine_distance(estimate, reference, band.mask, patches)
        if band.region == "low":
            return direction
        gap = patches.sum((estimate.abs() - reference.abs()).square() * band.mask)
        n_bins = patches.sum(band.mask.to(gap.dtype)).clamp_min(1)
        return self.beta * direction + (1 - self.beta) * gap / n_bins

    def histograms(self) -> dict[str, list[int]]:
        """``crossover``: frames by the bin of their crossover."""
        return {"crossover": self.crossovers.tolist()}

    def reset_histograms(self) -> None:
        """Counts from nothing again."""
        self.crossovers.zero_()

    def _crossover(self, magnitude: Tensor) -> Tensor:
        """The teacher's magnitude (batch, freq, frame) → bins (batch, 1 or frame)."""
        if self.crossover == "fixed":
            return torch.full_like(magnitude[:, 0], self.fixed_bin, dtype=torch.int64)
        if self.crossover == "absolute":
            return magnitude.diff(dim=1).abs().argmax(dim=1)
        highest = magnitude.cummax(dim=1).values
        return (highest.diff(dim=1) / (highest[:, :-1] + 1e-8)).argmax(dim=1)


def cosine_distance(estimate: Tensor, reference: Tensor, mask: Tensor, patches: Patches) -> Tensor:
    """1 − Re⟨reference, estimate⟩ / norms in each patch, and 0 or 1 where either is silent.

    Args:
        estimate: complex (batch, freq, frame).
        reference: likewise.
        mask: the bins that count, bool, likewise.
        patches: of the frequencies.

    Returns:
        (batch, patch, frame), from 0 to 2.
    """
    powers = [patches.sum((spec.real.square() + spec.imag.square()) * mask) for spec in (estimate, reference)]
    of_estimate, of_reference = (power > SILENT**2 for power in powers)
    both = of_estimate & of_reference
    product = patches.sum((estimate.real * reference.real + estimate.imag * reference.imag) * mask)
    norms = torch.where(both, powers[0] * powers[1], 1.0).sqrt()  # sqrt has no gradient at 0
    return torch.where(both, 1 - product / norms, (of_estimate != of_reference).to(product.dtype))
