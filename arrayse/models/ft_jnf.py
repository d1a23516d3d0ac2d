"""FT-JNF: the joint spatial, spectral and temporal non-linear filter."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional

from arrayse.models.mask_net import MaskNet
from arrayse.taps import Taps

MASK_LIMIT = 9.0
"""Bound on each part of an uncompressed mask: beyond it tanh is 1 in float32, so that its inverse is lost."""

Preset = Literal["tesch", "metzger"]

State = tuple[Tensor, Tensor]
"""Hidden and cell state of the T-LSTM, each (1, batch·rows, time_hidden); a row: ``time_fold`` bins."""


class FTJNF(MaskNet):
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

    Folding makes it cheaper: neighbouring bins are stacked and share a step, as TF-GridNet unfolds them (Wang et al.,
    IEEE/ACM TASLP 31, 2023; here without overlap), and zeros fill the last band up. With ``freq_fold`` r the F-LSTM
    takes a step for r bins; its outputs are dealt out to them, every r-th to a bin (sub-pixel, Shi et al., CVPR 2016).
    With ``time_fold`` too the T-LSTM and the linear layer run once for r bins. Taps have all bins: a folded layer's
    units are dealt out in them.

    Args:
        n_mics: microphones that the network hears.
        preset: ``tesch`` or ``metzger``.
        freq_hidden: units of the F-LSTM (per direction).
        time_hidden: units of the T-LSTM (per direction).
        causal: whether the T-LSTM runs forwards only.
        freq_fold: neighbouring bins that share a step of the F-LSTM, a divisor of freq_hidden; None: none do.
        time_fold: neighbouring bins that share a T-LSTM, as many as ``freq_fold`` and a divisor of time_hidden; None:
            every bin has its own state.

    Raises:
        ValueError: an unknown preset, ``metzger`` that is not causal, folds that do not fit.
    """

    def __init__(
        self,
        n_mics: int,
        preset: Preset = "tesch",
        freq_hidden: Annotated[int, Ge(1)] = 256,
        time_hidden: Annotated[int, Ge(1)] = 128,
        causal: bool = True,
        freq_fold: Annotated[int, Ge(2)] | None = None,
        time_fold: Annotated[int, Ge(2)] | None = None,
    ) -> None:
        super().__init__()
        if preset not in get_args(Preset):
            raise ValueError(f"preset: expected one of {', '.join(get_args(Preset))}, got {preset}")
        if preset == "metzger" and not causal:
            raise ValueError("causal: expected true for metzger, whose T-LSTM runs forwards only, got false")
        _check_fold("freq_fold", freq_fold, "freq_hidden", freq_hidden)
        _check_fold("time_fold", time_fold, "time_hidden", time_hidden)
        if time_fold not in (None, freq_fold):
            raise ValueError(f"time_fold: expected none or freq_fold {freq_fold}, got {time_fold}")
        self.n_mics, self.preset, self.causal = n_mics, preset, causal
        self.n_masks = 1 if preset == "tesch" else n_mics
        self.freq_fold, self.time_fold = freq_fold or 1, time_fold or 1
        freq_units = freq_hidden * (2 if preset == "tesch" else 1)
        time_units = time_hidden * (1 if causal else 2)
        self.freq_lstm = nn.LSTM(
            self.freq_fold * 2 * n_mics, freq_hidden, batch_first=True, bidirectional=preset == "tesch"
        )
        heard = freq_units * self.time_fold // self.freq_fold
        self.time_lstm = nn.LSTM(heard, time_hidden, batch_first=True, bidirectional=not causal)
        self.linear = nn.Linear(time_units, self.time_fold * 2 * self.n_masks)
        self.tap_channels = {
            "freq_lstm": freq_units // self.freq_fold,
            "time_lstm": time_units // self.time_fold,
            "linear": 2 * self.n_masks,
            "mask": 2 * self.n_masks,
        }
        self.output_taps = {"linear": "mask" if preset == "tesch" else "mask before tanh", "mask": "mask"}

    def initial_state(self, n_batch: int, n_freqs: int, device: torch.device) -> State:
        """State of the T-LSTM before the first frame."""
        n_rows = -(-n_freqs // self.time_fold)
        zeros = torch.zeros(1, n_batch * n_rows, self.time_lstm.hidden_size, device=device)
        return zeros, zeros.clone()

    def macs(self, n_freqs: int, n_frames: int) -> int:
        """Multiply-accumulates for an utterance: a weight is used once in every bin or band, biases cost none."""
        layers = ((self.freq_lstm, self.freq_fold), (self.time_lstm, self.time_fold), (self.linear, self.time_fold))
        per_frame = (
            -(-n_freqs // fold) * sum(p.numel() for name, p in layer.named_parameters() if "bias" not in name)
            for layer, fold in layers
        )
        return n_frames * sum(per_frame)

    def run(self, features: Tensor, taps: Taps, state: State | None) -> tuple[Tensor, State]:
        """See :meth:`MaskNet.run`; leaves ``freq_lstm``, ``time_lstm`` and ``linear`` (before any bound)."""
        n_batch, _, n_freqs, n_frames = features.shape
        x = stack_bins(features.permute(0, 3, 2, 1), self.freq_fold)  # b t f c
        x = self.freq_lstm(x.reshape(n_batch * n_frames, x.shape[2], -1))[0].reshape(n_batch, n_frames, x.shape[2], -1)
        dealt = deal_out(x, self.freq_fold, n_freqs)
        taps.keep("freq_lstm", dealt.permute(0, 3, 2, 1))
        x = (x if self.time_fold > 1 else dealt).transpose(1, 2)  # b f t c
        n_rows = x.shape[1]
        x, state = self.time_lstm(x.reshape(n_batch * n_rows, n_frames, -1), state)  # (b f) t c
        x = x.reshape(n_batch, n_rows, n_frames, -1)
        taps.keep("time_lstm", deal_out(x.transpose(1, 2), self.time_fold, n_freqs).permute(0, 3, 2, 1))
        with torch.autocast(x.device.type, enabled=False):  # 16 bits would leave -48 dB of error in the mask
            z = deal_out(self.linear(x.float()).transpose(1, 2), self.time_fold, n_freqs).permute(0, 3, 2, 1)  # b c f t
        taps.keep("linear", z)
        return z.clamp(-MASK_LIMIT, MASK_LIMIT) if self.preset == "tesch" else torch.tanh(z), state


def stack_bins(x: Tensor, n_bins: int) -> Tensor:
    """(batch, frame, freq, channel) → (batch, frame, band, n_bins·channel); zeros fill the last band up."""
    if n_bins == 1:
        return x
    n_batch, n_frames, n_freqs, n_channels = x.shape
    n_bands = -(-n_freqs // n_bins)
    padded = functional.pad(x, (0, 0, 0, n_bands * n_bins - n_freqs))
    return padded.reshape(n_batch, n_frames, n_bands, n_bins * n_channels)


def deal_out(x: Tensor, n_bins: int, n_freqs: int) -> Tensor:
    """(batch, frame, band, channel) → (batch, frame, n_freqs, channel / n_bins): bin k of a band gets every n_bins-th.

    So both directions of an LSTM, whose units follow each other, are in every bin.
    """
    if n_bins == 1:
        return x
    n_batch, n_frames, n_bands, n_channels = x.shape
    apart = x.reshape(n_batch, n_frames, n_bands, n_channels // n_bins, n_bins).transpose(3, 4)
    return apart.reshape(n_batch, n_frames, n_bands * n_bins, -1)[:, :, :n_freqs]


def _check_fold(name: str, fold: int | None, of: str, hidden: int) -> None:
    if fold is not None and (fold < 2 or hidden % fold):
        raise ValueError(f"{name}: expected 2 or more and a divisor of {of} {hidden}, got {fold}")
