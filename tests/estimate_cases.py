"""Spectra in 64 bits for losses between estimates, and slow references of these losses, bin by bin."""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from arrayse.kd.base import Pair
from arrayse.kd.dfkd import Dfkd
from arrayse.kd.magnitude import Magnitude

N_FFT, HOP, N_FREQS = 16, 4, 9
WAVES = [Pair(1, 1)]
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("magnitude", {"power": "l1"}),
    ("magnitude", {"power": "l2"}),
    ("dfkd", {}),
    ("dfkd", {"beta": 0.2, "crossover": "absolute"}),
    ("dfkd", {"crossover": "fixed", "fixed_bin": 4}),
]
"""Losses between estimates, with arguments."""

Row = list[complex]


class AsSpectrum(nn.Module):
    """In place of a transform: what was :func:`packed` comes out again, so that the spectra may be anything."""

    n_freqs = N_FREQS

    def forward(self, wave: Tensor) -> Tensor:
        return torch.view_as_complex(wave.unflatten(-1, (self.n_freqs, -1, 2)))


def packed(spectrum: Tensor) -> Tensor:
    """Complex (batch, freq, frame) → (batch, 1, 1, number)."""
    return torch.view_as_real(spectrum).flatten(1)[:, None, None]


def spectra(seed: int, n_items: int = 2, n_frames: int = 5) -> Tensor:
    """Complex noise in 64 bits whose level changes from bin to bin."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n_items, N_FREQS, n_frames, 2, generator=generator, dtype=torch.float64)
    return torch.view_as_complex(noise) * torch.rand(n_items, N_FREQS, n_frames, generator=generator).double()


def built_loss(name: str, **options: Any) -> Any:
    """A loss between estimates, of a small transform."""
    kind: Any = {"magnitude": Magnitude, "dfkd": Dfkd}[name]
    return kind(WAVES, n_fft=N_FFT, hop_length=HOP, **options)


def on_spectra(name: str, **options: Any) -> Any:
    """The same, of spectra that were packed."""
    built = built_loss(name, **options)
    built.stft = AsSpectrum()
    return built


def slow_spectrum(wave: Tensor) -> np.ndarray:
    """(n_samples,) → (freq, frame): a Hann window over the samples before (t + 1)·hop, Fourier sums."""
    n_samples, front = len(wave), N_FFT - HOP
    n_frames = (n_samples - 1 + front) // HOP + 1
    padded = [0.0] * front + wave.tolist() + [0.0] * N_FFT
    out = np.zeros((N_FREQS, n_frames), dtype=complex)
    for frame in range(n_frames):
        for f in range(N_FREQS):
            for n in range(N_FFT):
                window = 0.5 - 0.5 * math.cos(2 * math.pi * n / N_FFT)
                out[f, frame] += window * padded[frame * HOP + n] * cmath.exp(-2j * math.pi * f * n / N_FFT)
    return out


def slow_crossover(teacher: Row, crossover: str = "cumulative", fixed_bin: int = 64, **_: Any) -> int:
    if crossover == "fixed":
        return fixed_bin
    size = [abs(value) for value in teacher]
    if crossover == "absolute":
        rises = [abs(size[f + 1] - size[f]) for f in range(len(size) - 1)]
    else:
        highest = [max(size[: f + 1]) for f in range(len(size))]
        rises = [(highest[f + 1] - highest[f]) / (highest[f] + 1e-8) for f in range(len(size) - 1)]
    return rises.index(max(rises))


def slow_bands(name: str, teacher: Row, **options: Any) -> dict[str, list[int]]:
    """The bins of each band of a frame."""
    every = list(range(len(teacher)))
    if name == "magnitude":
        return {"all": every}
    crossover = slow_crossover(teacher, **options)
    return {"low": every[: crossover + 1], "high": every[crossover:]}


def slow_direction(s: Row, t: Row) -> float:
    """1 − cosine, or whether one of the two alone is silent."""
    norms = [math.sqrt(sum(abs(value) ** 2 for value in row)) for row in (s, t)]
    if min(norms) < 1e-4:
        return float(max(norms) >= 1e-4)
    return 1 - sum((b.conjugate() * a).real for a, b in zip(s, t, strict=True)) / norms[0] / norms[1]


def slow_distance(
    name: str, region: str, s: Row, t: Row, size: int, power: str = "l2", beta: float = 0.5, **_: Any
) -> float:
    """Of the bins of a patch that lie in a band; ``size``: bins of a full patch."""
    gaps = [abs(a) - abs(b) for a, b in zip(s, t, strict=True)]
    if name == "magnitude":
        return sum(abs(gap) if power == "l1" else gap**2 for gap in gaps) / size
    direction = slow_direction(s, t)
    return direction if region == "low" else beta * direction + (1 - beta) * sum(gap**2 for gap in gaps) / len(gaps)


def slow_loss(name: str, student: np.ndarray, teacher: np.ndarray, **options: Any) -> float:
    """The plain loss of (batch, freq, frame): mean over frames, sum over bands."""
    frames = [(s, t) for of_s, of_t in zip(student, teacher, strict=True) for s, t in zip(of_s.T, of_t.T, strict=True)]
    total = 0.0
    for s, t in frames:
        for region, bins in slow_bands(name, list(t), **options).items():
            total += slow_distance(name, region, list(s[bins]), list(t[bins]), N_FREQS, **options)
    return total / len(frames)
