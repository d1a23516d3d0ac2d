"""Fusion of the teacher's layers, and the cross-layer loss with it: slow references, hand cases, who is trained."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from arrayse.kd.clskd import Clskd, divergence, resemblance
from arrayse.kd.fusion import FusionChain, ResidualFusion
from tests.kd_cases import build, cosine, feature, loss, slow_conv, slow_rows, value


def slow_fusion(fusion: ResidualFusion, x: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """One item (channel, freq, frame); the residual is read at the bin below."""
    entered = slow_conv(x, fusion.enter)
    _, n_freqs, n_frames = entered.shape
    y = np.zeros_like(entered)
    for c, f, t in np.ndindex(*entered.shape):
        y[c, f, t] = residual[c, f * residual.shape[1] // n_freqs, t * residual.shape[2] // n_frames]
    gates = slow_conv(np.concatenate([entered, y]), fusion.gates)
    joined = np.zeros_like(entered)
    for c, f, t in np.ndindex(*entered.shape):
        of_x, of_y = (1 / (1 + math.exp(-float(gates[k, f, t]))) for k in (0, 1))
        joined[c, f, t] = entered[c, f, t] * of_x + y[c, f, t] * of_y
    return slow_conv(joined, fusion.leave)


def slow_chain(chain: FusionChain, features: list[Tensor]) -> list[np.ndarray]:
    out = []
    for item in range(len(features[0])):
        fused = [slow_conv(features[-1][item].numpy(), chain.deepest)]
        for layer in range(len(features) - 2, -1, -1):
            fused.insert(0, slow_fusion(chain.fusions[layer], features[layer][item].numpy(), fused[0]))
        out.append(fused)
    return [np.stack([item[layer] for item in out]) for layer in range(len(features))]


def slow_resemblance(x: np.ndarray) -> list[list[list[float]]]:
    """(batch, channel, freq, frame) → [frame][item][item], rows that sum to 1."""
    frames = [slow_rows(item, "time", "concat") for item in x]
    out = []
    for t in range(x.shape[3]):
        raw = [[(cosine(a[t], b[t]) + 1) / 2 for b in frames] for a in frames]
        out.append([[entry / sum(row) for entry in row] for row in raw])
    return out


def slow_divergence(student: np.ndarray, teacher: np.ndarray) -> float:
    total, number = 0.0, 0
    for of_student, of_teacher in zip(slow_resemblance(student), slow_resemblance(teacher), strict=True):
        for s, t in zip(of_student, of_teacher, strict=True):
            total += sum((b - a) * (math.log(b) - math.log(a)) for a, b in zip(s, t, strict=True))
            number += 1
    return total / number


def double(module: torch.nn.Module) -> torch.nn.Module:
    """Float64 and the same random weights each time, large enough for the gates to matter."""
    generator = torch.Generator().manual_seed(1)
    module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return module


def plain(fusion: ResidualFusion, gates: tuple[float, float]) -> ResidualFusion:
    """Convolutions that change nothing and gates with these biases."""
    with torch.no_grad():
        for parameter in fusion.double().parameters():
            parameter.zero_()
        channels = range(fusion.leave.out_channels)
        fusion.enter.weight[channels, channels] = 1
        fusion.leave.weight[channels, channels, 1, 1] = 1
        fusion.gates.bias.copy_(torch.tensor(gates))
    return fusion


# --- fusion ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [(5, 4), (2, 4), (5, 1), (3, 3), (7, 9)])
def test_a_fusion_equals_the_slow_reference_for_residuals_of_any_grid(grid: tuple[int, int]) -> None:
    fusion = double(ResidualFusion(3, 4))
    x = feature(3, 0)
    residual = torch.randn(2, 4, *grid, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    expected = [slow_fusion(fusion, a, b) for a, b in zip(x.numpy(), residual.numpy(), strict=True)]
    np.testing.assert_allclose(fusion(x, residual).detach().numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n_layers", [1, 2, 4])
def test_a_chain_equals_the_slow_reference(n_layers: int) -> None:
    chain = double(FusionChain([2, 3, 5, 4][:n_layers], 3))
    layers = [feature(width, k) for k, width in enumerate([2, 3, 5, 4][:n_layers])]
    for got, expected in zip(chain(layers), slow_chain(chain, layers), strict=True):
        np.testing.assert_allclose(got.detach().numpy(), expected, rtol=1e-9, atol=1e-12)


def test_gates_choose_between_the_layer_and_the_residual() -> None:
    x, y = feature(3, 0), feature(3, 1)
    for gates, expected in (((0, 0), (x + y) / 2), ((99, -99), x), ((-99, 99), y), ((99, 99), x + y)):
        torch.testing.assert_close(plain(ResidualFusion(3, 3), gates)(x, y), expected)


def test_a_fused_layer_knows_itself_and_all_deeper_ones_and_no_other() -> None:
    chain = double(FusionChain([2, 3, 4], 3))
    layers = [feature(2, 0), feature(3, 1), feature(4, 2)]
    before = chain(layers)
    for changed in range(3):
        after = chain([feature(k + 2, 30) if k == changed else layer for k, layer in enumerate(layers)])
        differs = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
        assert differs == [layer <= changed for layer in range(3)]


def test_a_fused_layer_has_the_grid_of_its_layer() -> None:
    chain = FusionChain([2, 3, 4], 6)
    fused = chain([torch.zeros(2, 2, 9, 4), torch.zeros(2, 3, 5, 4), torch.zeros(2, 4, 3, 2)])
    assert [tuple(layer.shape) for layer in fused] == [(2, 6, 9, 4), (2, 6, 5, 4), (2, 6, 3, 2)]


# --- the loss -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_taps", [1, 2, 3])
def test_clskd_equals_the_slow_reference(n_taps: int) -> None:
    student = [feature(3 + k, k, 3) for k in range(n_taps)]
    teacher = [feature(5 - k, 10 + k, 3) for k in range(n_taps)]
    built = double(build("clskd", student, teacher, fusion_channels=3))
    fused = slow_chain(built.fusion, teacher)
    expected = np.mean([slow_divergence(s.numpy(), t) for s, t in zip(student, fused, strict=True)])
    assert expected > 1e-3
    assert float(value(built, student, teacher).detach()) == pytest.approx(float(expected), rel=1e-9)


def items(*rows: list[float]) -> Tensor:
    """A batch of items with one bin and these channels."""
    return torch.tensor(rows, dtype=torch.float64)[:, :, None, None]


def test_two_items_by_hand() -> None:
    apart, same = items([1, 0], [0, 1]), items([1, 1], [1, 1])  # cosines 0 and 1: p = (2/3, 1/3) and (1/2, 1/2)
    torch.testing.assert_close(resemblance(apart)[0], torch.tensor([[2, 1], [1, 2]]).double() / 3)
    built = build("clskd", [apart], [same], fusion_channels=2)
    with torch.no_grad():
        built.fusion.deepest.weight.copy_(torch.eye(2)[..., None, None])
        built.fusion.deepest.bias.zero_()
    expected = (1 / 2 - 2 / 3) * math.log((1 / 2) / (2 / 3)) + (1 / 2 - 1 / 3) * math.log((1 / 2) / (1 / 3))
    assert expected == pytest.approx(math.log(2) / 6)
    assert float(value(built, [apart], [same]).detach()) == pytest.approx(expected, rel=1e-12)
    assert float(value(built, [same], [apart]).detach()) == pytest.approx(expected, rel=1e-12)


def test_opposite_items_are_finite_and_far_from_equal_ones() -> None:
    opposite, same = items([1, 0], [-1, 0]).requires_grad_(), items([1, 1], [1, 1])
    got = divergence(opposite, same)
    got.backward()
    assert float(got.detach()) == pytest.approx(0.5 * math.log(1e6), rel=1e-4)  # p = (1, 1e-6) and (1/2, 1/2)
    assert torch.isfinite(opposite.grad).all()


def test_a_teacher_that_equals_the_student_after_fusion_costs_nothing() -> None:
    teacher = [feature(3, 0, 3), feature(3, 1, 3)]
    built = build("clskd", teacher, teacher, fusion_channels=3)
    fused = [layer.detach() for layer in built.fusion(teacher)]
    assert float(value(built, fused, teacher).detach()) == 0
    assert float(value(built, fused[::-1], teacher).detach()) > 1e-4


def test_every_frame_of_an_item_may_be_louder_and_channels_may_be_turned() -> None:
    student, teacher = feature(3, 0, 3), feature(4, 1, 3)
    level = torch.exp(feature(1, 2, 3)[:, :, :1])  # one for each item and frame
    rotation = torch.linalg.qr(feature(3, 3)[0, :, :3, 0])[0]
    other = level * torch.einsum("ij,bjft->bift", rotation, student)
    torch.testing.assert_close(loss("clskd", [other], [teacher]), loss("clskd", [student], [teacher]))


def test_rows_are_probabilities_also_of_silence() -> None:
    x = feature(3, 0, 4)
    x[1, :, :, 2] = 0
    p = resemblance(x)
    assert p.shape == (4, 4, 4)
    assert p.min() > 0
    torch.testing.assert_close(p.sum(dim=-1), torch.ones(4, 4, dtype=torch.float64))
    torch.testing.assert_close(p[2, 1], torch.full((4,), 0.25, dtype=torch.float64))


def test_the_fusion_is_trained_and_can_move_towards_a_student_that_learns_nothing() -> None:
    student, teacher = [feature(3, 0, 3), feature(3, 1, 3)], [feature(4, 10, 3), feature(4, 11, 3)]
    built = build("clskd", student, teacher, fusion_channels=4)
    before = float(value(built, student, teacher).detach())
    optimiser = torch.optim.Adam(built.parameters(), lr=0.03)
    for _ in range(30):
        optimiser.zero_grad()
        value(built, student, teacher).backward()
        optimiser.step()
    assert float(value(built, student, teacher).detach()) < 0.5 * before


def test_pairs_and_channels_give_the_shapes_of_the_fusion() -> None:
    student, teacher = [feature(2, 0), feature(9, 1)], [feature(5, 2), feature(7, 3)]
    built = build("clskd", student, teacher)
    assert isinstance(built, Clskd)
    shapes = {name: tuple(p.shape) for name, p in built.named_parameters() if name.endswith("weight")}
    assert shapes == {
        "fusion.deepest.weight": (32, 7, 1, 1),
        "fusion.fusions.0.enter.weight": (32, 5, 1, 1),
        "fusion.fusions.0.gates.weight": (2, 64, 1, 1),
        "fusion.fusions.0.leave.weight": (32, 32, 3, 3),
    }
