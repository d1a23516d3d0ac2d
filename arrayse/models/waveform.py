"""The learned filterbank of networks in the time domain: analysis, and synthesis by overlap-add, both for streams."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Analysis(nn.Module):
    """Linear filters over frames of all microphones, summed over the microphones; no bias.

    Frame t sees the samples before (t + 1)·hop_length and none later, as in :class:`~arrayse.frontend.stft.Stft`:
    ``win_length - hop_length`` zeros stand before the first sample. A whole utterance is a stream of one piece::

        wave = analysis.pad_end(wave)  # only for whole utterances
        joined, past = analysis.join(wave, past)  # past: analysis.initial_state(n_batch, device)
        encoding = analysis(joined)  # (batch, filter, frame), one frame per hop of wave
        reference = analysis.channel(joined, ref_channel)
        estimate, tail = synthesis(mask * reference, tail)  # as many samples as the padded wave
        estimate[:, analysis.overlap :][:, :n_samples]  # only for whole utterances

    Both run in 32 bits under autocast: 16 bits would leave -48 dB of error in the wave.

    Args:
        n_mics: microphones.
        n_filters: filters, channels of the encoding.
        win_length: samples per frame.
        hop_length: samples between frames.

    Raises:
        ValueError: a hop_length that is not within 1 to win_length.
    """

    def __init__(self, n_mics: int, n_filters: int, win_length: int, hop_length: int) -> None:
        super().__init__()
        check_hop(win_length, hop_length)
        self.n_mics, self.win_length, self.hop_length = n_mics, win_length, hop_length
        self.overlap = win_length - hop_length
        self.conv = nn.Conv1d(n_mics, n_filters, win_length, stride=hop_length, bias=False)

    def n_frames(self, n_samples: int) -> int:
        """Frames that cover ``n_samples`` as often as the samples in the middle are covered."""
        return (n_samples - 1 + self.overlap) // self.hop_length + 1

    def pad_end(self, wave: Tensor) -> Tensor:
        """Zeros behind a whole utterance: (batch, n_mics, n_samples) → (batch, n_mics, n_frames·hop_length).

        Raises:
            ValueError: another number of microphones, or no samples.
        """
        self._check_mics(wave)
        n_samples = wave.shape[-1]
        if n_samples == 0:
            raise ValueError("wave: expected at least 1 sample, got 0")
        return functional.pad(wave, (0, self.n_frames(n_samples) * self.hop_length - n_samples))

    def initial_state(self, n_batch: int, device: torch.device) -> Tensor:
        """The zeros before a stream, (batch, n_mics, overlap)."""
        return torch.zeros(n_batch, self.n_mics, self.overlap, device=device)

    def join(self, wave: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """The next piece of a stream with the samples before it that its frames see.

        Args:
            wave: (batch, n_mics, k·hop_length).
            past: (batch, n_mics, overlap), what the piece before returned.

        Returns:
            (batch, n_mics, overlap + k·hop_length) and the past of the next piece.

        Raises:
            ValueError: another number of microphones, or samples that are no multiple of hop_length.
        """
        self._check_mics(wave)
        n_samples = wave.shape[-1]
        if n_samples == 0 or n_samples % self.hop_length:
            raise ValueError(f"wave: expected a positive multiple of {self.hop_length} samples, got {n_samples}")
        joined = torch.cat([past, wave], dim=-1)
        return joined, joined[..., n_samples:]

    def forward(self, joined: Tensor) -> Tensor:
        """Encodes all microphones: (batch, n_mics, overlap + k·hop_length) → (batch, n_filters, k)."""
        return self._filter(joined, self.conv.weight)

    def channel(self, joined: Tensor, channel: int) -> Tensor:
        """The part of one microphone in what :meth:`forward` gives; all of it where there is one microphone only."""
        part = slice(channel, channel + 1)
        return self._filter(joined[:, part], self.conv.weight[:, part])

    def _check_mics(self, wave: Tensor) -> None:
        if wave.ndim != 3 or wave.shape[1] != self.n_mics:
            raise ValueError(f"wave: expected (batch, {self.n_mics} microphones, n_samples), got {tuple(wave.shape)}")

    def _filter(self, joined: Tensor, weight: Tensor) -> Tensor:
        with torch.autocast(joined.device.type, enabled=False):
            return functional.conv1d(joined.to(weight.dtype), weight, stride=self.hop_length)


class Synthesis(nn.Module):
    """A linear layer from filters to samples, and overlap-add; no bias.

    Args:
        n_filters: channels of the encoding.
        win_length: samples per frame.
        hop_length: samples between frames.

    Raises:
        ValueError: a hop_length that is not within 1 to win_length.
    """

    def __init__(self, n_filters: int, win_length: int, hop_length: int) -> None:
        super().__init__()
        check_hop(win_length, hop_length)
        self.win_length, self.hop_length = win_length, hop_length
        self.overlap = win_length - hop_length
        self.linear = nn.Linear(n_filters, win_length, bias=False)

    def initial_state(self, n_batch: int, device: torch.device) -> Tensor:
        """Nothing to add before a stream, (batch, overlap)."""
        return torch.zeros(n_batch, self.overlap, device=device)

    def forward(self, encoding: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
        """Samples that the next frames complete.

        Args:
            encoding: (batch, n_filters, frame).
            tail: (batch, overlap), what the frames before left for later samples.

        Returns:
            (batch, frame·hop_length), ``overlap`` samples later than the input of these frames, and the new tail.
        """
        n_frames = encoding.shape[-1]
        with torch.autocast(encoding.device.type, enabled=False):
            frames = self.linear(encoding.to(self.linear.weight.dtype).transpose(1, 2)).transpose(1, 2)  # b sample t
        n_whole = n_frames * self.hop_length
        size, kernel = (1, self.overlap + n_whole), (1, self.win_length)
        wave = functional.fold(frames, size, kernel, stride=(1, self.hop_length))[:, 0, 0]
        wave = wave + functional.pad(tail, (0, n_whole))
        return wave[:, :n_whole], wave[:, n_whole:]


def check_hop(win_length: int, hop_length: int) -> None:
    """Raises ValueError unless frames touch or overlap."""
    if not 1 <= hop_length <= win_length:
        raise ValueError(f"hop_length: expected 1 to win_length {win_length}, got {hop_length}")
