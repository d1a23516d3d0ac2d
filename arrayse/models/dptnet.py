"""DPTNet: masks in a learned filterbank, from transformers within and across segments of its frames."""

from __future__ import annotations

from typing import Annotated, NoReturn, cast

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional

from arrayse.models.dual_path import DualPathLayer, from_segments, n_segments, to_segments
from arrayse.models.waveform import Analysis, Synthesis
from arrayse.taps import Taps

NORM_EPS = 1e-12
"""Far below the power of quiet speech in the encoding, so that the mask does not depend on the level."""


class DPTNet(nn.Module):
    """An encoder with ReLU, dual-path transformers, a gated mask with ReLU, a linear decoder; one estimated source.

    Chen, Mao and Liu, "Dual-Path Transformer Network: Direct Context-Aware Modeling for End-to-End Monaural Speech
    Separation", Interspeech 2020. What the paper leaves open is reconstructed here, and gives the public size of
    2,830,785 parameters: a norm over all filters and frames, then a layer without bias before the segments; no norms
    but the layer norms within the transformers; PReLU after the last one, a linear layer, tanh times sigmoid of two
    more, a layer without bias to the mask. Overlap-add takes the mean of the segments, not the sum.

    Zeros that fill segments are attended to as any other frame. With several microphones the first layer hears all of
    them, and the mask multiplies the part of the encoding that comes from the reference microphone. The network uses
    whole utterances: it cannot stream.

    Args:
        n_mics: microphones that the network hears.
        ref_channel: the reference among them.
        n_filters: filters of the encoder and the decoder.
        win_length: samples per frame; a frame begins every ``win_length // 2`` samples.
        bottleneck: channels of the transformers.
        hidden: units of their LSTMs per direction.
        n_layers: dual-path layers, each with a transformer within and one across segments.
        segment: frames per segment, even; segments overlap by half.
        n_heads: attention heads; must divide ``bottleneck``.
        causal: false, as there is no causal form.

    Raises:
        ValueError: causal, an odd segment, or heads that do not divide the bottleneck.
    """

    domain = "time"
    delay_samples = 0

    def __init__(
        self,
        n_mics: int,
        ref_channel: int,
        n_filters: Annotated[int, Ge(1)] = 256,
        win_length: Annotated[int, Ge(2)] = 2,
        bottleneck: Annotated[int, Ge(1)] = 64,
        hidden: Annotated[int, Ge(1)] = 128,
        n_layers: Annotated[int, Ge(1)] = 6,
        segment: Annotated[int, Ge(2)] = 250,
        n_heads: Annotated[int, Ge(1)] = 4,
        causal: bool = False,
    ) -> None:
        super().__init__()
        if causal:
            raise ValueError("causal: expected false for dptnet, which has no causal form, got true")
        if segment % 2:
            raise ValueError(f"segment: expected an even number of frames, got {segment}")
        self.causal, self.n_mics, self.ref_channel, self.segment = causal, n_mics, ref_channel, segment
        self.block_samples = win_length // 2
        self.analysis = Analysis(n_mics, n_filters, win_length, self.block_samples)
        self.norm = nn.GroupNorm(1, n_filters, eps=NORM_EPS)
        self.bottleneck = nn.Linear(n_filters, bottleneck, bias=False)
        self.layers = nn.ModuleList(DualPathLayer(bottleneck, hidden, n_heads) for _ in range(n_layers))
        self.activation = nn.PReLU()
        self.linear = nn.Linear(bottleneck, bottleneck)
        self.value = nn.Linear(bottleneck, bottleneck)
        self.gate = nn.Linear(bottleneck, bottleneck)
        self.mask = nn.Linear(bottleneck, n_filters, bias=False)
        self.synthesis = Synthesis(n_filters, win_length, self.block_samples)
        self.tap_channels = {
            "encoder_1": n_filters,
            **{f"mid_{i}": bottleneck for i in range(1, n_layers + 1)},
            "encoder_mask": n_filters,
        }
        self.output_taps: dict[str, str] = {}

    def forward(self, wave: Tensor, taps: Taps) -> Tensor:
        """Estimate for whole utterances.

        Args:
            wave: (batch, n_mics, n_samples).
            taps: receives ``encoder_1`` (batch, filter, 1, frame), ``mid_1`` … (batch, channel, position in segment,
                segment) after every dual-path layer, and ``encoder_mask`` (batch, filter, 1, frame).

        Returns:
            (batch, n_samples), at the scale of the reference microphone.

        Raises:
            ValueError: another number of microphones, or no samples.
        """
        n_batch, n_samples, overlap = len(wave), wave.shape[-1], self.analysis.overlap
        past = self.analysis.initial_state(n_batch, wave.device)
        joined, _ = self.analysis.join(self.analysis.pad_end(wave), past)
        encoding = functional.relu(self.analysis(joined))
        taps.keep("encoder_1", encoding[:, :, None])
        mask = self._mask(encoding, taps)
        taps.keep("encoder_mask", mask[:, :, None])
        reference = encoding if self.n_mics == 1 else functional.relu(self.analysis.channel(joined, self.ref_channel))
        estimate, _ = self.synthesis(mask * reference, self.synthesis.initial_state(n_batch, wave.device))
        return estimate[:, overlap : overlap + n_samples]

    def initial_state(self, n_batch: int, device: torch.device) -> NoReturn:
        """Refuses: the network cannot stream.

        Raises:
            ValueError: always.
        """
        raise ValueError("initial_state: expected a causal network, got DPTNet, which needs the whole utterance")

    def step(self, wave: Tensor, state: object) -> NoReturn:
        """Refuses: the network cannot stream.

        Raises:
            ValueError: always.
        """
        raise ValueError("step: expected a causal network, got DPTNet, which needs the whole utterance")

    def macs(self, n_samples: int) -> int:
        """Multiply-accumulates for one utterance, attention products included; biases and norms cost none."""
        n_frames = self.analysis.n_frames(n_samples)
        heard = 1 if self.n_mics == 1 else self.n_mics + 1  # the reference is encoded once more, alone
        weights = heard * self.analysis.conv.weight[:, 0].numel() + self.synthesis.linear.weight.numel()
        for layer in (self.bottleneck, self.linear, self.value, self.gate, self.mask):
            weights += layer.weight.numel()
        first = cast(DualPathLayer, self.layers[0])  # the layers are alike
        return n_frames * weights + len(self.layers) * first.macs(n_segments(n_frames, self.segment), self.segment)

    def _mask(self, encoding: Tensor, taps: Taps) -> Tensor:
        """(batch, filter, frame) → the same shape, from 0 up."""
        x = self.bottleneck(self.norm(encoding).transpose(1, 2))  # b t c
        x = to_segments(x, self.segment)  # b s k c
        for i, layer in enumerate(self.layers, start=1):
            x = layer(x)
            taps.keep(f"mid_{i}", x.permute(0, 3, 2, 1))
        with torch.autocast(x.device.type, enabled=False):  # 16 bits would leave -48 dB of error in the mask
            x = from_segments(self.activation(x.to(encoding.dtype)), encoding.shape[-1])  # b t c
            x = self.linear(x)  # after the mean: the same as before it, for half the cost
            x = torch.tanh(self.value(x)) * torch.sigmoid(self.gate(x))
            return functional.relu(self.mask(x)).transpose(1, 2)
