"""``clskd``: frame by frame, items of a batch resemble each other as in the fused layers of the teacher."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor

from arrayse.kd.affinity import probabilities, symmetric_divergence
from arrayse.kd.base import DistillationLoss, Pair, whole_views
from arrayse.kd.fusion import FusionChain
from arrayse.kd.views import rows


class Clskd(DistillationLoss):
    """mean of Σ_j (P_T − P_S)(log P_T − log P_S), P_ij ∝ (cos_ij + 1)/2 between items i, j in a frame.

    Cheng et al., "Cross-layer similarity knowledge distillation for speech enhancement", Interspeech 2022.

    cos_ij compares two items of the batch in one frame, all its channels and frequencies; a row of P sums to 1.
    P_S is of the student's layer, P_T of what an attention-based fusion (:mod:`arrayse.kd.fusion`) makes of the
    teacher's layers. So far the paper. Our reconstruction: the fusion goes from the deepest layer to the first, and
    each result is compared with the student's layer in the same place; mean over layers, frames and items;
    (cos + 1)/2 of 1e-6 at least.

    The teacher never gets a gradient, the fusion does: it is trained on the same loss as the student. So it need
    not keep what the teacher knows, and can also move towards the student: a small loss alone does not show that the
    student has learnt from the teacher. The batch has to hold two items at least.

    Args:
        pairs: channels of the student's and the teacher's taps, from the first layer to the deepest.
        fusion_channels: channels of the fused layers.

    Raises:
        ValueError: no channels.
    """

    formulas: ClassVar[dict[str, str]] = {
        "": "mean of Σ_j (P_T − P_S)(log P_T − log P_S), P_ij ∝ (cos_ij + 1)/2 of the items i, j of a batch in a frame"
    }
    paper = "Cheng et al. 2022, Interspeech"
    taps = ("freq_lstm", "time_lstm")
    any_number = True
    min_items = 2

    def __init__(self, pairs: list[Pair], fusion_channels: Annotated[int, Ge(1)] = 32) -> None:
        super().__init__()
        if fusion_channels < 1:
            raise ValueError(f"fusion_channels: expected 1 or more, got {fusion_channels}")
        self.views = whole_views(len(pairs))
        self.fusion = FusionChain([pair.teacher for pair in pairs], fusion_channels)

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """The taps as they are, (batch, channel, freq, frame) each → one number."""
        fused = self.fusion([tap.detach() for tap in teacher])
        return torch.stack([divergence(s, t) for s, t in zip(student, fused, strict=True)]).mean()


def resemblance(feature: Tensor) -> Tensor:
    """How each item's frame resembles that of the others: (batch, channel, freq, frame) → (frame, batch, batch).

    Rows sum to 1. A silent frame, of a norm below 1e-6, has the cosine 0 to all.
    """
    return probabilities(rows(feature, "time", "concat").transpose(0, 1))  # frame item freq·channel


def divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Symmetric Kullback-Leibler divergence of the rows of :func:`resemblance`, mean over items and frames."""
    return symmetric_divergence(resemblance(student), resemblance(teacher)).mean()
