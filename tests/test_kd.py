"""Distillation losses against slow loops in float64, closed forms, means over items, widths, gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from arrayse.kd import METHODS
from arrayse.kd.similarity import batch_gram, cosine_gram, gram_spread

FORMS = ("paper", "normalised")
SHAPE = (2, 5, 4)  # batch, freq, frame


def feature(n_channels: int, seed: int, n_items: int = SHAPE[0]) -> Tensor:
    """(batch, channel, freq, frame) around a mean that is not zero."""
    generator = torch.Generator().manual_seed(seed)
    return 0.4 + torch.randn(n_items, n_channels, *SHAPE[1:], generator=generator, dtype=torch.float64)


def taps(method: str, of_student: int = 3, of_teacher: int = 3, seed: int = 0) -> tuple[list[Tensor], list[Tensor]]:
    """As many features as the method compares; those of linear outputs always have two channels."""
    names = METHODS[method].taps
    widths = [(2, 2) if name == "linear" else (of_student, of_teacher) for name in names]
    student = [feature(width, seed + k) for k, (width, _) in enumerate(widths)]
    teacher = [feature(width, seed + 10 + k) for k, (_, width) in enumerate(widths)]
    return student, teacher


def loss(method: str, student: list[Tensor], teacher: list[Tensor], form: str, **options: Any) -> Tensor:
    """The loss of a method in float64."""
    channels = [(s.shape[1], t.shape[1]) for s, t in zip(student, teacher, strict=True)]
    return METHODS[method](channels, form, **options).double()(student, teacher)


# --- slow references ------------------------------------------------------------------------------------------------


def rows(x: np.ndarray, flow: str, pool: str) -> list[list[float]]:
    """Rows of one utterance (channel, freq, frame): a row a frame or a frequency, averaged or joined over the other."""
    n_channels, n_freqs, n_frames = x.shape
    out = []
    for this in range(n_frames if flow == "time" else n_freqs):
        others = range(n_freqs if flow == "time" else n_frames)
        bins = [x[:, other, this] if flow == "time" else x[:, this, other] for other in others]
        values = [[float(each[c]) for c in range(n_channels)] for each in bins]
        joined = [value for row in values for value in row]
        mean = [sum(row[c] for row in values) / len(values) for c in range(n_channels)]
        out.append(mean if pool == "mean" else joined)
    return out


def inner(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def slow_cosines(x: np.ndarray, flow: str, pool: str) -> list[float]:
    all_rows = rows(x, flow, pool)
    return [inner(a, b) / math.sqrt(inner(a, a) * inner(b, b)) for a in all_rows for b in all_rows]


def slow_paper_gram(student: Tensor, teacher: Tensor, flow: str) -> float:
    of_student = [row for item in student.numpy() for row in rows(item, flow, "mean")]
    of_teacher = [row for item in teacher.numpy() for row in rows(item, flow, "mean")]
    pairs = [(i, j) for i in range(len(of_student)) for j in range(len(of_student))]
    differences = [abs(inner(of_student[i], of_student[j]) - inner(of_teacher[i], of_teacher[j])) for i, j in pairs]
    return sum(differences) / len(differences)


def slow_gram_distances(student: Tensor, teacher: Tensor, flow: str, pool: str, relative: bool) -> list[float]:
    """Per item: mean squared difference of cosines, if asked over the variance of the teacher's."""
    out = []
    for of_student, of_teacher in zip(student.numpy(), teacher.numpy(), strict=True):
        s, t = slow_cosines(of_student, flow, pool), slow_cosines(of_teacher, flow, pool)
        distance = sum((a - b) ** 2 for a, b in zip(s, t, strict=True)) / len(s)
        spread = sum((b - sum(t) / len(t)) ** 2 for b in t) / len(t)
        out.append(distance / spread if relative else distance)
    return out


def slow_lin(student: Tensor, teacher: Tensor, form: str) -> float:
    out = []
    for of_student, of_teacher in zip(student.numpy(), teacher.numpy(), strict=True):
        s, t = [float(v) for v in of_student.ravel()], [float(v) for v in of_teacher.ravel()]
        distance = sum(abs(a - b) for a, b in zip(s, t, strict=True)) / len(s)
        spread = sum(abs(b - sum(t) / len(t)) for b in t) / len(t)
        out.append(distance / spread if form == "normalised" else distance)
    return sum(out) / len(out)


def slow(method: str, student: list[Tensor], teacher: list[Tensor], form: str, flows: list[str], pool: str) -> float:
    if method == "lin":
        return slow_lin(student[0], teacher[0], form)
    if method == "fused":
        lstms = [("lstm1", 0), ("lstm2", 1)]
        lin = slow_lin(student[2], teacher[2], form)
        if form == "paper":
            return lin + sum(slow(name, [student[k]], [teacher[k]], form, flows, pool) for name, k in lstms)
        parts = [slow_gram_distances(student[k], teacher[k], flow, pool, True) for k in (0, 1) for flow in flows]
        return (2 * float(np.mean(parts)) + lin) / 3
    if form == "paper":
        return slow_paper_gram(student[0], teacher[0], "time" if method == "lstm1" else "frequency")
    return float(np.mean([slow_gram_distances(student[0], teacher[0], flow, pool, False) for flow in flows]))


