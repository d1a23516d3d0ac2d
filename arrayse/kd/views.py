"""What a distillation loss looks at: features of a network, whole or reduced, the same way for student and teacher.

A view knows nothing of the batch: it is taken of each utterance by itself, and so the teacher's can be kept on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

Flow = Literal["time", "frequency"]
Pool = Literal["mean", "concat"]
WHOLE = "whole"
SILENT = 1e-6


@dataclass(frozen=True)
class View:
    """A view of one tap.

    Attributes:
        tap: number of the tap among those that the loss compares.
        kind: one of :data:`KINDS`.
    """

    tap: int
    kind: str = WHOLE


def rows(feature: Tensor, flow: Flow, pool: Pool = "mean") -> Tensor:
    """A row for every frame, or for every frequency, of each utterance.

    Args:
        feature: (batch, channel, freq, frame).
        flow: ``time``: a row is a frame; ``frequency``: a row is a frequency.
        pool: the other axis is averaged (``mean``) or becomes part of the row (``concat``).

    Returns:
        (batch, row, width).
    """
    by_row = feature.permute(0, 3, 2, 1) if flow == "time" else feature.permute(0, 2, 3, 1)  # b row other c
    return by_row.mean(dim=2) if pool == "mean" else by_row.flatten(start_dim=2)


def unit_rows(rows: Tensor) -> Tensor:
    """Divides rows (…, width) by their norms; rows of a norm below 1e-6 become zeros.

    These get no gradient: that of a cosine grows with 1 / norm, and one silent frame would outweigh all others.
    """
    norm = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    return torch.where(norm > SILENT, rows / norm.clamp_min(SILENT), 0.0)


def cosines(feature: Tensor, flow: Flow, pool: Pool) -> Tensor:
    """Cosine similarity of all frames (or frequencies) of each utterance, as in :func:`rows`.

    Returns:
        (batch, frame, frame) or (batch, freq, freq), within [-1, 1].
    """
    unit = unit_rows(rows(feature, flow, pool))
    return unit @ unit.transpose(1, 2)


def rows_kind(flow: Flow) -> str:
    """The kind of view that gives :func:`rows`, averaged over the other axis."""
    return f"{flow}_rows"


def cosines_kind(flow: Flow, pool: Pool) -> str:
    """The kind of view that gives :func:`cosines`."""
    return f"{flow}_cosines_{pool}"


FLOWS: tuple[Flow, ...] = ("time", "frequency")
POOLS: tuple[Pool, ...] = ("mean", "concat")

KINDS: dict[str, Callable[[Tensor], Tensor]] = {
    WHOLE: lambda feature: feature,
    **{rows_kind(flow): partial(rows, flow=flow) for flow in FLOWS},
    **{cosines_kind(flow, pool): partial(cosines, flow=flow, pool=pool) for flow in FLOWS for pool in POOLS},
}
"""The fixed table of views: (batch, channel, freq, frame) → (batch, …)."""


def look(views: list[View], features: list[Tensor]) -> list[Tensor]:
    """The views of features, (batch, channel, freq, frame) each."""
    return [KINDS[view.kind](features[view.tap]) for view in views]
