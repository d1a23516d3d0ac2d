"""Losses between Grams: slow references in float64, closed forms, what they do not see."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from arrayse.kd.similarity import batch_gram, relative_distance
from arrayse.kd.similarity_preserving import item_gram
from arrayse.kd.views import View, look
from tests.kd_cases import build, feature, inner, loss, slow_cosines, slow_rows, taps

FLOW_CHOICES = [["time"], ["frequency"], ["time", "frequency"]]


def slow_paper_gram(student: Tensor, teacher: Tensor, flow: str) -> float:
    of_student = [row for item in student.numpy() for row in slow_rows(item, flow, "mean")]
    of_teacher = [row for item in teacher.numpy() for row in slow_rows(item, flow, "mean")]
    pairs = [(i, j) for i in range(len(of_student)) for j in range(len(of_student))]
    differences = [abs(inner(of_student[i], of_student[j]) - inner(of_teacher[i], of_teacher[j])) for i, j in pairs]
    return sum(differences) / len(differences)


def slow_distances(student: Tensor, teacher: Tensor, flow: str, pool: str, relative: bool = False) -> list[float]:
    """Per item: mean squared difference of cosines, if asked over the variance of the teacher's."""
    out = []
    for of_student, of_teacher in zip(student.numpy(), teacher.numpy(), strict=True):
        s, t = slow_cosines(of_student, flow, pool), slow_cosines(of_teacher, flow, pool)
        distance = sum((a - b) ** 2 for a, b in zip(s, t, strict=True)) / len(s)
        spread = sum((b - sum(t) / len(t)) ** 2 for b in t) / len(t)
        out.append(distance / max(spread, 0.01) if relative else distance)
    return out


def slow_relative_lin(student: Tensor, teacher: Tensor) -> float:
    out = []
    for s, t in zip(student.numpy(), teacher.numpy(), strict=True):
        mean = sum(float(b) for b in t.ravel()) / t.size
        error = sum(abs(float(a) - float(b)) for a, b in zip(s.ravel(), t.ravel(), strict=True))
        out.append(error / sum(abs(float(b) - mean) for b in t.ravel()))
    return sum(out) / len(out)


def slow_item_gram(x: Tensor) -> list[list[float]]:
    flat = [[float(v) for v in item.ravel()] for item in x.numpy()]
    raw = [[inner(a, b) for b in flat] for a in flat]
    return [[entry / math.sqrt(inner(row, row)) for entry in row] for row in raw]


# --- slow references ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "flow"), [("lstm1", "time"), ("lstm2", "frequency")])
def test_the_paper_forms_equal_the_slow_reference(method: str, flow: str) -> None:
    student, teacher = taps(method, (3, 6))
    expected = slow_paper_gram(student[0], teacher[0], flow)
    assert float(loss(method, student, teacher, form="paper")) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("pool", ["mean", "concat"])
