"""Curves for TensorBoard, from the optional package of that name."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def summary_writer() -> Any:
    """The class that writes event files.

    Raises:
        RuntimeError: the package is missing.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise RuntimeError("tensorboard: expected the package, got none: pip install 'arrayse[track]'") from None
    return SummaryWriter


def write_tensorboard(run: Path, step: int, row: dict[str, Any]) -> None:
    """Adds the numbers of an epoch (a line of ``metrics.jsonl``) to the event files of a run."""
    with summary_writer()(str(run / "tensorboard")) as writer:
        for name, value in ((f"{group}/{name}", v) for group in ("train", "valid") for name, v in row[group].items()):
            writer.add_scalar(name, value, step)
