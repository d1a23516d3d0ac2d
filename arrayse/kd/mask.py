"""``mask``: the student's masks follow the teacher's."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from arrayse.frontend.modulus import modulus
from arrayse.kd.base import MIN_SPREAD, Form, MapLoss, Pair, adapter, check_choice, difference, whole_views


class Mask(MapLoss):
    """mean|M_S − M_T| over microphones, bins and frames, |·| the modulus of complex masks.

    Metzger, Ohlenbusch, Rollwage, Doclo, "Comparison of Knowledge Distillation Methods for Low-complexity
    Multi-microphone Speech Enhancement using the FT-JNF Architecture", arXiv 2507.19208 (2025).

    ``paper`` is that mean. ``normalised`` divides each item by the mean modulus of the teacher's deviation from its own
    mean, so that 1 says: no closer than a constant (ours). Masks of other microphones, or of another number of them,
    are mapped by a trained 1×1 convolution first (ours).

    Args:
        pairs: channels of the student's and the teacher's tap.
        form: ``paper`` or ``normalised``.

    Raises:
        ValueError: an unknown form, or a tap of the teacher without real and imaginary parts.
    """

    paper = "Metzger et al. 2025, arXiv 2507.19208"
    formulas: ClassVar[dict[str, str]] = {
        "paper": "mean|M_S − M_T|",
        "normalised": "mean|M_S − M_T| / mean|M_T − mean M_T| of each item",
    }
    taps = ("mask",)

    def __init__(self, pairs: list[Pair], form: Form = "normalised") -> None:
        super().__init__()
        check_choice("form", form, Form)
        if pairs[0].teacher % 2:
            raise ValueError(f"pairs: expected taps of real and imaginary parts, got {pairs[0].teacher} channels")
        self.form, self.views = form, whole_views(1)
        self.adapter = adapter(pairs[0])

    def distance_map(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """See :meth:`MapLoss.distance_map`; one tap each, (batch, 2·n_masks, freq, frame), real parts first."""
        mask_student, mask_teacher = self.adapter(student[0]), teacher[0]
        distance = modulus(difference(mask_student, mask_teacher)).mean(dim=1)
        if self.form == "normalised":
            centre = mask_teacher.mean(dim=(2, 3), keepdim=True)
            spread = modulus(mask_teacher - centre).mean(dim=(1, 2, 3)).clamp_min(MIN_SPREAD)
            distance = distance / spread[:, None, None]
        return distance
