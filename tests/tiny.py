"""Tiny networks, signals and objectives that several test files build."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from arrayse.geometry import ArrayGeometry, circular
from arrayse.kd import METHODS, Distillation, LiveViews, Teacher, Term, build_term
from arrayse.losses import WaveMagnitudeL1
from arrayse.models import NETS, Enhancer, build_enhancer
from arrayse.objectives import Batch
from arrayse.taps import Taps


def description(
    array: ArrayGeometry | None = None,
    mics: list[int] | None = None,
    ref_mic: int | None = None,
    n_fft: int = 128,
    norm: str = "recursive",
    sample_rate: int = 16000,
    **net: Any,
) -> dict[str, Any]:
    """Arguments of :func:`build_enhancer` for a net of a few hundred weights."""
    return {
        "net": {
            "name": "ft_jnf",
            "preset": "tesch",
            "freq_hidden": 5,
            "time_hidden": 4,
            "causal": True,
            **net,
        },
        "stft": {"n_fft": n_fft, "hop_length": n_fft // 2, "window": "sqrt_hann"},
        "features": {"norm": norm, "time_constant": 0.2},
        "array": (array or circular()).to_dict(),
        "mics": mics,
        "ref_mic": ref_mic,
        "sample_rate": sample_rate,
    }


def enhancer(seed: int = 0, **arguments: Any) -> Enhancer:
    """A tiny enhancer of five microphones whose masks are far from constant."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        built = build_enhancer(**description(**arguments))
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(2.0)
    return built


FILTERBANK = {"n_filters": 8, "win_length": 16, "bottleneck": 8, "hidden": 6}
NETWORKS: dict[str, dict[str, Any]] = {
    "ft_jnf": {"name": "ft_jnf", "freq_hidden": 5, "time_hidden": 4},
    "ft_jnf both ways": {"name": "ft_jnf", "freq_hidden": 5, "time_hidden": 4, "causal": False},
    "ft_jnf several masks": {"name": "ft_jnf", "preset": "metzger", "freq_hidden": 5, "time_hidden": 4},
    "ft_jnf folded": {"name": "ft_jnf", "freq_hidden": 8, "time_hidden": 8, "freq_fold": 4, "time_fold": 4},
    "dccrn": {"name": "dccrn", "channels": [4, 6, 6], "lstm_hidden": 8, "lookahead_frames": 2},
    "dccrn without look-ahead": {"name": "dccrn", "channels": [4, 6], "lstm_hidden": 8, "lookahead_frames": 0},
    "conv_tasnet": {"name": "conv_tasnet", **FILTERBANK, "n_blocks": 2, "n_repeats": 2},
    "conv_tasnet causal": {"name": "conv_tasnet", **FILTERBANK, "n_blocks": 2, "norm": "cLN", "causal": True},
    "dptnet": {"name": "dptnet", **FILTERBANK, "n_layers": 2, "segment": 20, "n_heads": 2},
    "dpdcrn": {"name": "dpdcrn", "channels": 8, "n_layers": 1, "n_heads": 2},
    "dpdcrn causal": {"name": "dpdcrn", "channels": 8, "n_layers": 2, "causal": True, "attention_frames": 5},
    "subband": {"name": "subband", "hidden": 6, "neighbours": 3},
    "subband bands": {"name": "subband", "hidden": 6, "neighbours": 3, "n_bands": 2, "outputs": 2},
    "fullband": {"name": "fullband", "hidden": 8},
}
"""Every network, some in several forms, with a few thousand weights."""


def network_description(kind: str, mics: list[int] | None = None, ref_mic: int | None = None) -> dict[str, Any]:
    """Arguments of :func:`build_enhancer` for one of :data:`NETWORKS` in an STFT whose frames are filled with zeros."""
    net = NETWORKS[kind]
    return {
        "net": net,
        "stft": {"n_fft": 64, "hop_length": 16, "win_length": 48},
        "features": {} if NETS[net["name"]].domain == "time" else {"time_constant": 0.2},
        "array": circular().to_dict(),
        "mics": mics,
        "ref_mic": ref_mic,
        "sample_rate": 16000,
    }


