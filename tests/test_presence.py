"""The tracker of Gerkmann and Hendriks: against the paper written out, and what it makes of noise, bursts and steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from arrayse.frontend.presence import speech_presence

RATE = 62.5
"""Frames per second: a hop of 16 ms."""


def noise(n_batch: int, n_freqs: int, n_frames: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_batch, n_freqs, n_frames, dtype=torch.complex64, generator=generator)


def written_out(power: np.ndarray) -> tuple[list[float], list[float]]:
    """Presence and noise power of one frequency, with the numbers of the paper."""
    prior, mean, smoothed = 10**1.5, 0.0, 0.5
    presences, noises = [], []
    for frame, now in enumerate(power):
        if frame < 5:
            presences.append(0.0)
            mean = float(np.mean(power[: frame + 1]))
        else:
            presence = 1 / (1 + (1 + prior) * math.exp(-now / mean * prior / (1 + prior)))
            smoothed = 0.9 * smoothed + 0.1 * presence
            if smoothed > 0.99:
                presence = min(presence, 0.99)
            presences.append(presence)
            mean = 0.8 * mean + 0.2 * (presence * mean + (1 - presence) * now)
        noises.append(mean)
    return presences, noises


def test_it_is_the_paper_written_out() -> None:
    spec = noise(2, 4, 300)
    spec[..., 100:] *= 30  # a step that is taken for speech until the bound frees it
    presence, power, state = speech_presence(spec, RATE)
    for item, freq in np.ndindex(2, 4):
        expected = written_out(spec[item, freq].abs().double().numpy() ** 2)
        np.testing.assert_allclose(presence[item, freq].numpy(), expected[0], rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(power[item, freq].numpy(), expected[1], rtol=1e-4)
    assert torch.equal(state.noise, power[..., -1])
    assert (presence[..., 100:120].mean(-1) > 0.9).all()
    assert (power[..., -1] > 100).all()  # of 900


def test_steady_noise_is_hardly_speech_and_its_power_is_found() -> None:
    presence, power, _ = speech_presence(3 * noise(1, 50, 400), RATE)
    assert float(presence[..., 50:].mean()) < 0.2
    bias_db = 10 * math.log10(float(power[..., 50:].mean()) / 9)
    assert -1.5 < bias_db < 0  # the largest noise counts as speech


def test_bursts_above_the_noise_are_speech_and_leave_its_power() -> None:
    spec = noise(1, 50, 200)
    spec[..., 100:110] += 10 * torch.exp(1j * torch.arange(10))
    presence, power, _ = speech_presence(spec, RATE)
    assert presence[..., 100:110].min() > 0.99
    torch.testing.assert_close(power[..., 109], power[..., 99], rtol=0.05, atol=0)


@pytest.mark.parametrize("sizes", [[1] * 40, [3, 30, 7]])
def test_chunks_give_what_the_whole_gives(sizes: list[int]) -> None:
    spec = noise(2, 3, 40)
    whole = speech_presence(spec, RATE)
    parts, state = [], None
    for chunk in spec.split(sizes, dim=-1):
        *part, state = speech_presence(chunk, RATE, state)
        parts.append(part)
    for index in range(2):
        assert torch.equal(torch.cat([part[index] for part in parts], dim=-1), whole[index])
    assert state is not None
    assert state.n_frames == whole[2].n_frames == 40


def test_its_times_do_not_depend_on_the_hop() -> None:
    """A step of the noise: twice the frames per second, the same power after the same seconds."""
    powers = []
    for factor in (1, 2):
        spec = torch.ones(1, 1, 400 * factor, dtype=torch.complex64)
        spec[..., 100 * factor :] *= 1.2
        powers.append(speech_presence(spec, factor * RATE)[1][0, 0, factor - 1 :: factor])
    assert powers[0][100] < powers[0][115] < powers[0][399]
    torch.testing.assert_close(powers[1], powers[0], rtol=0.02, atol=0)


@pytest.mark.parametrize("factor", [1e-25, 1e10])
def test_the_level_does_not_matter(factor: float) -> None:
    spec = noise(2, 3, 60)
    presence, power, _ = speech_presence(factor * spec, RATE)
    expected = speech_presence(spec, RATE)
    torch.testing.assert_close(presence, expected[0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(power / factor**2, expected[1], rtol=1e-4, atol=0)


def test_silence_before_and_after_is_finite_and_forgotten() -> None:
    spec = noise(2, 3, 600)
    spec[..., :50] = 0
    spec[..., 400:] = 0
    presence, power, _ = speech_presence(spec, RATE)
    assert torch.isfinite(presence).all()
    assert ((presence >= 0) & (presence <= 1)).all()
    assert torch.isfinite(power).all()
    assert (power[..., 399] > 0.05).all()


def test_items_of_a_batch_do_not_mix() -> None:
    spec = noise(3, 4, 50)
    together = speech_presence(spec, RATE)
    for item in range(3):
        alone = speech_presence(spec[item : item + 1], RATE)
        torch.testing.assert_close(alone[0][0], together[0][item])
        torch.testing.assert_close(alone[1][0], together[1][item])


def test_errors() -> None:
    spec = noise(2, 3, 4)
    for bad in (spec.real, spec[0], spec[..., :0]):
        with pytest.raises(ValueError, match=r"spec: expected complex \(batch, n_freqs, n_frames\) with frames"):
            speech_presence(bad, RATE)
    with pytest.raises(ValueError, match=r"state: expected one of shape \(1, 3\), got \(2, 3\)"):
        speech_presence(spec[:1], RATE, speech_presence(spec, RATE)[2])
    with pytest.raises(ValueError, match="frame_rate: expected a positive number"):
        speech_presence(spec, 0.0)
