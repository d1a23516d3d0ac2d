"""``fused``: both similarity losses and the linear output at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from arrayse.kd.lin import Lin
from arrayse.kd.lstm1 import Lstm1
from arrayse.kd.lstm2 import Lstm2
from arrayse.kd.similarity import Flow, Form, Pool, check_options, gram_distance, gram_spread


class Fused(nn.Module):
    """lstm1 + lstm2 + lin.

    Metzger, Ohlenbusch, Rollwage, Doclo, "Comparison of Knowledge Distillation Methods for Low-complexity
    Multi-microphone Speech Enhancement using the FT-JNF Architecture", arXiv 2507.19208 (2025).

    ``paper``: the sum of the three paper forms with unit weights, of which lstm1 is then nearly all.
    ``normalised`` (ours): each term is relative to the teacher's own spread, so that 1 says "no closer than
    a constant" for all three, and the loss is their mean.

    Args:
        channels: channels of the student's and the teacher's taps, in the order of ``taps``.
        form: ``paper`` or ``normalised``.
        flows: Grams of the normalised form; None: time and frequency.
        pool: of the normalised form, see :func:`arrayse.kd.similarity.cosine_gram`.

    Raises:
        ValueError: an unknown form, flow or pool, or no flow at all.
    """

    taps = ("freq_lstm", "time_lstm", "linear")

    def __init__(
        self,
        channels: list[tuple[int, int]],
        form: Form = "normalised",
        flows: list[Flow] | None = None,
        pool: Pool = "mean",
    ) -> None:
        super().__init__()
        self.form, self.flows, self.pool = form, check_options(form, flows, pool), pool
        self.lstm1 = Lstm1(channels[:1], "paper")
        self.lstm2 = Lstm2(channels[1:2], "paper")
        self.lin = Lin(channels[2:], form)

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """Three taps each, (batch, channel, freq, frame) → one number."""
        lin = self.lin(student[2:], teacher[2:])
        if self.form == "paper":
            return self.lstm1(student[:1], teacher[:1]) + self.lstm2(student[1:2], teacher[1:2]) + lin
        grams = [self._relative(student[i], teacher[i], flow) for i in (0, 1) for flow in self.flows]
        lstms = torch.stack(grams).mean()  # each LSTM weighs as much as lin
        return (2 * lstms + lin) / 3

    def _relative(self, student: Tensor, teacher: Tensor, flow: Flow) -> Tensor:
        distance = gram_distance(student, teacher, flow, self.pool)
        return (distance / gram_spread(teacher, flow, self.pool)).mean()
