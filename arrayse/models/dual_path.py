"""Long sequences cut into overlapping segments, and transformer layers within and across the segments."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from arrayse.models.attention import attend


def n_segments(n_frames: int, segment: int) -> int:
    """Segments that :func:`to_segments` makes."""
    return -(-n_frames // (segment // 2)) + 1


def to_segments(x: Tensor, segment: int) -> Tensor:
    """Cuts a sequence into segments that overlap by half, so that every frame lies in two of them.

    Half a segment of zeros goes in front; behind, half a segment and what fills the last one.

    Args:
        x: (batch, frame, channel).
        segment: frames per segment, even.

    Returns:
        (batch, segment, position in segment, channel).
    """
    n_batch, n_frames, n_channels = x.shape
    hop = segment // 2
    padded = functional.pad(x, (0, 0, hop, hop + -n_frames % hop))
    blocks = padded.reshape(n_batch, -1, hop, n_channels)
    return torch.cat([blocks[:, :-1], blocks[:, 1:]], dim=2)


def from_segments(x: Tensor, n_frames: int) -> Tensor:
    """The inverse of :func:`to_segments`: each frame is the mean of the two segments that hold it.

    Args:
        x: (batch, segment, position in segment, channel).
        n_frames: frames of the sequence.

    Returns:
        (batch, frame, channel).
    """
    hop = x.shape[2] // 2
    blocks = (x[:, 1:, :hop] + x[:, :-1, hop:]) / 2
    return blocks.flatten(1, 2)[:, :n_frames]


class ImprovedTransformer(nn.Module):
    """Multi-head self-attention, then a feed-forward network that begins with a bidirectional LSTM.

    The LSTM learns the order of the sequence, so there is no positional encoding; a residual and a layer norm
    after either part (Chen, Mao, Liu, "Dual-Path Transformer Network", Interspeech 2020).

    Args:
        n_channels: channels in and out.
        hidden: units of the LSTM per direction.
        n_heads: attention heads; must divide n_channels.

    Raises:
        ValueError: heads that do not divide the channels.
    """

    def __init__(self, n_channels: int, hidden: int, n_heads: int) -> None:
        super().__init__()
        if n_channels % n_heads:
            raise ValueError(f"n_heads: expected a divisor of the {n_channels} channels, got {n_heads}")
        self.n_heads = n_heads
        self.attention_in = nn.Linear(n_channels, 3 * n_channels)
        self.attention_out = nn.Linear(n_channels, n_channels)
        self.attention_norm = nn.LayerNorm(n_channels)
        self.lstm = nn.LSTM(n_channels, hidden, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(2 * hidden, n_channels)
        self.norm = nn.LayerNorm(n_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(sequence, position, channel) → the same shape; every position sees all of its sequence."""
        query, key, value = self.attention_in(x).chunk(3, dim=-1)
        x = self.attention_norm(x + self.attention_out(attend(query, key, value, self.n_heads)))
        return self.norm(x + self.linear(functional.relu(self.lstm(x)[0])))

    def macs(self, n_sequences: int, length: int) -> int:
        """Multiply-accumulates: every weight once per position, and both attention products; biases cost none."""
        weights = sum(parameter.numel() for parameter in self.parameters() if parameter.ndim == 2)
        return n_sequences * length * (weights + 2 * length * self.linear.out_features)


class DualPathLayer(nn.Module):
    """A transformer within every segment, then one across the segments at every position in them.

    Args:
        n_channels: channels in and out.
        hidden: units of the LSTMs per direction.
        n_heads: attention heads; must divide n_channels.
    """

    def __init__(self, n_channels: int, hidden: int, n_heads: int) -> None:
        super().__init__()
        self.intra = ImprovedTransformer(n_channels, hidden, n_heads)
        self.inter = ImprovedTransformer(n_channels, hidden, n_heads)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, segment, position in segment, channel) → the same shape."""
        n_batch = len(x)
        x = self.intra(x.flatten(0, 1)).unflatten(0, (n_batch, -1))  # b s k c
        x = self.inter(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (n_batch, -1))  # b k s c
        return x.transpose(1, 2)

    def macs(self, n_segments: int, segment: int) -> int:
        """Multiply-accumulates for ``n_segments`` segments of ``segment`` positions."""
        return self.intra.macs(n_segments, segment) + self.inter.macs(segment, n_segments)
