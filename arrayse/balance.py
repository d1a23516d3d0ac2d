"""Weights of distillation terms by one rule for all losses, so that no term drowns and none drowns the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from arrayse.checkpoint import load_enhancer
from arrayse.data import SceneReader, Share, epoch_batches
from arrayse.mixture import open_dataset
from arrayse.phases import distillation_plan
from arrayse.train import FitSettings

N_BATCHES = 8
"""Training batches that gradients are averaged over."""


def balanced_weights(
    values: dict[str, Any], student: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, float]:
    """For each term the weight with which its gradient is as large as that of the supervised loss.

    Both are taken at the weights of a student that was trained without a teacher, over training batches: what a loss
    means for a student that has learnt something already. Losses have units of their own, and differ by factors of a
    thousand.

    Args:
        values: of a distill config, with teachers; a cache is not used.
        student: run of that student.
        progress: called with batches done and batches in all.

    Returns:
        Ratio of the mean norms of the gradients in the student's weights, rounded to two figures.

    Raises:
        ValueError: what :func:`arrayse.phases.distillation_plan` refuses, or a term without a gradient.
    """
    values = {**values, "distill": {**values["distill"], "cache": None}}  # whoever fills one claims it first
    dataset, settings = open_dataset(Path(values["data"])), FitSettings(**values["fit"])
    torch.manual_seed(0)
    objective = distillation_plan(values, load_enhancer(student), dataset, settings).phases[0].objective.train()
    objective.student.requires_grad_(True)
    reader = SceneReader(dataset, "train", settings.snr_db, settings.seconds, values["seed"], draws=settings.draws)
    weights, norms = list(objective.student.parameters()), dict[str, float]()
    n_batches = min(N_BATCHES, len(reader.entries()) // settings.batch_size)
    batches = epoch_batches(reader, reader.entries(), settings.batch_size, 0, range(n_batches), Share())
    for done, batch in enumerate(batches, start=1):
        parts = objective(batch)
        for name in parts.keys() - {"loss"}:
            gradients = torch.autograd.grad(parts[name], weights, retain_graph=True, allow_unused=True)
            squares = [gradient.square().sum() for gradient in gradients if gradient is not None]
            norms[name] = norms.get(name, 0.0) + (float(torch.stack(squares).sum().sqrt()) if squares else 0.0)
        progress(done, n_batches)
    for name, norm in norms.items():
        if norm == 0:
            raise ValueError(f"{name}: expected a gradient in the student, got none over {n_batches} batches")
    return {name: float(f"{norms['supervised'] / norm:.2g}") for name, norm in norms.items() if name != "supervised"}
