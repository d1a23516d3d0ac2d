"""Residual fusion of a set of layers to one feature that represents it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class FusionStep(nn.Module):
    """leave(x·z0 + y·z1): x = enter(layer), y the resized residual, (z0, z1) = σ(conv1×1([x, y])).

    ``enter`` is a 1×1 convolution, ``leave`` a 3×3 one, each followed by instance norm and PReLU. A gate is one number
    per bin and frame, the same for all channels.

    Args:
        in_channels: of the layer.
        channels: of the residual and of what comes out.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.enter = _normed(in_channels, channels, 1)
        self.gates = nn.Conv2d(2 * channels, 2, 1)
        self.leave = _normed(channels, channels, 3)

    def forward(self, layer: Tensor, residual: Tensor) -> Tensor:
        """Joins a layer and what came of those before it.

        Args:
            layer: (batch, in_channels, freq, frame).
            residual: (batch, channels, freq, frame) with as many frames; of other frequencies the nearest is taken.

        Returns:
            (batch, channels, freq, frame) in the grid of ``layer``.
        """
        x = self.enter(layer)
        y = functional.interpolate(residual, size=x.shape[2:], mode="nearest")
        of_x, of_y = torch.sigmoid(self.gates(torch.cat([x, y], dim=1))).chunk(2, dim=1)
        return self.leave(x * of_x + y * of_y)


class SetFusion(nn.Module):
    """:class:`FusionStep` after step over the layers of a set, so that the last result knows all of them.

    Cheng et al., arXiv 2506.13127 (2025), after Chen et al., "Distilling Knowledge via Knowledge Review", CVPR 2021.
    Our reading: the first step is leave(enter(layer)), and a residual is what came out of the step before.

    Args:
        in_channels: of the layers in the order of fusion; one at least.
        channels: of what comes out.
    """

    def __init__(self, in_channels: list[int], channels: int) -> None:
        super().__init__()
        first, *others = in_channels
        self.first = nn.Sequential(_normed(first, channels, 1), _normed(channels, channels, 3))
        self.steps = nn.ModuleList(FusionStep(each, channels) for each in others)

    def forward(self, layers: list[Tensor]) -> Tensor:
        """Layers (batch, channel, freq, frame) each → (batch, channels, freq, frame) in the grid of the last."""
        fused = self.first(layers[0])
        for step, layer in zip(self.steps, layers[1:], strict=True):
            fused = step(layer, fused)
        return fused


def _normed(in_channels: int, channels: int, size: int) -> nn.Sequential:
    """A convolution that keeps the grid, instance norm with scale and offset, PReLU with a slope for each channel."""
    convolution = nn.Conv2d(in_channels, channels, size, padding=size // 2, bias=False)  # the norm would take it away
    return nn.Sequential(convolution, nn.InstanceNorm2d(channels, affine=True), nn.PReLU(channels))
