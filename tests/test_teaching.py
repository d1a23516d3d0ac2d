"""Any network teaches any other by losses between estimates; losses that see the clean target see the student's."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from arrayse.frontend.features import real_channels
from arrayse.kd import Distillation, build_term
from arrayse.kd.methods import WRAPPED
from arrayse.losses import WaveMagnitudeL1
from arrayse.models import Enhancer
from tests.tiny import batch, distillation, enhancer, network, taught_by

BETWEEN_WAVES: dict[str, dict[str, Any]] = {
    "magnitude": {"name": "magnitude", "n_fft": 32, "hop_length": 8},
    "dfkd": {"name": "dfkd", "n_fft": 32, "hop_length": 8},
    "dispatch": {"name": "dispatch", "inner": {"name": "dfkd"}, "mssp": True},
    "fixed": {"name": "dfkd", "crossover": "fixed", "fixed_bin": 5, "n_fft": 32, "hop_length": 8},
}
SEVERAL = ("ft_jnf", "ft_jnf several masks", "dccrn", "conv_tasnet", "dptnet", "dpdcrn", "subband")


def of_one_term(student: Enhancer, teacher: Enhancer, loss: dict[str, Any], pairs: Any = None) -> Distillation:
    """Distillation alone, by one loss."""
    term = build_term("t", loss, 1.0, pairs, student, teacher)
    return Distillation(student, WaveMagnitudeL1(), [taught_by(teacher, [term])], 0.0)


@pytest.mark.parametrize("loss", BETWEEN_WAVES)
@pytest.mark.parametrize("teaches", [*SEVERAL, "another transform"])
@pytest.mark.parametrize("learns", SEVERAL)
def test_any_network_teaches_any_other(learns: str, teaches: str, loss: str) -> None:
    """In 16 bits; of three microphones, or one, from all five, at the same reference."""
    student = network(learns, [0, 2, 3] if learns in ("dccrn", "conv_tasnet") else [0], 0).train()
    teacher = enhancer(n_fft=128) if teaches == "another transform" else network(teaches, seed=1)
    objective, scenes = of_one_term(student, teacher, BETWEEN_WAVES[loss]), batch(n_samples=800)
    with torch.autocast("cpu", torch.bfloat16):
        got = objective(scenes)
    got["loss"].backward()
    assert got["t"].dtype == torch.float32
    assert float(got["t"].detach()) > 0
    gradients = [parameter.grad for parameter in student.parameters()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)
    assert sum(float(gradient.abs().sum()) for gradient in gradients if gradient is not None) > 0
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in teacher.parameters())


@pytest.mark.parametrize(("teaches", "learns"), [("conv_tasnet", "ft_jnf"), ("dptnet", "conv_tasnet causal")])
def test_only_waves_and_spectra_of_other_networks_can_be_compared_bin_by_bin(teaches: str, learns: str) -> None:
    """Estimates have one grid, whatever the network; features inside have that of the network."""
    student, teacher, scenes = network(learns), network(teaches, seed=1), batch(n_samples=800)
    for tap in ("wave", "spec"):
        got = of_one_term(student, teacher, {"name": "lin", "form": "paper"}, [(tap, tap)])(scenes)["t"]
        with torch.no_grad():
            expected = (student(scenes.noisy).taps[tap] - teacher(scenes.noisy).taps[tap]).abs().mean()
        torch.testing.assert_close(got.detach(), expected)
    inside = of_one_term(student, teacher, {"name": "lin"}, [(next(iter(student.tap_channels)), "mid_1")])
    with pytest.raises((RuntimeError, ValueError)):
        inside(scenes)


@pytest.mark.parametrize("inner", WRAPPED)
def test_losses_see_the_target_at_the_reference_alone(inner: str) -> None:
    """The target at any other microphone may be anything."""
    student, teacher, scenes = enhancer(mics=[1, 3], ref_mic=3), enhancer(seed=1, ref_mic=3), batch()
    objective = distillation(student, teacher, "dispatch", 0.0, inner={"name": inner}, k=0.5)
    seen: list[list[torch.Tensor]] = []
    objective.losses["dispatch"].register_forward_hook(lambda module, views, value: seen.append(views[2]))
    before = objective(scenes)["dispatch"]
    wave = scenes.target[:, 3]
    of_waves = inner in ("magnitude", "dfkd")
    expected = wave[:, None, None] if of_waves else real_channels(student.stft(wave)[:, None])
    assert [len(views) for views in seen] == [1]
    torch.testing.assert_close(seen[0][0], expected)
    scenes.target[:, [0, 1, 2, 4]] = 0
    torch.testing.assert_close(objective(scenes)["dispatch"], before)
    scenes.target[:, 3] = -scenes.target[:, 0]
    assert float(objective(scenes)["dispatch"].detach()) != pytest.approx(float(before.detach()), rel=1e-3)


def test_the_target_of_items_without_this_teacher_is_not_seen() -> None:
    """Items at 0, 10 and 20 dB, the teacher is asked about the first and the last."""
    student, teacher, scenes = enhancer(), enhancer(seed=1), batch(n_items=3)
    scenes.snr_db[1] = 50.0
    term = build_term("t", {"name": "dispatch", "inner": {"name": "magnitude"}}, 1.0, None, student, teacher)
    source = taught_by(teacher, [term], snr_db=(-5.0, 20.0))
    got = Distillation(student, WaveMagnitudeL1(), [source], 0.0)(scenes)["t"]
    scenes.target[1] = float("nan")
    again = Distillation(student, WaveMagnitudeL1(), [source], 0.0)(scenes)["t"]
    assert torch.equal(got, again)
    both = of_one_term(student, teacher, {"name": "dispatch", "inner": {"name": "magnitude"}})(scenes.items([0, 2]))
    torch.testing.assert_close(got, 2 / 3 * both["t"])


def test_losses_that_see_a_target_need_taps_that_it_has() -> None:
    student, teacher = network("ft_jnf"), network("subband", seed=1)
    loss = {"name": "dispatch", "inner": {"name": "lin", "form": "paper"}}
    with pytest.raises(
        ValueError, match="t pairs: expected one of wave, spec, which the clean target has too, got mask"
    ):
        build_term("t", loss, 1.0, [("mask", "mask"), ("mask", "mask")], student, teacher)
    built = build_term("t", loss, 1.0, [("mask", "mask"), ("spec", "spec")], student, teacher)
    assert [(view.tap, view.kind) for view in built.loss.target_views] == [(1, "whole")]
