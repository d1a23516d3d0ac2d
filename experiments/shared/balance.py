"""Weights of distillation terms by one rule for all methods, so that none is tuned and none drowns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from arrayse.checkpoint import load_enhancer
from arrayse.config import read_config
from arrayse.data import SceneReader, Share, epoch_batches
from arrayse.mixture import open_dataset
from arrayse.phases import distillation_plan
from arrayse.train import FitSettings

N_BATCHES = 8
"""Training batches that gradients are averaged over."""


def balanced_weight(arguments: list[str], student: Path) -> float:
    """The weight with which a term's gradient is as large as that of the supervised loss.

    Both are taken at the weights of a student that was trained without a teacher, over training batches.

    Args:
        arguments: of ``arrayse distill``, with one term.
        student: run of that student.

    Returns:
        Ratio of the mean norms, rounded to two figures.
    """
    values: dict[str, Any] = read_config("distill", arguments)
    values["distill"]["cache"] = None  # whoever fills one claims it first
    dataset, settings = open_dataset(Path(values["data"])), FitSettings(**values["fit"])
    torch.manual_seed(0)
    objective = distillation_plan(values, load_enhancer(student), dataset, settings).phases[0].objective.train()
    (name,) = values["distill"]["terms"]
    reader = SceneReader(dataset, "train", settings.snr_db, settings.seconds, values["seed"], draws=settings.draws)
    weights, norms = list(objective.student.parameters()), {"supervised": 0.0, name: 0.0}
    for batch in epoch_batches(reader, reader.entries(), settings.batch_size, 0, range(N_BATCHES), Share()):
        parts = objective(batch)
        for key in norms:
            gradients = torch.autograd.grad(parts[key], weights, retain_graph=True, allow_unused=True)
            squares = [gradient.square().sum() for gradient in gradients if gradient is not None]
            norms[key] += float(torch.stack(squares).sum().sqrt())
    return float(f"{norms['supervised'] / norms[name]:.2g}")
