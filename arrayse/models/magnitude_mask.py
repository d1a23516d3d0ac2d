"""What networks that map magnitudes to magnitudes share: their input, LSTMs over time, and the mask they end in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from arrayse.frontend.modulus import modulus
from arrayse.models.mask_net import MaskNet
from arrayse.taps import Taps

MASK_RANGE = (1e-3, 10.0)
"""Bounds on a mask that comes of a magnitude: −60 to 20 dB."""

MIN_MAGNITUDE = 1e-3
"""Least magnitude of the reference that an estimate is divided by, where 1 is the level of the features."""

LstmState = tuple[tuple[Tensor, Tensor], ...]
"""Hidden and cell state of every layer, each (1, row, hidden)."""


class MagnitudeNet(MaskNet):
    """A causal network that sees magnitudes and makes a mask for the reference microphone; subclasses say how.

    Args:
        ref_channel: which of the microphones is masked.

    Attributes:
        needs_spectrum: whether features have to be the spectrum at any level, since the mask is made from them.
    """

    needs_spectrum = True

    def __init__(self, ref_channel: int) -> None:
        super().__init__()
        self.ref_channel = ref_channel
        self.output_taps = {"mask": "mask"}

    def run(self, features: Tensor, taps: Taps, state: Any) -> tuple[Tensor, Any]:
        """See :meth:`MaskNet.run`; leaves what :meth:`estimate` leaves."""
        return self.estimate(modulus(features.float()), taps, state)

    def estimate(self, magnitude: Tensor, taps: Taps, state: Any) -> tuple[Tensor, Any]:
        """Mask for magnitudes (batch, n_mics, freq, frame): its parts (batch, 2, freq, frame), and the next state."""
        raise NotImplementedError


def magnitude_mask(estimate: Tensor, reference: Tensor) -> Tensor:
    """The mask that gives the reference an estimated magnitude and leaves it its phase.

    ``estimate / max(reference, MIN_MAGNITUDE)`` within :data:`MASK_RANGE`. Gradients pass the bounds as if there were
    none: a network whose first estimates are all negative has to learn its way out, which a rectifier would forbid,
    and so would a mask of 0, where a magnitude has no gradient.

    Args:
        estimate: any sign, at the level of the features.
        reference: magnitude of the reference microphone, the same shape.
    """
    ratio = estimate / reference.clamp_min(MIN_MAGNITUDE)
    return ratio.detach().clamp(*MASK_RANGE) + (ratio - ratio.detach())


def real_mask(estimate: Tensor, reference: Tensor) -> Tensor:
    """:func:`magnitude_mask` as real and imaginary part: (batch, 1, freq, frame) twice → (batch, 2, freq, frame)."""
    mask = magnitude_mask(estimate, reference)
    return torch.cat([mask, torch.zeros_like(mask)], dim=1)


class TimeLstms(nn.Module):
    """Unidirectional LSTMs over time, one after the other, and a linear layer.

    Args:
        n_inputs: values per row and frame.
        hidden: units of each layer.
        n_layers: LSTMs.
        n_outputs: values per row and frame.
    """

    def __init__(self, n_inputs: int, hidden: int, n_layers: int, n_outputs: int) -> None:
        super().__init__()
        sizes = [n_inputs] + [hidden] * (n_layers - 1)
        self.layers = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for size in sizes)
        self.linear = nn.Linear(hidden, n_outputs)
        self.hidden = hidden

    def forward(self, x: Tensor, state: LstmState | None) -> tuple[list[Tensor], Tensor, LstmState]:
        """Rows in time, (row, frame, n_inputs).

        Returns:
            (row, frame, hidden) of every layer, (row, frame, n_outputs) in 32 bits, and the state.
        """
        outputs, states = [], []
        for number, layer in enumerate(self.layers):
            x, after = layer(x, None if state is None else state[number])
            outputs.append(x)
            states.append(after)
        with torch.autocast(x.device.type, enabled=False):  # 16 bits would leave -48 dB of error in the mask
            return outputs, self.linear(x.float()), tuple(states)

    def initial_state(self, n_rows: int, device: torch.device) -> LstmState:
        """State before the first frame."""
        return tuple((zeros, zeros) for zeros in torch.zeros(len(self.layers), 1, n_rows, self.hidden, device=device))

    def macs(self) -> int:
        """Multiply-accumulates per row and frame: every weight is used once, biases cost none."""
        return sum(parameter.numel() for name, parameter in self.named_parameters() if "bias" not in name)
