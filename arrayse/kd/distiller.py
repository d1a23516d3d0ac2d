"""Distillation as an objective: any loss, any pair of taps, any two enhancers of one array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from arrayse.objectives import Batch, Objective

RESERVED = ("loss", "supervised")
"""Names that :meth:`Distillation.forward` gives to other parts."""


OUTPUT_TAPS = {"linear", "mask", "spec"}
"""Taps whose channels belong to microphones."""


@dataclass(frozen=True)
class Term:
    """One named term.

    Attributes:
        name: in logs and in the equation.
        weight: factor.
        pairs: taps (student's, teacher's) that the loss compares, in the order that it wants.
        loss: takes two lists of features; may own parameters, which are then trained with the student.
    """

    name: str
    weight: float
    pairs: list[tuple[str, str]]
    loss: nn.Module


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
        arguments: of the method, channels aside.
        weight: factor of the term.
        pairs: taps; None: the method's own, on both sides.
        student: enhancer.
        teacher: enhancer.

    Raises:
        ValueError: a tap that does not exist, or a wrong number of pairs.
    """
    pairs = [(tap, tap) for tap in method.taps] if pairs is None else pairs
    if len(pairs) != len(method.taps):
        wanted = f"{len(method.taps)} for {', '.join(method.taps)}"
        raise ValueError(f"{name} pairs: expected {wanted}, got {len(pairs)}")
    for of_student, of_teacher in pairs:
        for side, tap, enhancer in (("student", of_student, student), ("teacher", of_teacher, teacher)):
            if tap not in enhancer.tap_channels:
                choices = ", ".join(enhancer.tap_channels)
                raise ValueError(f"{name} pairs: expected a {side} tap of {choices}, got {tap}")
    for of_student, of_teacher in pairs:
        check_same_microphones(name, of_student, of_teacher, student, teacher)
    channels = [(student.tap_channels[s], teacher.tap_channels[t]) for s, t in pairs]
    return Term(name, weight, pairs, method(channels, **arguments))


class Distillation(Objective):
    """supervised_weight · supervised + (1 − supervised_weight) · Σ weight · term.

    The teacher is frozen, runs without gradients, and is neither saved nor trained with the student. The
    terms are computed in 32 bits also under autocast: differences of Gram matrices drown in the rounding of
    16 bits.

    Args:
        student: enhancer.
        loss: supervised loss.
        teacher: enhancer on the same array; it may hear other microphones.
        terms: what the student is to take over.
        supervised_weight: a of Metzger et al. 2025, from 0 (distillation only) to 1.

    Raises:
        ValueError: transforms, rates or arrays of the two do not match; names or weights that cannot be used.
    """

    def __init__(
        self, student: Any, loss: nn.Module, teacher: Any, terms: list[Term], supervised_weight: float
    ) -> None:
        super().__init__(student, loss)
        check_compatible(student, teacher)
        check_terms(terms, supervised_weight)
        teacher.requires_grad_(False).eval()
        self._teacher = (teacher,)  # in a tuple, so that it is no part of the state to save
        self.terms = terms
        self.losses = nn.ModuleDict({term.name: term.loss for term in terms})
        self.supervised_weight = supervised_weight

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """``loss``, ``supervised``, and each term by its name, without weights."""
        student = self.student(batch.noisy)
        with torch.no_grad():
            teacher = self._teacher[0].to(batch.noisy.device)(batch.noisy)
        parts = {"supervised": self.supervised(student, batch)}
        distilled = torch.zeros((), device=batch.noisy.device)
        for term in self.terms:
            of_student = [student.taps[name].float() for name, _ in term.pairs]
            of_teacher = [teacher.taps[name].float() for _, name in term.pairs]
            with torch.autocast(batch.noisy.device.type, enabled=False):
                parts[term.name] = term.loss(of_student, of_teacher)
            distilled = distilled + term.weight * parts[term.name]
        loss = self.supervised_weight * parts["supervised"] + (1 - self.supervised_weight) * distilled
        return {"loss": loss, **parts}

    def equation(self) -> str:
        """The total loss in one line, for people."""
        terms = " + ".join(f"{term.weight:g} {term.name}" for term in self.terms)
        weight = self.supervised_weight
        return f"loss = {weight:g} {super().equation()} + {1 - weight:g} ({terms})"


def check_compatible(student: Any, teacher: Any) -> None:
    """Raises ValueError unless both see the same recordings in the same time-frequency grid."""
    for name in ("n_fft", "hop_length", "kind"):
        expected, got = getattr(teacher.stft, name), getattr(student.stft, name)
        if expected != got:
            raise ValueError(f"student stft {name}: expected {expected} as the teacher has, got {got}")
    if student.sample_rate != teacher.sample_rate:
        rates = f"expected {teacher.sample_rate} as the teacher has, got {student.sample_rate}"
        raise ValueError(f"student sample_rate: {rates}")
    if student.geometry.to_dict() != teacher.geometry.to_dict():
        raise ValueError(
            f"array: expected the teacher's ({teacher.geometry.name}, {teacher.geometry.n_mics} mics), "
            f"got another ({student.geometry.name}, {student.geometry.n_mics} mics)"
        )


def check_same_microphones(name: str, of_student: str, of_teacher: str, student: Any, teacher: Any) -> None:
    """Raises ValueError if the channels of two output taps agree in number but belong to different microphones.

    Where the numbers differ, a loss trains an adapter; features inside the networks belong to no microphone.
    """
    if {of_student, of_teacher} <= OUTPUT_TAPS:
        expected, got = (side.output_mics(tap) for side, tap in ((teacher, of_teacher), (student, of_student)))
        if len(expected) == len(got) and expected != got:
            raise ValueError(
                f"{name} pairs: expected outputs for the teacher's microphones {expected}, got {got}: "
                "match features inside the networks instead, such as time_lstm"
            )


def check_terms(terms: list[Term], supervised_weight: float) -> None:
    """Raises ValueError unless the terms have usable names and weights that leave something to minimise."""
    names = [term.name for term in terms]
    for name in names:
        taken = name in RESERVED or names.count(name) > 1 or hasattr(nn.ModuleDict(), name)
        if taken or not name or "." in name:
            raise ValueError(f"term: expected a name of its own without dots, got {name!r}")
    for term in terms:
        if not term.weight >= 0:
            raise ValueError(f"{term.name} weight: expected 0 or more, got {term.weight}")
    if not 0 <= supervised_weight <= 1:
        raise ValueError(f"supervised_weight: expected 0 to 1, got {supervised_weight}")
    if supervised_weight < 1 and not any(term.weight > 0 for term in terms):
        raise ValueError("terms: expected one with a positive weight, got none")
