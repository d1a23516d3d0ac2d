"""Layers that compute with complex numbers kept as real channels: all real parts first, then all imaginary ones."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Norm = Literal["real", "complex"]

Recurrent = tuple[Tensor, Tensor]
"""Hidden and cell state of one real LSTM that runs over both parts, each (1, 2·batch, hidden_size / 2)."""


def complex_cat(left: Tensor, right: Tensor) -> Tensor:
    """Concatenates along the channels (dimension 1) so that the real parts still come first."""
    left_real, left_imag = left.chunk(2, dim=1)
    right_real, right_imag = right.chunk(2, dim=1)
    return torch.cat([left_real, right_real, left_imag, right_imag], dim=1)


class ComplexConv2d(nn.Module):
    """Complex convolution: (W_r + jW_i) ∗ (x_r + jx_i), computed as one real convolution.

    As in the public DCCRN each of the two real filters has a bias b of its own, added wherever it is applied: the
    real part gets b_r − b_i, the imaginary part b_r + b_i.

    Args:
        in_channels: real and imaginary ones together.
        out_channels: real and imaginary ones together.
        kernel_size: (freq, time).
        stride: (freq, time).
        padding: zeros on both sides, (freq, time).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding
        self.real = nn.Conv2d(in_channels // 2, out_channels // 2, kernel_size)
        self.imag = nn.Conv2d(in_channels // 2, out_channels // 2, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, freq, frame) → (batch, out_channels, freq, frame)."""
        real, imag = self.real.weight, self.imag.weight  # out in freq time
        weight = torch.cat([torch.cat([real, -imag], dim=1), torch.cat([imag, real], dim=1)])
        return functional.conv2d(x, weight, complex_bias(self.real, self.imag), self.stride, self.padding)


class ComplexConvTranspose2d(nn.Module):
    """Complex transposed convolution; arguments, parts and biases as for :class:`ComplexConv2d`.

    Args:
        in_channels: real and imaginary ones together.
        out_channels: real and imaginary ones together.
        kernel_size: (freq, time).
        stride: (freq, time).
        padding: rows and columns cut from both sides of the output, (freq, time).
        output_padding: of these, kept at the upper end, (freq, time).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int] = (0, 0),
        output_padding: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        self.real = nn.ConvTranspose2d(in_channels // 2, out_channels // 2, kernel_size)
        self.imag = nn.ConvTranspose2d(in_channels // 2, out_channels // 2, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, freq, frame) → (batch, out_channels, freq, frame)."""
        real, imag = self.real.weight, self.imag.weight  # in out freq time
        weight = torch.cat([torch.cat([real, imag], dim=1), torch.cat([-imag, real], dim=1)])
        bias = complex_bias(self.real, self.imag)
        return functional.conv_transpose2d(x, weight, bias, self.stride, self.padding, self.output_padding)


def complex_bias(real: nn.Module, imag: nn.Module) -> Tensor:
    """What the biases of two real layers add to the real and to the imaginary channels of their complex product."""
    of_real, of_imag = real.get_parameter("bias"), imag.get_parameter("bias")
    return torch.cat([of_real - of_imag, of_real + of_imag])


class ComplexLSTM(nn.Module):
    """Two real LSTMs, each over both parts: F_r(x_r) − F_i(x_i) + j(F_i(x_r) + F_r(x_i)).

    Args:
        input_size: real and imaginary inputs together.
        hidden_size: real and imaginary units together.
        projection: real and imaginary outputs together of a linear layer at the end, one for each part as in the
            public DCCRN (no complex product); None: there is none.
    """

    def __init__(self, input_size: int, hidden_size: int, projection: int | None = None) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.real = nn.LSTM(input_size // 2, hidden_size // 2, batch_first=True)
        self.imag = nn.LSTM(input_size // 2, hidden_size // 2, batch_first=True)
        projections = [] if projection is None else [nn.Linear(hidden_size // 2, projection // 2) for _ in range(2)]
        self.projections = nn.ModuleList(projections)

    def initial_state(self, n_batch: int, device: torch.device) -> tuple[Recurrent, Recurrent]:
        """State of both LSTMs before the first frame."""
        zeros = torch.zeros(1, 2 * n_batch, self.hidden_size // 2, device=device)
        return (zeros, zeros.clone()), (zeros.clone(), zeros.clone())

    def forward(
        self, x: Tensor, state: tuple[Recurrent, Recurrent] | None = None
    ) -> tuple[Tensor, tuple[Recurrent, Recurrent]]:
        """(batch, frame, input_size) → (batch, frame, hidden_size or projection), and the state after the last frame.

        ``state`` None is the initial one.
        """
        both = torch.cat(x.chunk(2, dim=2))  # (part batch) frame input
        of_real, state_real = self.real(both, None if state is None else state[0])
        of_imag, state_imag = self.imag(both, None if state is None else state[1])
        real_of_real, real_of_imag = of_real.chunk(2)
        imag_of_real, imag_of_imag = of_imag.chunk(2)
        parts = [real_of_real - imag_of_imag, imag_of_real + real_of_imag]
        if len(self.projections):
            parts = [project(part) for project, part in zip(self.projections, parts, strict=True)]
        return torch.cat(parts, dim=2), (state_real, state_imag)


class ComplexBatchNorm2d(nn.Module):
    """Batch norm that whitens real and imaginary parts together: y = Γ V^(−1/2) (x − mean) + β.

    Trabelsi et al., "Deep Complex Networks", ICLR 2018: V is the 2 × 2 covariance of the parts of a complex channel,
    Γ symmetric and 2 × 2 (at first 1/√2 times the identity), β complex: five parameters per complex channel.
    Computed in float32 at least: in 16 bits the determinant of V would be lost.

    Args:
        n_channels: real and imaginary ones together.
        momentum: share of a batch in the running mean and covariance.
        eps: added to the variances.
    """

    running_mean: Tensor
    running_covariance: Tensor

    def __init__(self, n_channels: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        rows = torch.tensor([1.0, 0.0, 1.0])[:, None].expand(3, n_channels // 2)  # of a symmetric matrix: rr, ri, ii
        self.gain = nn.Parameter(rows / math.sqrt(2))
        self.bias = nn.Parameter(torch.zeros(2, n_channels // 2))
        self.register_buffer("running_mean", torch.zeros(2, n_channels // 2))
        self.register_buffer("running_covariance", rows / math.sqrt(2))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_channels, freq, frame) → the same shape; statistics over batch, freq and frame, or running ones."""
        with torch.autocast(x.device.type, enabled=False):
            real, imag = x.to(self.gain.dtype).chunk(2, dim=1)
            mean, covariance = self._statistics(real, imag) if self.training else self._running()
            real, imag = real - mean[0, :, None, None], imag - mean[1, :, None, None]
            (rr, ri), (ir, ii) = self._matrix(covariance)
            bias = self.bias[:, :, None, None]
            y = torch.cat([rr * real + ri * imag + bias[0], ir * real + ii * imag + bias[1]], dim=1)
        return y.to(x.dtype)

    def _running(self) -> tuple[Tensor, Tensor]:
        return self.running_mean, self.running_covariance

    def _statistics(self, real: Tensor, imag: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (2, channel) and covariance (rr, ri, ii; channel) of a batch; moves the running ones."""
        over = (0, 2, 3)
        mean = torch.stack([real.mean(over), imag.mean(over)])
        real, imag = real - mean[0, :, None, None], imag - mean[1, :, None, None]
        covariance = torch.stack([real.square().mean(over), (real * imag).mean(over), imag.square().mean(over)])
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_covariance.lerp_(covariance, self.momentum)
        return mean, covariance

    def _matrix(self, covariance: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Γ V^(−1/2), entries (channel, 1, 1): V^(−1/2) = (adj V + √det·1) / (√det · √(trace + 2√det)) for 2 × 2."""
        rr, ri, ii = covariance[0] + self.eps, covariance[1], covariance[2] + self.eps
        root = (rr * ii - ri.square()).clamp_min(self.eps**2).sqrt()
        scale = 1 / (root * (rr + ii + 2 * root).sqrt())
        rr, ri, ii = (ii + root) * scale, -ri * scale, (rr + root) * scale
        of_rr, of_ri, of_ii = self.gain
        first = of_rr * rr + of_ri * ri, of_rr * ri + of_ri * ii
        second = of_ri * rr + of_ii * ri, of_ri * ri + of_ii * ii
        return (first[0][:, None, None], first[1][:, None, None]), (second[0][:, None, None], second[1][:, None, None])


class Layer(nn.Module):
    """A convolution, then batch norm and PReLU (one weight).

    Args:
        convolution: what comes first.
        n_channels: that it gives, real and imaginary ones together.
        norm: ``real`` normalises every real channel by itself, ``complex`` as :class:`ComplexBatchNorm2d`.
    """

    def __init__(self, convolution: nn.Module, n_channels: int, norm: Norm) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = nn.BatchNorm2d(n_channels) if norm == "real" else ComplexBatchNorm2d(n_channels)
        self.activation = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, freq, frame) → what the convolution makes of it."""
        y: Tensor = self.activation(self.norm(self.convolution(x)))
        return y
