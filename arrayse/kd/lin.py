"""``lin``: the student's linear output, before the bound of the mask, follows the teacher's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from arrayse.kd.similarity import MIN_SPREAD, Form, check_choice


class Lin(nn.Module):
    """mean|Z_S − Z_T| over channels, bins and frames.

    Metzger, Ohlenbusch, Rollwage, Doclo, "Comparison of Knowledge Distillation Methods for Low-complexity
    Multi-microphone Speech Enhancement using the FT-JNF Architecture", arXiv 2507.19208 (2025).

    ``paper`` is that mean. ``normalised`` divides each item by the teacher's own mean deviation from its
    mean, so that 1 says: no closer than a constant (ours). Where the two have different numbers of masks, as
    with a student that hears fewer microphones, a trained 1×1 convolution maps the student's channels to the
    teacher's (ours).

    Args:
        channels: channels of the student's and the teacher's tap.
        form: ``paper`` or ``normalised``.

    Raises:
        ValueError: an unknown form.
    """

    taps = ("linear",)

    def __init__(self, channels: list[tuple[int, int]], form: Form = "normalised") -> None:
        super().__init__()
        check_choice("form", form, Form)
        self.form = form
        ((of_student, of_teacher),) = channels
        self.adapter = nn.Identity() if of_student == of_teacher else nn.Conv2d(of_student, of_teacher, 1)

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """One tap each, (batch, channel, freq, frame) → one number."""
        z_student, z_teacher = self.adapter(student[0]), teacher[0]
        distance = (z_student - z_teacher).abs().mean(dim=(1, 2, 3))
        if self.form == "normalised":
            centre = z_teacher.mean(dim=(1, 2, 3), keepdim=True)
            distance = distance / (z_teacher - centre).abs().mean(dim=(1, 2, 3)).clamp_min(MIN_SPREAD)
        return torch.mean(distance)
