"""How rows resemble one another, as probabilities, and how far apart two such are."""

from __future__ import annotations

from torch import Tensor

from arrayse.kd.views import unit_rows

MIN_SIMILARITY = 1e-6
"""Least (cos + 1)/2: the logarithm of what is opposite stays finite."""


def row_cosines(rows: Tensor) -> Tensor:
    """Cosines of the rows of each group, 0 to all for a row of a norm below 1e-6.

    Args:
        rows: (group, row, width).

    Returns:
        (group, row, row).
    """
    unit = unit_rows(rows)
    return unit @ unit.transpose(1, 2)


def probabilities(rows: Tensor) -> Tensor:
    """(cos + 1)/2 between the rows of a group, 1e-6 at least, each row divided by its sum.

    Args:
        rows: (group, row, width).

    Returns:
        (group, row, row).
    """
    affinity = ((row_cosines(rows) + 1) / 2).clamp_min(MIN_SIMILARITY)
    return affinity / affinity.sum(dim=-1, keepdim=True)


def symmetric_divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Σ (P_T − P_S)(log P_T − log P_S) over the last axis: (…, row) twice → (…)."""
    return ((teacher - student) * (teacher.log() - student.log())).sum(dim=-1)
