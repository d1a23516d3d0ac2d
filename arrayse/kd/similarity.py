"""Gram matrices of features: what the similarity losses compare, whatever the widths of the features are."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

Form = Literal["paper", "normalised"]
Flow = Literal["time", "frequency"]
Pool = Literal["mean", "concat"]

MIN_SPREAD = 1e-6


class GramLoss(nn.Module):
    """The distance of the Grams of one tap: what ``lstm1`` and ``lstm2`` share.

    Subclasses say which tap they compare and which flow (``paper_flow``) their paper form has.

    Args:
        channels: channels of the student's and the teacher's tap; any, the Grams do not know them.
        form: ``paper`` or ``normalised``.
        flows: Grams of the normalised form; None: time and frequency.
        pool: of the normalised form, see :func:`cosine_gram`.

    Raises:
        ValueError: an unknown form, flow or pool, or no flow at all.
    """

    taps: tuple[str]
    paper_flow: Flow

    def __init__(
        self,
        channels: list[tuple[int, int]],
        form: Form = "normalised",
        flows: list[Flow] | None = None,
        pool: Pool = "mean",
    ) -> None:
        super().__init__()
        self.form, self.flows, self.pool = form, check_options(form, flows, pool), pool

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """One tap each, (batch, channel, freq, frame) → one number."""
        if self.form == "paper":
            difference = batch_gram(student[0], self.paper_flow) - batch_gram(teacher[0], self.paper_flow)
            return difference.abs().mean()
        distances = [gram_distance(student[0], teacher[0], flow, self.pool) for flow in self.flows]
        return torch.stack(distances).mean()


def batch_gram(feature: Tensor, flow: Flow) -> Tensor:
    """Inner products of all rows of a batch, not normalised, utterances mixed (Metzger et al. 2025).

    Args:
        feature: (batch, channel, freq, frame).
        flow: ``time``: rows are (batch·frame), averaged over frequency; ``frequency``: (batch·freq),
            averaged over frames.

    Returns:
        (rows, rows).
    """
    rows = _rows(feature, flow, "mean").flatten(0, 1)
    return rows @ rows.T


def cosine_gram(feature: Tensor, flow: Flow, pool: Pool) -> Tensor:
    """Cosine similarity of all frames (or frequencies) of each utterance.

    Args:
        feature: (batch, channel, freq, frame).
        flow: ``time`` compares frames, ``frequency`` compares frequencies.
        pool: the other axis is averaged (``mean``) or becomes part of the row (``concat``).

    Returns:
        (batch, frame, frame) or (batch, freq, freq), within [-1, 1].
    """
    rows = functional.normalize(_rows(feature, flow, pool), dim=-1)
    return rows @ rows.transpose(1, 2)


def gram_distance(student: Tensor, teacher: Tensor, flow: Flow, pool: Pool) -> Tensor:
    """Mean squared difference of the cosine Grams of each utterance: (batch,)."""
    difference = cosine_gram(student, flow, pool) - cosine_gram(teacher, flow, pool)
    return difference.square().mean(dim=(1, 2))


def gram_spread(teacher: Tensor, flow: Flow, pool: Pool) -> Tensor:
    """Variance of the entries of the teacher's cosine Gram: (batch,), at least 1e-6."""
    return cosine_gram(teacher, flow, pool).var(dim=(1, 2), correction=0).clamp_min(MIN_SPREAD)


def check_options(form: Form, flows: list[Flow] | None, pool: Pool) -> list[Flow]:
    """The flows that are meant.

    Raises:
        ValueError: an unknown form, flow or pool, or no flow at all.
    """
    check_choice("form", form, Form)
    check_choice("pool", pool, Pool)
    if flows is None:
        return ["time", "frequency"]
    if not flows:
        raise ValueError("flows: expected time, frequency or both, got none")
    for flow in flows:
        check_choice("flows", flow, Flow)
    return flows


def check_choice(name: str, got: str, choices: Any) -> None:
    """Raises ValueError unless ``got`` is a member of the literal type ``choices``."""
    if got not in get_args(choices):
        raise ValueError(f"{name}: expected one of {', '.join(get_args(choices))}, got {got}")


def _rows(feature: Tensor, flow: Flow, pool: Pool) -> Tensor:
    """(batch, row, width)."""
    by_row = feature.permute(0, 3, 2, 1) if flow == "time" else feature.permute(0, 2, 3, 1)  # b row other c
    return by_row.mean(dim=2) if pool == "mean" else torch.flatten(by_row, start_dim=2)
