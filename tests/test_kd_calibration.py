"""Calibrated similarity of two sets of layers: slow references of every stream, hand cases, silence, who is trained."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from arrayse.kd.calibration import Calibration, GramMlp, Stream, frequencies, probabilities
from tests.kd_cases import cosine, feature, inner
from tests.slow_calibration import slow_calibration, slow_probabilities

SHAPES = {
    "one each": ([3], [3]),
    "many to one": ([3, 2, 4], [5]),
    "one to many": ([3], [4, 3, 2, 5]),
    "both": ([3, 2], [4, 5]),
}
SIZES = [(None, None), (4, 3)]  # free; frames of GRID, items


def calibration(
    widths: tuple[list[int], list[int]], second: str, sizes: tuple[int | None, int | None] = (None, None)
) -> Calibration:
    """Float64 and the same random weights each time, large enough for the attention to matter."""
    generator = torch.Generator().manual_seed(3)
    built = Calibration(len(widths[0]), len(widths[1]), second, *sizes).double()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return built


def layers(widths: list[int], seed: int, n_items: int = 3) -> list[Tensor]:
    return [feature(width, seed + k, n_items) for k, width in enumerate(widths)]


class Blind(torch.nn.Module):
    """Keys that are the same for everything."""

    def forward(self, rows: Tensor) -> Tensor:
        return torch.ones(rows.shape[0], rows.shape[1], rows.shape[1], dtype=rows.dtype)


def frames(*values: list[float]) -> Tensor:
    """One item with one bin, a list of channels for each frame."""
    return torch.tensor(values, dtype=torch.float64).T[None, :, None]


APART, SAME = frames([1, 0], [0, 1]), frames([1, 1], [1, 1])  # P = (2/3, 1/3), (1/3, 2/3) and 1/2 everywhere


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("second", ["none", "batch", "frequency"])
@pytest.mark.parametrize("widths", SHAPES.values(), ids=SHAPES)
def test_a_calibration_equals_the_slow_reference(
    widths: tuple[list[int], list[int]], second: str, sizes: tuple[int | None, int | None]
) -> None:
    built = calibration(widths, second, sizes)
    student, teacher = layers(widths[0], 0), layers(widths[1], 10)
    expected = slow_calibration(built, student, teacher)
    assert expected > 1e-3
    assert float(built(student, teacher).detach()) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n_freqs", [(5, 3, 8, 4), (8, 5, 2, 5)])
@pytest.mark.parametrize("second", ["none", "batch", "frequency"])
def test_layers_may_lie_in_different_grids_of_frequencies(second: str, n_freqs: tuple[int, ...]) -> None:
    built = calibration(([3, 2], [4, 3]), second)
    wide = [x.repeat(1, 1, 2, 1)[:, :, :n] for x, n in zip(layers([3, 2, 4, 3], 0, 2), n_freqs, strict=True)]
    expected = slow_calibration(built, wide[:2], wide[2:])
    assert float(built(wide[:2], wide[2:]).detach()) == pytest.approx(expected, rel=1e-9)


def test_neighbouring_frequencies_are_averaged_down() -> None:
    x = torch.arange(4.0)[None, None, :, None]
    assert frequencies(x, 2).flatten().tolist() == [0.5, 2.5]
    assert frequencies(x, 4).flatten().tolist() == [0, 1, 2, 3]


def test_one_layer_each_by_hand() -> None:
    per_frame = (1 / 2 - 2 / 3) * math.log((1 / 2) / (2 / 3)) + (1 / 2 - 1 / 3) * math.log((1 / 2) / (1 / 3))
    assert per_frame == pytest.approx(math.log(2) / 6)
    built = Calibration(1, 1, "none")
    for student, teacher in ((APART, SAME), (SAME, APART)):
        assert float(built([student], [teacher])) == pytest.approx(2 * per_frame, rel=1e-12)
        twice = torch.cat([student, student]), torch.cat([teacher, teacher])
        assert float(built([twice[0]], [twice[1]])) == pytest.approx(2 * per_frame, rel=1e-12)  # mean over items


def test_two_layers_of_the_teacher_by_hand() -> None:
    likeness = 1 / math.sqrt(2)  # of the rows (1, 0) and (1, 1) of cosines
    of_other = math.exp(likeness) / (math.exp(likeness) + math.e)
    built = Calibration(1, 2, "none")
    assert float(built([APART], [SAME, APART])) == pytest.approx(of_other * math.log(2) / 3, rel=1e-12)
    two = Calibration(2, 1, "none")  # a mean over the layers of the student
    assert float(two([APART, SAME], [SAME])) == pytest.approx(math.log(2) / 3 / 2, rel=1e-12)


@pytest.mark.parametrize("second", ["none", "batch", "frequency"])
@pytest.mark.parametrize("sizes", SIZES)
def test_a_student_with_the_teachers_one_layer_costs_nothing(second: str, sizes: tuple[int | None, int | None]) -> None:
    built = calibration(([4], [4]), second, sizes)
    layer = feature(4, 0, 3)
    assert float(built([layer], [3 * layer.flip(1)]).detach()) == pytest.approx(0, abs=1e-25)  # louder, other order
    assert float(built([layer], [layer.roll(1, 0)]).detach()) > 1e-2


@pytest.mark.parametrize("size", [None, 4])
def test_attention_is_a_choice_among_the_teachers_layers_for_every_frame(size: int | None) -> None:
    stream = calibration(([3, 2], [4, 5, 3]), "none", (size, None)).time
    student, teacher = torch.randn(2, 2, 4, 6).double(), torch.randn(3, 2, 4, 5).double()
    attention = stream.attention(list(student), list(teacher))
    assert attention.shape == (2, 4, 2, 3)
    torch.testing.assert_close(attention.sum(dim=3), torch.ones(2, 4, 2).double())
    assert 1 < float((attention.amax(dim=3) / attention.amin(dim=3)).detach().max()) <= math.e**2 + 1e-9  # of cosines


def test_free_attention_prefers_the_layer_that_resembles_and_is_even_in_silent_frames() -> None:
    x, other = feature(3, 0)[..., 0, :].transpose(1, 2), feature(4, 1)[..., 0, :].transpose(1, 2)
    x[1, 2] = 0
    attention = Stream(1, 2).attention([x], [other, x])[:, :, 0]
    sounding = torch.ones(2, 4, dtype=torch.bool)
    sounding[1, 2] = False
    assert (attention[sounding][:, 1] > attention[sounding][:, 0]).all()
    torch.testing.assert_close(attention[1, 2], torch.full((2,), 0.5, dtype=torch.float64))


def test_rows_are_probabilities_also_of_silence_and_of_opposites() -> None:
    x = feature(3, 0, 4)[:, :, 0].transpose(1, 2)  # group row width
    x[1, 2], x[2, 1] = 0, -x[2, 0]
    p = probabilities(x)
    assert p.min() > 0
    torch.testing.assert_close(p.sum(dim=-1), torch.ones(4, 4).double())
    np.testing.assert_allclose(p[3].numpy(), slow_probabilities(x[3].tolist()), rtol=1e-12)
    assert p[2, 0, 1] < 1e-6 < p[2, 0, 0]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("second", ["batch", "frequency"])
@pytest.mark.parametrize("level", [0.0, 1e-20, 1.0])
def test_silence_has_finite_values_and_small_gradients_in_32_bits(
    second: str, sizes: tuple[int | None, int | None], level: float
) -> None:
    built = calibration(([3, 3], [4, 4]), second, sizes).float()
    student, teacher = ([x.float() for x in layers(widths, seed)] for widths, seed in (([3, 3], 0), ([4, 4], 10)))
    for layer in (*student, *teacher):
        layer[0] *= level
        layer[1, :, :, 1] = layer[1, :, 2] = 0  # a silent frame, a silent frequency
    for layer in student:
        layer.requires_grad_()
    got = built(student, teacher)
    got.backward()
    assert math.isfinite(float(got.detach()))
    for tensor in (*student, *built.parameters()):
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().max() < 100


@pytest.mark.parametrize("second", ["none", "batch", "frequency"])
def test_opposite_frames_and_items_are_finite(second: str) -> None:
    x = feature(3, 0, 2)
    opposite = torch.stack([x[0], -x[0]])
    opposite[..., 1] = -opposite[..., 0]
    opposite.requires_grad_()
    got = calibration(([3], [3]), second)([opposite], [x])
    got.backward()
    assert math.isfinite(float(got.detach()))
    assert torch.isfinite(opposite.grad).all()


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("second", ["none", "batch", "frequency"])
def test_the_teacher_is_a_target_and_gets_a_gradient_through_the_attention_alone(
    second: str, sizes: tuple[int | None, int | None]
) -> None:
    built = calibration(([3], [4, 5]), second, sizes)
    student, teacher = layers([3], 0), [layer.requires_grad_() for layer in layers([4, 5], 10)]
    built(student, teacher).backward()
    assert all(layer.grad is not None and layer.grad.abs().max() > 1e-6 for layer in teacher)
    for module in built.modules():
        if isinstance(module, Stream):  # keys that do not look at their layers: an even choice, whatever comes
            module.keys = torch.nn.ModuleList(Blind() for _ in teacher)
    for layer in teacher:
        layer.grad = None
    built([layer.requires_grad_() for layer in student], teacher).backward()
    assert all(layer.grad is None for layer in teacher)
    assert student[0].grad is not None
    assert student[0].grad.abs().max() > 1e-6


def test_a_single_layer_of_the_teacher_is_no_choice_and_gets_no_gradient() -> None:
    """There α is 1."""
    teacher = feature(4, 10).requires_grad_()
    calibration(([3, 2], [4]), "frequency", (4, None))(layers([3, 2], 0, 2), [teacher]).backward()
    assert teacher.grad is not None
    assert not teacher.grad.any()


def test_queries_and_keys_are_mlps_of_twice_the_size_for_each_layer() -> None:
    built = Calibration(2, 3, "batch", 5, 4)
    assert [len(built.time.queries), len(built.time.keys), len(built.second.queries)] == [2, 3, 2]
    shapes = [tuple(p.shape) for p in built.time.queries[0].parameters()]
    assert shapes == [(10, 5), (10,), (5, 10), (5,)]
    assert tuple(built.second.keys[2].mlp[0].weight.shape) == (8, 4)
    assert not list(Calibration(2, 3, "batch").parameters())
    assert not list(Calibration(2, 3, "frequency", 5).second.parameters())


def test_the_query_of_a_frame_is_its_row_of_the_mlp_of_the_gram() -> None:
    embed = GramMlp(2, "n_frames").double()
    with torch.no_grad():
        for parameter, value in zip(embed.parameters(), (torch.eye(4, 2), 0.0, torch.eye(2, 4), 0.0), strict=True):
            parameter.copy_(torch.as_tensor(value))
    rows = [[3.0, 0.0], [4.0, 1.0]]
    gram = [[max(inner(a, b), 0) for b in rows] for a in rows]
    got = embed(torch.tensor([rows]).double())[0].tolist()
    for of_row, expected in zip(got, gram, strict=True):
        assert cosine(of_row, expected) == pytest.approx(1)
        assert inner(of_row, of_row) == pytest.approx(1)


def test_sizes_that_the_mlps_were_not_made_for_are_errors_that_say_what_to_set() -> None:
    (student, teacher), free = (layers([3], 0), layers([4], 10)), "or form=free n_frames=null batch_size=null"
    with pytest.raises(ValueError, match=f"n_frames: expected 7, got 4: set n_frames=4, {free}"):
        Calibration(1, 1, "none", 7).double()(student, teacher)
    with pytest.raises(ValueError, match=f"batch_size: expected 2, got 3: set batch_size=3, {free}"):
        Calibration(1, 1, "batch", 4, 2).double()(student, teacher)


def test_one_frequency_has_no_other_to_be_compared_with() -> None:
    one = feature(3, 0)[:, :, :1]
    for student, teacher in (([one], [feature(4, 1)]), ([feature(3, 0), feature(2, 2)], [feature(4, 1), one])):
        built = Calibration(len(student), len(teacher), "frequency")
        with pytest.raises(ValueError, match="second: expected layers of 2 frequencies or more for frequency, got one"):
            built(student, teacher)
    assert math.isfinite(float(Calibration(1, 1, "batch")([one], [feature(4, 1)])))
    assert float(Calibration(1, 1, "frequency")([feature(3, 0)[:, :, :2]], [feature(4, 1)])) > 0


def test_unequal_numbers_of_frames_and_unknown_streams_are_errors() -> None:
    with pytest.raises(ValueError, match="layers: expected as many frames in all, got 3 and 4"):
        Calibration(1, 1, "none")([feature(3, 0)], [feature(3, 1)[..., :3]])
    with pytest.raises(ValueError, match="second: expected one of batch, frequency, none, got space"):
        Calibration(1, 1, "space")  # type: ignore[arg-type]
