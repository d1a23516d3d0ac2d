"""``similarity_preserving``: items of a batch resemble each other as they do for the teacher."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from arrayse.kd.base import DistillationLoss, Pair, whole_views
from arrayse.kd.views import unit_rows


class SimilarityPreserving(DistillationLoss):
    """Σ over taps of mean(G_S − G_T)² = ‖G_S − G_T‖_F² / B², G the Gram of the B items of a batch with unit rows.

    Tung, Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019.

    G = Q Qᵀ, Q (batch, channel·freq·frame), rows of G then L2-normalised. An entry says how much two items
    resemble each other, so the batch has to hold two at least, and the loss is not a mean of losses of items.
    The sum over taps is the paper's.

    Args:
        pairs: channels of the student's and the teacher's taps; any, the Grams do not know them.
    """

    formulas: ClassVar[dict[str, str]] = {
        "": "Σ over taps of mean(G_S − G_T)², G the Gram of the items of a batch, its rows of norm 1"
    }
    paper = "Tung, Mori 2019, ICCV"
    taps = ("time_lstm",)
    any_number = True
    min_items = 2

    def __init__(self, pairs: list[Pair]) -> None:
        super().__init__()
        self.views = whole_views(len(pairs))

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """The taps as they are, (batch, channel, freq, frame) each → one number."""
        grams = [(item_gram(s), item_gram(t)) for s, t in zip(student, teacher, strict=True)]
        return torch.stack([(of_teacher - of_student).square().mean() for of_student, of_teacher in grams]).sum()


def item_gram(feature: Tensor) -> Tensor:
    """Inner products of the items of a batch, rows of unit norm: (batch, …) → (batch, batch).

    Silent items have rows of zeros.
    """
    flat = feature.flatten(start_dim=1)
    return unit_rows(flat @ flat.T)
