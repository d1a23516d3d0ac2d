"""``lin``: the student's linear output, before the bound of the mask, follows the teacher's."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from arrayse.kd.base import Form, MapLoss, Pair, adapter, check_choice, difference, spread, whole_views


class Lin(MapLoss):
    """mean|Z_S − Z_T| over channels, bins and frames.

    Metzger, Ohlenbusch, Rollwage, Doclo, "Comparison of Knowledge Distillation Methods for Low-complexity
    Multi-microphone Speech Enhancement using the FT-JNF Architecture", arXiv 2507.19208 (2025).

    ``paper`` is that mean. ``normalised`` divides each item by the teacher's own mean deviation from its
    mean, so that 1 says: no closer than a constant (ours). Outputs for other microphones, or for another number
    of them, are mapped by a trained 1×1 convolution first (ours).

    Args:
        pairs: channels of the student's and the teacher's tap.
        form: ``paper`` or ``normalised``.

    Raises:
        ValueError: an unknown form.
    """

    paper = "Metzger et al. 2025, arXiv 2507.19208"
    formulas: ClassVar[dict[str, str]] = {
        "paper": "mean|Z_S − Z_T|",
        "normalised": "mean|Z_S − Z_T| / mean|Z_T − mean Z_T| of each item",
    }
    taps = ("linear",)

    def __init__(self, pairs: list[Pair], form: Form = "normalised") -> None:
        super().__init__()
        check_choice("form", form, Form)
        self.form, self.views = form, whole_views(1)
        self.adapter = adapter(pairs[0])

    def distance_map(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """See :meth:`MapLoss.distance_map`; one tap each, (batch, channel, freq, frame)."""
        distance = difference(self.adapter(student[0]), teacher[0]).abs().mean(dim=1)
        return distance / spread(teacher[0])[:, None, None] if self.form == "normalised" else distance
