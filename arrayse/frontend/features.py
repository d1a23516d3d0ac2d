"""What a network sees of a spectrum: real and imaginary parts of all microphones at a normalised level."""

from __future__ import annotations

import math
from typing import Annotated, Literal, get_args

import torch
from annotated_types import Gt
from torch import Tensor, nn

from arrayse.frontend.covariance import forgetting_factor

MIN_POWER = 1e-10
"""Mean power per bin under which the input counts as digital silence and is not amplified further."""

BLOCK_FRAMES = 256
"""Frames whose running level is computed at once, as a product with a (frame, frame) matrix."""

Norm = Literal["recursive", "segment", "none"]


def real_channels(spec: Tensor) -> Tensor:
    """Complex (batch, channel, freq, frame) → (batch, 2·channel, freq, frame): all real parts come first."""
    return torch.cat([spec.real, spec.imag], dim=1)


class Features(nn.Module):
    """Real and imaginary parts, level-normalised.

    Args:
        frame_rate: frames per second of the spectra that will come.
        norm: ``recursive`` divides each frame by the running level of all microphones (causal; the level
            differences between microphones stay). ``segment`` subtracts the mean and divides by the standard
            deviation of the whole segment, as the distillation study of Metzger et al., arXiv 2507.19208
            (2025), does (not causal). ``none`` passes on.
        time_constant: of the running level, in seconds.

    Raises:
        ValueError: an unknown norm, or a frame rate or time constant that is not positive and finite.
    """

    def __init__(
        self,
        frame_rate: float,
        norm: Norm = "recursive",
        time_constant: Annotated[float, Gt(0)] = 1.0,
    ) -> None:
        super().__init__()
        if norm not in get_args(Norm):
            raise ValueError(f"norm: expected one of {', '.join(get_args(Norm))}, got {norm}")
        self.norm, self.time_constant = norm, time_constant
        self.forget = forgetting_factor(time_constant, frame_rate)

    @property
    def causal(self) -> bool:
        """Whether no frame depends on a later one."""
        return self.norm != "segment"

    def initial_state(self, n_batch: int, device: torch.device) -> Tensor:
        """Running level and its weight, (batch, 2)."""
        return torch.zeros(n_batch, 2, device=device)

    def forward(self, spec: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features of a block of frames.

        Args:
            spec: complex (batch, mic, freq, frame).
            state: what the call on the frames before returned; None at the start.

        Returns:
            (batch, 2·mic, freq, frame) and the state after the last frame.
        """
        if state is None:
            state = self.initial_state(len(spec), spec.device)
        if self.norm == "recursive":
            with torch.autocast(spec.device.type, enabled=False):  # 16 bits would round the level by 0.4 %
                level, state = self._running_level(spec, state)
            spec = spec / level[:, None, None, :]
        features = real_channels(spec)
        if self.norm == "segment":
            mean = features.mean(dim=(1, 2, 3), keepdim=True)
            deviation = features.std(dim=(1, 2, 3), keepdim=True)
            features = (features - mean) / deviation.clamp_min(math.sqrt(MIN_POWER))
        return features, state

    def _running_level(self, spec: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Root of the exponentially averaged power per frame, (batch, frame), without a start-up bias."""
        power = (spec.real.square() + spec.imag.square()).mean(dim=(1, 2))
        inputs = torch.stack([power, torch.ones_like(power)], dim=1)  # b (power, weight) t
        averages = []
        for block in inputs.split(BLOCK_FRAMES, dim=-1):
            n_frames = block.shape[-1]
            age = torch.arange(n_frames, device=spec.device)
            lag = (age[None, :] - age[:, None]).clamp_min(0)  # from frame, to frame
            kernel = torch.triu((1 - self.forget) * self.forget**lag)
            average = block @ kernel + state[:, :, None] * self.forget ** (age + 1)
            averages.append(average)
            state = average[:, :, -1]
        level, weight = torch.cat(averages, dim=-1).unbind(1)
        return (level / weight).clamp_min(MIN_POWER).sqrt(), state
