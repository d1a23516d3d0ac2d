"""Gram matrices of features: what the similarity losses compare. Widths may differ, the matrices do not know them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Flow = Literal["time", "frequency"]
Pool = Literal["mean", "concat"]

MIN_SPREAD = 1e-6


def batch_gram(feature: Tensor, flow: Flow) -> Tensor:
    """Inner products of all rows of a batch, not normalised, utterances mixed (Metzger et al. 2025).

    Args:
        feature: (batch, channel, freq, frame).
        flow: ``time``: rows are (batch·frame), averaged over frequency; ``frequency``: (batch·freq), averaged over frames.

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


def _rows(feature: Tensor, flow: Flow, pool: Pool) -> Tensor:
    """(batch, row, width) in float32."""
    feature = feature.float()
    by_row = feature.permute(0, 3, 2, 1) if flow == "time" else feature.permute(0, 2, 3, 1)  # b row other c
    return by_row.mean(dim=2) if pool == "mean" else torch.flatten(by_row, start_dim=2)
