"""How fast the networks of an evaluation are: beside its summary, in which only the provenance tells the time."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from arrayse.checkpoint import load_enhancer
from arrayse.files import read_json, write_json
from arrayse.profile.cost import real_time_factor
from arrayse.statistics import group_seeds

SPEED = "speed.json"


def measure_speed(out: Path, runs: dict[str, Path]) -> dict[str, Any]:
    """Times every network once, the first of several trainings, and writes ``speed.json``; what is there stays.

    Args:
        out: folder of the evaluation.
        runs: run folders by name.

    Returns:
        ``real_time_factor`` and ``seconds`` by system, see :class:`arrayse.profile.cost.Timing`.
    """
    path = out / SPEED
    measured: dict[str, Any] = read_json(path, "speed") if path.is_file() else {}
    for system, names in group_seeds(runs).items():
        if system not in measured:
            first = runs[next(iter(names.values()))]
            measured[system] = asdict(real_time_factor(load_enhancer(first)))
            write_json(path, measured)
    return measured
