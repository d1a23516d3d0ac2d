"""Weights of distillation terms by one rule for all losses, so that no term drowns and none drowns the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from arrayse.checkpoint import fingerprint, load_enhancer
from arrayse.config import ConfigError, flatten, read_config, read_yaml
from arrayse.data import SceneReader, Share, epoch_batches
from arrayse.kd import Teacher
from arrayse.objectives import Objective
from arrayse.phases import distillation_plan, key_of
from arrayse.training.settings import FitSettings
from arrayse.verbs.common import CONFIG, NETWORK_KEYS, Values
from arrayse.verbs.nets import build_readers, open_training_data

N_BATCHES = 8
"""Training batches that gradients are averaged over."""


def read_student(run: Path, arguments: list[str]) -> Values:
    """The values of a distillation of a student as it was trained: those of its own config come first.

    Args:
        run: of a student that was trained without a teacher.
        arguments: a distill config, teachers, and whatever else is to be as in no run.

    Raises:
        ConfigError: no such run, one that had a teacher, or arguments that change the network.
    """
    path, wanted = run / CONFIG, "expected a run folder of arrayse train"
    if not run.is_dir():
        raise ConfigError(f"balance: {wanted}, got {run}: no such folder")
    if not path.is_file():
        raise ConfigError(f"balance: {wanted}, got {run} without {CONFIG}")
    if "distill" in read_yaml(path):
        raise ConfigError(f"balance: {wanted}, trained without a teacher, got {run}, which was distilled")
    own = read_config("train", [str(path)])
    values = read_config("distill", [str(path), *arguments, "out=unused"])
    before, now = (flatten({key: each[key] for key in NETWORK_KEYS}) for each in (own, values))
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    told = [
        f"{key}: expected {_told(before.get(key))} as {run} has, whose gradients are asked for, got "
        f"{_told(now.get(key))}"
        for key in (keys[:1] if "model.name" in keys else keys)  # another network differs in everything
    ]
    if told:
        raise ConfigError("\n".join(told))
    return values


def _told(value: Any) -> str:
    return "null" if value is None else str(value)


def balanced_weights(
    values: dict[str, Any], student: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, float]:
    """For each term the weight with which its gradient is as large as that of the supervised loss.

    Both are taken at the weights of a student that was trained without a teacher, over training batches: what a loss
    means for a student that has learnt something already. Losses have units of their own, and differ by factors of a
    thousand. A term that several teachers share has one weight, by the sum of their gradients, each times the weight
    of its teacher.

    Args:
        values: of a distill config, with teachers; its schedule does not count, and a cache is not used.
        student: run of that student.
        progress: called with batches done and batches in all.

    Returns:
        Ratio of the mean norms of the gradients in the student's weights, rounded to two figures, by the name that the
        term has in the config.

    Raises:
        ValueError: what :func:`arrayse.phases.distillation_plan` refuses, the student as its own teacher, fewer scenes
            than a batch has, or a term without a gradient.
    """
    at_once = {"schedule": "one_step", "supervised_weight": 0.5}  # both have gradients
    # no cache: whoever fills one claims it first
    values = {**values, "phase_epochs": None, "distill": {**values["distill"], **at_once, "cache": None}}
    dataset, settings = open_training_data(values), FitSettings(**values["fit"])
    torch.manual_seed(0)
    plan = distillation_plan(values, load_enhancer(student), dataset, settings)
    for teacher in plan.teachers:
        if teacher.fingerprint == fingerprint(student):
            key = "teacher" if values["teachers"] is None else f"teachers.{teacher.name}.run"
            raise ConfigError(f"{key}: expected another network than the student, got {student} itself")
    objective = plan.phases[0].objective.train()
    objective.student.requires_grad_(True)
    reader, shares = build_readers(values, dataset, settings)[0], _shares(plan.teachers, values["distill"]["terms"])
    norms = _gradient_norms(objective, {"supervised": {"supervised": 1.0}, **shares}, reader, settings, progress)
    supervised = norms.pop("supervised")
    return {name: float(f"{supervised / norm:.2g}") for name, norm in norms.items()}


def _shares(teachers: list[Teacher], sections: Values) -> dict[str, dict[str, float]]:
    """For each term of a config its parts of the objective, with the weights of their teachers."""
    shares: dict[str, dict[str, float]] = {}
    for teacher in teachers:
        for term in teacher.terms:
            shares.setdefault(key_of(term, teacher, sections), {})[term.name] = teacher.weight
    return shares


def _gradient_norms(
    objective: Objective,
    sums: dict[str, dict[str, float]],
    reader: SceneReader,
    settings: FitSettings,
    progress: Callable[[int, int], None],
) -> dict[str, float]:
    """Norms of the gradients of weighted sums of parts of an objective in the student's weights, added over batches."""
    weights, norms = list(objective.student.parameters()), dict.fromkeys(sums, 0.0)
    entries = reader.entries()
    n_batches = min(N_BATCHES, len(entries) // settings.batch_size)
    if not n_batches:
        raise ConfigError(f"fit.batch_size: expected at most {len(entries)} (the scenes), got {settings.batch_size}")
    progress(0, n_batches)
    batches = epoch_batches(reader, entries, settings.batch_size, 0, range(n_batches), Share())
    for done, batch in enumerate(batches, start=1):
        parts = objective(batch)
        for name, factors in sums.items():
            total = torch.stack([factor * parts[part] for part, factor in factors.items()]).sum()
            gradients = torch.autograd.grad(total, weights, retain_graph=True, allow_unused=True)
            squares = [gradient.square().sum() for gradient in gradients if gradient is not None]
            norms[name] += float(torch.stack(squares).sum().sqrt()) if squares else 0.0
        progress(done, n_batches)
    for name, norm in norms.items():
        if norm == 0:
            key = "loss" if name == "supervised" else f"distill.terms.{name}"
            raise ValueError(f"{key}: expected a gradient in the student, got none over {n_batches} batches")
    return norms
