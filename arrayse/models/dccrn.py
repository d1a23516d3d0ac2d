"""DCCRN: a complex convolutional encoder and decoder with complex LSTMs between them."""

from __future__ import annotations

from typing import Annotated, cast, get_args

import torch
from annotated_types import Ge, MinLen, MultipleOf
from torch import Tensor, nn
from torch.nn import functional

from arrayse.models.complex_layers import (
    ComplexConv2d,
    ComplexConvTranspose2d,
    ComplexLSTM,
    Layer,
    Norm,
    Recurrent,
    complex_cat,
)
from arrayse.models.complex_mask import MaskMode, mask_parts
from arrayse.models.mask_net import MaskNet
from arrayse.taps import Taps

KERNEL, STRIDE = (5, 2), (2, 1)
"""Of all convolutions: (freq, time)."""

CHANNELS = [32, 64, 128, 256, 256, 256]
"""Of the encoder layers, real and imaginary ones together, as published."""

Stored = tuple[Tensor, ...]
"""One tensor per layer."""

Recurrents = tuple[tuple[Recurrent, Recurrent] | None, ...]
"""State of every complex LSTM; None is the initial one."""

State = tuple[Stored, Recurrents, Stored, Stored, Tensor]
"""Last input frame of every encoder layer; states of the LSTMs; last input frame of every decoder layer; for every
decoder layer the encoder's frames that wait for it; the reference microphone's frames that wait for their mask."""


