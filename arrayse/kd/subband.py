"""``subband``: the student's magnitudes follow, bin by bin, those of the teacher of that band."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from arrayse.frontend.modulus import modulus
from arrayse.kd.base import MapLoss, Pair, check_same_place, difference, whole_views


class SubBand(MapLoss):
    """mean(|S| − |T|)² over bins and frames of the estimated spectra.

    Hao et al., "Sub-band Knowledge Distillation Framework for Speech Enhancement", Interspeech 2020 (arXiv
    2005.14435): an elite teacher for each band, one general student for all. Bands do not overlap and cover the
    spectrum, so that the sum over bands is this mean, each bin compared with the elite teacher of its band, when the
    teacher is a :class:`arrayse.models.subband.SubBandLSTM` of several bands. With one of a single band it is the
    control of the paper: a general teacher.

    The paper's total, (1 − α)·MSE to the clean magnitude + α·MSE to the teacher's, is the schedule ``one_step`` with
    ``supervised_weight`` 1 − α and the supervised loss ``magnitude_mse``.

    Args:
        pairs: channels of the student's and the teacher's tap.

    Raises:
        ValueError: taps that do not hold as many pairs of real and imaginary parts.
    """

    paper = "Hao et al. 2020, arXiv 2005.14435"
    formulas: ClassVar[dict[str, str]] = {
        "": "mean(|S| − |T|)² over all bins, T by the teacher of the band that a bin lies in"
    }
    taps = ("spec",)

    def __init__(self, pairs: list[Pair]) -> None:
        super().__init__()
        student, teacher = pairs[0].student, pairs[0].teacher
        if student % 2 or student != teacher:
            wanted = "as many real and imaginary parts on both sides"
            raise ValueError(f"pairs: expected {wanted}, got {student} and {teacher} channels")
        check_same_place(pairs[0])
        self.views = whole_views(1)

    def distance_map(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """See :meth:`MapLoss.distance_map`; one tap each, (batch, 2·channel, freq, frame), real parts first."""
        return difference(modulus(student[0]), modulus(teacher[0].detach())).square().mean(dim=1)
