"""Dilated dense blocks, and GRU transformers that run along frequency and along time side by side."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from arrayse.models.attention import BandedAttention

DENSE_DEPTH = 4
"""Convolutions of a dense block; the last one reaches 8 frames back, all together 15."""

LayerState = tuple[Tensor, Tensor]
"""Last keys and values (batch·freq, frame, 2·channel), hidden state of the GRU (1, batch·freq, 2·channel)."""


class FrameNorm(nn.Module):
    """Mean 0 and variance 1 over channels and frequencies of every single frame, then a scale and shift per channel.

    It has the parameters of an affine instance norm, but knows no other frame.

    Args:
        n_channels: channels in and out.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(n_channels, 1, 1))
        self.eps = 1e-5

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, freq, frame) → the same shape, in at least 32 bits."""
        if x.dtype in (torch.float16, torch.bfloat16):
            x = x.float()
        variance, mean = torch.var_mean(x, dim=(1, 2), keepdim=True, correction=0)
        return (x - mean) * torch.rsqrt(variance + self.eps) * self.weight + self.bias


def instance_norm(n_channels: int, causal: bool) -> nn.Module:
    """Norm with a scale and shift per channel: over all bins of each channel, or (causal) over each frame."""
    return FrameNorm(n_channels) if causal else nn.InstanceNorm2d(n_channels, affine=True)


class DilatedDenseBlock(nn.Module):
    """Convolutions (3 bins, 2 frames) of which each hears the input and all that came before it.

    The dilation in time is 1, 2, 4, 8; the earlier tap lies in the past, so that the convolutions are causal.

    Args:
        n_channels: channels in, out, and of every convolution.
        causal: whether the norms are causal too.
    """

    def __init__(self, n_channels: int, causal: bool) -> None:
        super().__init__()
        self.convs, self.norms, self.activations = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for index in range(DENSE_DEPTH):
            n_inputs = (index + 1) * n_channels
            self.convs.append(nn.Conv2d(n_inputs, n_channels, (3, 2), padding=(1, 0), dilation=(1, 2**index)))
            self.norms.append(instance_norm(n_channels, causal))
            self.activations.append(nn.PReLU(n_channels))

    def initial_state(self, like: Tensor) -> tuple[Tensor, ...]:
        """Inputs of every convolution before the first frame: zeros.

        Args:
            like: (batch, channel, freq, any), whose sizes, device and type they take.
        """
        n_batch, n_channels, n_freqs, _ = like.shape
        return tuple(like.new_zeros(n_batch, n * n_channels, n_freqs, 2 ** (n - 1)) for n in range(1, DENSE_DEPTH + 1))

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """(batch, channel, freq, frame) → the same shape, and the last inputs of every convolution."""
        features, kept = [x], []
        for past, conv, norm, activation in zip(state, self.convs, self.norms, self.activations, strict=True):
            heard = torch.cat([past, torch.cat(features, dim=1)], dim=-1)
            kept.append(heard[..., x.shape[-1] :].clone())  # a view would hold all frames in memory
            features.insert(0, activation(norm(conv(heard))))
        return features[0], tuple(kept)

    def macs(self, n_freqs: int, n_frames: int) -> int:
        """Multiply-accumulates for one item."""
        return n_freqs * n_frames * sum(p.numel() for p in self.convs.parameters() if p.ndim == 4)


class GRUTransformer(nn.Module):
    """Layer norm, self-attention, layer norm, GRU to twice the channels, ReLU, linear layer, layer norm.

    Attention and GRU each have a residual around them. The GRU learns the order of the sequence, so there is no
    positional encoding.

    Args:
        n_channels: channels in and out.
        n_heads: attention heads; must divide n_channels.
        bidirectional: whether the GRU runs both ways.
    """

    def __init__(self, n_channels: int, n_heads: int, bidirectional: bool) -> None:
        super().__init__()
        self.norm_in, self.attention = nn.LayerNorm(n_channels), BandedAttention(n_channels, n_heads)
        self.norm_middle = nn.LayerNorm(n_channels)
        self.gru = nn.GRU(n_channels, 2 * n_channels, batch_first=True, bidirectional=bidirectional)
        self.linear = nn.Linear((4 if bidirectional else 2) * n_channels, n_channels)
        self.norm_out = nn.LayerNorm(n_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(sequence, position, channel) → the same shape; every position sees all of its sequence."""
        return self._recur(x + self.attention(self.norm_in(x)), None)[0]

    def stream(self, x: Tensor, state: LayerState, valid: Tensor) -> tuple[Tensor, LayerState]:
        """As :meth:`forward`, with the past that the state holds; see :meth:`BandedAttention.stream`."""
        past, hidden = state
        attended, past = self.attention.stream(self.norm_in(x), past, valid)
        x, hidden = self._recur(x + attended, hidden)
        return x, (past, hidden)

    def weights(self) -> int:
        """Weights that are used once per position."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.ndim == 2)

    def _recur(self, x: Tensor, hidden: Tensor | None) -> tuple[Tensor, Tensor]:
        x = self.norm_middle(x)
        y, hidden = self.gru(x, hidden)
        return self.norm_out(x + self.linear(functional.relu(y))), hidden


class RowColumnLayer(nn.Module):
    """A transformer along frequency and one along time, both of the same input; their normed outputs.

    Args:
        n_channels: channels in and out.
        n_heads: attention heads; must divide n_channels.
        causal: whether norms and attention over time are causal; the GRU over time runs forwards only in any case.
    """

    def __init__(self, n_channels: int, n_heads: int, causal: bool) -> None:
        super().__init__()
        self.n_channels, self.causal = n_channels, causal
        self.row = GRUTransformer(n_channels, n_heads, bidirectional=True)
        self.column = GRUTransformer(n_channels, n_heads, bidirectional=False)
        self.row_norm, self.column_norm = (
            FrameNorm(n_channels) if causal else nn.GroupNorm(1, n_channels) for _ in range(2)
        )

    def initial_state(self, like: Tensor, n_past: int) -> LayerState:
        """State before the first frame; ``like`` as in :meth:`DilatedDenseBlock.initial_state`."""
        n_sequences = like.shape[0] * like.shape[2]
        past = like.new_zeros(n_sequences, n_past, 2 * self.n_channels)
        return past, like.new_zeros(1, n_sequences, 2 * self.n_channels)

    def forward(self, x: Tensor, state: LayerState, valid: Tensor) -> tuple[Tensor, Tensor, LayerState]:
        """(batch, channel, freq, frame) → what row and column add, each of that shape, and the next state."""
        n_batch = len(x)
        row = self.row(x.permute(0, 3, 2, 1).flatten(0, 1)).unflatten(0, (n_batch, -1))  # b t f c
        column = x.permute(0, 2, 3, 1).flatten(0, 1)  # (b f) t c
        if self.causal:
            column, state = self.column.stream(column, state, valid)
        else:
            column = self.column(column)
        column = column.unflatten(0, (n_batch, -1))  # b f t c
        return self.row_norm(row.permute(0, 3, 2, 1)), self.column_norm(column.permute(0, 3, 1, 2)), state

    def macs(self, n_freqs: int, n_frames: int, n_past: int) -> int:
        """Multiply-accumulates for one item: every weight once per bin, and both products of every attention."""
        if self.causal:
            starts = range(0, n_frames, n_past + 1)
            lengths = [min(n_past + 1, n_frames - start) for start in starts]
            n_pairs = sum(length * (length + n_past) for length in lengths)
        else:
            n_pairs = n_frames**2
        pairs = n_frames * n_freqs**2 + n_freqs * n_pairs
        return n_freqs * n_frames * (self.row.weights() + self.column.weights()) + 2 * self.n_channels * pairs
