"""What a training step minimises: a batch in, named terms out. Distillation lies in ``kd``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from arrayse.losses import si_sdr_db


@dataclass(frozen=True)
class Batch:
    """Scenes for one step.

    Attributes:
        noisy: (batch, all mics of the array, n_samples).
        target: same shape.
        ids: the scenes.
        snr_db: (batch,).
        keys: scene, crop and SNR of each item in words: equal keys are equal waves.
    """

    noisy: Tensor
    target: Tensor
    ids: list[str]
    snr_db: Tensor
    keys: list[str]

    def to(self, device: torch.device) -> Batch:
        """The same scenes on a device."""
        waves = (self.noisy.to(device), self.target.to(device))
        return Batch(*waves, self.ids, self.snr_db.to(device), self.keys)

    def items(self, numbers: list[int]) -> Batch:
        """Some of the items."""
        ids, keys = ([names[number] for number in numbers] for names in (self.ids, self.keys))
        return Batch(self.noisy[numbers], self.target[numbers], ids, self.snr_db[numbers], keys)


class Objective(nn.Module):
    """A student and what it is asked for. Subclasses add terms in :meth:`forward`.

    Args:
        student: the enhancer that is trained.
        loss: one of :data:`arrayse.losses.LOSSES`.
    """

    def __init__(self, student: nn.Module, loss: nn.Module) -> None:
        super().__init__()
        self.student: Any = student
        self.supervised_loss = loss

    def supervised(self, enhanced: Any, batch: Batch) -> Tensor:
        """The supervised loss of what the student made of a batch."""
        target = batch.target[:, self.student.ref_mic]
        return self.supervised_loss(enhanced.wave, enhanced.spec[:, 0], target, self.student.stft(target))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """``loss``, and the terms that it is made of."""
        raise TypeError("Objective: expected Supervised or Distillation, got the bare class")

    def equation(self) -> str:
        """The total loss in one line, for people."""
        return type(self.supervised_loss).__name__

    def histograms(self) -> dict[str, list[int]]:
        """What was counted since :meth:`reset_histograms`; logged at the end of every epoch."""
        return {}

    def reset_histograms(self) -> None:
        """Counts from nothing again."""

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        """Sums over the items of a batch, the same for every objective so that runs compare.

        Returns:
            ``loss``: the supervised loss; ``si_sdr_gain``: SI-SDR over that of the noisy reference, in dB.
        """
        enhanced = self.student(batch.noisy)
        ref = self.student.ref_mic
        target = batch.target[:, ref]
        gain = si_sdr_db(enhanced.wave, target) - si_sdr_db(batch.noisy[:, ref], target)
        n_items = len(batch.ids)
        return {"loss": self.supervised(enhanced, batch) * n_items, "si_sdr_gain": gain.sum()}


class Supervised(Objective):
    """The supervised loss alone."""

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """``loss`` alone."""
        return {"loss": self.supervised(self.student(batch.noisy), batch)}

    def equation(self) -> str:
        """The total loss in one line, for people."""
        return f"loss = {super().equation()}"