def network(kind: str, mics: list[int] | None = None, ref_mic: int | None = None, seed: int = 0) -> Enhancer:
    """One of :data:`NETWORKS` in eval mode, its masks far from constant."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        built = build_enhancer(**network_description(kind, mics, ref_mic))
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            parameter.mul_(2.0)
            if name.endswith("linear.bias"):
                parameter.add_(1.0)  # no magnitudes below 0, which have one mask whatever they are
    return built.eval()


def waves(*shape: int, seed: int = 0) -> Tensor:
    """White noise with a standard deviation of 0.1."""
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def spectra(*shape: int, seed: int = 0) -> Tensor:
    """Complex white noise of unit power."""
    return torch.randn(*shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


def batch(n_items: int = 2, n_mics: int = 5, n_samples: int = 1600, seed: int = 0) -> Batch:
    """Noise as noisy and, independent of it, as target."""
    noisy, target = waves(2, n_items, n_mics, n_samples, seed=seed)
    names = [f"item-{number}" for number in range(n_items)]
    return Batch(noisy, target, names, torch.arange(n_items) * 10.0, [f"{name}-key-{seed}" for name in names])


def distillation(
    student: Enhancer, teacher: Enhancer, method: str, supervised_weight: float = 0.5, **arguments: Any
) -> Distillation:
    """An objective with one term that bears the name of its method."""
    term = build_term(method, {"name": method, **arguments}, 1.0, None, student, teacher)
    return Distillation(student, WaveMagnitudeL1(), [taught_by(teacher, [term])], supervised_weight)


LSTMS, OUTPUTS = ["freq_lstm", "time_lstm"], ["linear", "mask"]
SETS = {"sets": {"lstms": [LSTMS, LSTMS], "outputs": [OUTPUTS, OUTPUTS]}, "fusion_channels": 4}
MORE: dict[str, list[dict[str, Any]]] = {
    "dfkd": [{}, {"crossover": "absolute"}, {"crossover": "fixed", "fixed_bin": 30}],
    "dispatch": [
        {"inner": {"name": "magnitude"}},
        {"inner": {"name": "dfkd"}, "mssp": True},
        {"inner": {"name": "lin"}},
        {"inner": {"name": "mask"}, "n_bins": 10},
        {"inner": {"name": "subband"}, "mssp": True, "split_bin": 20, "high_bins": 20},
    ],
    "i2s_tfckd": [  # the frames are those of :func:`batch`
        SETS,
        {**SETS, "teacher_fusion": "trained"},
        {**SETS, "form": "fixed", "n_frames": 26},
        {**SETS, "form": "fixed", "n_frames": 26, "teacher_fusion": "trained"},
    ],
}
"""Arguments that a method cannot do without, and others that change what it does."""

VARIANTS = [
    (name, {**more, **({"form": form} if form in ("paper", "normalised") else {})})
    for name, method in METHODS.items()
    for form in (method.formulas if "paper" in method.formulas else (None,))
    for more in MORE.get(name, [{}])
]
"""Every method in every form, with the arguments that say so."""


def taught_by(teacher: Enhancer, terms: list[Term], name: str = "teacher", **arguments: Any) -> Teacher:
    """A teacher that runs live."""
    return Teacher(name, LiveViews(teacher), terms, **arguments)


class FixedMask(nn.Module):
    """A network that returns the same complex weight for each microphone everywhere, and remembers what it saw."""

    domain = "spectrum"

    def __init__(self, weights: Sequence[complex], causal: bool = True) -> None:
        super().__init__()
        self.weights, self.causal = torch.tensor(weights, dtype=torch.complex64), causal
        self.lookahead_frames = 0
        self.tap_channels: dict[str, int] = {}
        self.output_taps: dict[str, str] = {}

    def forward(self, features: Tensor, taps: Taps) -> Tensor:
        self.seen = features
        n_batch, _, n_freqs, n_frames = features.shape
        return self.weights[None, :, None, None].expand(n_batch, -1, n_freqs, n_frames)

    def initial_state(self, n_batch: int, n_freqs: int, device: torch.device) -> None:
        return None

    def step(self, features: Tensor, state: None) -> tuple[Tensor, None]:
        return self.forward(features, Taps()), None
