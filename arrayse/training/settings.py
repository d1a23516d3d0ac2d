"""What a training is made of: settings, phases, the counters of where it stands, and how it is stopped."""

from __future__ import annotations

import math
import signal
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Len

from arrayse.objectives import Objective


@dataclass(frozen=True)
class FitSettings:
    """How to train.

    Attributes:
        batch_size: items (crops of scenes) of a step over all processes.
        seconds: length of the training crops; whole scenes if they are shorter.
        snr_db: range in dB that the SNR of an item is drawn from.
        draws: different crops and SNRs of each scene, the same for every seed; None: new ones in every epoch.
        epoch_steps: steps of an epoch, on scenes chosen at random; None: as many as there are full batches.
        learning_rate: that of Adam at the start of each phase.
        schedule: of the learning rate: ``cosine`` to 1 % over the phase, ``plateau``, or ``constant``.
        plateau_patience: epochs without improvement before ``plateau`` lowers the learning rate.
        plateau_factor: what ``plateau`` multiplies the learning rate by.
        gradient_clip: largest norm of the gradient.
        precision: ``bfloat16`` autocast, ``float32``, or ``auto``: the former where the hardware has it.
        checkpoint_steps: steps between checkpoints inside an epoch.
        tensorboard: also write event files (extra ``track``).

    Raises:
        ValueError: an SNR range that ends below its start.
    """

    batch_size: Annotated[int, Ge(1)] = 4
    seconds: Annotated[float, Gt(0)] = 3.0
    snr_db: Annotated[list[float], Len(2, 2)] = field(default_factory=lambda: [-5.0, 15.0])
    draws: Annotated[int, Ge(1)] | None = None
    epoch_steps: Annotated[int, Ge(1)] | None = None
    learning_rate: Annotated[float, Gt(0), Le(1)] = 1e-3
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    plateau_patience: Annotated[int, Ge(1)] = 3
    plateau_factor: Annotated[float, Gt(0), Le(1)] = 0.5
    gradient_clip: Annotated[float, Gt(0)] = 5.0
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    checkpoint_steps: Annotated[int, Ge(1)] = 200
    tensorboard: bool = False

    def __post_init__(self) -> None:
        if self.snr_db[0] > self.snr_db[1]:
            raise ValueError(f"snr_db: expected the lowest and the highest SNR, got {self.snr_db}")


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one objective; each starts with a fresh optimiser and the full learning
    rate.

    Attributes:
        name: shown and logged.
        objective: what is minimised.
        epochs: how many at most.
        patience: epochs without a better validation loss after which the phase ends; None: never early.
    """

    name: str
    objective: Objective
    epochs: int
    patience: int | None = None


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


class StoppedBySignal(Exception):
    """A long job was asked to stop and has saved where it stands.

    Attributes:
        exit_code: what the process is to exit with: 128 + the signal's number (143 for SIGTERM, 130 for
            SIGINT).
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}: the same command goes on from here")
        self.exit_code = 128 + number


class SignalFlag:
    """Remembers SIGTERM and SIGINT while the block runs; a second SIGINT stops at once.

    A signal that is ignored stays so: a shell that starts a job in the background has it ignore Ctrl-C.

    Attributes:
        number: the signal that came last; None while there was none.
    """

    def __init__(self) -> None:
        self.number: int | None = None

    def __enter__(self) -> SignalFlag:
        numbers = [each for each in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(each) is not signal.SIG_IGN]
        self.before = {number: signal.signal(number, self._remember) for number in numbers}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: object) -> None:
        if self.number == signal.SIGINT == number:
            raise KeyboardInterrupt
        self.number = number
