"""The full-band LSTM: all frequencies at once, what a sub-band network has to be compared with."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor

from arrayse.models.magnitude_mask import LstmState, MagnitudeNet, TimeLstms, real_mask
from arrayse.taps import Taps


class FullBandLSTM(MagnitudeNet):
    """LSTMs over time that see the magnitudes of all bins, and a linear layer to the magnitude of every bin; causal.

    The control of Hao et al., Interspeech 2020 (arXiv 2005.14435), who say of theirs only that it has more parameters
    than the sub-band network; sizes are ours: 3,812,097 parameters with one microphone and 257 frequencies, more than
    twice those of :class:`arrayse.models.subband.SubBandLSTM`, at about 1/120 of its multiply-accumulates. Estimates
    become masks in the same way, by :func:`arrayse.models.magnitude_mask.magnitude_mask`.

    Args:
        n_mics: microphones that the network hears.
        n_freqs: bins of the spectrum.
        ref_channel: which of the microphones is masked.
        hidden: units of each LSTM.
        n_layers: LSTMs over time.
    """

    def __init__(
        self,
        n_mics: int,
        n_freqs: int,
        ref_channel: int,
        hidden: Annotated[int, Ge(1)] = 512,
        n_layers: Annotated[int, Ge(1)] = 2,
    ) -> None:
        super().__init__(ref_channel)
        self.net = TimeLstms(n_mics * n_freqs, hidden, n_layers, n_freqs)
        self.tap_channels = {**{f"mid_{number}": hidden for number in range(1, n_layers + 1)}, "mask": 2}

    def initial_state(self, n_batch: int, n_freqs: int, device: torch.device) -> LstmState:
        """State of the LSTMs before the first frame."""
        return self.net.initial_state(n_batch, device)

    def macs(self, n_freqs: int, n_frames: int) -> int:
        """Multiply-accumulates for an utterance."""
        return n_frames * self.net.macs()

    def estimate(self, magnitude: Tensor, taps: Taps, state: Any) -> tuple[Tensor, LstmState]:
        """See :meth:`MagnitudeNet.estimate`; leaves ``mid_1``, … (LSTMs), each (batch, hidden, 1, frame)."""
        mids, z, state = self.net(magnitude.permute(0, 3, 1, 2).flatten(start_dim=2), state)  # b t (mic f)
        for number, mid in enumerate(mids, start=1):
            taps.keep(f"mid_{number}", mid.transpose(1, 2)[:, :, None])
        return real_mask(z.transpose(1, 2)[:, None], magnitude[:, self.ref_channel, None]), state
