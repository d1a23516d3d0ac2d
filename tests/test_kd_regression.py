"""Losses between features themselves: masks, linear outputs, features through a trained convolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from arrayse.kd.base import DistillationLoss, MapLoss, Pair
from arrayse.kd.feature_regression import FeatureRegression
from arrayse.kd.lin import Lin
from arrayse.kd.mask import Mask
from tests.dispatch_cases import MAPS
from tests.kd_cases import GRID, build, feature, loss, slow_conv, taps, value

PAPER_AND_NORMALISED = pytest.mark.parametrize("form", ["paper", "normalised"])


def mapped(tap: Tensor, layer: nn.Module) -> np.ndarray:
    """(batch, channel, freq, frame) through an adapter, in loops."""
    return tap.numpy() if isinstance(layer, nn.Identity) else np.stack([slow_conv(item, layer) for item in tap.numpy()])


def slow_lin(student: np.ndarray, teacher: np.ndarray, form: str) -> float:
    out = []
    for of_student, of_teacher in zip(student, teacher, strict=True):
        s, t = [float(v) for v in of_student.ravel()], [float(v) for v in of_teacher.ravel()]
        distance = sum(abs(a - b) for a, b in zip(s, t, strict=True)) / len(s)
        spread = sum(abs(b - sum(t) / len(t)) for b in t) / len(t)
        out.append(distance / spread if form == "normalised" else distance)
    return sum(out) / len(out)


def masks_of(item: np.ndarray) -> list[list[complex]]:
    """For each microphone, the complex masks of all bins."""
    half = len(item) // 2
    parts = [zip(item[m].ravel(), item[m + half].ravel(), strict=True) for m in range(half)]
    return [[complex(re, im) for re, im in part] for part in parts]


def slow_mask(student: np.ndarray, teacher: np.ndarray, form: str) -> float:
    out = []
    for of_student, of_teacher in zip(student, teacher, strict=True):
        distances, deviations = [], []
        for s, t in zip(masks_of(of_student), masks_of(of_teacher), strict=True):
            centre = sum(t) / len(t)
            distances += [abs(a - b) for a, b in zip(s, t, strict=True)]
            deviations += [abs(b - centre) for b in t]
        distance = sum(distances) / len(distances)
        out.append(distance / (sum(deviations) / len(deviations)) if form == "normalised" else distance)
    return sum(out) / len(out)


def slow_regression(student: np.ndarray, teacher: np.ndarray, form: str) -> float:
    out = []
    for s, t in zip(student, teacher, strict=True):
        error = sum((float(a) - float(b)) ** 2 for a, b in zip(s.ravel(), t.ravel(), strict=True)) / s.size
        variances = []
        for channel in t:
            values = [float(v) for v in channel.ravel()]
            variances.append(sum((v - sum(values) / len(values)) ** 2 for v in values) / len(values))
        out.append(error / (sum(variances) / len(variances)) if form == "normalised" else error)
    return sum(out) / len(out)


# --- slow references ------------------------------------------------------------------------------------------------


@PAPER_AND_NORMALISED
@pytest.mark.parametrize("widths", [(4, 4), (2, 6), (6, 2)])
@pytest.mark.parametrize(("method", "slow"), [("lin", slow_lin), ("mask", slow_mask)])
def test_mask_and_lin_equal_the_slow_reference(
    method: str, slow: Callable[..., float], widths: tuple[int, int], form: str
) -> None:
    student, teacher = taps(method, widths)
    built = build(method, student, teacher, form=form)
    expected = slow(mapped(student[0], built.adapter), teacher[0].numpy(), form)
    assert float(value(built, student, teacher).detach()) == pytest.approx(expected, rel=1e-9)


@PAPER_AND_NORMALISED
@pytest.mark.parametrize("widths", [(4, 4), (2, 6)])
def test_feature_regression_equals_the_slow_reference(widths: tuple[int, int], form: str) -> None:
    student, teacher = taps("feature_regression", widths)
    built = build("feature_regression", student, teacher, form=form)
    both = zip(built.adapters, student, teacher, strict=True)
    expected = sum(slow_regression(mapped(s, adapter), t.numpy(), form) for adapter, s, t in both)
    assert float(value(built, student, teacher).detach()) == pytest.approx(expected, rel=1e-9)


# --- closed forms ---------------------------------------------------------------------------------------------------


def test_mask_by_hand_is_a_modulus_not_a_sum_of_parts() -> None:
    teacher = torch.zeros(1, 4, 1, 1, dtype=torch.float64)  # two masks: real parts 0 and 1, imaginary parts 2 and 3
    student = torch.tensor([3.0, 6.0, 4.0, 8.0], dtype=torch.float64)[None, :, None, None]  # 3 + 4i and 6 + 8i
    assert float(loss("mask", [student], [teacher], form="paper")) == (5 + 10) / 2


def test_turning_both_masks_by_a_phase_changes_nothing() -> None:
    student, teacher = feature(4, 0), feature(4, 1)

    def turned(mask: Tensor) -> Tensor:
        re, im = mask.chunk(2, dim=1)
        return torch.cat([0.6 * re - 0.8 * im, 0.8 * re + 0.6 * im], dim=1)

    for form in ("paper", "normalised"):
        torch.testing.assert_close(
            loss("mask", [turned(student)], [turned(teacher)], form=form), loss("mask", [student], [teacher], form=form)
        )


def test_one_says_no_closer_than_a_constant() -> None:
    teacher = feature(4, 1)
    overall = teacher.mean(dim=(1, 2, 3), keepdim=True).expand_as(teacher)
    assert float(loss("lin", [overall], [teacher])) == pytest.approx(1)
    per_channel = teacher.mean(dim=(2, 3), keepdim=True).expand_as(teacher)
    assert float(loss("mask", [per_channel], [teacher])) == pytest.approx(1)
    single = teacher[:1]
    built = build("feature_regression", [single], [single])
    with torch.no_grad():
        built.adapters[0].weight.zero_()
        built.adapters[0].bias.copy_(single.mean(dim=(0, 2, 3)))
    assert float(value(built, [feature(4, 0, 1)], [single]).detach()) == pytest.approx(1)


@pytest.mark.parametrize("method", ["lin", "mask"])
def test_the_normalised_forms_do_not_know_the_scale_or_the_offset_of_both(method: str) -> None:
    student, teacher = feature(4, 0), feature(4, 1)
    both = [3 * student - 2], [3 * teacher - 2]
    torch.testing.assert_close(loss(method, *both), loss(method, [student], [teacher]))
    torch.testing.assert_close(
        loss(method, *both, form="paper"), 3 * loss(method, [student], [teacher], form="paper"), rtol=1e-12, atol=0
    )


def test_features_that_can_be_read_off_cost_nothing() -> None:
    student = [feature(3, 0), feature(3, 1)]
    mixing = [feature(5, 20 + k)[0, :, :3, 0] for k in range(2)]  # (5, 3)
    teacher = [torch.einsum("oc,bcft->boft", m, s) + 0.7 for m, s in zip(mixing, student, strict=True)]
    built = build("feature_regression", student, teacher)
    assert float(value(built, student, teacher).detach()) > 0.1
    with torch.no_grad():
        for layer, m in zip(built.adapters, mixing, strict=True):
            layer.weight.copy_(m[..., None, None])
            layer.bias.fill_(0.7)
    assert float(value(built, student, teacher).detach()) == pytest.approx(0, abs=1e-24)


def test_the_order_of_channels_can_be_learnt_by_regression() -> None:
    teacher = feature(3, 0, 4)
    student = teacher[:, [2, 0, 1]]
    built = build("feature_regression", [student], [teacher])
    optimiser = torch.optim.LBFGS(built.parameters(), max_iter=30, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        out = value(built, [student], [teacher])
        out.backward()
        return out

    optimiser.step(closure)
    assert float(closure().detach()) < 1e-6
    learnt = built.adapters[0].weight.detach()[..., 0, 0]
    torch.testing.assert_close(learnt, torch.eye(3, dtype=torch.float64)[:, [2, 0, 1]], rtol=0, atol=1e-2)


def test_a_louder_teacher_weighs_more_in_the_paper_form_only() -> None:
    student, teacher = [feature(3, 0)], [feature(3, 1)]
    for form, expected in (("paper", 16.0), ("normalised", 1.0)):
        built = build("feature_regression", student, teacher, form=form)
        before = float(value(built, student, teacher).detach())
        with torch.no_grad():
            for parameter in built.parameters():
                parameter.mul_(4)
        assert float(value(built, student, [4 * t for t in teacher]).detach()) == pytest.approx(expected * before)


# --- maps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "options"), MAPS)
def test_a_loss_is_the_mean_of_what_its_bins_add(method: str, options: dict[str, Any]) -> None:
    """Each bin adds what stands in it; what it is divided by belongs to the item."""
    student, teacher = [feature(4, 0, 3)], [feature(4, 1, 3)]
    built: Any = build(method, student, teacher, **options)
    added = built.distance_map(student, teacher)
    assert added.shape == (3, *GRID)
    assert float(added.mean()) == pytest.approx(float(value(built, student, teacher)), rel=1e-12)
    other = [student[0].clone()]
    other[0][1, :, 2, 3] += 5.0
    moved = built.distance_map(other, teacher) != added
    assert moved.nonzero().tolist() == [[1, 2, 3]]


def test_a_loss_without_a_map_is_none() -> None:
    with pytest.raises(NotImplementedError):
        MapLoss()([feature(2, 0)], [feature(2, 1)])


# --- adapters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [Lin, Mask])
def test_outputs_have_an_adapter_only_where_widths_or_microphones_differ(method: type[DistillationLoss]) -> None:
    shapes = {
        pair: [tuple(p.shape) for p in method([pair]).parameters()]  # type: ignore[call-arg]
        for pair in (Pair(2, 2), Pair(2, 2, aligned=False), Pair(2, 10))
    }
    assert list(shapes.values()) == [[], [(2, 2, 1, 1), (2,)], [(10, 2, 1, 1), (10,)]]


def test_regression_has_an_adapter_always_and_one_for_each_tap() -> None:
    built = FeatureRegression([Pair(3, 3), Pair(2, 5), Pair(4, 1)])
    shapes = [tuple(p.shape) for p in built.parameters()]
    assert shapes == [(3, 3, 1, 1), (3,), (5, 2, 1, 1), (5,), (1, 4, 1, 1), (1,)]


def test_identical_masks_have_a_gradient_of_zero_not_nan() -> None:
    teacher = feature(4, 0)
    student = teacher.clone().requires_grad_()
    loss("mask", [student], [teacher]).backward()
    assert student.grad is not None
    assert float(student.grad.abs().max()) == 0
