"""What all distillation losses share: means over items, zeros, gradients, silence, declarations, errors."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from annotated_types import Ge
from torch import Tensor

from arrayse.frontend.stft import Stft
from arrayse.kd import METHODS
from arrayse.kd.base import Pair
from arrayse.kd.term import check_grid
from arrayse.kd.views import KINDS
from arrayse.schema.base import schema_of
from tests.kd_cases import EVERY, OF_FEATURES, build, declared, feature, loss, taps, value
from tests.tiny import VARIANTS

OF_ITEMS = [case for case in EVERY if case[1].get("form") == "normalised" or case[0] in ("gram", "feature_regression")]
MIXING = ("similarity_preserving", "clskd")
ADAPTED = ("clskd", "feature_regression")


def one(features: list[Tensor], item: int) -> list[Tensor]:
    return [feature[item : item + 1] for feature in features]


@pytest.mark.parametrize(("method", "options"), OF_ITEMS)
def test_the_loss_of_a_batch_is_the_mean_of_its_items(method: str, options: dict[str, Any]) -> None:
    student, teacher = taps(method, (4, 6), n_items=3)
    built = build(method, student, teacher, **options)
    items = [float(value(built, one(student, item), one(teacher, item)).detach()) for item in range(3)]
    assert min(items) < 0.99 * max(items)
    assert float(value(built, student, teacher).detach()) == pytest.approx(sum(items) / 3, rel=1e-12)


@pytest.mark.parametrize("method", MIXING)
def test_methods_that_compare_items_have_nothing_to_say_about_one(method: str) -> None:
    student, teacher = taps(method)
    assert METHODS[method].min_items == 2
    assert float(loss(method, one(student, 0), one(teacher, 0)).detach()) == pytest.approx(0, abs=1e-30)
    assert float(loss(method, student, teacher).detach()) > 1e-4


@pytest.mark.parametrize("method", [name for name in OF_FEATURES if name not in MIXING])
def test_other_methods_work_with_one_item(method: str) -> None:
    student, teacher = taps(method, n_items=1)
    assert METHODS[method].min_items == 1
    assert float(loss(method, student, teacher).detach()) > 1e-3


@pytest.mark.parametrize("method", MIXING)
def test_the_order_of_the_items_does_not_matter(method: str) -> None:
    student, teacher = taps(method, n_items=3)
    built = build(method, student, teacher)
    other = [2, 0, 1]
    before = float(value(built, student, teacher).detach())
    of_student, of_teacher = [s[other] for s in student], [t[other] for t in teacher]
    assert float(value(built, of_student, of_teacher).detach()) == pytest.approx(before, rel=1e-12)
    assert float(value(built, of_student, teacher).detach()) != pytest.approx(before, rel=1e-3)


@pytest.mark.parametrize(("method", "options"), [case for case in EVERY if case[0] not in ADAPTED])
def test_identical_features_cost_nothing_unless_something_trained_stands_between(
    method: str, options: dict[str, Any]
) -> None:
    teacher = taps(method)[1]
    assert float(loss(method, [t.clone() for t in teacher], teacher, **options)) == 0


@pytest.mark.parametrize(("method", "options"), EVERY)
def test_the_gradient_reaches_the_student_and_the_parameters_of_the_loss(method: str, options: dict[str, Any]) -> None:
    student, teacher = taps(method, (4, 6), n_items=3)
    for tap in (*student, *teacher):
        tap.requires_grad_()
    built = build(method, student, teacher, **options)
    value(built, student, teacher).backward()
    for tensor in (*student, *built.parameters()):
        assert tensor.grad is not None
        assert tensor.grad.abs().max() > 0
    if method == "clskd":
        assert all(tap.grad is None for tap in teacher)


@pytest.mark.parametrize(("method", "options"), EVERY)
def test_the_gradient_is_that_of_finite_differences(method: str, options: dict[str, Any]) -> None:
    student, teacher = taps(method)
    built = build(method, student, teacher, **options).requires_grad_(False)
    start = [tap.requires_grad_() for tap in student]
    step = [0.1 * feature(tap.shape[1], 50 + k) for k, tap in enumerate(start)]
    value(built, start, teacher).backward()
    expected = sum(float((tap.grad * along).sum()) for tap, along in zip(start, step, strict=True))
    ahead, behind = (
        float(value(built, [tap.detach() + far * along for tap, along in zip(start, step, strict=True)], teacher))
        for far in (1e-6, -1e-6)
    )
    assert (ahead - behind) / 2e-6 == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("of_teacher", [0.0, 1.0, None])
@pytest.mark.parametrize("of_student", [0.0, 1.0])
@pytest.mark.parametrize(("method", "options"), EVERY)
def test_constant_and_silent_features_have_finite_losses_and_gradients(
    method: str, options: dict[str, Any], of_student: float, of_teacher: float | None
) -> None:
    student, teacher = taps(method, n_items=2)
    student = [torch.full_like(tap, of_student).requires_grad_() for tap in student]
    if of_teacher is not None:
        teacher = [torch.full_like(tap, of_teacher) for tap in teacher]
    built = build(method, student, teacher, **options)
    got = value(built, student, teacher)
    got.backward()
    assert math.isfinite(float(got.detach()))
    for tensor in (*student, *built.parameters()):
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()


@pytest.mark.parametrize(("method", "options"), EVERY)
def test_silence_in_some_items_does_not_make_gradients_grow_in_32_bits(method: str, options: dict[str, Any]) -> None:
    student, teacher = taps(method, n_items=3)
    quiet = torch.tensor([1.0, 0.0, 1e-20])[:, None, None, None]
    student = [(tap * quiet).float() for tap in student]
    for tap in student:
        tap[0, :, 2] = tap[0, :, :, 1] = 0  # a silent frequency and a silent frame
        tap.requires_grad_()
    built = build(method, student, teacher, **options).float()
    got = value(built, student, [tap.float() for tap in teacher])
    got.backward()
    assert math.isfinite(float(got.detach()))
    assert all(tap.grad is not None and tap.grad.abs().max() < 100 for tap in student)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_says_where_it_was_published(method: str) -> None:
    kind = METHODS[method]
    assert any(char.isdigit() for char in kind.paper)
    assert kind.__doc__ is not None
    assert 0 < len(kind.__doc__.splitlines()[0]) <= 110  # printed in a list


@pytest.mark.parametrize(("method", "options"), VARIANTS)
def test_a_method_says_what_it_compares_and_computes(method: str, options: dict[str, Any]) -> None:
    pairs = METHODS[method].default_pairs(options)
    built = declared(method, options)
    assert {view.tap for view in built.views} == set(range(len(pairs)))
    assert {view.tap for view in built.target_views} <= set(range(len(pairs)))
    assert {view.kind for view in (*built.views, *built.target_views)} <= set(KINDS)
    assert any(formula in built.formula() for formula in METHODS[method].formulas.values())
    assert built.min_items == (2 if method in MIXING else 1)


def test_a_wrapped_loss_has_the_arguments_that_it_was_given() -> None:
    built: Any = declared("dispatch", {"inner": {"name": "dfkd", "beta": 0.2, "n_fft": 256}, "k": 0.5, "n_bins": 3})
    assert (built.inner.beta, built.inner.stft.n_fft, built.k) == (0.2, 256, 0.5)
    assert declared("dispatch", {"inner": {"name": "lin", "form": "paper"}}).get_submodule("inner").form == "paper"


@pytest.mark.parametrize("method", [name for name in OF_FEATURES if METHODS[name].any_number])
def test_any_number_of_pairs_is_seen(method: str) -> None:
    for n_taps in (1, 3):
        student = [feature(3, k, 3) for k in range(n_taps)]
        teacher = [feature(4, 10 + k, 3) for k in range(n_taps)]
        built = build(method, student, teacher)
        before = float(value(built, student, teacher).detach())
        for tap in range(n_taps):
            changed = [feature(3, 30, 3) if k == tap else s for k, s in enumerate(student)]
            assert float(value(built, changed, teacher).detach()) != pytest.approx(before, rel=1e-6)


@pytest.mark.parametrize("method", OF_FEATURES)
def test_the_schema_takes_the_defaults_of_the_signature(method: str) -> None:
    schema = schema_of(METHODS[method], ("pairs",))
    student, teacher = taps(method)
    built = build(method, student, teacher, **schema().model_dump())
    torch.testing.assert_close(value(built, student, teacher), loss(method, student, teacher))


def test_the_schema_refuses_a_fusion_without_channels() -> None:
    field = schema_of(METHODS["clskd"], ("pairs",)).model_fields["fusion_channels"]
    assert (field.default, field.metadata) == (32, [Ge(1)])


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("lin", {"form": "normalized"}, "form: expected one of paper, normalised, got normalized"),
        ("mask", {"form": "normalized"}, "form: expected one of paper, normalised, got normalized"),
        ("lstm1", {"form": "normalized"}, "form: expected one of paper, normalised, got normalized"),
        ("fused", {"form": "normalized"}, "form: expected one of paper, normalised, got normalized"),
        ("feature_regression", {"form": "l2"}, "form: expected one of paper, normalised, got l2"),
        ("lstm2", {"flows": []}, "flows: expected time, frequency or both, got none"),
        ("lstm2", {"flows": ["freq"]}, "flows: expected one of time, frequency, got freq"),
        ("gram", {"flows": []}, "flows: expected time, frequency or both, got none"),
        ("gram", {"pool": "max"}, "pool: expected one of mean, concat, got max"),
        ("fused", {"pool": "max"}, "pool: expected one of mean, concat, got max"),
        ("clskd", {"fusion_channels": 0}, "fusion_channels: expected 1 or more, got 0"),
    ],
)
def test_unknown_options_are_refused(method: str, options: dict[str, Any], message: str) -> None:
    constructor: Any = METHODS[method]
    with pytest.raises(ValueError, match=message):
        constructor([Pair(2, 2)] * len(METHODS[method].taps), **options)


def test_masks_have_real_and_imaginary_parts() -> None:
    with pytest.raises(ValueError, match="pairs: expected taps of real and imaginary parts, got 3 channels"):
        METHODS["mask"]([Pair(2, 3)])


def test_grids_of_other_windows_are_told_apart() -> None:
    wide, narrow = (Stft(512, 64, "asymmetric", 512, length) for length in (256, 128))
    with pytest.raises(ValueError, match=r"x pairs: expected stft.synthesis_length 256 as the teacher has, got 128"):
        check_grid(narrow, wide, "x")
    check_grid(wide, wide, "x")
