"""What the verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from arrayse.config import ConfigError
from arrayse.mixture import Dataset, open_dataset

CONFIG = "config.yaml"
"""The resolved configuration, in every folder that a verb makes."""

Values = dict[str, Any]
"""Of a configuration."""


def open_data(folder: Path) -> Dataset:
    """The dataset in a folder that people named.

    Raises:
        ValueError: no such folder, or one without a dataset.
    """
    if not folder.is_dir():
        raise ConfigError(f"dataset: expected a folder that arrayse simulate wrote, got {folder}: no such folder")
    return open_dataset(folder)
