"""Complex layers against torch's complex numbers and plain loops."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from arrayse.models.complex_layers import (
    ComplexBatchNorm2d,
    ComplexConv2d,
    ComplexConvTranspose2d,
    ComplexLSTM,
    complex_cat,
)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def randomised(module: nn.Module) -> nn.Module:
    """The module in float64 with other parameters than it starts with."""
    module.double()
    with torch.no_grad():
        for i, parameter in enumerate(module.parameters()):
            parameter.copy_(draw(*parameter.shape, seed=10 + i))
    return module


def to_complex(x: Tensor, dim: int = 1) -> Tensor:
    return torch.complex(*(part.contiguous() for part in x.chunk(2, dim=dim)))


def to_real(x: Tensor, dim: int = 1) -> Tensor:
    return torch.cat([x.real, x.imag], dim=dim)


def complex_weight(layer: nn.Module) -> Tensor:
    return torch.complex(layer.get_parameter("real.weight"), layer.get_parameter("imag.weight"))


def bias_of(layer: nn.Module) -> Tensor:
    """(W_r + b_r, W_i + b_i) on both parts: (b_r - b_i) + j(b_r + b_i)."""
    real, imag = layer.get_parameter("real.bias"), layer.get_parameter("imag.bias")
    return torch.complex(real - imag, real + imag)


def test_a_convolution_is_the_sum_of_complex_products() -> None:
    layer = randomised(ComplexConv2d(4, 6, (3, 2), (2, 1), (1, 0)))
    x = draw(2, 4, 7, 5)
    weight, bias = complex_weight(layer), bias_of(layer)
    padded = functional.pad(to_complex(x), (0, 0, 1, 1))  # b c f t
    expected = torch.zeros(2, 3, 4, 4, dtype=torch.complex128)
    for f in range(4):
        for t in range(4):
            patch = padded[:, :, 2 * f : 2 * f + 3, t : t + 2]
            expected[:, :, f, t] = (patch[:, None] * weight).sum((2, 3, 4)) + bias
    torch.testing.assert_close(layer(x), to_real(expected))


def test_a_transposed_convolution_spreads_complex_products() -> None:
    layer = randomised(ComplexConvTranspose2d(4, 6, (3, 2), (2, 1), (1, 1), (1, 0)))
    x = draw(2, 4, 5, 6)
    z, weight = to_complex(x), complex_weight(layer)
    whole = torch.zeros(2, 3, 12, 7, dtype=torch.complex128)
    for f in range(5):
        for t in range(6):
            whole[:, :, 2 * f : 2 * f + 3, t : t + 2] += torch.einsum("bi,iokl->bokl", z[:, :, f, t], weight)
    expected = whole[:, :, 1:11, 1:-1] + bias_of(layer)[:, None, None]
    torch.testing.assert_close(layer(x), to_real(expected))


def test_both_biases_are_added_wherever_their_filters_are_applied() -> None:
    layer = randomised(ComplexConv2d(4, 6, (1, 1)))
    real, imag = draw(1, 4, 3, 2).chunk(2, dim=1)
    expected = [layer.real(real) - layer.imag(imag), layer.real(imag) + layer.imag(real)]
    torch.testing.assert_close(layer(torch.cat([real, imag], dim=1)), torch.cat(expected, dim=1))


def lstm_by_hand(lstm: nn.LSTM, x: Tensor) -> Tensor:
    """The textbook recursion of one real LSTM, (batch, frame, input)."""
    h = c = x.new_zeros(len(x), lstm.hidden_size)
    outputs = []
    for frame in x.unbind(1):
        gates = frame @ lstm.weight_ih_l0.T + lstm.bias_ih_l0 + h @ lstm.weight_hh_l0.T + lstm.bias_hh_l0
        i, f, g, o = gates.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        outputs.append(h)
    return torch.stack(outputs, dim=1)


@pytest.mark.parametrize("projection", [None, 10])
def test_a_complex_lstm_is_two_lstms_that_each_see_both_parts(projection: int | None) -> None:
    layer = randomised(ComplexLSTM(6, 8, projection))
    x = draw(2, 5, 6)
    real, imag = x.chunk(2, dim=2)
    of_real = torch.complex(lstm_by_hand(layer.real, real), lstm_by_hand(layer.imag, real))
    of_imag = torch.complex(lstm_by_hand(layer.real, imag), lstm_by_hand(layer.imag, imag))
    expected = to_real(of_real + 1j * of_imag, dim=2)
    if projection is not None:
        parts = zip(layer.projections, expected.chunk(2, dim=2), strict=True)
        expected = torch.cat([part @ linear.weight.T + linear.bias for linear, part in parts], dim=2)
    torch.testing.assert_close(layer(x)[0], expected)


def test_a_complex_lstm_goes_on_where_it_stopped() -> None:
    layer = randomised(ComplexLSTM(6, 8))
    x = draw(2, 5, 6)
    first, state = layer(x[:, :2], tuple((h.double(), c.double()) for h, c in layer.initial_state(2, x.device)))
    second, _ = layer(x[:, 2:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), layer(x)[0])


def correlated(seed: int = 0) -> Tensor:
    """(3, 4, 5, 6): two complex channels whose parts are correlated, with means and scales of their own."""
    x = draw(3, 4, 5, 6, seed=seed)
    x[:, 2:] = 0.8 * x[:, :2] - 0.5 * x[:, 2:]
    return x * torch.tensor([1.0, 3.0, 0.5, 2.0])[:, None, None] + torch.tensor([0.0, 1.0, -2.0, 5.0])[:, None, None]


def norm_by_hand(layer: ComplexBatchNorm2d, x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """Per channel, with the inverse root of the covariance from its eigenvectors; mean (2, c), covariance (c, 2, 2)."""
    y = torch.empty_like(x)
    n = x.shape[1] // 2
    for channel in range(n):
        values, vectors = torch.linalg.eigh(covariance[channel] + layer.eps * torch.eye(2, dtype=x.dtype))
        whiten = vectors @ torch.diag(values.rsqrt()) @ vectors.T
        rr, ri, ii = layer.gain[:, channel]
        matrix = torch.stack([torch.stack([rr, ri]), torch.stack([ri, ii])]) @ whiten
        parts = x[:, [channel, n + channel]] - mean[:, channel, None, None]
        y[:, [channel, n + channel]] = torch.einsum("ij,bjft->bift", matrix, parts) + layer.bias[:, channel, None, None]
    return y


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    n = x.shape[1] // 2
    pairs = [x[:, [i, n + i]].transpose(0, 1).reshape(2, -1) for i in range(n)]
    return torch.stack([p.mean(1) for p in pairs], dim=1), torch.stack([torch.cov(p, correction=0) for p in pairs])


def test_complex_batch_norm_whitens_by_the_eigenvectors_of_the_covariance() -> None:
    layer, x = randomised(ComplexBatchNorm2d(4)), correlated()
    torch.testing.assert_close(layer(x), norm_by_hand(layer, x, *moments(x)))


def test_complex_batch_norm_starts_with_uncorrelated_parts_of_half_the_power() -> None:
    layer = ComplexBatchNorm2d(4).double()
    mean, covariance = moments(layer(correlated()))
    torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-6)
    torch.testing.assert_close(covariance, (torch.eye(2) / 2).double().expand(2, 2, 2), rtol=0, atol=1e-3)


def test_complex_batch_norm_in_eval_mode_uses_running_statistics() -> None:
    layer, x = randomised(ComplexBatchNorm2d(4)), correlated()
    start = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=x.dtype).expand(2, 2, 2) / 2**0.5
    mean, covariance = moments(x)
    layer(x)
    layer.eval()
    other = correlated(seed=1)
    expected = norm_by_hand(layer, other, 0.1 * mean, 0.9 * start + 0.1 * covariance)
    torch.testing.assert_close(layer(other), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(layer(other), layer(other), rtol=0, atol=0)


def test_complex_batch_norm_of_silence_is_finite_with_finite_gradients() -> None:
    layer = ComplexBatchNorm2d(4)
    x = torch.zeros(1, 4, 2, 3, requires_grad=True)
    layer(x).square().sum().backward()
    assert torch.isfinite(layer(x)).all()
    assert all(torch.isfinite(p.grad).all() for p in [x, *layer.parameters()] if p.grad is not None)


def test_joined_channels_keep_all_real_parts_first() -> None:
    left, right = draw(1, 4, 1, 1, seed=1), draw(1, 6, 1, 1, seed=2)
    joined = to_complex(complex_cat(left, right))
    torch.testing.assert_close(joined, torch.cat([to_complex(left), to_complex(right)], dim=1))
