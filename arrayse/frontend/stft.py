"""The one short-time Fourier transform of the project."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional

Window = Literal["sqrt_hann", "hann"]


class Stft(nn.Module):
    """Analysis, and synthesis by overlap-add with the window's canonical dual: perfect reconstruction.

    Frame t sees the samples before (t + 1)·hop_length and none later, so that a stream and a file have the
    same frames; a sample is whole once the last frame that covers it is there: the latency is ``n_fft``
    samples.

    Args:
        n_fft: transform and window length in samples.
        hop_length: samples between frames; must divide n_fft.
        window: ``sqrt_hann`` or ``hann`` (periodic).

    Raises:
        ValueError: an unknown window, or a hop_length that does not divide n_fft or leaves no overlap.
    """

    window: Tensor
    dual: Tensor

    def __init__(
        self,
        n_fft: Annotated[int, Ge(4)] = 512,
        hop_length: Annotated[int, Ge(1)] = 256,
        window: Window = "sqrt_hann",
    ) -> None:
        super().__init__()
        if window not in get_args(Window):
            raise ValueError(f"window: expected one of {', '.join(get_args(Window))}, got {window}")
        if not 1 <= hop_length < n_fft or n_fft % hop_length:
            raise ValueError(f"hop_length: expected a proper divisor of n_fft {n_fft}, got {hop_length}")
        self.n_fft, self.hop_length, self.kind = n_fft, hop_length, window
        analysis = torch.hann_window(n_fft, dtype=torch.float64)
        if window == "sqrt_hann":
            analysis = analysis.sqrt()
        overlap = analysis.square().reshape(-1, hop_length).sum(0).repeat(n_fft // hop_length)
        self.register_buffer("window", analysis.float(), persistent=False)
        self.register_buffer("dual", (analysis / overlap).float(), persistent=False)

    @property
    def n_freqs(self) -> int:
        """Frequencies of a spectrum, from 0 to half the sample rate."""
        return self.n_fft // 2 + 1

    def n_frames(self, n_samples: int) -> int:
        """Frames that cover ``n_samples`` as often as the samples in the middle are covered."""
        return (n_samples - 1 + self.n_fft - self.hop_length) // self.hop_length + 1

    def forward(self, wave: Tensor) -> Tensor:
        """(..., n_samples) → complex (..., n_freqs, n_frames)."""
        n_samples = wave.shape[-1]
        front = self.n_fft - self.hop_length
        back = (self.n_frames(n_samples) - 1) * self.hop_length + self.n_fft - front - n_samples
        return self.frames_to_spec(functional.pad(wave, (front, back)))

    def frames_to_spec(self, padded: Tensor) -> Tensor:
        """Analysis without padding: (..., n_fft + k·hop_length) → complex (..., n_freqs, k + 1)."""
        frames = padded.float().unfold(-1, self.n_fft, self.hop_length)  # ... frame sample
        return torch.fft.rfft(frames * self.window).transpose(-1, -2)

    def inverse(self, spec: Tensor, n_samples: int) -> Tensor:
        """Complex (..., n_freqs, n_frames) → (..., n_samples)."""
        front = self.n_fft - self.hop_length
        return self.overlap_add(spec)[..., front : front + n_samples]

    def overlap_add(self, spec: Tensor) -> Tensor:
        """Synthesis without cutting the ends.

        Args:
            spec: complex (..., n_freqs, n_frames).

        Returns:
            (..., n_fft + (n_frames - 1)·hop_length); chunks of frames add up to the whole where they overlap.
        """
        frames = torch.fft.irfft(spec.transpose(-1, -2), self.n_fft) * self.dual
        flat = frames.reshape(-1, *frames.shape[-2:]).transpose(1, 2)  # (...) sample frame
        length = self.n_fft + (spec.shape[-1] - 1) * self.hop_length
        wave = functional.fold(flat, (1, length), (1, self.n_fft), stride=(1, self.hop_length))
        return wave.reshape(*spec.shape[:-2], length)
