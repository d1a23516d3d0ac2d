"""What the verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from arrayse.checkpoint import MODEL
from arrayse.config import ConfigError
from arrayse.mixture import Dataset, open_dataset

CONFIG = "config.yaml"
"""The resolved configuration, in every folder that a verb makes."""

NETWORK_KEYS = ("model", "stft", "features", "mics", "ref_mic")
"""Of a training: what makes its network, and what the weights of a run belong to."""

Values = dict[str, Any]
"""Of a configuration."""


def is_run(name: str) -> bool:
    """Whether a name that people gave is a run folder: one with a network in it."""
    return (Path(name).expanduser() / MODEL).is_file()


def teller(console: Console) -> Callable[[str], None]:
    """Prints what a verb says as it stands: taps such as ``[linear]`` are no markup."""
    return lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True)


def open_data(folder: Path) -> Dataset:
    """The dataset in a folder that people named.

    Raises:
        ValueError: no such folder, or one without a dataset.
    """
    if not folder.is_dir():
        raise ConfigError(f"dataset: expected a folder that arrayse simulate wrote, got {folder}: no such folder")
    return open_dataset(folder)
