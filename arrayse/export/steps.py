"""What an exported network computes for one block of a stream, as a function of tensors: two forms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from arrayse.frontend.stft import Stft
from arrayse.models import Enhancer, SpectralEnhancer
from arrayse.stream.onnx_metadata import Form


@dataclass(frozen=True)
class Step:
    """One block of a stream.

    Attributes:
        function: input and states → estimate and next states.
        input_name: ``spec`` or ``wave``.
        example: an input.
        states: before the first block, all zero; complex ones as real and imaginary part on a last axis.
    """

    function: Callable[..., list[Tensor]]
    input_name: str
    example: Tensor
    states: list[Tensor]


def build_step(enhancer: Enhancer, form: Form) -> Step:
    """The step of an enhancer.

    Args:
        enhancer: causal, in eval mode, on the CPU.
        form: ``frame``: spectrum (n_mics, n_freqs, 2) in, estimate (n_freqs, 2) out. ``wave``: samples
            (n_mics, block_samples) in, estimate (block_samples,) out.

    Raises:
        ValueError: a network that is not causal, or frames of a network that has none.
    """
    if not enhancer.causal:
        raise ValueError("export: expected a causal network, got one that needs the whole utterance")
    if isinstance(enhancer, SpectralEnhancer):
        step = _frame_step(enhancer) if form == "frame" else _spectral_wave_step(enhancer)
    elif form == "frame":
        raise ValueError("form: expected wave for a network that hears waves, got frame")
    else:
        step = _wave_step(enhancer)
    if any(state.any() for state in step.states):
        raise ValueError("export: expected states that start at zero, got others")
    apart = [state.clone() for state in step.states]  # one tensor in two places would be traced as one state
    return replace(step, states=apart)


def _frame_step(enhancer: SpectralEnhancer) -> Step:
    first = enhancer.initial_spec_state()
    states = [_real(state) for state in _leaves(first)]

    def function(spec: Tensor, *states: Tensor) -> list[Tensor]:
        state = _like(first, iter(states))
        estimate, state = enhancer.step(torch.view_as_complex(spec)[None, ..., None], state)
        return [torch.view_as_real(estimate[0, 0, :, 0]), *map(_real, _leaves(state))]

    return Step(function, "spec", torch.ones(len(enhancer.mics), enhancer.stft.n_freqs, 2), states)


def _spectral_wave_step(enhancer: SpectralEnhancer) -> Step:
    """A frame's step between two products with matrices: windowed Fourier transforms."""
    stft, first = enhancer.stft, enhancer.initial_spec_state()
    n_freqs, hop, kept = stft.n_freqs, stft.hop_length, stft.latency_samples - stft.hop_length
    analysis, synthesis = transform_matrices(stft)
    samples = torch.zeros(len(enhancer.mics), stft.win_length - hop)

    def function(wave: Tensor, samples: Tensor, begun: Tensor, *states: Tensor) -> list[Tensor]:
        state = _like(first, iter(states))
        heard = torch.cat([samples, wave], dim=-1)
        parts = heard @ analysis
        spec = torch.complex(parts[:, :n_freqs], parts[:, n_freqs:])
        estimate, state = enhancer.step(spec[None, ..., None], state)
        frame = torch.cat([estimate.real[0, :, :, 0], estimate.imag[0, :, :, 0]], dim=-1) @ synthesis
        summed = frame[0] + torch.nn.functional.pad(begun, (0, hop))
        return [summed[:hop], heard[:, hop:], summed[hop:], *map(_real, _leaves(state))]

    states = [samples, torch.zeros(kept), *map(_real, _leaves(first))]
    return Step(function, "wave", torch.ones(len(enhancer.mics), hop), states)


def _wave_step(enhancer: Enhancer) -> Step:
    first = enhancer.initial_state()

    def function(wave: Tensor, *states: Tensor) -> list[Tensor]:
        estimate, state = enhancer.push(wave[None], _like(first, iter(states)))
        return [estimate[0], *_leaves(state)]

    return Step(function, "wave", torch.ones(len(enhancer.mics), enhancer.block_samples), _leaves(first))


def transform_matrices(stft: Stft) -> tuple[Tensor, Tensor]:
    """The transform of one frame and back, windows included, as products with matrices.

    Returns:
        (win_length, 2·n_freqs): samples to real parts, then imaginary ones; (2·n_freqs, latency_samples): those to the
        last samples of the frame, before which the synthesis window is zero.
    """
    angle = 2 * torch.pi / stft.n_fft
    phases = angle * torch.outer(torch.arange(stft.win_length), torch.arange(stft.n_freqs)).double()
    basis = torch.cat([phases.cos(), -phases.sin()], dim=1)
    twice = torch.full((stft.n_freqs,), 2.0).double()
    twice[[0, -1] if stft.n_fft % 2 == 0 else [0]] = 1.0
    back = basis.T * twice.repeat(2)[:, None] / stft.n_fft * stft.dual.double()
    return (basis * stft.window.double()[:, None]).float(), back[:, stft.win_length - stft.latency_samples :].float()


def _leaves(state: Any) -> list[Tensor]:
    """The tensors of nested tuples."""
    if isinstance(state, Tensor):
        return [state]
    return [leaf for part in state for leaf in _leaves(part)]


def _like(state: Any, leaves: Iterator[Tensor]) -> Any:
    """Nested tuples as ``state`` with other tensors, real and imaginary parts of complex ones apart."""
    if isinstance(state, Tensor):
        leaf = next(leaves)
        return torch.view_as_complex(leaf) if state.is_complex() else leaf
    return tuple(_like(part, leaves) for part in state)


def _real(state: Tensor) -> Tensor:
    return torch.view_as_real(state) if state.is_complex() else state
