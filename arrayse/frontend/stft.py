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
    same frames; a sample is whole once the last frame that covers it is there: the latency is ``win_length``
    samples.

    Args:
        n_fft: length of the transform in samples.
        hop_length: samples between frames; must divide win_length.
        window: ``sqrt_hann`` or ``hann`` (periodic).
        win_length: samples that a frame sees, followed by zeros up to n_fft; None: n_fft.

    Raises:
        ValueError: an unknown window, one that is longer than n_fft, or a hop_length that does not divide it or leaves
            no overlap.
    """

    window: Tensor
    dual: Tensor

    def __init__(
        self,
        n_fft: Annotated[int, Ge(4)] = 512,
        hop_length: Annotated[int, Ge(1)] = 256,
        window: Window = "sqrt_hann",
        win_length: Annotated[int, Ge(4)] | None = None,
    ) -> None:
        super().__init__()
        if window not in get_args(Window):
            raise ValueError(f"window: expected one of {', '.join(get_args(Window))}, got {window}")
        length, name = (n_fft, "n_fft") if win_length is None else (win_length, "win_length")
        if not 4 <= length <= n_fft:
            raise ValueError(f"win_length: expected 4 to n_fft {n_fft}, got {length}")
        if not 1 <= hop_length < length or length % hop_length:
            raise ValueError(f"hop_length: expected a proper divisor of {name} {length}, got {hop_length}")
        self.n_fft, self.hop_length, self.win_length, self.kind = n_fft, hop_length, length, window
        analysis = torch.hann_window(length, dtype=torch.float64)
        if window == "sqrt_hann":
            analysis = analysis.sqrt()
        overlap = analysis.square().reshape(-1, hop_length).sum(0).repeat(length // hop_length)
        self.register_buffer("window", analysis.float(), persistent=False)
        self.register_buffer("dual", (analysis / overlap).float(), persistent=False)

    @property
    def n_freqs(self) -> int:
        """Frequencies of a spectrum, from 0 to half the sample rate."""
        return self.n_fft // 2 + 1

    def n_frames(self, n_samples: int) -> int:
        """Frames that cover ``n_samples`` as often as the samples in the middle are covered."""
        return (n_samples - 1 + self.win_length - self.hop_length) // self.hop_length + 1

    def forward(self, wave: Tensor) -> Tensor:
        """(..., n_samples) → complex (..., n_freqs, n_frames)."""
        n_samples = wave.shape[-1]
        front = self.win_length - self.hop_length
        back = (self.n_frames(n_samples) - 1) * self.hop_length + self.win_length - front - n_samples
        return self.frames_to_spec(functional.pad(wave, (front, back)))

    def frames_to_spec(self, padded: Tensor) -> Tensor:
        """Analysis without padding: (..., win_length + k·hop_length) → complex (..., n_freqs, k + 1)."""
        frames = padded.float().unfold(-1, self.win_length, self.hop_length)  # ... frame sample
        return torch.fft.rfft(frames * self.window, self.n_fft).transpose(-1, -2)

    def inverse(self, spec: Tensor, n_samples: int) -> Tensor:
        """Complex (..., n_freqs, n_frames) → (..., n_samples)."""
        front = self.win_length - self.hop_length
        return self.overlap_add(spec)[..., front : front + n_samples]

    def overlap_add(self, spec: Tensor) -> Tensor:
        """Synthesis without cutting the ends.

        Args:
            spec: complex (..., n_freqs, n_frames).

        Returns:
            (..., win_length + (n_frames - 1)·hop_length); chunks of frames add up to the whole where they overlap.
        """
        frames = torch.fft.irfft(spec.transpose(-1, -2), self.n_fft)[..., : self.win_length] * self.dual
        flat = frames.reshape(-1, *frames.shape[-2:]).transpose(1, 2)  # (...) sample frame
        length = self.win_length + (spec.shape[-1] - 1) * self.hop_length
        wave = functional.fold(flat, (1, length), (1, self.win_length), stride=(1, self.hop_length))
        return wave.reshape(*spec.shape[:-2], length)
