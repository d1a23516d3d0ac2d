"""STOI and ESTOI beside the package that they are held against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from arrayse.metrics.speed import compare_speed
from arrayse.profile.cost import one_thread
from arrayse.training.processes import keep_freed_memory


def benchmark_metrics(values: dict[str, Any], say: Callable[[str], None]) -> str:
    """Measures both; returns the table as Markdown; lines are said as they come."""
    with one_thread():
        keep_freed_memory()
        return compare_speed(values["repeats"], say)
