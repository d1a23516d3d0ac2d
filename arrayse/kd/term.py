"""A named, weighted loss between taps of two networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from arrayse.frontend.stft import Stft
from arrayse.kd.base import DistillationLoss, Pair
from arrayse.kd.methods import build_loss, method_of

OUTPUTS = ("wave", "spec")
"""Taps that every enhancer has and a clean target too."""


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
    loss: dict[str, Any],
    weight: float,
    pairs: list[tuple[str, str]] | None,
    student: Any,
    teacher: Any,
) -> Term:
    """Builds a term for two enhancers from what they declare of their taps.

    Args:
        name: of the term.
        loss: ``name`` of :data:`arrayse.kd.METHODS` and the arguments of that class.
        weight: factor of the term.
        pairs: taps; None: the method's own, on both sides.
        student: enhancer.
        teacher: enhancer.

    Raises:
        ValueError: a tap that does not exist, a wrong number of pairs, taps that lie in different time-frequency grids,
            or what the method refuses.
    """
    method = method_of(loss)
    try:
        usual = method.default_pairs(loss)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
    pairs = usual if pairs is None else pairs
    if not pairs or (len(pairs) != len(usual) and not method.any_number):
        number = "at least one" if method.any_number else str(len(usual))
        raise ValueError(
            f"{name} pairs: expected {number} for {', '.join(pair[0] for pair in usual)}, got {len(pairs)}"
        )
    for of_student, of_teacher in pairs:
        for side, tap, enhancer in (("student", of_student, student), ("teacher", of_teacher, teacher)):
            if tap not in enhancer.tap_channels:
                choices = ", ".join(enhancer.tap_channels)
                raise ValueError(f"{name} pairs: expected a {side} tap of {choices}, got {tap}")
    if any(set(pair) != {"wave"} for pair in pairs):
        check_grid(student.stft, teacher.stft, name)
    try:
        built = build_loss(loss, [_pair(*taps, student, teacher) for taps in pairs])
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
    for view in built.target_views:
        if pairs[view.tap][0] not in OUTPUTS:
            raise ValueError(
                f"{name} pairs: expected one of {', '.join(OUTPUTS)}, which the clean target has too, got "
                f"{pairs[view.tap][0]}"
            )
    return Term(name, weight, pairs, built)


def check_grid(student: Stft, teacher: Stft, term: str) -> None:
    """Raises ValueError unless features of two networks lie in one time-frequency grid."""
    keys = ("n_fft", "win_length", "hop_length", "window", "synthesis_length")
    told = []
    for key in keys:
        attribute = "kind" if key == "window" else key
        expected, got = getattr(teacher, attribute), getattr(student, attribute)
        if expected != got:
            told.append(f"stft.{key} {expected} as the teacher has, got {got}")
    if told:
        hint = "only losses on the tap wave compare any two networks"
        raise ValueError(f"{term} pairs: expected {', '.join(told)}: {hint}")


def _pair(of_student: str, of_teacher: str, student: Any, teacher: Any) -> Pair:
    """Outputs of one meaning are aligned; features inside two networks have no common order."""
    meaning = student.output_meaning(of_student)
    aligned = meaning is not None and meaning == teacher.output_meaning(of_teacher)
    return Pair(student.tap_channels[of_student], teacher.tap_channels[of_teacher], aligned)
