"""What the verbs share."""

from __future__ import annotations

from typing import Any

CONFIG = "config.yaml"
"""The resolved configuration, in every folder that a verb makes."""

Values = dict[str, Any]
"""Of a configuration."""
