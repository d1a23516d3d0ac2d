"""DPDCRN: the dual-path dilated convolutional recurrent network."""

from __future__ import annotations

from typing import Annotated, cast

import torch
from annotated_types import Ge, MultipleOf
from torch import Tensor, nn

from arrayse.models.complex_mask import tanh_bounded
from arrayse.models.dense_dual_path import DilatedDenseBlock, LayerState, RowColumnLayer, instance_norm
from arrayse.models.mask_net import MaskNet
from arrayse.taps import Taps

ATTENTION_FRAMES = 100
"""Frames that the causal attention sees unless told otherwise."""

NORMED = ("encoder_1", "encoder_2", "decoder_2")
"""The convolutions that a norm and a PReLU follow."""

State = tuple[tuple[Tensor, ...], tuple[LayerState, ...], tuple[Tensor, ...], Tensor]
"""Of the encoder's dense block, of the layers, of the decoder's dense block; which of the past frames there were."""


class DPDCRN(MaskNet):
    """A convolutional encoder and decoder, each with a dilated dense block, and GRU transformers between them.

    Cheng et al., arXiv 2506.13127 (2025). Encoder: two convolutions over three bins with stride 2 (257 bins
    → 129 → 64), then the dense block. Middle: 1×1 convolution to half the channels, layers that add k1 · row +
    k2 · column (one transformer along frequency, one along time; k1, k2 are learnt, the same for all layers),
    1×1 convolution back. Decoder: dense block, two transposed convolutions. The output gives the mask its phase,
    and by tanh its magnitude (below 1). The published sizes are 128 channels with 4 layers (teacher) and 64
    with 1 (student). The residuals within the transformers (around attention and around the GRU) and that nothing
    skips from encoder to decoder are our reading: the published sizes do not tell.

    As published it is not causal: instance and group norms and the attention over time see whole utterances.
    The causal form is ours: it normalises every frame by itself and attends to a limited past; it has the
    same number of parameters.

    Args:
        n_mics: microphones that the network hears.
        n_freqs: bins of the spectra.
        channels: of encoder and decoder; half of them between.
        n_layers: layers between encoder and decoder.
        n_heads: attention heads; must divide half the channels.
        causal: whether norms and attention are causal.
        attention_frames: frames that the causal attention over time sees, the present one included; if not causal
            it sees all, and this stays as it is by default.

    Raises:
        ValueError: odd channels, heads that do not divide half of them, a number of bins that two convolutions of
            stride 2 and their transposes do not give back, or attention_frames of a network that is not causal.
    """

    def __init__(
        self,
        n_mics: int,
        n_freqs: int,
        channels: Annotated[int, Ge(2), MultipleOf(2)] = 128,
        n_layers: Annotated[int, Ge(1)] = 4,
        n_heads: Annotated[int, Ge(1)] = 4,
        causal: bool = False,
        attention_frames: Annotated[int, Ge(1)] = ATTENTION_FRAMES,
    ) -> None:
        super().__init__()
        _check(n_freqs, channels, n_heads)
        if not causal and attention_frames != ATTENTION_FRAMES:
            wanted = f"expected {ATTENTION_FRAMES}, the default, since without causal=true all frames are seen"
            raise ValueError(f"attention_frames: {wanted}, got {attention_frames}: is causal=true meant?")
        self.causal = causal
        self.n_past = attention_frames - 1 if causal else 0
        half = channels // 2
        self.encoder_conv_1 = nn.Conv2d(2 * n_mics, channels, (3, 1), stride=(2, 1), padding=(1, 0))
        self.encoder_conv_2 = nn.Conv2d(channels, channels, (3, 1), stride=(2, 1))
        self.encoder_dense = DilatedDenseBlock(channels, causal)
        self.narrow, self.narrow_activation = nn.Conv2d(channels, half, 1), nn.PReLU()
        self.layers = nn.ModuleList(RowColumnLayer(half, n_heads, causal) for _ in range(n_layers))
        self.k1, self.k2 = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
        self.widen_activation, self.widen = nn.PReLU(), nn.Conv2d(half, channels, 1)
        self.decoder_dense = DilatedDenseBlock(channels, causal)
        self.decoder_conv_1 = nn.ConvTranspose2d(channels, channels, (3, 1), stride=(2, 1))
        self.decoder_conv_2 = nn.ConvTranspose2d(channels, 2, (3, 1), stride=(2, 1), padding=(1, 0))
        self.norms = nn.ModuleDict({name: instance_norm(channels, causal) for name in NORMED})
        self.activations = nn.ModuleDict({name: nn.PReLU(channels) for name in NORMED})
        self.tap_channels = {
            **{f"encoder_{index}": channels for index in (1, 2, 3)},
            **{f"mid_{index + 1}": half for index in range(n_layers)},
            "decoder_1": channels,
            "decoder_2": channels,
            "decoder_3": 2,
            "mask": 2,
        }
        self.output_taps = {"decoder_3": "mask before tanh of its magnitude", "mask": "mask"}

    def initial_state(self, n_batch: int, n_freqs: int, device: torch.device) -> State:
        """State before the first frame."""
        channels = self.encoder_conv_2.out_channels
        n_inner = _halved(n_freqs)[1]
        like = torch.empty(n_batch, channels, n_inner, 0, dtype=self.k1.dtype, device=device)
        dense = self.encoder_dense.initial_state(like), self.decoder_dense.initial_state(like)
        layers = tuple(layer.initial_state(like, self.n_past) for layer in self._layers())
        return dense[0], layers, dense[1], torch.zeros(self.n_past, dtype=torch.bool, device=device)

    def macs(self, n_freqs: int, n_frames: int) -> int:
        """Multiply-accumulates for an utterance; biases, norms and activations cost none."""
        n_outer, n_inner = _halved(n_freqs)
        outer = self.encoder_conv_1.weight.numel() + self.decoder_conv_2.weight.numel()
        inner = self.encoder_conv_2.weight.numel() + self.decoder_conv_1.weight.numel()
        inner += self.narrow.weight.numel() + self.widen.weight.numel()
        dense = self.encoder_dense.macs(n_inner, n_frames) + self.decoder_dense.macs(n_inner, n_frames)
        layers = sum(layer.macs(n_inner, n_frames, self.n_past) for layer in self._layers())
        return n_frames * (n_outer * outer + n_inner * inner) + dense + layers

    def run(self, features: Tensor, taps: Taps, state: State | None) -> tuple[Tensor, State]:
        """See :meth:`MaskNet.run`.

        Leaves ``encoder_1`` to ``encoder_3`` (two convolutions, dense block), ``mid_1`` … (each layer) and
        ``decoder_1`` to ``decoder_3`` (dense block, two transposed convolutions).
        """
        if state is None:
            state = self.initial_state(len(features), features.shape[2], features.device)
        encoder_state, layer_states, decoder_state, valid = state
        x, encoder_state = self._encode(features, taps, encoder_state)
        valid = torch.cat([valid, valid.new_ones(features.shape[-1])])
        x, layer_states = self._middle(x, taps, layer_states, valid)
        parts, decoder_state = self._decode(x, taps, decoder_state)
        return parts, (encoder_state, layer_states, decoder_state, valid[features.shape[-1] :])

    def _encode(self, x: Tensor, taps: Taps, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        x = self._normed("encoder_1", self.encoder_conv_1(x))
        taps.keep("encoder_1", x)
        x = self._normed("encoder_2", self.encoder_conv_2(x))
        taps.keep("encoder_2", x)
        x, state = self.encoder_dense(x, state)
        taps.keep("encoder_3", x)
        return x, state

    def _middle(
        self, x: Tensor, taps: Taps, states: tuple[LayerState, ...], valid: Tensor
    ) -> tuple[Tensor, tuple[LayerState, ...]]:
        x, kept = self.narrow_activation(self.narrow(x)), []
        for index, (layer, state) in enumerate(zip(self.layers, states, strict=True)):
            row, column, state = layer(x, state, valid)
            x = x + self.k1 * row + self.k2 * column
            taps.keep(f"mid_{index + 1}", x)
            kept.append(state)
        return self.widen(self.widen_activation(x)), tuple(kept)

    def _decode(self, x: Tensor, taps: Taps, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        x, state = self.decoder_dense(x, state)
        taps.keep("decoder_1", x)
        x = self._normed("decoder_2", self.decoder_conv_1(x))
        taps.keep("decoder_2", x)
        with torch.autocast(x.device.type, enabled=False):  # 16 bits would leave -48 dB of error in the mask
            z = self.decoder_conv_2(x.to(self.k1.dtype))
            taps.keep("decoder_3", z)
            return tanh_bounded(z), state

    def _layers(self) -> list[RowColumnLayer]:
        return cast(list[RowColumnLayer], list(self.layers))

    def _normed(self, name: str, x: Tensor) -> Tensor:
        return self.activations[name](self.norms[name](x))


def _halved(n_freqs: int) -> tuple[int, int]:
    """Bins after the first and the second convolution of the encoder."""
    n_outer = (n_freqs + 1) // 2
    return n_outer, (n_outer - 1) // 2


def _check(n_freqs: int, channels: int, n_heads: int) -> None:
    if n_freqs % 4 != 1 or n_freqs < 9:
        raise ValueError(f"n_freqs: expected 9 or more, one more than a multiple of 4, got {n_freqs}")
    if channels % 2:
        raise ValueError(f"channels: expected an even number, got {channels}")
    if (channels // 2) % n_heads:
        raise ValueError(f"n_heads: expected a divisor of {channels // 2}, half the channels, got {n_heads}")
