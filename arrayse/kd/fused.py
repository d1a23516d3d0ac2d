"""``fused``: both similarity losses and the linear output at once."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from arrayse.kd.base import DistillationLoss, Form, Pair, check_choice, difference
from arrayse.kd.lin import Lin
from arrayse.kd.similarity import batch_gram, check_flows, relative_distance
from arrayse.kd.views import WHOLE, Flow, Pool, View, cosines_kind, rows_kind


class Fused(DistillationLoss):
    """lstm1 + lstm2 + lin.

    Metzger, Ohlenbusch, Rollwage, Doclo, "Comparison of Knowledge Distillation Methods for Low-complexity
    Multi-microphone Speech Enhancement using the FT-JNF Architecture", arXiv 2507.19208 (2025).

    ``paper``: the sum of the three paper forms with unit weights, of which lstm1 is then nearly all.
    ``normalised`` (ours): each term is relative to the teacher's own spread, so that 1 says "no closer than
    a constant" for all three, and the loss is their mean.

    Args:
        pairs: channels of the student's and the teacher's taps, in the order of ``taps``.
        form: ``paper`` or ``normalised``.
        flows: Grams of the normalised form; None: time and frequency.
        pool: of the normalised form, see :func:`arrayse.kd.views.rows`.

    Raises:
        ValueError: an unknown form, flow or pool, or no flow at all.
    """

    paper = "Metzger et al. 2025, arXiv 2507.19208"
    formulas: ClassVar[dict[str, str]] = {
        "paper": "lstm1 + lstm2 + lin, each as published",
        "normalised": "(lstm1 + lstm2 + lin) / 3, each normalised",
    }
    taps = ("freq_lstm", "time_lstm", "linear")

    def __init__(
        self, pairs: list[Pair], form: Form = "normalised", flows: list[Flow] | None = None, pool: Pool = "mean"
    ) -> None:
        super().__init__()
        check_choice("form", form, Form)
        self.form, flows = form, check_flows(flows, pool)
        self.lin = Lin(pairs[2:], form)
        if form == "paper":
            grams = [View(0, rows_kind("time")), View(1, rows_kind("frequency"))]
        else:
            grams = [View(tap, cosines_kind(flow, pool)) for tap in (0, 1) for flow in flows]
        self.views = [*grams, View(2, WHOLE)]

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """Views of both LSTMs, then the linear output as it is → one number."""
        lin = self.lin(student[-1:], teacher[-1:])
        lstms = list(zip(student[:-1], teacher[:-1], strict=True))
        if self.form == "paper":
            return lin + torch.stack([difference(batch_gram(s), batch_gram(t)).abs().mean() for s, t in lstms]).sum()
        relative = [relative_distance(s, t).mean() for s, t in lstms]
        return (2 * torch.stack(relative).mean() + lin) / 3  # each LSTM weighs as much as lin