class DCCRN(MaskNet):
    """Complex convolutions that halve the frequencies, complex LSTMs over time, and back with skip connections.

    Hu et al., "DCCRN: Deep Complex Convolution Recurrent Network for Phase-Aware Speech Enhancement", Interspeech
    2020; the defaults are DCCRN-CL. The bin at 0 Hz is left out and its mask is 0. For the masks see
    :func:`arrayse.models.complex_mask.mask_parts`; ``R`` needs the phase of the spectrum: features without a mean.

    Encoder layers see the frame before and the present one, decoder layers as published the present one and the next:
    6 frames of look-ahead. With a smaller ``lookahead_frames`` only the last so many decoder layers look ahead and the
    others see the frame before instead; the number of parameters stays. Steps equal :meth:`forward` in eval mode only:
    in training the batch norm takes its statistics from all frames of a call, also the zeros that :meth:`forward` adds.

    Args:
        n_mics: microphones that the network hears; the mask is for the reference.
        n_freqs: frequencies of the spectrum, with 0 Hz.
        ref_channel: the reference among the microphones heard.
        channels: of the encoder layers, real and imaginary ones together.
        lstm_hidden: units of every complex LSTM, real and imaginary ones together.
        n_lstm_layers: complex LSTMs; a linear layer follows the last one.
        mask: see above.
        lookahead_frames: decoder layers that look one frame ahead.
        batch_norm: ``real`` as in the public code and the published number of parameters, ``complex`` as in the paper.

    Raises:
        ValueError: an unknown mask or norm, odd or no channels, more look-ahead than layers, a reference that is not
            heard, or so few frequencies that a layer could not halve them.
    """

    def __init__(
        self,
        n_mics: int,
        n_freqs: int,
        ref_channel: int,
        channels: Annotated[list[Annotated[int, Ge(2), MultipleOf(2)]], MinLen(1)] = CHANNELS,
        lstm_hidden: Annotated[int, Ge(2), MultipleOf(2)] = 256,
        n_lstm_layers: Annotated[int, Ge(1)] = 2,
        mask: MaskMode = "E",
        lookahead_frames: Annotated[int, Ge(0)] = 6,
        batch_norm: Norm = "real",
    ) -> None:
        super().__init__()
        _check_arguments(n_mics, ref_channel, mask, batch_norm)
        _check_sizes(n_freqs, channels, lstm_hidden, n_lstm_layers, lookahead_frames)
        self.n_mics, self.n_freqs, self.ref_channel = n_mics, n_freqs, ref_channel
        self.mask, self.lookahead_frames, self.needs_spectrum = mask, lookahead_frames, mask == "R"
        n_layers = self.n_layers = len(channels)
        self.channels = [2 * n_mics, *channels]  # that enter encoder layer i
        self.decoder_channels = [*channels[-2::-1], 2]  # that leave decoder layer i
        self.bins = [n_freqs - 1]  # that enter encoder layer i
        for _ in channels:
            self.bins.append((self.bins[-1] + 1) // 2)
        n_deep = channels[-1] * self.bins[-1]
        self.encoder = nn.ModuleList(self._encoder_layer(i, batch_norm) for i in range(n_layers))
        self.lstms = nn.ModuleList(
            ComplexLSTM(lstm_hidden if i else n_deep, lstm_hidden, n_deep if i == n_lstm_layers - 1 else None)
            for i in range(n_lstm_layers)
        )
        self.decoder = nn.ModuleList(self._decoder_layer(i, batch_norm) for i in range(n_layers))
        self.tap_channels = self._tap_channels(lstm_hidden, n_lstm_layers)
        self.output_taps = {f"decoder_{n_layers}": f"mask of mode {mask} without bound and 0 Hz", "mask": "mask"}

    def forward(self, features: Tensor, taps: Taps) -> Tensor:
        """Mask for whole utterances, as a stream would give it that ends with ``lookahead_frames`` frames of zeros.

        Args:
            features: (batch, 2·n_mics, n_freqs, frame).
            taps: receives ``encoder_1`` … from the input on, ``mid_1`` … after each LSTM (one frequency, but after the
                last one those of the last encoder layer), ``decoder_1`` … in the order of computation (the last one is
                the mask before its bound, without 0 Hz) and ``mask``.

        Returns:
            Complex mask (batch, 1, n_freqs, frame).

        Raises:
            ValueError: features of another shape.
        """
        self._check(features)
        kept, start = Taps(), self._start(len(features), features.device, aligned=True)
        mask, _ = self._masks(functional.pad(features, (0, self.lookahead_frames)), kept, start)
        for name, feature in kept.items():
            taps.keep(name, feature[..., : features.shape[-1]])
        return mask

    def initial_state(self, n_batch: int, n_freqs: int, device: torch.device) -> State:
        """State before the first frame.

        Raises:
            ValueError: another number of frequencies than the network was made for.
        """
        _require("n_freqs", n_freqs == self.n_freqs, str(self.n_freqs), n_freqs)
        return self._start(n_batch, device, aligned=False)

    def step(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """Mask for the next frame or frames of a stream; in eval mode chained steps equal :meth:`forward`.

        Args:
            features: (batch, 2·n_mics, n_freqs, frame).
            state: what the step before returned.

        Returns:
            Complex mask (batch, 1, n_freqs, frame) of the frames ``lookahead_frames`` earlier than those given (the
            first so many of a stream mean nothing) and the state after the last frame.

        Raises:
            ValueError: features of another shape.
        """
        self._check(features)
        return super().step(features, state)

    def macs(self, n_freqs: int, n_frames: int) -> int:
        """Multiply-accumulates of :meth:`forward` for one utterance.

        Raises:
            ValueError: another number of frequencies than the network was made for.
        """
        _require("n_freqs", n_freqs == self.n_freqs, str(self.n_freqs), n_freqs)
        per_weight = KERNEL[0] * KERNEL[1]
        padded = n_frames + self.lookahead_frames
        weights = {name: w.numel() for name, w in self.lstms.named_parameters() if "bias" not in name}
        total = padded * sum(n if "projections" in name else 2 * n for name, n in weights.items())
        for i in range(self.n_layers):
            total += self.channels[i] * self.channels[i + 1] * per_weight * self.bins[i + 1] * padded
            level, n_out = self.n_layers - i, self.decoder_channels[i]
            n_in = padded - self._delay(i) + (not self._looks_ahead(i))  # frames that enter, with the one before
            total += 2 * self.channels[level] * n_out * per_weight * self.bins[level] * n_in
        return total

    def _tap_channels(self, lstm_hidden: int, n_lstm_layers: int) -> dict[str, int]:
        middle = [lstm_hidden] * (n_lstm_layers - 1) + self.channels[-1:]
        parts = {"encoder": self.channels[1:], "mid": middle, "decoder": self.decoder_channels}
        return {f"{part}_{i}": n for part, sizes in parts.items() for i, n in enumerate(sizes, 1)} | {"mask": 2}

    def _encoder_layer(self, i: int, norm: Norm) -> nn.Module:
        n_out = self.channels[i + 1]
        return Layer(ComplexConv2d(self.channels[i], n_out, KERNEL, STRIDE, (KERNEL[0] // 2, 0)), n_out, norm)

    def _decoder_layer(self, i: int, norm: Norm) -> nn.Module:
        """It gets a skip connection too, and gives as many bins as its encoder layer gets; the last one is bare."""
        level, n_out = self.n_layers - i, self.decoder_channels[i]
        kept = 1 - self.bins[level - 1] % 2, 0
        padding = KERNEL[0] // 2, 1  # in time: the first and the last output see one frame only
        convolution = ComplexConvTranspose2d(2 * self.channels[level], n_out, KERNEL, STRIDE, padding, kept)
        return Layer(convolution, n_out, norm) if i < self.n_layers - 1 else convolution

    def _looks_ahead(self, i: int) -> bool:
        """Whether a decoder layer does."""
        return i >= self.n_layers - self.lookahead_frames

    def _delay(self, i: int) -> int:
        """Frames by which the input of a decoder layer lags behind the stream."""
        return max(0, i - self.n_layers + self.lookahead_frames)

    def _start(self, n_batch: int, device: torch.device, aligned: bool) -> State:
        """State before the first frame.

        A layer that looks ahead gives the frame before the newest that it has. ``aligned``: it starts with none and
        gives one frame less than it gets, and nothing has to wait. Otherwise it gives all frames, each one late.
        """

        def zeros(n_channels: int, level: int, n_frames: int) -> Tensor:
            return torch.zeros(n_batch, n_channels, self.bins[level], n_frames, device=device)

        encoder, decoder, waiting = [], [], []
        for i in range(self.n_layers):
            level = self.n_layers - i
            encoder.append(zeros(self.channels[i], i, 1))
            decoder.append(zeros(2 * self.channels[level], level, 0 if aligned and self._looks_ahead(i) else 1))
            waiting.append(zeros(self.channels[level], level, 0 if aligned else self._delay(i)))
        recurrent = [None if aligned else cast(ComplexLSTM, lstm).initial_state(n_batch, device) for lstm in self.lstms]
        refs = torch.zeros(n_batch, 2, self.n_freqs, 0 if aligned else self.lookahead_frames, device=device)
        return tuple(encoder), tuple(recurrent), tuple(decoder), tuple(waiting), refs

    def _check(self, features: Tensor) -> None:
        right = features.ndim == 4 and features.shape[1:3] == (2 * self.n_mics, self.n_freqs)
        _require("features", right, f"(batch, {2 * self.n_mics}, {self.n_freqs}, frame)", tuple(features.shape))

    def run(self, features: Tensor, taps: Taps, state: State) -> tuple[Tensor, State]:
        """See :meth:`MaskNet.run`; leaves all that :meth:`forward` tells of but ``mask``. There is always a state."""
        encoder, recurrent, decoder, skips, refs = state
        encoded, encoder = self._encode(features[:, :, 1:], taps, encoder)
        x, recurrent = self._recur(encoded[-1], taps, recurrent)
        x, decoder, skips = self._decode(x, encoded[::-1], taps, decoder, skips)
        ref, refs = _wait(features[:, [self.ref_channel, self.n_mics + self.ref_channel]], refs, x.shape[-1])
        with torch.autocast(x.device.type, enabled=False):
            parts = mask_parts(functional.pad(x, (0, 0, 1, 0)), self.mask, ref.float())
        return parts, (encoder, recurrent, decoder, skips, refs)

    def _encode(self, x: Tensor, taps: Taps, stored: Stored) -> tuple[list[Tensor], Stored]:
        encoded, last = [], []
        for i, (layer, before) in enumerate(zip(self.encoder, stored, strict=True), 1):
            x = torch.cat([before.to(x.dtype), x], dim=-1)
            last.append(x[..., -1:])
            x = layer(x)
            taps.keep(f"encoder_{i}", x)
            encoded.append(x)
        return encoded, tuple(last)

    def _recur(self, x: Tensor, taps: Taps, stored: Recurrents) -> tuple[Tensor, Recurrents]:
        n_batch, n_channels, n_bins, n_frames = x.shape
        x, last = x.permute(0, 3, 1, 2).reshape(n_batch, n_frames, n_channels * n_bins), []  # b t (c f)
        for i, (lstm, before) in enumerate(zip(self.lstms, stored, strict=True), 1):
            x, after = lstm(x, before)
            last.append(after)
            bins = n_bins if i == len(self.lstms) else 1
            y = x.reshape(n_batch, n_frames, -1, bins).permute(0, 2, 3, 1)  # b c f t
            taps.keep(f"mid_{i}", y)
        return y, tuple(last)

    def _decode(
        self, x: Tensor, encoded: list[Tensor], taps: Taps, stored: Stored, waiting: Stored
    ) -> tuple[Tensor, Stored, Stored]:
        last, skips = [], []
        for i, (layer, skip) in enumerate(zip(self.decoder, encoded, strict=True)):
            skip, still_waiting = _wait(skip, waiting[i], x.shape[-1])
            skips.append(still_waiting)
            x = complex_cat(x, skip)
            x = torch.cat([stored[i].to(x.dtype), x], dim=-1)
            last.append(x[..., -1:])
            if i < len(self.decoder) - 1:
                x = layer(x)
            else:
                with torch.autocast(x.device.type, enabled=False):  # as precise as the mask has to be
                    x = layer(x.float())
            taps.keep(f"decoder_{i + 1}", x)
        return x, tuple(last), tuple(skips)


def _wait(x: Tensor, waiting: Tensor, n_frames: int) -> tuple[Tensor, Tensor]:
    """The oldest ``n_frames`` of those that waited and the new ones, and the rest."""
    x = torch.cat([waiting.to(x.dtype), x], dim=-1)
    return x[..., :n_frames], x[..., n_frames:]


def _require(what: str, right: bool, expected: str, got: object) -> None:
    if not right:
        raise ValueError(f"{what}: expected {expected}, got {got}")


def _check_arguments(n_mics: int, ref_channel: int, mask: str, batch_norm: str) -> None:
    _require("ref_channel", 0 <= ref_channel < n_mics, f"0 to {n_mics - 1}", ref_channel)
    _require("mask", mask in get_args(MaskMode), f"one of {', '.join(get_args(MaskMode))}", mask)
    _require("batch_norm", batch_norm in get_args(Norm), f"one of {', '.join(get_args(Norm))}", batch_norm)


def _check_sizes(
    n_freqs: int, channels: list[int], lstm_hidden: int, n_lstm_layers: int, lookahead_frames: int
) -> None:
    n_layers, even = len(channels), "positive and even (real and imaginary parts)"
    _require("channels", bool(channels) and all(n > 0 and n % 2 == 0 for n in channels), even, channels)
    _require("lstm_hidden", lstm_hidden > 0 and lstm_hidden % 2 == 0, even, lstm_hidden)
    _require("n_lstm_layers", n_lstm_layers >= 1, "at least 1", n_lstm_layers)
    hint = f": set lookahead_frames={n_layers}" if lookahead_frames > n_layers else ""
    wanted, fits = f"0 to {n_layers}, one per layer of channels", 0 <= lookahead_frames <= n_layers
    _require("lookahead_frames", fits, wanted, f"{lookahead_frames}{hint}")
    fewest = 1 + 2**n_layers
    _require("n_freqs", n_freqs >= fewest, f"at least {fewest}, which {n_layers} layers can halve", n_freqs)