# --- facts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", METHODS)
def test_equals_the_slow_reference(method: str, form: str) -> None:
    student, teacher = taps(method, 3, 6)
    expected = slow(method, student, teacher, form, ["time", "frequency"], "mean")
    assert float(loss(method, student, teacher, form)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("method", ["lstm1", "lstm2", "fused"])
@pytest.mark.parametrize("flows", [["time"], ["frequency"], ["time", "frequency"]])
@pytest.mark.parametrize("pool", ["mean", "concat"])
def test_options_of_the_normalised_form_equal_the_slow_reference(method: str, flows: list[str], pool: str) -> None:
    student, teacher = taps(method)
    expected = slow(method, student, teacher, "normalised", flows, pool)
    got = loss(method, student, teacher, "normalised", flows=flows, pool=pool)
    assert float(got) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_the_normalised_loss_of_a_batch_is_the_mean_of_its_items(method: str) -> None:
    student, teacher = taps(method)
    items = []
    for one in (slice(0, 1), slice(1, 2)):
        items.append(float(loss(method, [s[one] for s in student], [t[one] for t in teacher], "normalised")))
    assert items[0] != pytest.approx(items[1], rel=0.01)
    assert float(loss(method, student, teacher, "normalised")) == pytest.approx(sum(items) / 2)


def test_the_paper_grams_mix_the_utterances_of_a_batch() -> None:
    teacher = feature(3, 0)
    student = teacher * torch.tensor([1.0, -1.0])[:, None, None, None]  # no item by itself differs in its Gram
    for method in ("lstm1", "lstm2"):
        items = [loss(method, [student[i : i + 1]], [teacher[i : i + 1]], "paper") for i in (0, 1)]
        assert [float(item) for item in items] == [0, 0]
        assert float(loss(method, [student], [teacher], "paper")) > 0.1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", METHODS)
def test_identical_features_cost_nothing(method: str, form: str) -> None:
    teacher = taps(method)[1]
    assert float(loss(method, [t.clone() for t in teacher], teacher, form)) == 0


@pytest.mark.parametrize("method", ["lstm1", "lstm2"])
def test_rotated_and_scaled_features_have_the_same_cosines(method: str) -> None:
    teacher = feature(3, 0)
    rotation = torch.linalg.qr(feature(3, 1)[0, :, :3, 0])[0]
    student = 5.0 * torch.einsum("ij,bjft->bift", rotation, teacher)
    assert float(loss(method, [student], [teacher], "normalised")) == pytest.approx(0, abs=1e-12)
    assert float(loss(method, [student], [teacher], "paper")) > 1


@pytest.mark.parametrize("method", ["lin", "fused"])
def test_one_says_no_closer_than_a_constant(method: str) -> None:
    student, teacher = taps(method)
    student[-1] = teacher[-1].mean(dim=(1, 2, 3), keepdim=True).expand_as(teacher[-1])
    lin = loss("lin", student[-1:], teacher[-1:], "normalised")
    assert float(lin) == pytest.approx(1.0)
    if method == "fused":  # the relative Gram distances: 1 for a Gram that is the mean of the teacher's everywhere
        gram = cosine_gram(teacher[0], "time", "mean")
        flat = gram.mean(dim=(1, 2), keepdim=True)
        relative = (gram - flat).square().mean(dim=(1, 2)) / gram_spread(teacher[0], "time", "mean")
        torch.testing.assert_close(relative, torch.ones_like(relative))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", METHODS)
def test_gradient_flows_to_the_student(method: str, form: str) -> None:
    student, teacher = taps(method, 3, 6)
    for tap in student:
        tap.requires_grad_()
    loss(method, student, teacher, form).backward()
    assert all(tap.grad is not None and tap.grad.abs().max() > 0 for tap in student)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", METHODS)
def test_constant_and_silent_features_have_finite_losses_and_gradients(method: str, form: str) -> None:
    for value in (0.0, 1.0):
        student, teacher = taps(method)
        student = [torch.full_like(tap, value).requires_grad_() for tap in student]
        got = loss(method, student, [torch.full_like(tap, value) for tap in teacher], form)
        got.backward()
        assert math.isfinite(float(got.detach()))
        assert all(tap.grad is not None and torch.isfinite(tap.grad).all() for tap in student)


def test_lin_has_an_adapter_only_where_widths_differ() -> None:
    assert list(METHODS["lin"]([(2, 2)]).parameters()) == []
    method = METHODS["lin"]([(2, 10)], "paper").double()
    assert [tuple(p.shape) for p in method.parameters()] == [(10, 2, 1, 1), (10,)]
    student, teacher = feature(2, 0), feature(10, 1)
    weight, bias = method.adapter.weight[..., 0, 0], method.adapter.bias
    mapped = torch.einsum("oc,bcft->boft", weight, student) + bias[:, None, None]
    torch.testing.assert_close(method([student], [teacher]), (mapped - teacher).abs().mean())


def test_shapes_of_the_grams() -> None:
    x = feature(3, 0)
    assert batch_gram(x, "time").shape == (8, 8)
    assert batch_gram(x, "frequency").shape == (10, 10)
    assert cosine_gram(x, "time", "mean").shape == (2, 4, 4)
    assert cosine_gram(x, "frequency", "concat").shape == (2, 5, 5)
    diagonal = cosine_gram(x, "time", "concat").diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(diagonal, torch.ones_like(diagonal))


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("lin", {"form": "normalized"}, "form: expected one of paper, normalised, got normalized"),
        ("lstm1", {"form": "normalized"}, "form: expected one of paper, normalised, got normalized"),
        ("lstm2", {"flows": []}, "flows: expected time, frequency or both, got none"),
        ("lstm2", {"flows": ["freq"]}, "flows: expected one of time, frequency, got freq"),
        ("fused", {"pool": "max"}, "pool: expected one of mean, concat, got max"),
    ],
)
def test_unknown_options_are_refused(method: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        METHODS[method]([(2, 2)] * len(METHODS[method].taps), **options)
