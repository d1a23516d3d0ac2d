"""Distillation as an objective: any loss, any pair of taps, any number of teachers that know the student's array."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from arrayse.kd.teacher import Teacher
from arrayse.kd.term import Term
from arrayse.kd.views import KINDS, look
from arrayse.objectives import Batch, Objective

RESERVED = ("loss", "supervised")
"""Names that :meth:`Distillation.forward` gives to other parts."""


class Distillation(Objective):
    """supervised_weight · supervised + (1 − supervised_weight) · Σ teacher weight · Σ weight · term.

    Teachers are frozen, run without gradients or are read from disk, and are neither saved nor trained with it.
    The terms are computed in 32 bits also under autocast: differences of Gram matrices drown in the rounding of
    16 bits. A teacher that is asked about some items only gives terms that count 0 for the others.

    Args:
        student: enhancer.
        loss: supervised loss.
        teachers: who teaches what.
        supervised_weight: a of Metzger et al. 2025, from 0 (distillation only) to 1.

    Raises:
        ValueError: names or weights that cannot be used.
    """

    def __init__(self, student: Any, loss: nn.Module, teachers: list[Teacher], supervised_weight: float) -> None:
        super().__init__(student, loss)
        check_terms(teachers, supervised_weight)
        self.teachers = teachers
        self.losses = nn.ModuleDict({term.name: term.loss for teacher in teachers for term in teacher.terms})
        self.supervised_weight = supervised_weight

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """``loss``, ``supervised``, and each term by its name, without weights."""
        student = self.student(batch.noisy)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.supervised_weight > 0):
            parts = {"supervised": self.supervised(student, batch)}
        loss = self.supervised_weight * parts["supervised"]
        for teacher in self.teachers:
            chosen = teacher.chosen(batch)
            views = teacher.views(batch.items(chosen)) if chosen else {}
            for term in teacher.terms:
                parts[term.name] = self._term(term, student.taps, views, chosen, batch)
                loss = loss + (1 - self.supervised_weight) * teacher.weight * term.weight * parts[term.name]
        return {"loss": loss, **parts}

    def equation(self) -> str:
        """The total loss in one line, for people."""
        weight, several = self.supervised_weight, len(self.teachers) > 1
        told = " + ".join(
            f"{teacher.weight:g} {teacher.name}{_range(teacher)} {teacher.equation()}" for teacher in self.teachers
        )
        distilled = f"({told})" if several else self.teachers[0].equation()
        return f"loss = {weight:g} {super().equation()} + {1 - weight:g} {distilled}"

    def _term(
        self, term: Term, taps: dict[str, Tensor], views: dict[tuple[str, str], Tensor], chosen: list[int], batch: Batch
    ) -> Tensor:
        """A term over the chosen items, times their share of the batch."""
        if not chosen:
            return torch.zeros((), device=batch.noisy.device)
        with torch.autocast(batch.noisy.device.type, enabled=False):
            of_student = [taps[name].float() for name, _ in term.pairs]
            if len(chosen) < len(batch.ids):
                of_student = [feature[chosen] for feature in of_student]
            seen = [look(term.loss.views, of_student), [views[view] for view in term.views_of_teacher()]]
            if term.loss.target_views:
                seen.append(self._of_target(term, batch.items(chosen)))
            return len(chosen) / len(batch.ids) * term.loss(*seen)

    def _of_target(self, term: Term, batch: Batch) -> list[Tensor]:
        """The views that a loss takes of the clean target, as a perfect student would leave it in its taps."""
        wave = batch.target[:, self.student.ref_mic]
        taps = {view.tap: term.pairs[view.tap][0] for view in term.loss.target_views}
        features = {number: self.student.tap_of_target(tap, wave) for number, tap in taps.items()}
        return [KINDS[view.kind](features[view.tap]) for view in term.loss.target_views]

    def histograms(self) -> dict[str, list[int]]:
        """What the losses have counted, by ``term.what``."""
        counted = {term.name: term.loss.histograms() for teacher in self.teachers for term in teacher.terms}
        return {f"{name}.{what}": counts for name, each in counted.items() for what, counts in each.items()}

    def reset_histograms(self) -> None:
        """Counts from nothing again."""
        for teacher in self.teachers:
            for term in teacher.terms:
                term.loss.reset_histograms()


def check_compatible(student: Any, teacher: Any, name: str = "the teacher") -> None:
    """Raises ValueError unless student and teacher hear the same recordings."""
    if student.sample_rate != teacher.sample_rate:
        rates = f"expected {teacher.sample_rate} as {name} has, got {student.sample_rate}"
        raise ValueError(f"student sample_rate: {rates}")
    if student.geometry.positions.tolist() != teacher.geometry.positions.tolist():
        raise ValueError(
            f"array: expected {name}'s ({teacher.geometry.name}, {teacher.geometry.n_mics} mics), "
            f"got another ({student.geometry.name}, {student.geometry.n_mics} mics)"
        )


def check_terms(teachers: list[Teacher], supervised_weight: float) -> None:
    """Raises ValueError unless the terms have usable names and weights that leave something to minimise."""
    terms = [term for teacher in teachers for term in teacher.terms]
    names = [term.name for term in terms]
    for name in names:
        taken = name in RESERVED or names.count(name) > 1 or hasattr(nn.ModuleDict(), name)
        if taken or not name or "." in name:
            raise ValueError(f"term: expected a name of its own without dots, got {name!r}")
    for name, weight in [(part.name, part.weight) for part in terms] + [(part.name, part.weight) for part in teachers]:
        if not weight >= 0:
            raise ValueError(f"{name} weight: expected 0 or more, got {weight}")
    if not 0 <= supervised_weight <= 1:
        raise ValueError(f"supervised_weight: expected 0 to 1, got {supervised_weight}")
    silent = all(teacher.weight * term.weight == 0 for teacher in teachers for term in teacher.terms)
    if supervised_weight < 1 and silent:
        raise ValueError("terms: expected a positive weight of one and of its teacher, got none")


def _range(teacher: Teacher) -> str:
    return "" if teacher.snr_db is None else f" [{teacher.snr_db[0]:g} to {teacher.snr_db[1]:g} dB]"
