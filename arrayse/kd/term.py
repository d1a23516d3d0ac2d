"""A named, weighted loss between taps of two networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from arrayse.kd.base import DistillationLoss, Pair


@dataclass(frozen=True)
class Term:
    """One named term.

    Attributes:
        name: in logs and in the equation.
        weight: factor.
        pairs: taps (student's, teacher's) that the loss compares, in the order that it wants.
        loss: one of :data:`arrayse.kd.METHODS`, built.
    """

    name: str
    weight: float
    pairs: list[tuple[str, str]]
    loss: DistillationLoss

    def views_of_teacher(self) -> list[tuple[str, str]]:
        """(tap of the teacher, kind of view) for every view that the loss takes."""
        return [(self.pairs[view.tap][1], view.kind) for view in self.loss.views]


def build_term(
    name: str,
    method: Any,
    arguments: dict[str, Any],
    weight: float,
    pairs: list[tuple[str, str]] | None,
    student: Any,
    teacher: Any,
) -> Term:
    """Builds a term for two enhancers from what they declare of their taps.

    Args:
        name: of the term.
        method: one of :data:`arrayse.kd.METHODS`.
        arguments: of the method, pairs aside.
        weight: factor of the term.
        pairs: taps; None: the method's own, on both sides.
        student: enhancer.
        teacher: enhancer.

    Raises:
        ValueError: a tap that does not exist, a wrong number of pairs, or what the method refuses.
    """
    pairs = [(tap, tap) for tap in method.taps] if pairs is None else pairs
    if not pairs or (len(pairs) != len(method.taps) and not method.any_number):
        number = "at least one" if method.any_number else str(len(method.taps))
        raise ValueError(f"{name} pairs: expected {number} for {', '.join(method.taps)}, got {len(pairs)}")
    for of_student, of_teacher in pairs:
        for side, tap, enhancer in (("student", of_student, student), ("teacher", of_teacher, teacher)):
            if tap not in enhancer.tap_channels:
                choices = ", ".join(enhancer.tap_channels)
                raise ValueError(f"{name} pairs: expected a {side} tap of {choices}, got {tap}")
    return Term(name, weight, pairs, method([_pair(*taps, student, teacher) for taps in pairs], **arguments))


def _pair(of_student: str, of_teacher: str, student: Any, teacher: Any) -> Pair:
    """Outputs of one meaning are aligned; features inside two networks have no common order."""
    meaning = student.output_meaning(of_student)
    aligned = meaning is not None and meaning == teacher.output_meaning(of_teacher)
    return Pair(student.tap_channels[of_student], teacher.tap_channels[of_teacher], aligned)
