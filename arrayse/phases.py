"""From the values of a train or distill config to the phases of a training: objectives and schedules."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from arrayse.config import ConfigError
from arrayse.config.places import placed_in_term
from arrayse.files import one_line
from arrayse.fresh import fresh_samples
from arrayse.kd import CachedViews, Distillation, Teacher, Term
from arrayse.kd.term import OUTPUTS
from arrayse.losses import LOSSES
from arrayse.mixture import Dataset
from arrayse.models import Enhancer
from arrayse.objectives import Batch, Objective, Supervised
from arrayse.teachers import Values, load_teachers
from arrayse.training.processes import Processes
from arrayse.training.settings import FitSettings, Phase


@dataclass(frozen=True)
class Plan:
    """What is to be trained.

    Attributes:
        phases: one after the other.
        teachers: who teaches.
        warnings: what can be trained, but is hardly meant.
    """

    phases: list[Phase]
    teachers: list[Teacher] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def equations(self) -> list[str]:
        """The total loss of every phase."""
        return [f"{phase.name}: {phase.objective.equation()}" for phase in self.phases]

    def notes(self) -> list[str]:
        """A line about every distillation term, for people, and the warnings."""
        return [*(_note(term) for teacher in self.teachers for term in teacher.terms), *self.warnings]


def supervised_plan(values: Values, student: Enhancer) -> Plan:
    """Supervised training; every phase after the first restarts optimiser and learning rate."""
    steps = _repeated("supervised", Supervised(student, _loss(values)), len(values["phase_epochs"] or [1]))
    return Plan(_phases(values, steps))


def distillation_plan(values: Values, student: Enhancer, dataset: Dataset, settings: FitSettings) -> Plan:
    """Distillation by the schedule of the config.

    Raises:
        ValueError: what :func:`arrayse.teachers.load_teachers` refuses; weights that leave nothing to minimise; another
            number of ``phase_epochs`` than the schedule has phases; no stored training scenes and no ``fresh`` ones.
    """
    teachers = load_teachers(values, student, dataset, settings)
    section, loss, epochs = values["distill"], _loss(values), values["phase_epochs"]
    fresh = values["fresh"] > 0
    n_samples = fresh_samples(dataset) if fresh else dataset.entries("train")[0].n_samples
    _try_terms(student, loss, teachers, settings, n_samples, section["terms"])
    try:
        alone, both = (Distillation(student, loss, teachers, a) for a in (0.0, section["supervised_weight"]))
    except ValueError as error:
        raise ConfigError(f"distill.{str(error).replace('term: ', 'terms: ', 1)}") from None
    supervised = Supervised(student, loss)
    steps: list[tuple[str, Objective]] = {
        "one_step": _repeated("distillation", both, len(epochs or [1])),
        "two_step": [("distillation", alone), ("supervised", supervised)],
        "three_step": [("distillation", alone), ("both", both), ("supervised", supervised)],
    }[section["schedule"]]
    if len(epochs or steps) != len(steps):
        wanted = f"expected {len(steps)} numbers for {section['schedule']}"
        raise ConfigError(f"phase_epochs: {wanted}, got {len(epochs)}")
    return Plan(_phases(values, steps), teachers, _open_level(values["loss"]["name"], teachers))


TRIED_SECONDS = 0.5
"""Length of the noise that losses of no fixed sizes are tried on."""


@torch.no_grad()
def _try_terms(
    student: Enhancer,
    loss: nn.Module,
    teachers: list[Teacher],
    settings: FitSettings,
    shortest: int,
    sections: dict[str, Values],
) -> None:
    """Computes every term once, on noise: what cannot be compared comes up before anything is written.

    Args:
        student: enhancer.
        loss: supervised loss.
        teachers: with their terms.
        settings: what a batch is like.
        shortest: samples of the shortest scene, which no crop is longer than.
        sections: of the terms in the config.

    Raises:
        ConfigError: what a loss refuses, or features whose shapes it cannot join.
    """
    losses = [term.loss for teacher in teachers for term in teacher.terms]
    n_items, seconds = max((loss.min_items for loss in losses), default=1), min(TRIED_SECONDS, settings.seconds)
    if any(loss.fixed_sizes for loss in losses):
        n_items, seconds = max(1, settings.batch_size // Processes().world), settings.seconds
    n_samples = min(round(seconds * student.sample_rate), shortest)
    generator, names = torch.Generator().manual_seed(0), [""] * n_items
    noisy, target = 0.1 * torch.randn(2, n_items, student.geometry.n_mics, n_samples, generator=generator)
    batch = Batch(noisy, target, names, torch.zeros(n_items), names)
    for teacher in teachers:
        live = teacher.source.live if isinstance(teacher.source, CachedViews) else teacher.source
        seen = live(batch, teacher.wanted())
        for term in teacher.terms:
            one = Teacher(teacher.name, lambda batch, wanted, seen=seen: seen, [term])
            key = key_of(term, teacher, sections)
            try:
                _try_term(Distillation(student, loss, [one], 0.0).eval(), term, batch)
            except ValueError as error:
                raise ConfigError(placed_in_term(str(error), key, sections[key])) from None


def key_of(term: Term, teacher: Teacher, sections: Collection[str]) -> str:
    """What a term is called in the config: of several teachers each has one, with its own name before that."""
    return term.name if term.name in sections else term.name.removeprefix(f"{teacher.name}_")


def _try_term(objective: Distillation, term: Term, batch: Batch) -> None:
    """Raises ValueError for what a loss refuses, and for features whose shapes it cannot join."""
    try:
        objective(batch)
    except RuntimeError as error:
        pairs = ", ".join(f"{of_student} → {of_teacher}" for of_student, of_teacher in term.pairs)
        raise ValueError(f"pairs: expected taps that can be compared ({pairs}), got {one_line(error)}") from None


def _open_level(loss: str, teachers: list[Teacher]) -> list[str]:
    """A warning about terms that compare levels which the supervised loss does not know."""
    terms = [term for teacher in teachers for term in teacher.terms]
    names = [term.name for term in terms if any(tap in OUTPUTS for pair in term.pairs for tap in pair)]
    if loss != "negative_si_sdr" or not names:
        return []
    better = "'loss={name: negative_snr}' does not"
    return [f"warning: loss negative_si_sdr leaves the level open that {', '.join(names)} compares; {better}"]


def _phases(values: Values, steps: list[tuple[str, Objective]]) -> list[Phase]:
    epochs = values["phase_epochs"] or [values["epochs"]] * len(steps)
    patience = [values["switch_patience"]] * (len(steps) - 1) + [values["patience"]]
    return [Phase(*step, *rest) for step, *rest in zip(steps, epochs, patience, strict=True)]


def _repeated(name: str, objective: Objective, times: int) -> list[tuple[str, Objective]]:
    return [(f"{name}, restart {number}" if number else name, objective) for number in range(times)]


def _loss(values: Values) -> Any:
    arguments = dict(values["loss"])
    return LOSSES[arguments.pop("name")](**arguments)


def _note(term: Term) -> str:
    pairs = ", ".join(student if student == teacher else f"{student} → {teacher}" for student, teacher in term.pairs)
    n_own = sum(parameter.numel() for parameter in term.loss.parameters() if parameter.requires_grad)
    own = f", {n_own:,} weights of its own that are trained" if n_own else ""
    return f"  {term.name}: {term.loss.formula()} [{pairs}]{own}"
