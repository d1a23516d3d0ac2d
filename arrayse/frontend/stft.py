"""The one short-time Fourier transform of the project."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional

from arrayse.frontend.windows import Window, window_pair


class Stft(nn.Module):
    """Analysis, and synthesis by overlap-add with a dual window: perfect reconstruction.

    Frame t sees the samples before (t + 1)·hop_length and none later, so that a stream and a file have the
    same frames; a sample is whole once the last frame that gives a part of it is there: the latency is ``win_length``
    samples, that of ``asymmetric`` windows ``synthesis_length``.

    Args:
        n_fft: length of the transform in samples.
        hop_length: samples between frames; must divide win_length, for ``asymmetric`` synthesis_length instead.
        window: ``sqrt_hann``, ``hann`` (periodic) or ``asymmetric``, see :func:`window_pair`.
        win_length: samples that a frame sees, followed by zeros up to n_fft; None: n_fft.
        synthesis_length: of ``asymmetric`` only: samples that a frame gives back, the last of those that it sees.

    Raises:
        ValueError: an unknown window, one that is longer than n_fft, or a hop_length that does not divide it or leaves
            no overlap; a synthesis_length that is missing, too long, or that of another window.
    """

    window: Tensor
    dual: Tensor

    def __init__(
        self,
        n_fft: Annotated[int, Ge(4)] = 512,
        hop_length: Annotated[int, Ge(1)] = 256,
        window: Window = "sqrt_hann",
        win_length: Annotated[int, Ge(4)] | None = None,
        synthesis_length: Annotated[int, Ge(2)] | None = None,
    ) -> None:
        super().__init__()
        length = n_fft if win_length is None else win_length
        if not 4 <= length <= n_fft:
            raise ValueError(f"win_length: expected 4 to n_fft {n_fft}, got {length}")
        try:
            analysis, synthesis = window_pair(window, length, hop_length, synthesis_length)
        except ValueError as error:
            if win_length is None:
                raise ValueError(str(error).replace("win_length", "n_fft")) from None
            raise
        self.n_fft, self.hop_length, self.win_length, self.kind = n_fft, hop_length, length, window
        self.synthesis_length = synthesis_length
        self.register_buffer("window", analysis.float(), persistent=False)
        self.register_buffer("dual", synthesis.float(), persistent=False)

    @property
    def n_freqs(self) -> int:
        """Frequencies of a spectrum, from 0 to half the sample rate."""
        return self.n_fft // 2 + 1

    @property
    def latency_samples(self) -> int:
        """Samples after which an output sample is whole: it depends on none that is so many samples later.

        The synthesis window is zero but for its last ``latency_samples``.
        """
        return self.win_length if self.synthesis_length is None else self.synthesis_length

    def n_frames(self, n_samples: int) -> int:
        """Frames that see one of ``n_samples``: what comes after them in a stream of silence is zero."""
        return (n_samples - 1 + self.win_length) // self.hop_length

    def forward(self, wave: Tensor) -> Tensor:
        """(..., n_samples) → complex (..., n_freqs, n_frames)."""
        n_samples = wave.shape[-1]
        front = self.win_length - self.hop_length
        back = self.n_frames(n_samples) * self.hop_length - n_samples
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
