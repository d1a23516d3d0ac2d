"""Where a training stands, and the learning rate that belongs to it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from arrayse.training.settings import FitSettings, Phase

REFUSED = "_refused"
"""Where :attr:`State.sums` counts the steps that add to no other sum."""


@dataclass
class State:
    """Where a training stands: everything but tensors.

    Attributes:
        phase: number of the phase.
        epoch: epochs of the phase that are done.
        step: steps of the epoch that are done.
        total_epochs: epochs of all phases that are done.
        best: lowest validation loss of the phase.
        stale_epochs: epochs of the phase since it last improved.
        reductions: how often ``plateau`` has lowered the learning rate in this phase.
        bad_steps: steps in a row that were not finite.
        sums: sums over the steps of the epoch, by term.
        n_metrics: lines of the metrics file that belong to this state.
        finished: whether nothing is left to do.
    """

    phase: int = 0
    epoch: int = 0
    step: int = 0
    total_epochs: int = 0
    best: float = math.inf
    stale_epochs: int = 0
    reductions: int = 0
    bad_steps: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    n_metrics: int = 0
    finished: bool = False

    def add(self, name: str, value: float) -> None:
        """Adds to a sum over the steps of the epoch."""
        self.sums[name] = self.sums.get(name, 0.0) + value

    def averages(self) -> dict[str, float]:
        """Means over the steps of the epoch so far, without those that were refused."""
        n_steps = self.step - self.sums.get(REFUSED, 0.0)
        return {name: value / n_steps for name, value in self.sums.items() if name != REFUSED}

    @classmethod
    def restore(cls, stored: Any) -> State:
        """The state that a checkpoint holds as plain values.

        Raises:
            ValueError: other names, types or signs than those of a state.
        """
        fresh = asdict(cls())
        known = isinstance(stored, dict) and {name: type(value) for name, value in stored.items()}
        counters = [name for name, value in fresh.items() if type(value) is int]
        if known != {name: type(value) for name, value in fresh.items()} or min(map(stored.get, counters)) < 0:
            raise ValueError(f"training state: expected values for {', '.join(fresh)}, got {str(stored)[:200]}")
        if not all(type(value) is float for value in stored["sums"].values()):
            raise ValueError(f"training state sums: expected numbers, got {str(stored['sums'])[:200]}")
        return cls(**stored)


def learning_rate(settings: FitSettings, phase: Phase, state: State, n_steps: int) -> float:
    """The rate of the next step of a phase whose epochs have ``n_steps`` steps."""
    if settings.schedule == "plateau":
        return settings.learning_rate * settings.plateau_factor**state.reductions
    if settings.schedule == "constant":
        return settings.learning_rate
    done = (state.epoch * n_steps + state.step) / (phase.epochs * n_steps)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
