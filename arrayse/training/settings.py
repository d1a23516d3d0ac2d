"""What a training is told: settings and phases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

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
