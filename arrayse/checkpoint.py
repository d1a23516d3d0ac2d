"""Weights as safetensors, everything else as JSON: loading a checkpoint runs no code.

A run folder holds ``model.json`` (what to build), ``model.safetensors`` (its best weights) and
``training.safetensors`` (weights, optimiser and counters, from which an unfinished run goes on exactly).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from arrayse.files import one_line, read_json, write_json, write_whole
from arrayse.models import Enhancer, build_enhancer

MODEL, WEIGHTS, TRAINING = "model.json", "model.safetensors", "training.safetensors"
ADAM_SLOTS = ("step", "exp_avg", "exp_avg_sq")


def save_description(run: Path, description: dict[str, Any]) -> None:
    """Writes the arguments of :func:`arrayse.models.build_enhancer`."""
    write_json(run / MODEL, description)


def save_weights(run: Path, enhancer: nn.Module) -> None:
    """Writes the weights of an enhancer whole."""
    weights = {name: value.detach().cpu().contiguous() for name, value in enhancer.state_dict().items()}
    _write_bytes(run / WEIGHTS, save(weights))


def load_weights(run: Path, enhancer: nn.Module) -> None:
    """Loads weights into an enhancer of the same form.

    Raises:
        ValueError: no weights there, a damaged file, or weights of another form.
    """
    path = run / WEIGHTS
    weights = _read_tensors(path)
    try:
        enhancer.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{path}: expected the weights of {run / MODEL}, got {one_line(error)}") from None


def load_enhancer(run: Path) -> Enhancer:
    """Builds the enhancer of a run with its best weights.

    Raises:
        ValueError: no run there, or files that do not fit together.
    """
    if not (run / MODEL).is_file():
        raise ValueError(f"run: expected a folder that arrayse train or distill wrote, got {run} without {MODEL}")
    description = read_json(run / MODEL, "run")
    try:
        enhancer = build_enhancer(**description)
    except (TypeError, AttributeError, ArithmeticError, RuntimeError) as error:  # of wrong types and sizes
        raise ValueError(f"{run / MODEL}: expected what builds an enhancer, got {one_line(error)}") from None
    load_weights(run, enhancer)
    return enhancer.eval()


def fingerprint(run: Path) -> str:
    """SHA-256 of all that decides what the enhancer of a run computes: description and weights.

    Raises:
        ValueError: no enhancer there.
    """
    for path in (run / MODEL, run / WEIGHTS):
        if not path.is_file():
            raise ValueError(
                f"run: expected a folder that arrayse train or distill wrote, got {run} without {path.name}"
            )
    return hashlib.sha256((run / MODEL).read_bytes() + (run / WEIGHTS).read_bytes()).hexdigest()


def save_training(
    run: Path, weights: dict[str, Tensor], optimizer: torch.optim.Optimizer, state: dict[str, Any]
) -> None:
    """Writes everything that a run needs to go on as if it had never stopped, in one file.

    Args:
        run: folder.
        weights: of the objective: the student, and what its losses own.
        optimizer: Adam.
        state: counters as plain values.
    """
    tensors = {f"weights/{name}": value.detach().cpu().contiguous() for name, value in weights.items()}
    for index, slots in optimizer.state_dict()["state"].items():
        for slot, value in slots.items():
            tensors[f"optimizer/{index}/{slot}"] = torch.as_tensor(value).detach().cpu().contiguous()
    metadata = {"state": json.dumps(state)}
    _write_bytes(run / TRAINING, save(tensors, metadata))


def read_training_state(run: Path) -> Any | None:
    """The counters of an unfinished or finished training as plain values; None if there is none.

    Raises:
        ValueError: a damaged file.
    """
    path = run / TRAINING
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            return json.loads(file.metadata()["state"])
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected a training checkpoint, got {one_line(error)}") from None


def is_finished(run: Path) -> bool:
    """Whether a training in this folder has come to its end."""
    state = read_training_state(run)
    return state is not None and state.get("finished") is True


def load_training(run: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Loads weights and optimiser state that :func:`save_training` wrote.

    Raises:
        ValueError: a damaged file, or one of another training.
    """
    path = run / TRAINING
    tensors = _read_tensors(path)
    weights = {name.removeprefix("weights/"): v for name, v in tensors.items() if name.startswith("weights/")}
    parameters = optimizer.param_groups[0]["params"]
    try:
        module.load_state_dict(weights)
        slots = _adam_slots(tensors, parameters)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{path}: expected the checkpoint of this training, got {one_line(error)}") from None
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})


def _adam_slots(tensors: dict[str, Tensor], parameters: list[Tensor]) -> dict[int, dict[str, Tensor]]:
    """The slots of the parameters by their number; parameters without a gradient so far have none."""
    slots: dict[int, dict[str, Tensor]] = {}
    for index, parameter in enumerate(parameters):
        names = {slot: f"optimizer/{index}/{slot}" for slot in ADAM_SLOTS}
        found = {slot: tensors.pop(name) for slot, name in names.items() if name in tensors}
        if found:
            shapes = [parameter.shape if slot != "step" else torch.Size() for slot in ADAM_SLOTS]
            if len(found) < len(names) or [value.shape for value in found.values()] != shapes:
                raise ValueError(f"optimiser state of another form for parameter {index}")
            slots[index] = found
    if unknown := [name for name in tensors if not name.startswith("weights/")]:
        raise ValueError(f"unknown tensors {', '.join(unknown)}")
    return slots


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ValueError(f"weights: expected a file {path}, got none")
    try:
        return load_file(path)
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path}: expected safetensors, got {one_line(error)}") from None


def _write_bytes(path: Path, content: bytes) -> None:
    """Not safetensors' own writer, which gives files that only their owner can read."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_whole(path, write)
