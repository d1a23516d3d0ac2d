"""What networks that make masks of features share: the same code runs over whole utterances and over streams."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from arrayse.taps import Taps


class MaskNet(nn.Module):
    """A :class:`~arrayse.models.spectral.SpectralNet` whose utterances and streams are both given to :meth:`run`."""

    domain = "spectrum"
    causal = True
    lookahead_frames = 0
    tap_channels: dict[str, int]
    output_taps: dict[str, str]

    def run(self, features: Tensor, taps: Taps, state: Any) -> tuple[Tensor, Any]:
        """The masks of the next frames.

        Args:
            features: (batch, 2·n_mics, freq, frame).
            taps: receives the features of the network, but for ``mask``.
            state: after the frame before; None: there was none.

        Returns:
            Real parts, then imaginary ones, (batch, 2·n_masks, freq, frame) in 32 bits at least, and the next state.
        """
        raise NotImplementedError

    def forward(self, features: Tensor, taps: Taps) -> Tensor:
        """Mask for whole utterances.

        Args:
            features: (batch, 2·n_mics, freq, frame).
            taps: receives what :meth:`run` leaves, and ``mask``.

        Returns:
            Complex mask (batch, 1 or n_mics, freq, frame).
        """
        return self._masks(features, taps, None)[0]

    def step(self, features: Tensor, state: Any) -> tuple[Tensor, Any]:
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
            raise ValueError("step: expected a causal network, got one that needs the whole utterance")
        return self._masks(features, Taps(), state)

    def _masks(self, features: Tensor, taps: Taps, state: Any) -> tuple[Tensor, Any]:
        parts, state = self.run(features, taps, state)
        taps.keep("mask", parts)
        real, imag = parts.chunk(2, dim=1)
        return torch.complex(real.contiguous(), imag.contiguous()), state
