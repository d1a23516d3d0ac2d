"""Random features for the distillation losses, and the rows and convolutions of slow references, in plain loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arrayse.kd import METHODS
from arrayse.kd.base import DistillationLoss, Pair
from arrayse.kd.methods import build_loss
from arrayse.kd.views import look
from tests.tiny import VARIANTS

GRID = (5, 4)  # freq, frame
OF_OUTPUTS = ("magnitude", "subband", "dfkd", "dispatch", "i2s_tfckd")
"""Methods that do not compare any features: they have tests of their own."""
EVERY = [case for case in VARIANTS if case[0] not in OF_OUTPUTS]
"""All methods between features of any channels, in all forms."""
OF_FEATURES = [method for method in METHODS if method not in OF_OUTPUTS]
CHANNELS = {"wave": 1, "spec": 2}
"""Of the taps that every enhancer has."""


def feature(n_channels: int, seed: int, n_items: int = 2) -> Tensor:
    """(batch, channel, freq, frame) around a mean that is not zero."""
    generator = torch.Generator().manual_seed(seed)
    return 0.4 + torch.randn(n_items, n_channels, *GRID, generator=generator, dtype=torch.float64)


def taps(method: str, widths: tuple[int, int] = (4, 4), n_items: int = 2) -> tuple[list[Tensor], list[Tensor]]:
    """As many features of student and teacher as the method compares, with so many channels."""
    numbers = range(len(METHODS[method].taps))
    student = [feature(widths[0], k, n_items) for k in numbers]
    teacher = [feature(widths[1], 10 + k, n_items) for k in numbers]
    return student, teacher


def build(method: str, student: list[Tensor], teacher: list[Tensor], **options: Any) -> DistillationLoss:
    """A method in float64 with the same parameters each time."""
    pairs = [Pair(s.shape[1], t.shape[1]) for s, t in zip(student, teacher, strict=True)]
    constructor: Callable[..., DistillationLoss] = METHODS[method]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return constructor(pairs, **options).double()


def declared(method: str, options: dict[str, Any]) -> DistillationLoss:
    """Any method, as a config gives its options, for the taps that it compares unless told otherwise."""
    names = METHODS[method].default_pairs(options)
    pairs = [Pair(CHANNELS.get(student, 4), CHANNELS.get(teacher, 4)) for student, teacher in names]
    return build_loss({**options, "name": method}, pairs)


def value(built: DistillationLoss, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
    """The loss of features, seen as the method sees them."""
    return built(look(built.views, student), look(built.views, teacher))


def loss(method: str, student: list[Tensor], teacher: list[Tensor], **options: Any) -> Tensor:
    """The loss of a method in float64."""
    return value(build(method, student, teacher, **options), student, teacher)


def inner(a: list[float], b: list[float]) -> float:
    """Inner product of two rows."""
    return sum(x * y for x, y in zip(a, b, strict=True))


def cosine(a: list[float], b: list[float]) -> float:
    """Cosine of two rows."""
    return inner(a, b) / math.sqrt(inner(a, a) * inner(b, b))


def slow_rows(x: np.ndarray, flow: str, pool: str) -> list[list[float]]:
    """Rows of one utterance (channel, freq, frame): a row a frame or a frequency, averaged or joined over the other."""
    n_channels, n_freqs, n_frames = x.shape
    out = []
    for this in range(n_frames if flow == "time" else n_freqs):
        others = range(n_freqs if flow == "time" else n_frames)
        bins = [x[:, other, this] if flow == "time" else x[:, this, other] for other in others]
        values = [[float(each[c]) for c in range(n_channels)] for each in bins]
        joined = [number for row in values for number in row]
        mean = [sum(row[c] for row in values) / len(values) for c in range(n_channels)]
        out.append(mean if pool == "mean" else joined)
    return out


def slow_cosines(x: np.ndarray, flow: str, pool: str) -> list[float]:
    """Cosines of all pairs of rows of one utterance."""
    all_rows = slow_rows(x, flow, pool)
    return [cosine(a, b) for a in all_rows for b in all_rows]


def slow_conv(x: np.ndarray, layer: Any) -> np.ndarray:
    """A convolution of one item (channel, freq, frame) with zeros around it, by an odd square kernel."""
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    n_out, n_in, size, _ = weight.shape
    out = np.zeros((n_out, *x.shape[1:]))
    for o, f, t in np.ndindex(*out.shape):
        total = float(bias[o])
        for i, df, dt in np.ndindex(n_in, size, size):
            at_f, at_t = f + df - size // 2, t + dt - size // 2
            if 0 <= at_f < x.shape[1] and 0 <= at_t < x.shape[2]:
                total += float(weight[o, i, df, dt]) * float(x[i, at_f, at_t])
        out[o, f, t] = total
    return out
