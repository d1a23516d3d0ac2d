"""DISPatch: which patches it selects, what it makes of them, around every loss that it can wrap."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.kd.base import Pair
from arrayse.kd.dispatch import Dispatch, top_share
from arrayse.kd.lin import Lin
from arrayse.kd.mask import Mask
from arrayse.kd.methods import WRAPPED
from tests.dispatch_cases import INSIDE, SHAPES, SPECS, around, case, parts, run, slow_dispatch, takes
from tests.estimate_cases import N_FREQS, spectra
from tests.tiny import batch, distillation, enhancer

RULES: list[dict[str, Any]] = [{"k": 0.8}, {"k": 0.3}, {"k": 0.01}, {"k": 1.0}, {"rule": "positive"}]
EVERY = pytest.mark.parametrize(("name", "options"), INSIDE)
EVERY_SHAPE = pytest.mark.parametrize(
    ("name", "options", "shape"), [(*inner, shape) for inner in INSIDE for shape in SHAPES if takes(inner[1], shape)]
)


# --- slow reference -------------------------------------------------------------------------------------------------


@EVERY_SHAPE
@pytest.mark.parametrize("rule", RULES)
def test_the_loss_equals_the_slow_reference(
    name: str, options: dict[str, Any], shape: dict[str, Any], rule: dict[str, Any]
) -> None:
    built, look = around(name, options, **shape, **rule)
    got = run(built, look, *case())
    assert got > 0
    assert float(got) == pytest.approx(slow_dispatch(name, options, shape, case(), **rule), rel=1e-10)


# --- selection ------------------------------------------------------------------------------------------------------


@given(
    scores=st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0]), min_size=1, max_size=12),
    hidden=st.integers(0, 2**12 - 2),
    k=st.floats(0.01, 1.0),
)
@settings(max_examples=200, deadline=None)
def test_a_share_has_the_largest_scores_and_all_their_ties(scores: list[float], hidden: int, k: float) -> None:
    eligible = [not hidden >> n & 1 for n in range(len(scores))]
    if not any(eligible):
        eligible[0] = True
    chosen = top_share(torch.tensor(scores)[None, :, None], torch.tensor(eligible)[None, :, None], k)[0, :, 0].tolist()
    seen = sorted((score for score, may in zip(scores, eligible, strict=True) if may), reverse=True)
    number = max(int(k * len(seen)), 1)
    for score, may, was in zip(scores, eligible, chosen, strict=True):
        assert was == (may and score >= seen[number - 1])
    assert sum(chosen) >= number


def test_ties_are_kept_and_each_utterance_has_its_own_share() -> None:
    scores = torch.tensor([[3.0, 1.0, 1.0, 0.0], [-9.0, -8.0, -7.0, -6.0]])[..., None]
    chosen = top_share(scores, torch.ones_like(scores, dtype=torch.bool), 0.5)[..., 0]
    assert chosen.tolist() == [[True, True, True, False], [False, False, True, True]]


@EVERY
def test_the_positive_rule_selects_where_the_teacher_is_closer_to_the_target(
    name: str, options: dict[str, Any]
) -> None:
    student, teacher, target = case()
    built, look = around(name, options, rule="positive")
    best = built.selected(look(student, student), look(target, target), look(target, target)[-1:])
    assert all((found.chosen == found.eligible).all() for found in best)  # nobody is closer than the target itself
    worst = built.selected(look(target, target), look(teacher, teacher), look(target, target)[-1:])
    assert not any(found.chosen.any() for found in worst)
    equal = built.selected(look(teacher, teacher), look(teacher, teacher), look(target, target)[-1:])
    assert not any(found.chosen.any() for found in equal)
    some = built.selected(look(student, student), look(teacher, teacher), look(target, target)[-1:])
    assert all(0 < int(found.chosen.sum()) < int(found.eligible.sum()) for found in some)


@EVERY
def test_nothing_selected_costs_nothing_and_teaches_nothing(name: str, options: dict[str, Any]) -> None:
    _, teacher, target = case()
    built, look = around(name, options, rule="positive")
    student = target.clone().requires_grad_()
    got = run(built, look, student, teacher, target)
    got.backward()
    assert float(got.detach()) == 0
    assert student.grad is not None
    assert not student.grad.any()


@EVERY_SHAPE
def test_the_gradient_is_in_the_selected_bins_and_nowhere_else(
    name: str, options: dict[str, Any], shape: dict[str, Any]
) -> None:
    student, teacher, target = case()
    built, look = around(name, options, k=0.4, **shape)
    student.requires_grad_()
    run(built, look, student, teacher, target).backward()
    found = built.selected(look(student, student), look(teacher, teacher), look(target, target)[-1:])
    bins = torch.stack([selection.bins() for selection in found]).any(dim=0)
    assert student.grad is not None
    assert torch.equal(student.grad != 0, bins)
    assert 0 < bins.sum() < bins.numel()


@EVERY
def test_the_gradient_is_that_of_finite_differences_and_goes_to_the_student_only(
    name: str, options: dict[str, Any]
) -> None:
    built, look = around(name, options)
    leaves, along = [spectrum.requires_grad_() for spectrum in case()], spectra(9)
    run(built, look, *leaves).backward()
    student, teacher, target = leaves
    assert student.grad is not None
    assert teacher.grad is None
    assert target.grad is None
    expected = float((torch.view_as_real(student.grad) * torch.view_as_real(along)).sum())
    with torch.no_grad():
        ahead, behind = (float(run(built, look, student + far * along, teacher, target)) for far in (1e-7, -1e-7))
    assert (ahead - behind) / 2e-7 == pytest.approx(expected, rel=1e-4)


# --- the inner loss -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), [inner for inner in INSIDE if takes(inner[1], {"n_bins": 9})])
def test_all_patches_that_are_whole_give_the_inner_loss(name: str, options: dict[str, Any]) -> None:
    student, teacher, target = case(3)
    n_bins = 9 if name == "dfkd" else 3  # a band of DFKD is whole only in a patch as high as the spectrum
    built, look = around(name, options, k=1.0, n_bins=n_bins)
    plain = built.inner(look(3 * student, student)[:1], look(3 * teacher, teacher)[:1])
    assert float(run(built, look, student, teacher, target)) == pytest.approx(float(plain), rel=1e-12)


def test_zeros_that_fill_up_a_patch_count() -> None:
    built, look = around("magnitude", {}, k=1.0, n_bins=4)
    student, teacher, target = case()
    plain = built.inner(look(None, student), look(None, teacher))
    assert float(run(built, look, student, teacher, target)) == pytest.approx(float(plain) * 9 / 12, rel=1e-12)


def test_crossovers_are_counted_once_per_batch() -> None:
    built, look = around("dfkd", {})
    run(built, look, *case(3, 4))
    counted = built.histograms()
    assert sum(counted["crossover"]) == 3 * 4
    other, _ = around("dfkd", {})
    other.load_state_dict(built.state_dict())
    assert other.histograms() == counted
    built.reset_histograms()
    assert sum(built.histograms()["crossover"]) == 0
    assert around("lin", {})[0].histograms() == {}


@pytest.mark.parametrize("inner", [Lin, Mask])
def test_the_adapter_of_outputs_is_trained(inner: Any) -> None:
    built = Dispatch([Pair(4, 6, False), SPECS[1]], inner([Pair(4, 6, False)]), n_bins=3)
    student, teacher, target = (spectrum.to(torch.complex64) for spectrum in case())
    outputs = [torch.randn(2, n, N_FREQS, 5, generator=torch.Generator().manual_seed(n)) for n in (4, 6)]
    built([outputs[0], parts(student)], [outputs[1], parts(teacher)], [parts(target)]).backward()
    grads = [parameter.grad for parameter in built.parameters()]
    assert len(grads) == 2
    assert all(grad is not None and grad.any() for grad in grads)


# --- silence and single frames --------------------------------------------------------------------------------------


@EVERY_SHAPE
@pytest.mark.parametrize("rule", RULES)
def test_silence_and_single_frames_are_finite(
    name: str, options: dict[str, Any], shape: dict[str, Any], rule: dict[str, Any]
) -> None:
    built, look = around(name, options, **shape, **rule)
    for levels in ((0, 0, 0), (1, 0, 0), (0, 1, 1), (1, 1, 0), (1e-20, 1, 1)):
        spectrums = [level * spectrum for level, spectrum in zip(levels, case(1, 1), strict=True)]
        student = spectrums[0].requires_grad_()
        got = run(built, look, student, *spectrums[1:])
        got.backward()
        assert math.isfinite(float(got.detach()))
        assert student.grad is not None
        assert torch.isfinite(torch.view_as_real(student.grad)).all()
        if levels == (0, 0, 0):
            assert float(got.detach()) == 0


def test_an_estimate_that_is_not_a_number_does_not_pass() -> None:
    built, look = around("magnitude", {})
    student, teacher, target = case()
    assert math.isnan(float(run(built, look, student * math.nan, teacher, target)))


# --- in a training --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", WRAPPED)
def test_it_is_a_term_of_a_distillation_between_networks(inner: str) -> None:
    student, teacher = enhancer(0, mics=[0, 1]), enhancer(1)
    objective = distillation(student, teacher, "dispatch", 0.0, inner={"name": inner}, mssp=inner == "dfkd")
    out = objective(batch(n_samples=1600))
    out["loss"].backward()
    assert float(out["dispatch"].detach()) > 0
    gradients = [parameter.grad for parameter in student.parameters() if parameter.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert list(objective.histograms()) == (["dispatch.crossover"] if inner == "dfkd" else [])
