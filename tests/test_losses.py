"""Training losses: closed forms, means over items, gradients where signals are silent, agreement with the metric."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from arrayse.frontend.stft import Stft
from arrayse.losses import (
    LOSSES,
    MagnitudeMse,
    NegativeSiSdr,
    NegativeSnr,
    WaveMagnitudeL1,
    magnitude_of,
    si_sdr_db,
    snr_db,
)
from arrayse.metrics import si_sdr
from tests.tiny import waves

STFT = Stft(64, 32)


def loss_of(loss: nn.Module, wave: Tensor, target: Tensor) -> Tensor:
    """The loss on waves (batch, n_samples) and their spectra."""
    return loss(wave, STFT(wave), target, STFT(target))


def pair(n_items: int = 3) -> tuple[Tensor, Tensor]:
    """Targets and estimates that differ more from item to item."""
    target, error = waves(2, n_items, 800)
    return target + error * torch.arange(1, n_items + 1)[:, None], target


def test_wave_magnitude_l1_in_closed_form() -> None:
    wave, target = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.5, 1.0]])
    spec, target_spec = torch.tensor([[[3 + 4j, 0j]]]), torch.tensor([[[1 + 0j, -2 + 0j]]])
    got = WaveMagnitudeL1(wave_weight=10.0)(wave, spec, target, target_spec)
    assert float(got) == pytest.approx(10 * (0.5 + 1.0) / 2 + (4.0 + 2.0) / 2)


def test_magnitudes_do_not_see_the_phase_but_the_wave_does() -> None:
    wave, target = -pair()[1], pair()[1]
    assert float(loss_of(WaveMagnitudeL1(wave_weight=0.0), wave, target)) == pytest.approx(0.0, abs=1e-6)
    assert float(loss_of(WaveMagnitudeL1(), wave, target)) == pytest.approx(20 * float(target.abs().mean()), rel=1e-5)


@pytest.mark.parametrize("ratio_db", [-10.0, 0.0, 30.0])
def test_si_sdr_in_closed_form(ratio_db: float) -> None:
    time = torch.arange(800) / 800
    target, other = (
        torch.sin(2 * math.pi * 5 * time),
        torch.sin(2 * math.pi * 9 * time),
    )  # orthogonal, mean zero
    wave = 0.3 + 4.0 * (target + 10 ** (-ratio_db / 20) * other)
    assert float(si_sdr_db(wave[None], 0.1 + target[None])) == pytest.approx(ratio_db, abs=1e-3)


def test_si_sdr_agrees_with_the_metric() -> None:
    wave, target = pair()
    got = si_sdr_db(wave, target)
    for item in range(len(wave)):
        expected = si_sdr(wave[item].numpy(), target[item].numpy(), 16000).value
        assert expected is not None
        assert float(got[item]) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("ratio_db", [-10.0, 0.0, 30.0])
def test_snr_in_closed_form(ratio_db: float) -> None:
    target, error = pair(1)[1], waves(1, 800, seed=1)
    error = error * target.norm() / error.norm() * 10 ** (-ratio_db / 20)
    assert float(snr_db(target + error, target)) == pytest.approx(ratio_db, abs=1e-4)


@pytest.mark.parametrize(("gain", "expected"), [(0.0, 0.0), (0.5, 20 * math.log10(2)), (3.0, -20 * math.log10(2))])
def test_snr_counts_the_level_and_the_mean_and_si_sdr_does_not(gain: float, expected: float) -> None:
    target = pair(1)[1]
    assert float(snr_db(gain * target, target)) == pytest.approx(expected, abs=1e-4)
    if gain:
        assert float(si_sdr_db(gain * target + 5.0, target)) > 60
    assert float(snr_db(target + 1.0, target)) == pytest.approx(float(10 * target.square().mean().log10()), abs=1e-3)


def test_magnitude_mse_in_closed_form() -> None:
    spec, target_spec = torch.tensor([[[3 + 4j, 0j]]]), torch.tensor([[[1 + 0j, -2 + 0j]]])
    wave = torch.zeros(1, 2)
    assert float(MagnitudeMse()(wave, spec, wave, target_spec)) == pytest.approx((16.0 + 4.0) / 2)


def test_magnitude_mse_sees_every_bin_by_itself() -> None:
    spec, target_spec = (STFT(wave) for wave in pair(1))
    spec.requires_grad_()
    MagnitudeMse()(spec, spec, target_spec, target_spec).backward()
    assert spec.grad is not None
    whole = spec.grad[:, 3:8].clone()
    spec.grad = None
    (magnitude_of(spec) - magnitude_of(target_spec))[:, 3:8].square().mean().backward()
    torch.testing.assert_close(whole, spec.grad[:, 3:8] * 5 / spec.shape[1])


@pytest.mark.parametrize("loss", [build() for build in LOSSES.values()], ids=list(LOSSES))
def test_the_loss_of_a_batch_is_the_mean_of_its_items(loss: nn.Module) -> None:
    wave, target = pair()
    items = [loss_of(loss, wave[i : i + 1], target[i : i + 1]) for i in range(len(wave))]
    assert len({round(float(item), 3) for item in items}) == len(items)
    torch.testing.assert_close(loss_of(loss, wave, target), torch.stack(items).mean())


@pytest.mark.parametrize("loss", [build() for build in LOSSES.values()], ids=list(LOSSES))
@pytest.mark.parametrize("silent", ["target", "estimate", "both"])
def test_silence_has_a_finite_gradient(loss: nn.Module, silent: str) -> None:
    wave, target = pair()
    wave = (wave * (silent == "target")).requires_grad_()
    got = loss_of(loss, wave, target * (silent == "estimate"))
    got.backward()
    assert math.isfinite(float(got.detach()))
    assert wave.grad is not None
    assert torch.isfinite(wave.grad).all()


@pytest.mark.parametrize(("loss", "ratio_db"), [(NegativeSiSdr(), si_sdr_db), (NegativeSnr(), snr_db)])
def test_a_silent_target_counts_as_zero_decibels_and_teaches_nothing(
    loss: nn.Module, ratio_db: Callable[[Tensor, Tensor], Tensor]
) -> None:
    wave, target = pair()
    target[1] = 0
    wave.requires_grad_()
    loss_of(loss, wave, target).backward()
    assert wave.grad is not None
    assert ratio_db(wave, target)[1] == 0
    assert not wave.grad[1].any()
    assert wave.grad[0].any()


@pytest.mark.parametrize("loss", [NegativeSiSdr(), NegativeSnr()])
def test_a_perfect_estimate_has_a_finite_ratio_and_gradient(loss: nn.Module) -> None:
    target = pair()[1]
    wave = target.clone().requires_grad_()
    got = loss_of(loss, wave, target)
    got.backward()
    assert -120 < float(got.detach()) < -70
    assert wave.grad is not None
    assert torch.isfinite(wave.grad).all()


def test_a_loss_falls_along_its_gradient() -> None:
    for build in LOSSES.values():
        wave, target = pair()
        wave.requires_grad_()
        before = loss_of(build(), wave, target)
        before.backward()
        assert wave.grad is not None
        step = wave.detach() - 1e-3 * wave.grad / wave.grad.abs().max()
        assert loss_of(build(), step, target) < before.detach()


def test_magnitude_is_the_modulus_and_has_no_gradient_at_zero() -> None:
    spec = torch.tensor([3 + 4j, 0j], requires_grad=True)
    magnitude = magnitude_of(spec)
    magnitude.sum().backward()
    torch.testing.assert_close(magnitude.detach(), torch.tensor([5.0, 0.0]), rtol=1e-6, atol=1e-6)
    assert spec.grad is not None
    assert spec.grad[1] == 0
