"""The full-band LSTM: all frequencies at once, what a sub-band network has to be compared with."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn

from arrayse.models.magnitude_mask import LstmState, TimeLstms, magnitude_mask, magnitudes
from arrayse.taps import Taps


class FullBandLSTM(nn.Module):
    """LSTMs over time that see the magnitudes of all bins, and a linear layer to the magnitude of every bin; causal.

    The control of Hao et al., Interspeech 2020 (arXiv 2005.14435), who say of theirs only that it has more parameters
    than the sub-band network; sizes are ours: 3,812,097 parameters with one microphone and 257 frequencies, more than
    twice those of :class:`SubBandLSTM`, at about 1/120 of its multiply-accumulates. Estimates become masks in the same
    way, by :func:`magnitude_mask`.

    Args:
        n_mics: microphones that the network hears.
        n_freqs: bins of the spectrum.
        ref_channel: which of the microphones is masked.
        hidden: units of each LSTM.
        n_layers: LSTMs over time.
    """

    domain = "spectrum"

    def __init__(
        self,
        n_mics: int,
        n_freqs: int,
        ref_channel: int,
        hidden: Annotated[int, Ge(1)] = 512,
        n_layers: Annotated[int, Ge(1)] = 2,
    ) -> None:
        super().__init__()
        self.ref_channel, self.causal, self.lookahead_frames = ref_channel, True, 0
        self.net = TimeLstms(n_mics * n_freqs, hidden, n_layers, n_freqs)
        self.tap_channels = {**{f"mid_{number}": hidden for number in range(1, n_layers + 1)}, "mask": 2}
        self.output_taps = {"mask": "mask"}

    def forward(self, features: Tensor, taps: Taps) -> Tensor:
        """Mask for whole utterances.

        Args:
            features: (batch, 2·n_mics, freq, frame).
            taps: receives ``mid_1``, … (LSTMs, each (batch, hidden, 1, frame)) and ``mask``.

        Returns:
            Complex mask (batch, 1, freq, frame).
        """
        return self._run(features, taps, None)[0]

    def initial_state(self, n_batch: int, n_freqs: int, device: torch.device) -> LstmState:
        """State of the LSTMs before the first frame."""
        return self.net.initial_state(n_batch, device)

    def step(self, features: Tensor, state: LstmState) -> tuple[Tensor, LstmState]:
        """Mask for the next frame or frames of a stream; chained steps equal :meth:`forward`.

        Args:
            features: (batch, 2·n_mics, freq, frame).
            state: what the step before returned.

        Returns:
            Complex mask (batch, 1, freq, frame) and the state after the last frame.
        """
        return self._run(features, Taps(), state)

    def macs(self, n_freqs: int, n_frames: int) -> int:
        """Multiply-accumulates for an utterance."""
        return n_frames * self.net.macs()

    def _run(self, features: Tensor, taps: Taps, state: LstmState | None) -> tuple[Tensor, LstmState]:
        magnitude = magnitudes(features)
        mids, z, state = self.net(magnitude.permute(0, 3, 1, 2).flatten(start_dim=2), state)  # b t (mic f)
        for number, mid in enumerate(mids, start=1):
            taps.keep(f"mid_{number}", mid.transpose(1, 2)[:, :, None])
        mask = magnitude_mask(z.transpose(1, 2)[:, None], magnitude[:, self.ref_channel, None])
        taps.keep("mask", torch.cat([mask, torch.zeros_like(mask)], dim=1))
        return torch.complex(mask.contiguous(), torch.zeros_like(mask).contiguous()), state
