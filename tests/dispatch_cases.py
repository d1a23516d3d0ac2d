"""DISPatch around every loss that it can wrap, of spectra in 64 bits, and its slow reference, patch by patch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from arrayse.kd.base import Pair
from arrayse.kd.dispatch import INNER, Dispatch
from tests.estimate_cases import N_FREQS, SETTINGS, WAVES, Row, on_spectra, packed, slow_bands, slow_distance, spectra

SPECS = [Pair(2, 2), Pair(2, 2)]
SPLIT = 4
MAPS: list[tuple[str, dict[str, Any]]] = [
    ("lin", {"form": "paper"}),
    ("lin", {}),
    ("mask", {"form": "paper"}),
    ("mask", {}),
    ("subband", {}),
]
"""Losses that are means over bins, with arguments."""

INSIDE = [*SETTINGS, *MAPS]
"""All that can be wrapped."""

SHAPES: list[dict[str, Any]] = [
    {"n_bins": 3},
    {"n_bins": 4},
    {"n_bins": 9},
    {"mssp": True, "low_bins": 2, "high_bins": 3, "split_bin": SPLIT},
]
"""Patches in nine frequencies."""

Edges = list[tuple[int, int, int]]


def takes(options: dict[str, Any], shape: dict[str, Any]) -> bool:
    """Whether no patch is higher than a band; those of a crossover that is fixed in the middle have five bins."""
    return options.get("crossover") != "fixed" or shape.get("n_bins", 1) <= 5


def arguments_of(name: str, shape: dict[str, Any]) -> dict[str, Any]:
    """A loss with bands of its own has no ``split_bin``."""
    return {key: size for key, size in shape.items() if (name, key) != ("dfkd", "split_bin")}


def parts(spectrum: Tensor) -> Tensor:
    """Complex (batch, freq, frame) → (batch, 2, freq, frame)."""
    return torch.view_as_real(spectrum).movedim(-1, 1)


def around(name: str, options: dict[str, Any], **arguments: Any) -> tuple[Dispatch, Any]:
    """A loss around another one, and what makes its features of two spectra: outputs (if it takes any), estimates."""
    arguments = arguments_of(name, {**({} if "mssp" in arguments else {"n_bins": 3}), **arguments})
    if is_map(name):
        kind: Any = INNER[name]
        return Dispatch(SPECS, kind(SPECS[:1], **options), **arguments), lambda a, b: [parts(a), parts(b)]
    return Dispatch(WAVES, on_spectra(name, **options), **arguments), lambda _, b: [packed(b)]


def is_map(name: str) -> bool:
    """Whether it is a mean over bins of outputs that are not the estimates."""
    return name in {each for each, _ in MAPS}


def case(n_items: int = 2, n_frames: int = 5) -> list[Tensor]:
    """Spectra of student, teacher and target; the teacher is the closer one in most bins."""
    target, wrong = spectra(0, n_items, n_frames), spectra(1, n_items, n_frames)
    return [target + wrong, target + 0.5 * spectra(2, n_items, n_frames), target]


def run(built: Dispatch, look: Any, student: Tensor, teacher: Tensor, target: Tensor) -> Tensor:
    """The loss of spectra; outputs are others than the estimates."""
    return built(look(3 * student, student), look(3 * teacher, teacher), look(target, target)[-1:])


def slow_edges(region: str, n_bins: int = 20, mssp: bool = False, **sizes: int) -> Edges:
    """(first bin, bin after the last, bins of a full patch) of every patch."""

    def cut(start: int, stop: int, size: int) -> Edges:
        return [(f, min(f + size, stop), size) for f in range(start, stop, size)]

    if not mssp:
        return cut(0, N_FREQS, n_bins)
    if region == "all":
        return cut(0, SPLIT, sizes["low_bins"]) + cut(SPLIT, N_FREQS, sizes["high_bins"])
    return cut(0, N_FREQS, sizes[f"{region}_bins"])


def slow_map(name: str, s: Row, t: Row, size: int, teacher: np.ndarray, form: str = "normalised") -> float:
    """Of the outputs, three times the spectra, in the bins of a patch; ``teacher``: of the utterance."""
    both = [(3 * a, 3 * b) for a, b in zip(s, t, strict=True)]
    if name == "subband":
        return sum((abs(a) - abs(b)) ** 2 for a, b in both) / size
    masks = [3 * complex(value) for value in teacher.ravel()]
    if name == "mask":
        gaps, centre = [abs(a - b) for a, b in both], sum(masks) / len(masks)
        spread = sum(abs(value - centre) for value in masks) / len(masks)
    else:
        gaps = [(abs((a - b).real) + abs((a - b).imag)) / 2 for a, b in both]
        values = [part for value in masks for part in (value.real, value.imag)]
        spread = sum(abs(value - sum(values) / len(values)) for value in values) / len(values)
    return sum(gaps) / size / (spread if form == "normalised" else 1)


def slow_patches(name: str, options: dict[str, Any], shape: dict[str, Any], item: list[np.ndarray]) -> dict[str, list]:
    """For each band (score, distance) of its patches in one utterance."""
    out: dict[str, list] = {}
    kind, score_options = ("magnitude", {}) if is_map(name) else (name, options)
    for s, t, c in zip(*(spectrum.T for spectrum in item), strict=True):
        for region, bins in slow_bands(kind, list(t), **score_options).items():
            for start, stop, size in slow_edges(region, **shape):
                inside = [f for f in bins if start <= f < stop]
                if not inside:
                    continue
                a, b, clean = (list(spectrum[inside]) for spectrum in (s, t, c))
                errors = [slow_distance(kind, region, x, clean, size, **score_options) for x in (a, b)]
                if is_map(name):
                    distance = slow_map(name, a, b, size, item[1], **options)
                else:
                    distance = slow_distance(name, region, a, b, size, **options)
                out.setdefault(region, []).append((errors[0] - errors[1], distance))
    return out


def slow_dispatch(
    name: str, options: dict[str, Any], shape: dict[str, Any], case: list[Tensor], rule: str = "top_k", k: float = 0.8
) -> float:
    """Added up over the bands."""
    sums: dict[str, list[float]] = {}
    for item in zip(*(spectrum.numpy() for spectrum in case), strict=True):
        for region, found in slow_patches(name, options, shape, list(item)).items():
            scores = sorted((score for score, _ in found), reverse=True)
            least = scores[max(int(k * len(found)), 1) - 1]
            chosen = [d for score, d in found if (score >= least if rule == "top_k" else score > 0)]
            share = k * len(found) if rule == "top_k" and region == "all" else len(chosen)
            sums[region] = [a + b for a, b in zip(sums.get(region, [0, 0]), [sum(chosen), share], strict=True)]
    return sum(total / max(number, 1e-30) for total, number in sums.values())
