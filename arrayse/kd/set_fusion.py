"""Residual fusion of a set of layers to one feature that represents it."""

from __future__ import annotations

from torch import Tensor, nn

from arrayse.kd.fusion import ResidualFusion


class SetFusion(nn.Module):
    """A :class:`ResidualFusion` after the other over the layers of a set, so that the last result knows all of them.

    Instance norm and PReLU follow on each of their convolutions but those of the gates.

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
        self.steps = nn.ModuleList(ResidualFusion(each, channels, _normed) for each in others)

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