@pytest.mark.parametrize("flows", FLOW_CHOICES)
@pytest.mark.parametrize("method", ["lstm1", "lstm2", "gram"])
def test_the_normalised_forms_equal_the_slow_reference(method: str, flows: list[str], pool: str) -> None:
    student, teacher = taps(method, (3, 6))
    pairs = list(zip(student, teacher, strict=True))
    relative = method != "gram"
    expected = float(np.mean([slow_distances(s, t, flow, pool, relative) for s, t in pairs for flow in flows]))
    assert float(loss(method, student, teacher, flows=flows, pool=pool)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("pool", ["mean", "concat"])
@pytest.mark.parametrize("flows", FLOW_CHOICES)
def test_normalised_fused_equals_the_slow_reference(flows: list[str], pool: str) -> None:
    student, teacher = taps("fused")
    lstms = [slow_distances(student[k], teacher[k], flow, pool, True) for k in (0, 1) for flow in flows]
    expected = (2 * float(np.mean(lstms)) + slow_relative_lin(student[2], teacher[2])) / 3
    assert float(loss("fused", student, teacher, flows=flows, pool=pool)) == pytest.approx(expected, rel=1e-9)


def test_fused_in_its_paper_form_is_the_sum_of_the_three() -> None:
    student, teacher = taps("fused")
    parts = [slow_paper_gram(student[0], teacher[0], "time"), slow_paper_gram(student[1], teacher[1], "frequency")]
    lin = sum(abs(float(v)) for v in (student[2] - teacher[2]).ravel()) / student[2].numel()
    assert float(loss("fused", student, teacher, form="paper")) == pytest.approx(sum(parts) + lin, rel=1e-9)


@pytest.mark.parametrize("n_taps", [1, 2])
def test_similarity_preserving_equals_the_slow_reference(n_taps: int) -> None:
    student = [feature(3, k, 4) for k in range(n_taps)]
    teacher = [feature(6, 10 + k, 4) for k in range(n_taps)]
    expected = 0.0
    for s, t in zip(student, teacher, strict=True):
        of_student, of_teacher = slow_item_gram(s), slow_item_gram(t)
        expected += sum((of_teacher[i][j] - of_student[i][j]) ** 2 for i in range(4) for j in range(4)) / 4**2
    assert float(loss("similarity_preserving", student, teacher)) == pytest.approx(expected, rel=1e-9)


# --- closed forms ---------------------------------------------------------------------------------------------------


def test_similarity_preserving_of_two_items_by_hand() -> None:
    apart = torch.eye(2, dtype=torch.float64)[:, :, None, None]  # inner products: the unit matrix
    same = torch.ones(2, 2, 1, 1, dtype=torch.float64)  # every entry of the Gram is 1/√2 after the rows are normalised
    expected = (2 * (1 - 0.5**0.5) ** 2 + 2 * 0.5) / 4
    assert expected == pytest.approx(1 - 0.5**0.5)
    assert float(loss("similarity_preserving", [same], [apart])) == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(item_gram(same)[:, :], torch.full((2, 2), 0.5**0.5, dtype=torch.float64))


def test_the_rows_of_an_item_gram_have_unit_norm_but_it_is_not_symmetric() -> None:
    x = feature(3, 0, 4) * torch.tensor([1.0, 2.0, 3.0, 4.0])[:, None, None, None]
    gram = item_gram(x)
    torch.testing.assert_close(gram.square().sum(dim=1), torch.ones(4, dtype=torch.float64))
    assert not torch.allclose(gram, gram.T, rtol=1e-2)


def test_gram_of_two_frames_by_hand() -> None:
    teacher = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)[None, :, None]  # frames at right angles
    student = torch.tensor([[1.0, 1.0], [0.0, 1.0]], dtype=torch.float64)[None, :, None]  # frames at 45 degrees
    got = loss("gram", [student], [teacher], flows=["time"])
    assert float(got) == pytest.approx(2 * 0.5 / 4)  # cos² 45° in two of four entries


def test_the_relative_distance_of_a_flat_gram_is_one() -> None:
    gram = look([View(0, "time_cosines_mean")], [feature(3, 0)])[0]
    flat = gram.mean(dim=(1, 2), keepdim=True)
    relative = relative_distance(flat.expand_as(gram), gram)
    torch.testing.assert_close(relative, torch.ones_like(relative))


def test_a_teacher_that_hardly_varies_counts_no_more_than_one_that_does() -> None:
    """The least spread bounds what one silent item can add to a batch."""
    flat = torch.ones(1, 4, 4, dtype=torch.float64) - 1e-4 * torch.eye(4, dtype=torch.float64)
    assert float(relative_distance(torch.zeros(1, 4, 4, dtype=torch.float64), flat)) == pytest.approx(100, rel=1e-3)


