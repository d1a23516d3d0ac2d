"""``feature_regression``: the teacher's features can be read off the student's."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from arrayse.kd.base import MIN_SPREAD, DistillationLoss, Form, Pair, check_choice, difference, whole_views


class FeatureRegression(DistillationLoss):
    """Σ over taps of mean(φ(F_S) − F_T)², φ a trained 1×1 convolution for each tap.

    Xu, Tu, Yang, arXiv 2212.01012 (2022), where a student with one microphone learns the features of a teacher
    with several; here any two selections of microphones. That φ is a 1×1 convolution is our reading. It is there
    also where the widths agree: the channels of two networks have no common order.

    ``paper`` is that. ``normalised`` divides each item's error by the variance of the teacher's feature, each
    channel around its own mean, so that 1 says: no closer than a constant per channel (ours).

    Args:
        pairs: channels of the student's and the teacher's taps.
        form: ``paper`` or ``normalised``.

    Raises:
        ValueError: an unknown form.
    """

    formulas: ClassVar[dict[str, str]] = {
        "paper": "Σ over taps of mean(φ(F_S) − F_T)², φ a trained 1×1 convolution",
        "normalised": "Σ over taps of mean(φ(F_S) − F_T)² / var(F_T) of each item, φ a trained 1×1 convolution",
    }
    paper = "Xu, Tu, Yang 2022, arXiv 2212.01012"
    taps = ("freq_lstm", "time_lstm")
    any_number = True

    def __init__(self, pairs: list[Pair], form: Form = "normalised") -> None:
        super().__init__()
        check_choice("form", form, Form)
        self.form, self.views = form, whole_views(len(pairs))
        self.adapters = nn.ModuleList(nn.Conv2d(pair.student, pair.teacher, 1) for pair in pairs)

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """The taps as they are, (batch, channel, freq, frame) each → one number."""
        taps = zip(self.adapters, student, teacher, strict=True)
        return torch.stack([self._error(adapter(s), t).mean() for adapter, s, t in taps]).sum()

    def _error(self, mapped: Tensor, teacher: Tensor) -> Tensor:
        """One tap, (batch, channel, freq, frame) twice → (batch,)."""
        error = difference(mapped, teacher).square().mean(dim=(1, 2, 3))
        if self.form == "normalised":
            variance = teacher.var(dim=(2, 3), correction=0).mean(dim=1)
            error = error / variance.clamp_min(MIN_SPREAD**2)
        return error
