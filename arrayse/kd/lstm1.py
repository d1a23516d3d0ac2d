"""``lstm1``: in the output of the student's F-LSTM, frames resemble each other as they do in the teacher's."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from arrayse.kd.similarity import Flow, Pool, batch_gram, gram_distance


class Lstm1(nn.Module):
    """mean|G_S − G_T| with G = U U^T, U = mean over frequency of the F-LSTM's output, rows (batch·frame).

    Metzger et al., arXiv 2507.19208 (2025). ``paper`` is that: the Grams are not normalised, mix the utterances of a
    batch, and depend on the widths of the layers. ``normalised`` (ours): per utterance cosine Grams over time and over
    frequency, mean squared difference, mean over the flows and the items.

    Args:
        channels: channels of the student's and the teacher's tap; any, the Grams do not know them.
        form: ``paper`` or ``normalised``.
        flows: Grams of the normalised form.
        pool: of the normalised form, see :func:`arrayse.kd.similarity.cosine_gram`.
    """

    taps = ("freq_lstm",)

    def __init__(
        self,
        channels: list[tuple[int, int]],
        form: Literal["paper", "normalised"] = "normalised",
        flows: list[Flow] | None = None,
        pool: Pool = "mean",
    ) -> None:
        super().__init__()
        self.form, self.pool = form, pool
        self.flows: list[Flow] = ["time", "frequency"] if flows is None else flows

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """One tap each, (batch, channel, freq, frame) → one number."""
        if self.form == "paper":
            return (batch_gram(student[0], "time") - batch_gram(teacher[0], "time")).abs().mean()
        distances = [gram_distance(student[0], teacher[0], flow, self.pool) for flow in self.flows]
        return torch.stack(distances).mean()
