"""Attention-based residual fusion: layers joined one after the other, from the deepest to the first."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


def same_conv(in_channels: int, channels: int, size: int) -> nn.Module:
    """A convolution that keeps the grid."""
    return nn.Conv2d(in_channels, channels, size, padding=size // 2)


class ResidualFusion(nn.Module):
    """conv3×3(x·z0 + y·z1): x = conv1×1(feature), y the resized residual, (z0, z1) = σ(gates([x, y])).

    Chen et al., "Distilling Knowledge via Knowledge Review", CVPR 2021; for speech enhancement Cheng et al.,
    Interspeech 2022. A gate is one number per bin and frame, the same for all channels, of a bare 1×1 convolution.

    Args:
        in_channels: of the feature.
        channels: of the residual and of what comes out.
        conv: makes the two other convolutions of (channels in, channels out, size); it may add a norm.
    """

    def __init__(self, in_channels: int, channels: int, conv: Callable[[int, int, int], nn.Module] = same_conv) -> None:
        super().__init__()
        self.enter = conv(in_channels, channels, 1)
        self.gates = nn.Conv2d(2 * channels, 2, 1)
        self.leave = conv(channels, channels, 3)

    def forward(self, feature: Tensor, residual: Tensor) -> Tensor:
        """Joins a layer and what came of the deeper ones.

        Args:
            feature: (batch, in_channels, freq, frame).
            residual: (batch, channels, freq, frame); if its grid is another, the nearest bin and frame are taken.

        Returns:
            (batch, channels, freq, frame) in the grid of ``feature``.
        """
        x = self.enter(feature)
        y = residual
        if y.shape[2:] != x.shape[2:]:
            y = functional.interpolate(y, size=x.shape[2:], mode="nearest")
        of_x, of_y = torch.sigmoid(self.gates(torch.cat([x, y], dim=1))).chunk(2, dim=1)
        fused: Tensor = self.leave(x * of_x + y * of_y)
        return fused


class FusionChain(nn.Module):
    """y_L = conv1×1(x_L); y_i = :class:`ResidualFusion` of x_i and y_{i+1}, so that y_i knows all layers from i on.

    Args:
        in_channels: of the layers, from the first to the deepest; one at least.
        channels: of everything that comes out.
    """

    def __init__(self, in_channels: list[int], channels: int) -> None:
        super().__init__()
        *before, deepest = in_channels
        self.deepest = nn.Conv2d(deepest, channels, 1)
        self.fusions = nn.ModuleList(ResidualFusion(each, channels) for each in before)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Layers from the first to the deepest, (batch, channel, freq, frame) each → as many, fused."""
        fused = [self.deepest(features[-1])]
        for fusion, feature in zip(reversed(self.fusions), reversed(features[:-1]), strict=True):
            fused.append(fusion(feature, fused[-1]))
        return fused[::-1]
