"""Calibrated similarity of two sets of layers: every student's layer learns most from the teacher's that it resembles.

A stream sees a layer as groups of rows: ``time``: an utterance and its frames; ``batch``: a frame and the items of the
batch; ``frequency``: an utterance and its frequencies. Rows of one group are compared with one another, so that neither
channels nor frequencies of student and teacher have to agree.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from arrayse.kd.affinity import probabilities, row_cosines, symmetric_divergence
from arrayse.kd.base import check_choice
from arrayse.kd.views import rows, unit_rows

Second = Literal["batch", "frequency", "none"]


class GramMlp(nn.Module):
    """Unit rows of Linear(n → 2n), ReLU, Linear(2n → n) of the Gram of n rows.

    Args:
        size: n.
        name: of n, in errors.
    """

    def __init__(self, size: int, name: str) -> None:
        super().__init__()
        self.size, self.name = size, name
        self.mlp = nn.Sequential(nn.Linear(size, 2 * size), nn.ReLU(), nn.Linear(2 * size, size))

    def forward(self, rows: Tensor) -> Tensor:
        """(group, row, width) → (group, row, n).

        Raises:
            ValueError: more or fewer rows than n.
        """
        if rows.shape[1] != self.size:
            got = rows.shape[1]
            free = "form=free n_frames=null batch_size=null, which takes any"
            raise ValueError(f"{self.name}: expected {self.size}, got {got}: set {self.name}={got}, or {free}")
        return unit_rows(self.mlp(rows @ rows.transpose(1, 2)))


class GramRows(nn.Module):
    """Unit rows of the cosines of all rows: nothing to train, and any number of rows."""

    def forward(self, rows: Tensor) -> Tensor:
        """(group, row, width) → (group, row, row)."""
        return unit_rows(row_cosines(rows))


class Stream(nn.Module):
    """Σ over groups, rows and layers i, j of α_ij Σ (P_T,j − P_S,i)(log P_T,j − log P_S,i), over the student's layers.

    α_ij, for every row, is the softmax over j of ⟨Q_i, K_j⟩: queries of the student's layers, keys of the teacher's.
    P: :func:`arrayse.kd.affinity.probabilities`. Queries and keys are trained, P_T is a target and is not. The queries
    also hand a gradient to the student.

    Args:
        n_student: layers of the student.
        n_teacher: layers of the teacher.
        size: rows of a group, for queries and keys by :class:`GramMlp`, one for each layer; None: :class:`GramRows`.
        name: of ``size``, in errors.
    """

    def __init__(self, n_student: int, n_teacher: int, size: int | None = None, name: str = "rows") -> None:
        super().__init__()
        self.queries, self.keys = (
            nn.ModuleList(GramRows() if size is None else GramMlp(size, name) for _ in range(n_layers))
            for n_layers in (n_student, n_teacher)
        )

    def attention(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """α: layers (group, row, width) each → (group, row, i, j), which sums to 1 over j."""
        queries = torch.stack([query(layer) for query, layer in zip(self.queries, student, strict=True)], dim=2)
        keys = torch.stack([key(layer) for key, layer in zip(self.keys, teacher, strict=True)], dim=2)
        return torch.softmax(queries @ keys.transpose(2, 3), dim=3)

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """Layers (group, row, width) each → one number."""
        of_student = torch.stack([probabilities(layer) for layer in student], dim=2)[:, :, :, None]
        of_teacher = torch.stack([probabilities(layer).detach() for layer in teacher], dim=2)[:, :, None]
        divergences = symmetric_divergence(of_student, of_teacher)
        return (self.attention(student, teacher) * divergences).sum() / len(student)


class Calibration(nn.Module):
    """The time stream and the second stream of two sets of layers, mean over the items of a batch.

    Args:
        n_student: layers of the student.
        n_teacher: layers of the teacher.
        second: the second stream: ``batch``, ``frequency`` or ``none``.
        n_frames: size of the MLPs of the time stream; None: it has none.
        batch_size: likewise of the stream ``batch``.

    Raises:
        ValueError: an unknown second stream.
    """

    def __init__(
        self, n_student: int, n_teacher: int, second: Second, n_frames: int | None = None, batch_size: int | None = None
    ) -> None:
        super().__init__()
        check_choice("second", second, Second)
        self.kind = second
        self.time = Stream(n_student, n_teacher, n_frames, "n_frames")
        if second != "none":
            size = batch_size if second == "batch" else None
            self.second = Stream(n_student, n_teacher, size, "batch_size")

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """Layers (batch, channel, freq, frame) each → one number.

        Raises:
            ValueError: numbers of frames that are not equal, or sizes other than those that the MLPs were made for.
        """
        check_frames([*student, *teacher])
        of_student, of_teacher = ([rows(layer, "time", "concat") for layer in side] for side in (student, teacher))
        total = self.time(of_student, of_teacher)
        if self.kind == "batch":
            total = total + self.second(*([x.transpose(0, 1) for x in side] for side in (of_student, of_teacher)))
        if self.kind == "frequency":
            fewest = min(layer.shape[2] for layer in (*student, *teacher))
            if fewest < 2:
                raise ValueError(f"second: expected layers of 2 frequencies or more for frequency, got one of {fewest}")
            total = total + self.second(*([frequencies(x, fewest) for x in side] for side in (student, teacher)))
        return total / student[0].shape[0]


def frequencies(layer: Tensor, n_freqs: int) -> Tensor:
    """(batch, channel, freq, frame) → (batch, n_freqs, frame·channel): neighbouring bins are averaged down to fewer."""
    if layer.shape[2] != n_freqs:
        layer = functional.adaptive_avg_pool2d(layer, (n_freqs, layer.shape[3]))
    return rows(layer, "frequency", "concat")


def check_frames(layers: list[Tensor]) -> None:
    """Raises ValueError unless all layers have the same number of frames."""
    n_frames = sorted({layer.shape[3] for layer in layers})
    if len(n_frames) > 1:
        raise ValueError(f"layers: expected as many frames in all, got {' and '.join(map(str, n_frames))}")
