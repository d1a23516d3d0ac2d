"""Supervised objective: the loss at the student's reference, sums for validation."""

from __future__ import annotations

import pytest
import torch

from arrayse.losses import NegativeSiSdr, WaveMagnitudeL1, si_sdr_db
from arrayse.objectives import Objective, Supervised
from tests.tiny import batch, enhancer


def test_supervised_is_the_loss_at_the_students_reference() -> None:
    scenes = batch()
    for mics, ref_mic in (([0, 1], 0), ([3, 2], 2)):
        student = enhancer(mics=mics, ref_mic=ref_mic)
        loss, enhanced, target = WaveMagnitudeL1(), student(scenes.noisy), scenes.target[:, ref_mic]
        expected = loss(enhanced.wave, enhanced.spec[:, 0], target, student.stft(target))
        got = Supervised(student, loss)(scenes)
        assert list(got) == ["loss"]
        torch.testing.assert_close(got["loss"], expected)


def test_the_gradient_reaches_every_weight_of_the_student() -> None:
    student = enhancer(mics=[0, 1])
    Supervised(student, NegativeSiSdr())(batch())["loss"].backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in student.parameters())


def test_validation_sums_over_items() -> None:
    objective, scenes = Supervised(enhancer(), WaveMagnitudeL1()), batch(n_items=3)
    with torch.no_grad():
        whole = objective.validate(scenes)
        parts = [objective.validate(scenes.items([i])) for i in range(3)]
    assert set(whole) == {"loss", "si_sdr_gain"}
    for name, value in whole.items():
        torch.testing.assert_close(value, torch.stack([part[name] for part in parts]).sum(), rtol=1e-5, atol=1e-5)


def test_validation_measures_the_gain_over_the_noisy_reference() -> None:
    student, scenes = enhancer(mics=[2, 4], ref_mic=4), batch()
    with torch.no_grad():
        got = Supervised(student, WaveMagnitudeL1()).validate(scenes)["si_sdr_gain"]
        target = scenes.target[:, 4]
        expected = si_sdr_db(student(scenes.noisy).wave, target) - si_sdr_db(scenes.noisy[:, 4], target)
    torch.testing.assert_close(got, expected.sum())


def test_equation_names_the_loss() -> None:
    assert Supervised(enhancer(), NegativeSiSdr()).equation() == "loss = NegativeSiSdr"


def test_the_bare_objective_minimises_nothing() -> None:
    with pytest.raises(TypeError, match="Objective: expected Supervised or Distillation"):
        Objective(enhancer(), WaveMagnitudeL1())(batch())


def test_a_batch_keeps_its_ids_when_it_moves() -> None:
    scenes = batch().to(torch.device("meta"))
    assert scenes.ids == ["item-0", "item-1"]
    assert scenes.noisy.is_meta
    assert scenes.target.is_meta
