"""Runs of tiny networks: folders of teachers, checked configs of students, trainings by the command's function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from arrayse.checkpoint import save_description, save_weights
from arrayse.config import check_values
from arrayse.files import read_json_lines
from arrayse.schema import SCHEMAS
from arrayse.verbs.nets import run_train
from tests.tiny import NETWORKS, network, network_description

FRAMES = 202
"""Of a crop of 0.2 s at 16 kHz, in windows of 48 samples every 16."""


def saved(kind: str, run: Path) -> Path:
    """The folder of a run of one of the tiny networks."""
    run.mkdir(parents=True)
    save_description(run, network_description(kind))
    save_weights(run, network(kind, seed=1))
    return run


def values_of(
    data: Path, teacher: Path, out: Path, learns: str, terms: dict[str, Any], fit: Any = None, distill: Any = None
) -> dict[str, Any]:
    """A distill config for one of the tiny networks, checked.

    Args:
        data: dataset.
        teacher: run folder.
        out: run folder to come.
        learns: which network.
        terms: of the distillation.
        fit: more of that section.
        distill: likewise.
    """
    described = network_description(learns)
    plain = {
        "data": str(data),
        "out": str(out),
        "teacher": str(teacher),
        "model": NETWORKS[learns],
        "epochs": 2,
        "fit": {"batch_size": 2, "seconds": 0.2, "precision": "float32", "checkpoint_steps": 2, **(fit or {})},
        "distill": {"terms": terms, **(distill or {})},
        **{key: described[key] for key in ("stft", "features") if described[key]},
    }
    return check_values(SCHEMAS["distill"], plain)


def distil(values: dict[str, Any], on_step: Callable[[int], None] = lambda step: None) -> list[dict[str, Any]]:
    """Trains with one thread, telling how many steps this call has made, and returns the lines of metrics.jsonl."""
    steps = 0

    def progress(title: str, done: int, total: int, numbers: dict[str, float]) -> None:
        nonlocal steps
        if title != "validation" and "validation loss" not in numbers:  # the latter ends an epoch
            steps += 1
            on_step(steps)

    torch.set_num_threads(1)
    run_train(values, progress, lambda line: None)
    return list(read_json_lines(Path(values["out"]) / "metrics.jsonl"))
