"""The sub-band loss: plain loops, the elite teacher of every band, gradients, silence, errors."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from arrayse.kd.base import Pair
from arrayse.kd.subband import SubBand
from arrayse.kd.views import look
from arrayse.losses import MagnitudeMse
from tests.kd_cases import feature


def spectrum(seed: int, n_items: int = 2) -> Tensor:
    """Real and imaginary part, (batch, 2, 5, 4) in float64."""
    return feature(2, seed, n_items)


def loss(student: Tensor, teacher: Tensor) -> Tensor:
    """The loss of two taps, seen as it sees them."""
    built = SubBand([Pair(student.shape[1], teacher.shape[1])])
    return built(look(built.views, [student]), look(built.views, [teacher]))


def slow(student: Tensor, teacher: Tensor) -> float:
    """Bin by bin."""
    n_items, n_channels, n_freqs, n_frames = student.shape
    half, errors = n_channels // 2, []
    for b in range(n_items):
        for m in range(half):
            for f in range(n_freqs):
                for t in range(n_frames):
                    s, q = (abs(complex(x[b, m, f, t], x[b, m + half, f, t])) for x in (student, teacher))
                    errors.append((s - q) ** 2)
    return sum(errors) / len(errors)


@pytest.mark.parametrize("n_channels", [2, 4])
def test_the_loss_is_that_of_plain_loops(n_channels: int) -> None:
    student, teacher = feature(n_channels, 0), feature(n_channels, 1)
    assert float(loss(student, teacher)) == pytest.approx(slow(student, teacher), rel=1e-12)
    assert slow(student, teacher) > 0.1


def test_each_band_follows_its_own_elite_teacher() -> None:
    """A spectrum put together of teachers, each on its band, costs the sum over the bands, weighted by their bins."""
    student, teachers, edges = spectrum(0), [spectrum(seed) for seed in (1, 2, 3)], [0, 1, 3, 5]
    bands = [slice(first, end) for first, end in pairwise(edges)]
    joined = torch.cat([teacher[:, :, band] for teacher, band in zip(teachers, bands, strict=True)], dim=2)
    parts = [
        (band.stop - band.start) / 5 * slow(student[:, :, band], teacher[:, :, band])
        for teacher, band in zip(teachers, bands, strict=True)
    ]
    assert float(loss(student, joined)) == pytest.approx(sum(parts), rel=1e-12)


def test_equal_spectra_and_equal_magnitudes_cost_nothing() -> None:
    spec = spectrum(0)
    assert float(loss(spec.clone(), spec)) == 0
    turned = torch.stack([-spec[:, 1], spec[:, 0]], dim=1)
    assert float(loss(turned, spec)) == pytest.approx(0, abs=1e-30)


def test_the_loss_of_a_batch_is_the_mean_of_its_items() -> None:
    student, teacher = spectrum(0, 3), spectrum(1, 3)
    items = [float(loss(student[i : i + 1], teacher[i : i + 1])) for i in range(3)]
    assert min(items) < 0.99 * max(items)
    assert float(loss(student, teacher)) == pytest.approx(sum(items) / 3, rel=1e-12)


def test_only_the_student_gets_a_gradient_and_it_is_that_of_finite_differences() -> None:
    student, teacher, along = spectrum(0).requires_grad_(), spectrum(1).requires_grad_(), spectrum(2)
    loss(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad is not None
    ahead, behind = (slow(student.detach() + far * along, teacher.detach()) for far in (1e-6, -1e-6))
    assert (ahead - behind) / 2e-6 == pytest.approx(float((student.grad * along).sum()), rel=1e-6)


@pytest.mark.parametrize("silent", ["student", "teacher", "both"])
def test_silence_has_a_finite_gradient(silent: str) -> None:
    student, teacher = spectrum(0) * (silent == "teacher"), spectrum(1) * (silent == "student")
    student.requires_grad_()
    loss(student, teacher).backward()
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()
    assert student.grad.any() == (silent == "teacher")


def test_the_teacher_in_place_of_the_clean_speech_is_the_supervised_loss() -> None:
    student, teacher = spectrum(0), spectrum(1)
    spec, target = (torch.complex(x[:, 0], x[:, 1]) for x in (student, teacher))
    torch.testing.assert_close(MagnitudeMse()(spec, spec, target, target), loss(student, teacher), rtol=1e-6, atol=0)


def test_its_declaration() -> None:
    assert SubBand.taps == ("spec",)
    assert SubBand([Pair(2, 2)]).formula().startswith("mean(|S| − |T|)² over all bins")
    assert not list(SubBand([Pair(2, 2)]).parameters())


def test_estimates_at_two_microphones_are_not_compared() -> None:
    with pytest.raises(
        ValueError, match="pairs: expected estimates at one microphone, got outputs at different ref_mic"
    ):
        SubBand([Pair(2, 2, aligned=False)])


@pytest.mark.parametrize("pair", [Pair(3, 3), Pair(2, 4), Pair(2, 1)])
def test_taps_without_matching_real_and_imaginary_parts_are_refused(pair: Pair) -> None:
    with pytest.raises(ValueError, match=f"pairs: expected as many .* got {pair.student} and {pair.teacher} channels"):
        SubBand([pair])
