"""Multi-head self-attention, over whole sequences or over a limited past."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def attend(query: Tensor, key: Tensor, value: Tensor, n_heads: int, mask: Tensor | None = None) -> Tensor:
    """Softmax of the scaled products of queries and keys, times the values, head by head.

    Args:
        query: (sequence, position, channel); a head has a part of the channels.
        key: (sequence, other position, channel).
        value: likewise.
        n_heads: must divide the channels.
        mask: bool (position, other position), False where nothing is seen; None: all is.

    Returns:
        (sequence, position, channel).
    """
    parts = (query, key, value)
    q, k, v = (part.unflatten(-1, (n_heads, -1)).transpose(1, 2) for part in parts)  # sequence head position c
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)


class BandedAttention(nn.Module):
    """Multi-head self-attention over whole sequences, or over a limited past.

    Args:
        n_channels: channels in and out.
        n_heads: must divide n_channels.
    """

    def __init__(self, n_channels: int, n_heads: int) -> None:
        super().__init__()
        self.n_channels, self.n_heads = n_channels, n_heads
        self.attention_in = nn.Linear(n_channels, 3 * n_channels)
        self.attention_out = nn.Linear(n_channels, n_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(sequence, position, channel) → the same shape; every position sees all of its sequence."""
        query, key, value = self.attention_in(x).chunk(3, dim=-1)
        return self.attention_out(attend(query, key, value, self.n_heads))

    def stream(self, x: Tensor, past: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Every position sees itself and as many before it as the state holds.

        The queries come in blocks of that many, so that cost and memory grow with the length and not its square.

        Args:
            x: (sequence, frame, channel).
            past: keys and values (sequence, n_past, 2·channel) of the frames before.
            valid: (n_past + frame,), False where there was no frame.

        Returns:
            (sequence, frame, channel), and the last n_past keys and values.
        """
        n_past, n_frames = past.shape[1], x.shape[1]
        query, new = self.attention_in(x).split((self.n_channels, 2 * self.n_channels), dim=-1)
        known, pieces = torch.cat([past, new], dim=1), []
        for start in range(0, n_frames, n_past + 1):
            stop = min(start + n_past + 1, n_frames)
            band = torch.ones(stop - start, stop - start + n_past, dtype=torch.bool, device=x.device)
            mask = band.tril(n_past).triu() & valid[start : stop + n_past]
            key, value = known[:, start : stop + n_past].to(query.dtype).chunk(2, dim=-1)
            pieces.append(attend(query[:, start:stop], key, value, self.n_heads, mask))
        return self.attention_out(torch.cat(pieces, dim=1)), known[:, n_frames:].clone()
