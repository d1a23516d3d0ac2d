"""Patches of a spectrum, and what all losses between estimates have: a transform, gradients, silence, errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.kd.base import Pair
from arrayse.kd.dfkd import Dfkd
from arrayse.kd.estimates import EstimateLoss, Patches
from arrayse.kd.magnitude import Magnitude
from arrayse.schema.base import schema_of
from tests.estimate_cases import (
    HOP,
    N_FFT,
    SETTINGS,
    WAVES,
    built_loss,
    on_spectra,
    packed,
    slow_loss,
    slow_spectrum,
    spectra,
)

EVERY = pytest.mark.parametrize(("name", "options"), SETTINGS)
REGIONS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=3)


def waves(n_samples: int, seed: int, n_items: int = 2) -> torch.Tensor:
    return 0.3 * torch.randn(n_items, 1, 1, n_samples, generator=torch.Generator().manual_seed(seed))


# --- patches --------------------------------------------------------------------------------------------------------


def edges(patches: Patches) -> list[tuple[int, int, int]]:
    """(first bin, bin after the last, bins of a full patch) of every patch."""
    out, start = [], 0
    for n_freqs, n_bins in patches.regions:
        out += [(f, min(f + n_bins, start + n_freqs), n_bins) for f in range(start, start + n_freqs, n_bins)]
        start += n_freqs
    return out


@given(regions=REGIONS, n_frames=st.integers(1, 3))
@settings(max_examples=50, deadline=None)
def test_sums_means_and_values_of_patches_are_those_of_loops(regions: list[tuple[int, int]], n_frames: int) -> None:
    patches = Patches(tuple(regions))
    values = torch.randn(2, sum(n for n, _ in regions), n_frames, dtype=torch.float64)
    sums, means = patches.sum(values), patches.mean(values)
    assert sums.shape == means.shape == (2, len(edges(patches)), n_frames)
    expanded = patches.expand(sums)
    assert expanded.shape == values.shape
    for number, (start, stop, n_bins) in enumerate(edges(patches)):
        torch.testing.assert_close(sums[:, number], sum(values[:, f] for f in range(start, stop)))
        torch.testing.assert_close(means[:, number], sums[:, number] / n_bins)
        for f in range(start, stop):
            assert torch.equal(expanded[:, f], sums[:, number])


# --- magnitude and what all share -----------------------------------------------------------------------------------


@EVERY
def test_the_loss_of_spectra_equals_the_slow_reference(name: str, options: dict[str, Any]) -> None:
    student, teacher = spectra(0, 3), spectra(1, 3)
    got = on_spectra(name, **options)([packed(student)], [packed(teacher)])
    assert float(got) == pytest.approx(slow_loss(name, student.numpy(), teacher.numpy(), **options), rel=1e-12)


@EVERY
@pytest.mark.parametrize("n_samples", [1, 4, 30])
def test_the_loss_of_waves_equals_the_slow_reference(name: str, options: dict[str, Any], n_samples: int) -> None:
    student, teacher = waves(n_samples, 0), waves(n_samples, 1)
    of_student, of_teacher = (np.stack([slow_spectrum(item[0, 0]) for item in wave]) for wave in (student, teacher))
    expected = slow_loss(name, of_student, of_teacher, **options)
    assert float(built_loss(name, **options)([student], [teacher])) == pytest.approx(expected, rel=1e-4)


def test_the_magnitude_by_hand() -> None:
    student, teacher = (torch.full((1, 9, 1), value, dtype=torch.complex128) for value in (3 + 4j, -2j))
    assert float(on_spectra("magnitude", power="l1")([packed(student)], [packed(teacher)])) == pytest.approx(3)
    assert float(on_spectra("magnitude", power="l2")([packed(student)], [packed(teacher)])) == pytest.approx(9)


@EVERY
def test_the_loss_of_a_batch_is_the_mean_of_its_items(name: str, options: dict[str, Any]) -> None:
    built, student, teacher = built_loss(name, **options), waves(40, 0, 3), waves(40, 1, 3)
    items = [float(built([student[k : k + 1]], [teacher[k : k + 1]])) for k in range(3)]
    assert min(items) < 0.99 * max(items)
    assert float(built([student], [teacher])) == pytest.approx(sum(items) / 3, rel=1e-5)


@EVERY
def test_an_estimate_like_the_teachers_costs_nothing(name: str, options: dict[str, Any]) -> None:
    teacher = packed(spectra(1))
    assert float(on_spectra(name, **options)([teacher.clone()], [teacher])) == pytest.approx(0, abs=1e-15)


@EVERY
def test_the_gradient_is_that_of_finite_differences_and_goes_to_the_student_only(
    name: str, options: dict[str, Any]
) -> None:
    built, along = on_spectra(name, **options), packed(spectra(2))
    student, teacher = packed(spectra(0)).requires_grad_(), packed(spectra(1)).requires_grad_()
    built([student], [teacher]).backward()
    assert student.grad is not None
    assert teacher.grad is None
    ahead, behind = (float(built([student.detach() + far * along], [teacher])) for far in (1e-6, -1e-6))
    assert (ahead - behind) / 2e-6 == pytest.approx(float((student.grad * along).sum()), rel=1e-5)


@EVERY
@pytest.mark.parametrize("of_teacher", [0.0, 1e-20, 1.0])
@pytest.mark.parametrize("of_student", [0.0, 1e-20, 1e-5, 1.0])
def test_silence_has_a_finite_loss_and_a_bounded_gradient(
    name: str, options: dict[str, Any], of_student: float, of_teacher: float
) -> None:
    student, teacher = (of_student * waves(50, 0)).requires_grad_(), of_teacher * waves(50, 1)
    got = built_loss(name, **options)([student], [teacher])
    got.backward()
    assert math.isfinite(float(got.detach()))
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()
    if of_student < 1e-6:
        assert student.grad.abs().max() < 10


def test_the_transform_belongs_to_the_loss() -> None:
    student, teacher = waves(4000, 0), waves(4000, 1)
    both = [float(Magnitude(WAVES, n_fft=n, hop_length=n // 4)([student], [teacher])) for n in (64, 512)]
    assert both[0] == pytest.approx(both[1] / 8, rel=0.3)  # the power of a bin grows with the window
    assert Magnitude(WAVES).stft.kind == "hann"
    assert not Magnitude(WAVES).state_dict()


@EVERY
def test_estimates_at_two_microphones_are_not_compared(name: str, options: dict[str, Any]) -> None:
    kind: Any = {"magnitude": Magnitude, "dfkd": Dfkd}[name]
    with pytest.raises(
        ValueError, match="pairs: expected estimates at one microphone, got outputs at different ref_mic"
    ):
        kind([Pair(1, 1, aligned=False)], **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"power": "l3"}, "power: expected one of l1, l2, got l3"),
        ({"pairs": [Pair(2, 2)]}, "pairs: expected one of waves, with 1 channel each, got channels 2 and 2"),
        ({"pairs": [Pair(1, 2)]}, "pairs: expected one of waves, with 1 channel each, got channels 1 and 2"),
        ({"pairs": WAVES * 2}, "pairs: expected one of waves, with 1 channel each, got channels 1 and 1, 1 and 1"),
        ({"n_fft": 512, "hop_length": 100}, "hop_length: expected a proper divisor of n_fft 512, got 100"),
    ],
)
def test_what_cannot_be_compared_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Magnitude(**{"pairs": WAVES, **options})


def test_a_loss_says_what_it_compares_and_computes() -> None:
    built = Magnitude(WAVES, "l1", N_FFT, HOP)
    assert built.formula() == "mean||S| − |T||"
    assert Magnitude.default_pairs({}) == [("wave", "wave")]
    assert [(view.tap, view.kind) for view in built.views] == [(0, "whole")]
    assert not built.target_views
    assert schema_of(Magnitude, ("pairs",))().model_dump() == {"power": "l2", "n_fft": 512, "hop_length": 128}


def test_a_loss_without_bands_or_distance_is_none() -> None:
    empty, spectrum = EstimateLoss(WAVES), spectra(0)
    assert empty.height("all") == 257
    with pytest.raises(NotImplementedError):
        empty.bands(spectrum)
    with pytest.raises(NotImplementedError):
        empty.distance(spectrum, spectrum, built_loss("magnitude").bands(spectrum)[0], Patches.uniform(9, 9))
