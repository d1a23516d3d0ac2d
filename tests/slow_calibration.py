"""Slow references of calibrated similarity and set fusion, in plain loops over the weights of the built modules."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arrayse.kd.calibration import Calibration, Stream
from tests.kd_cases import cosine, inner, slow_conv, slow_rows

Rows = list[list[float]]


def double(module: torch.nn.Module) -> Any:
    """Float64 and the same random weights each time; norms scale by some 1, so that PReLU sees both signs."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.double().parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        for norm in module.modules():
            if isinstance(norm, torch.nn.InstanceNorm2d):
                norm.weight.add_(1)
    return module


def slow_probabilities(rows: Rows) -> Rows:
    """(cos + 1)/2 of all rows, each row of them divided by its sum."""
    raw = [[(cosine(a, b) + 1) / 2 for b in rows] for a in rows]
    return [[entry / sum(row) for entry in row] for row in raw]


def slow_linear(x: list[float], layer: Any) -> list[float]:
    weight, bias = layer.weight.tolist(), layer.bias.tolist()
    return [inner(row, x) + offset for row, offset in zip(weight, bias, strict=True)]


def slow_embedding(rows: Rows, module: Any) -> Rows:
    """Rows of norm 1: of the cosines, or of the MLP of the Gram."""
    if not list(module.parameters()):
        embedded = [[cosine(a, b) for b in rows] for a in rows]
    else:
        grams = [[inner(a, b) for b in rows] for a in rows]
        embedded = [slow_linear([max(x, 0.0) for x in slow_linear(g, module.mlp[0])], module.mlp[2]) for g in grams]
    return [[x / math.sqrt(inner(row, row)) for x in row] for row in embedded]


def slow_stream(stream: Stream, student: list[Rows], teacher: list[Rows]) -> float:
    """One group; a list of layers each."""
    queries = [slow_embedding(rows, module) for rows, module in zip(student, stream.queries, strict=True)]
    keys = [slow_embedding(rows, module) for rows, module in zip(teacher, stream.keys, strict=True)]
    of_student, of_teacher = ([slow_probabilities(rows) for rows in side] for side in (student, teacher))
    total = 0.0
    for i, query in enumerate(queries):
        for row in range(len(query)):
            energies = [math.exp(inner(query[row], key[row])) for key in keys]
            for energy, target in zip(energies, of_teacher, strict=True):
                pairs = zip(of_student[i][row], target[row], strict=True)
                divergence = sum((t - s) * (math.log(t) - math.log(s)) for s, t in pairs)
                total += energy / sum(energies) * divergence / len(student)
    return total


def slow_fewer(x: np.ndarray, n_freqs: int) -> np.ndarray:
    """Bin k of n is the mean of those that begin before its end and end after its beginning."""
    have = x.shape[1]
    spans = [(k * have // n_freqs, math.ceil((k + 1) * have / n_freqs)) for k in range(n_freqs)]
    return np.stack([x[:, first:end].mean(axis=1) for first, end in spans], axis=1)


def slow_calibration(built: Calibration, student: list[Tensor], teacher: list[Tensor]) -> float:
    """Layers (batch, channel, freq, frame) each → the loss."""
    s_layers, t_layers = ([layer.detach().numpy() for layer in side] for side in (student, teacher))
    n_items, n_frames = s_layers[0].shape[0], s_layers[0].shape[3]
    s_frames, t_frames = ([[slow_rows(x, "time", "concat") for x in y] for y in side] for side in (s_layers, t_layers))
    total = 0.0
    for b in range(n_items):
        total += slow_stream(built.time, [y[b] for y in s_frames], [y[b] for y in t_frames])
    if built.kind == "batch":
        for t in range(n_frames):
            of_frame = [[[item[t] for item in y] for y in side] for side in (s_frames, t_frames)]
            total += slow_stream(built.second, *of_frame)
    if built.kind == "frequency":
        fewest = min(y.shape[2] for y in (*s_layers, *t_layers))
        for b in range(n_items):
            bins = [
                [slow_rows(slow_fewer(y[b], fewest), "frequency", "concat") for y in side]
                for side in (s_layers, t_layers)
            ]
            total += slow_stream(built.second, *bins)
    return total / n_items


def slow_normed(x: np.ndarray, module: Any) -> np.ndarray:
    """Convolution, instance norm and PReLU of one item (channel, freq, frame)."""
    convolution, norm, prelu = module
    bias = torch.zeros(len(convolution.weight))
    out = slow_conv(x, SimpleNamespace(weight=convolution.weight, bias=bias))
    scale, offset, slope = (each.tolist() for each in (norm.weight, norm.bias, prelu.weight))
    for c in range(len(out)):
        mean = out[c].sum() / out[c].size
        variance = ((out[c] - mean) ** 2).sum() / out[c].size
        out[c] = (out[c] - mean) / math.sqrt(variance + 1e-5) * scale[c] + offset[c]
        out[c] = np.where(out[c] >= 0, out[c], slope[c] * out[c])
    return out


def slow_step(step: Any, layer: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """One item; the residual is read at the bin below."""
    x = slow_normed(layer, step.enter)
    y = np.stack([residual[:, f * residual.shape[1] // x.shape[1]] for f in range(x.shape[1])], axis=1)
    gates = 1 / (1 + np.exp(-slow_conv(np.concatenate([x, y]), step.gates)))
    return slow_normed(x * gates[0] + y * gates[1], step.leave)


def slow_set(fusion: Any, layers: list[Tensor]) -> np.ndarray:
    """Layers of a batch → their fusion."""
    out = []
    for item in range(len(layers[0])):
        features = [layer[item].detach().numpy() for layer in layers]
        fused = slow_normed(slow_normed(features[0], fusion.first[0]), fusion.first[1])
        for step, feature in zip(fusion.steps, features[1:], strict=True):
            fused = slow_step(step, feature, fused)
        out.append(fused)
    return np.stack(out)
