"""``magnitude``: the student's estimate follows the teacher's in magnitude, all bins alike."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from arrayse.kd.base import Pair, check_choice
from arrayse.kd.estimates import HOP_LENGTH, N_FFT, Band, EstimateLoss, FftLength, HopLength, Patches, whole_band

Power = Literal["l1", "l2"]


class Magnitude(EstimateLoss):
    """mean||S| − |T||^p over bins and frames of the estimates' spectra, p = 1 or 2.

    Plain distillation of outputs, which DFKD (Yuan et al., ICASSP 2025, arXiv 2502.04711) and DISPatch (Kim and Choi,
    ICASSP 2026, arXiv 2509.15922) are compared with; ``l2`` is the form that DISPatch selects patches of.

    Args:
        pairs: see :class:`EstimateLoss`.
        power: ``l1`` or ``l2``.
        n_fft: see :class:`EstimateLoss`.
        hop_length: see :class:`EstimateLoss`.

    Raises:
        ValueError: an unknown power, or what :class:`EstimateLoss` refuses.
    """

    paper = "baseline of Kim and Choi 2026, arXiv 2509.15922"
    formulas: ClassVar[dict[str, str]] = {"l1": "mean||S| − |T||", "l2": "mean(|S| − |T|)²"}

    regions = ("all",)

    def __init__(
        self,
        pairs: list[Pair],
        power: Power = "l2",
        n_fft: FftLength = N_FFT,
        hop_length: HopLength = HOP_LENGTH,
    ) -> None:
        super().__init__(pairs, n_fft, hop_length)
        check_choice("power", power, Power)
        self.form = power

    def bands(self, teacher: Tensor) -> list[Band]:
        """One: everything."""
        return [whole_band(teacher)]

    def distance(self, estimate: Tensor, reference: Tensor, band: Band, patches: Patches) -> Tensor:
        """See :class:`EstimateLoss`; a patch that zeros fill up is averaged with them."""
        gap = estimate.abs() - reference.abs()
        return patches.mean(gap.abs() if self.form == "l1" else gap.square())
