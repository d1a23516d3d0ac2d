"""FT-JNF: the joint spatial, spectral and temporal non-linear filter."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import torch
from annotated_types import Ge
from torch import Tensor, nn

from arrayse.taps import Taps

MASK_LIMIT = 9.0
"""Bound on each part of an uncompressed mask: beyond it tanh is 1 in float32, so that its inverse is lost."""

Preset = Literal["tesch", "metzger"]

State = tuple[Tensor, Tensor]
"""Hidden and cell state of the T-LSTM, each (1, batch·freq, time_hidden)."""


class FTJNF(nn.Module):
    """An LSTM over frequency, an LSTM over time, a linear layer to the mask; the same weights for every bin.

    Tesch and Gerkmann, "Insights into Deep Non-linear Filters for Improved Multi-channel Speech Enhancement",
    IEEE/ACM TASLP 31 (2023). Presets:

    - ``tesch``: F-LSTM bidirectional, T-LSTM bidirectional or (causal) unidirectional, one complex mask for
      the reference microphone. The paper predicts a mask compressed to (-K, K) by tanh and expands it before
      use; with K = C = 1 taken component-wise the expansion is the inverse of tanh: it gives the linear
      output back. So the mask is the linear output itself, each part bounded to ±9, where tanh can no longer
      be inverted in float32.
    - ``metzger``: both LSTMs unidirectional (the F-LSTM from low to high), one complex mask per microphone
      with both parts bounded by tanh, used as filter-and-sum; always causal (Metzger et al., arXiv
      2507.19208, 2025).

    Args:
        n_mics: microphones that the network hears.
        preset: ``tesch`` or ``metzger``.
        freq_hidden: units of the F-LSTM (per direction).
        time_hidden: units of the T-LSTM (per direction).
        causal: whether the T-LSTM runs forwards only.

    Raises:
        ValueError: an unknown preset, or ``metzger`` that is not causal.
    """

    domain = "spectrum"

    def __init__(
        self,
        n_mics: int,
        preset: Preset = "tesch",
        freq_hidden: Annotated[int, Ge(1)] = 256,
        time_hidden: Annotated[int, Ge(1)] = 128,
        causal: bool = True,
    ) -> None:
        super().__init__()
        if preset not in get_args(Preset):
            raise ValueError(f"preset: expected one of {', '.join(get_args(Preset))}, got {preset}")
        if preset == "metzger" and not causal:
            raise ValueError("causal: expected true for metzger, whose T-LSTM runs forwards only, got false")
        self.n_mics, self.preset, self.causal, self.lookahead_frames = n_mics, preset, causal, 0
        self.n_masks = 1 if preset == "tesch" else n_mics
        freq_directions = 2 if preset == "tesch" else 1
        time_directions = 1 if causal else 2
        self.freq_lstm = nn.LSTM(2 * n_mics, freq_hidden, batch_first=True, bidirectional=freq_directions == 2)
        self.time_lstm = nn.LSTM(
            freq_directions * freq_hidden, time_hidden, batch_first=True, bidirectional=time_directions == 2
        )
        self.linear = nn.Linear(time_directions * time_hidden, 2 * self.n_masks)
        self.tap_channels = {
            "freq_lstm": freq_directions * freq_hidden,
            "time_lstm": time_directions * time_hidden,
            "linear": 2 * self.n_masks,
            "mask": 2 * self.n_masks,
        }
        self.output_taps = {"linear": "mask" if preset == "tesch" else "mask before tanh", "mask": "mask"}

    def forward(self, features: Tensor, taps: Taps) -> Tensor:
        """Mask for whole utterances.

        Args:
            features: (batch, 2·n_mics, freq, frame).
            taps: receives ``freq_lstm``, ``time_lstm``, ``linear`` (before any bound) and ``mask``.

        Returns:
            Complex mask (batch, 1 or n_mics, freq, frame).
        """
        return self._run(features, taps, None)[0]

    def initial_state(self, n_batch: int, n_freqs: int, device: torch.device) -> State:
        """State of the T-LSTM before the first frame."""
        zeros = torch.zeros(1, n_batch * n_freqs, self.time_lstm.hidden_size, device=device)
        return zeros, zeros.clone()

    def step(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """Mask for the next frame or frames of a stream; chained steps equal :meth:`forward`.

        Args:
            features: (batch, 2·n_mics, freq, frame).
            state: what the step before returned.

        Returns:
            Complex mask (batch, 1 or n_mics, freq, frame) and the state after the last frame.

        Raises:
            ValueError: the network is not causal.
        """
        if not self.causal:
            raise ValueError("step: expected a causal network, got one whose T-LSTM runs backwards too")
        return self._run(features, Taps(), state)

    def macs(self, n_freqs: int, n_frames: int) -> int:
        """Multiply-accumulates for an utterance: every weight is used once in every bin, biases cost none."""
        weights = (p.numel() for name, p in self.named_parameters() if "bias" not in name)
        return n_frames * n_freqs * sum(weights)

    def _run(self, features: Tensor, taps: Taps, state: State | None) -> tuple[Tensor, State]:
        n_batch, _, n_freqs, n_frames = features.shape
        x = features.permute(0, 3, 2, 1).reshape(n_batch * n_frames, n_freqs, -1)  # (b t) f c
        x = self.freq_lstm(x)[0].reshape(n_batch, n_frames, n_freqs, -1)  # b t f c
        taps.keep("freq_lstm", x.permute(0, 3, 2, 1))
        x = x.transpose(1, 2).reshape(n_batch * n_freqs, n_frames, -1)  # (b f) t c
        x, state = self.time_lstm(x, state)
        x = x.reshape(n_batch, n_freqs, n_frames, -1)  # b f t c
        taps.keep("time_lstm", x.permute(0, 3, 1, 2))
        with torch.autocast(x.device.type, enabled=False):  # 16 bits would leave -48 dB of error in the mask
            z = self.linear(x.float()).permute(0, 3, 1, 2)  # b c f t
        taps.keep("linear", z)
        bounded = z.clamp(-MASK_LIMIT, MASK_LIMIT) if self.preset == "tesch" else torch.tanh(z)
        taps.keep("mask", bounded)
        real, imag = bounded.chunk(2, dim=1)
        return torch.complex(real.contiguous(), imag.contiguous()), state
