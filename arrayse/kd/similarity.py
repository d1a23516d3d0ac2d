"""Losses between Gram matrices of features, which do not know how wide the features are."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from arrayse.kd.base import DistillationLoss, Form, Pair, check_choice, difference
from arrayse.kd.views import Flow, Pool, View, cosines_kind, rows_kind

MIN_VARIANCE = 1e-2
"""Least variance of a Gram that a distance is divided by: cosines of speech vary by 0.02 to 0.4."""


class GramLoss(DistillationLoss):
    """The distance of the Grams of one tap: what ``lstm1`` and ``lstm2`` share.

    Subclasses say which tap they compare and which flow (``paper_flow``) their paper form has. ``paper``: its Grams
    are not normalised, mix the utterances of a batch, and grow with the widths of the layers. ``normalised`` (ours):
    cosine Grams of each utterance over time and over frequency, mean squared difference over the variance of the
    teacher's, mean over the flows and the items.

    Args:
        pairs: channels of the student's and the teacher's tap; any, the Grams do not know them.
        form: ``paper`` or ``normalised``.
        flows: Grams of the normalised form; None: time and frequency.
        pool: of the normalised form, see :func:`arrayse.kd.views.rows`.

    Raises:
        ValueError: an unknown form, flow or pool, or no flow at all.
    """

    paper_flow: ClassVar[Flow]

    def __init__(
        self, pairs: list[Pair], form: Form = "normalised", flows: list[Flow] | None = None, pool: Pool = "mean"
    ) -> None:
        super().__init__()
        check_choice("form", form, Form)
        self.form, flows = form, check_flows(flows, pool)
        of_form = [rows_kind(self.paper_flow)] if form == "paper" else [cosines_kind(flow, pool) for flow in flows]
        self.views = [View(0, kind) for kind in of_form]

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """The views of one tap each: rows (batch, row, channel) or cosines (batch, row, row) → one number."""
        if self.form == "paper":
            return difference(batch_gram(student[0]), batch_gram(teacher[0])).abs().mean()
        return torch.stack([relative_distance(s, t) for s, t in zip(student, teacher, strict=True)]).mean()


def batch_gram(rows: Tensor) -> Tensor:
    """Inner products of all rows of a batch, not normalised, utterances mixed (Metzger et al. 2025).

    Args:
        rows: (batch, row, channel).

    Returns:
        (batch·row, batch·row).
    """
    flat = rows.flatten(0, 1)
    return flat @ flat.T


def gram_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the Grams of each utterance: (batch, row, row) twice → (batch,)."""
    return difference(student, teacher).square().mean(dim=(1, 2))


def relative_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """That over the variance of the entries of the teacher's Gram, so that 1 says: no closer than a constant.

    Args:
        student: (batch, row, row).
        teacher: likewise.

    Returns:
        (batch,).
    """
    variance = teacher.var(dim=(1, 2), correction=0).clamp_min(MIN_VARIANCE)
    return gram_distance(student, teacher) / variance


def check_flows(flows: list[Flow] | None, pool: Pool) -> list[Flow]:
    """The flows that are meant.

    Raises:
        ValueError: an unknown flow or pool, or no flow at all.
    """
    check_choice("pool", pool, Pool)
    if flows is None:
        return ["time", "frequency"]
    if not flows:
        raise ValueError("flows: expected time, frequency or both, got none")
    for flow in flows:
        check_choice("flows", flow, Flow)
    return flows
