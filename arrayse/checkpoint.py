"""Weights as safetensors, everything else as JSON: loading a checkpoint runs no code.

A run folder holds ``model.json`` (what to build) and ``model.safetensors`` (its best weights); while training also
``training.safetensors`` (weights, optimiser and counters, from which the run goes on exactly).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from arrayse.files import read_json, write_json, write_whole
from arrayse.models import Enhancer, build_enhancer

MODEL, WEIGHTS, TRAINING = "model.json", "model.safetensors", "training.safetensors"


def save_description(run: Path, description: dict[str, Any]) -> None:
    """Writes the arguments of :func:`arrayse.models.build_enhancer`."""
    write_json(run / MODEL, description)


def save_weights(run: Path, enhancer: nn.Module) -> None:
    """Writes the weights of an enhancer whole."""
    weights = {name: value.detach().cpu().contiguous() for name, value in enhancer.state_dict().items()}
    write_whole(run / WEIGHTS, lambda path: save_file(weights, path))


def load_weights(run: Path, enhancer: nn.Module) -> None:
    """Loads weights into an enhancer of the same form."""
    weights = _read_tensors(run / WEIGHTS)
    try:
        enhancer.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{run / WEIGHTS}: expected the weights of {run / MODEL}, got {_first_lines(error)}") from None


def load_enhancer(run: Path) -> Enhancer:
    """Builds the enhancer of a run with its best weights.

    Raises:
        ValueError: no run there, or files that do not fit together.
    """
    description = read_json(run / MODEL, "run")
    try:
        enhancer = build_enhancer(**description)
    except TypeError as error:
        raise ValueError(f"{run / MODEL}: expected the arguments of an enhancer, got {error}") from None
    load_weights(run, enhancer)
    return enhancer.eval()


def save_training(run: Path, weights: dict[str, Tensor], optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Writes everything that a run needs to go on as if it had never stopped, in one file."""
    tensors = {f"weights/{name}": value.detach().cpu().contiguous() for name, value in weights.items()}
    for index, slots in optimizer.state_dict()["state"].items():
        for slot, value in slots.items():
            tensors[f"optimizer/{index}/{slot}"] = torch.as_tensor(value).detach().cpu().contiguous()
    metadata = {"state": json.dumps(state)}
    write_whole(run / TRAINING, lambda path: save_file(tensors, path, metadata))


def read_training_state(run: Path) -> dict[str, Any] | None:
    """The counters of an unfinished or finished training; None if there is none."""
    path = run / TRAINING
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            return json.loads(file.metadata()["state"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected a training checkpoint, got {_first_lines(error)}") from None


def load_training(run: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Loads weights and optimiser state that :func:`save_training` wrote."""
    tensors = _read_tensors(run / TRAINING)
    weights = {name.removeprefix("weights/"): v for name, v in tensors.items() if name.startswith("weights/")}
    module.load_state_dict(weights)
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, index, slot = name.split("/")
            slots.setdefault(int(index), {})[slot] = value
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ValueError(f"weights: expected a file {path}, got none")
    try:
        return load_file(path)
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path}: expected safetensors, got {_first_lines(error)}") from None


def _first_lines(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