def test_relative_distances_make_the_scale_of_the_linear_output_of_fused_meaningless() -> None:
    student, teacher = taps("fused")
    louder = [*student[:2], 7 * student[2]], [*teacher[:2], 7 * teacher[2]]
    torch.testing.assert_close(loss("fused", *louder), loss("fused", student, teacher))
    assert float(loss("fused", *louder, form="paper")) > 1.1 * float(loss("fused", student, teacher, form="paper"))


# --- what they do not see -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["lstm1", "lstm2", "gram", "similarity_preserving"])
def test_rotated_and_scaled_channels_cost_nothing(method: str) -> None:
    teacher = [feature(3, k, 3) for k in range(2 if method == "gram" else 1)]
    rotation = torch.linalg.qr(feature(3, 1)[0, :, :3, 0])[0]
    student = [5.0 * torch.einsum("ij,bjft->bift", rotation, tap) for tap in teacher]
    assert float(loss(method, student, teacher)) == pytest.approx(0, abs=1e-12)
    if method.startswith("lstm"):
        assert float(loss(method, student, teacher, form="paper")) > 1


def test_more_channels_that_say_the_same_cost_nothing() -> None:
    teacher = feature(3, 0, 3)
    student = torch.cat([teacher, teacher], dim=1)
    for method in ("lstm1", "lstm2", "gram", "similarity_preserving"):
        assert float(loss(method, [student], [teacher])) == pytest.approx(0, abs=1e-12)


def test_louder_items_are_seen_by_similarity_preserving_and_not_by_gram() -> None:
    teacher = feature(3, 0, 3)
    student = teacher * torch.tensor([1.0, 2.0, 4.0])[:, None, None, None]
    assert float(loss("gram", [student], [teacher])) == pytest.approx(0, abs=1e-12)
    assert float(loss("similarity_preserving", [student], [teacher])) > 1e-3


def test_the_paper_grams_mix_the_utterances_of_a_batch() -> None:
    teacher = feature(3, 0)
    student = teacher * torch.tensor([1.0, -1.0])[:, None, None, None]  # no item by itself differs in its Gram
    for method in ("lstm1", "lstm2"):
        items = [loss(method, [student[i : i + 1]], [teacher[i : i + 1]], form="paper") for i in (0, 1)]
        assert [float(item) for item in items] == [0, 0]
        assert float(loss(method, [student], [teacher], form="paper")) > 0.1
        assert float(loss(method, [student], [teacher])) == pytest.approx(0, abs=1e-12)


def test_the_pool_mean_does_not_see_which_frequencies_carry_a_frame() -> None:
    teacher = feature(3, 0)
    order = [[3, 1, 4, 0, 2], [0, 4, 2, 1, 3], [2, 0, 1, 3, 4], [1, 2, 3, 4, 0]]  # another one in each frame
    student = torch.stack([teacher[:, :, order[frame], frame] for frame in range(4)], dim=3)
    assert float(loss("gram", [student], [teacher], flows=["time"], pool="mean")) == pytest.approx(0, abs=1e-12)
    assert float(loss("gram", [student], [teacher], flows=["time"], pool="concat")) > 1e-3


def test_taps_of_gram_weigh_the_same_and_of_similarity_preserving_add_up() -> None:
    student, teacher = [feature(3, 0, 3), feature(3, 1, 3)], [feature(4, 10, 3), feature(4, 11, 3)]
    for method, factor in (("gram", 0.5), ("similarity_preserving", 1.0)):
        parts = [float(loss(method, [s], [t])) for s, t in zip(student, teacher, strict=True)]
        assert float(loss(method, student, teacher)) == pytest.approx(factor * sum(parts))


def test_shape_of_the_paper_gram_and_no_parameters() -> None:
    assert batch_gram(look([View(0, "frequency_rows")], [feature(3, 0)])[0]).shape == (10, 10)
    for method in ("lstm1", "lstm2", "gram", "similarity_preserving"):
        assert list(build(method, *taps(method, (3, 6))).parameters()) == []
