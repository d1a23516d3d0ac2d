"""``gram``: activations resemble each other as the teacher's do, over time and over frequency."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from arrayse.kd.base import DistillationLoss, Pair
from arrayse.kd.similarity import check_flows, gram_distance
from arrayse.kd.views import Flow, Pool, View, cosines_kind


class Gram(DistillationLoss):
    """mean over taps and flows of mean(G_S − G_T)², G = X Xᵀ with unit rows, [frame × frame] and [freq × freq].

    Nathoo, Kegler, Stamenovic, "Two-Step Knowledge Distillation for Tiny Speech Enhancement", arXiv 2309.08144 (2023):
    first these losses alone, then supervised training alone, which is ``schedule: two_step``. That a Gram is taken of
    each utterance by itself is our reading; the paper is silent about it.

    Args:
        pairs: channels of the students' and the teacher's taps; any, the Grams do not know them.
        flows: which Grams; None: time and frequency.
        pool: ``concat``: a row holds all frequencies (or frames); ``mean``: their mean.

    Raises:
        ValueError: an unknown flow or pool, or no flow at all.
    """

    formulas: ClassVar[dict[str, str]] = {
        "": "mean over taps and flows of mean(G_S − G_T)², G = cosines of the outputs of an utterance"
    }
    paper = "Nathoo, Kegler, Stamenovic 2023, arXiv 2309.08144"
    taps = ("freq_lstm", "time_lstm")
    any_number = True

    def __init__(self, pairs: list[Pair], flows: list[Flow] | None = None, pool: Pool = "concat") -> None:
        super().__init__()
        kinds = [cosines_kind(flow, pool) for flow in check_flows(flows, pool)]
        self.views = [View(tap, kind) for tap in range(len(pairs)) for kind in kinds]

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """Cosines of both, (batch, row, row) each → one number."""
        return torch.stack([gram_distance(s, t) for s, t in zip(student, teacher, strict=True)]).mean()
