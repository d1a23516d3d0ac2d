"""The sub-band LSTM: every frequency by itself, from the magnitudes around it."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal, get_args

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional

from arrayse.frontend.bands import Split, band_edges
from arrayse.models.magnitude_mask import LstmState, MagnitudeNet, TimeLstms, real_mask
from arrayse.taps import Taps

PART_LIMIT = 10.0
"""Bound on each part of a complex mask."""

Outputs = Literal[1, 2]

State = tuple[LstmState, ...]
"""State of every band, with (batch·bins of the band) rows."""


class SubBandLSTM(MagnitudeNet):
    """LSTMs over time and a linear layer, applied to each bin with the magnitudes of its neighbours; causal.

    Hao et al., "Sub-band Knowledge Distillation Framework for Speech Enhancement", Interspeech 2020 (arXiv
    2005.14435). Sizes and input are our reconstruction; the defaults have 1,823,617 parameters with one microphone,
    1,824,002 with two outputs. The input of a bin is, microphone by microphone, its magnitude and those of the
    ``neighbours`` bins on either side; beyond the edges of its band they are reflected.

    With one band this is the general network of the paper. With several, each band has weights of its own, which
    see and make its bins alone: all elite teachers in one network. Under a loss that is a sum over bins, such as
    ``magnitude_mse``, no band's gradient depends on another band, so that training them at once is training each on its
    own band, but for what looks at the total: the norm of a gradient that is clipped, and the choice of the best epoch.
    A loss on waves would join them.

    Args:
        n_mics: microphones that the network hears.
        n_freqs: bins of the spectrum.
        ref_channel: which of the microphones is masked.
        sample_rate: Hz.
        hidden: units of each LSTM.
        n_layers: LSTMs over time.
        neighbours: bins on either side that a bin is seen with.
        outputs: 1: a magnitude, which becomes a real mask by :func:`arrayse.models.magnitude_mask.magnitude_mask` and
            keeps the noisy phase; 2: real and imaginary part of a mask, each bounded to ±10.
        n_bands: sets of weights.
        split: how the bins are divided among them, see :func:`band_edges`.

    Raises:
        ValueError: more neighbours than a band has bins to reflect, another number of outputs, or bands that are not
            possible.
    """

    def __init__(
        self,
        n_mics: int,
        n_freqs: int,
        ref_channel: int,
        sample_rate: int,
        hidden: Annotated[int, Ge(1)] = 384,
        n_layers: Annotated[int, Ge(1)] = 2,
        neighbours: Annotated[int, Ge(0)] = 15,
        outputs: Outputs = 1,
        n_bands: Annotated[int, Ge(1)] = 1,
        split: Split = "uniform",
    ) -> None:
        super().__init__(ref_channel)
        if outputs not in get_args(Outputs):
            raise ValueError(f"outputs: expected 1 or 2, got {outputs}")
        self.neighbours, self.outputs, self.needs_spectrum = neighbours, outputs, outputs == 1
        self.edges = edges_for(n_freqs, n_bands, split, sample_rate, neighbours)
        n_inputs = n_mics * (2 * neighbours + 1)
        self.bands = nn.ModuleList(TimeLstms(n_inputs, hidden, n_layers, outputs) for _ in range(n_bands))
        self.tap_channels = {
            **{f"mid_{number}": hidden for number in range(1, n_layers + 1)},
            **({"magnitude": 1} if outputs == 1 else {}),
            "mask": 2,
        }

    def initial_state(self, n_batch: int, n_freqs: int, device: torch.device) -> State:
        """State of the LSTMs before the first frame."""
        sizes = [end - first for first, end in pairwise(self.edges)]
        return tuple(
            net.initial_state(n_batch * size, device)  # type: ignore[operator]
            for net, size in zip(self.bands, sizes, strict=True)
        )

    def macs(self, n_freqs: int, n_frames: int) -> int:
        """Multiply-accumulates for an utterance; the same for any number of bands, since a bin has one."""
        return n_freqs * n_frames * int(self.bands[0].macs())  # type: ignore[operator]

    def estimate(self, magnitude: Tensor, taps: Taps, state: Any) -> tuple[Tensor, State]:
        """See :meth:`MagnitudeNet.estimate`; leaves ``mid_1``, … (LSTMs) and, not with two outputs, ``magnitude``.

        That is the estimate at the level of the features, before any bound.

        Raises:
            ValueError: another number of frequencies.
        """
        if magnitude.shape[2] != self.edges[-1]:
            raise ValueError(f"features: expected {self.edges[-1]} frequencies, got {magnitude.shape[2]}")
        after, layers = [], []
        for number, net in enumerate(self.bands):
            of_band = self._rows(magnitude[:, :, self.edges[number] : self.edges[number + 1]])  # b f t inputs
            outputs, z, band_state = net(of_band.flatten(0, 1), None if state is None else state[number])
            layers.append([x.unflatten(0, of_band.shape[:2]) for x in (*outputs, z)])
            after.append(band_state)
        *mids, z = [torch.cat(parts, dim=1).permute(0, 3, 1, 2) for parts in zip(*layers, strict=True)]  # b c f t
        for number, mid in enumerate(mids, start=1):
            taps.keep(f"mid_{number}", mid)
        if self.outputs == 2:
            return z.clamp(-PART_LIMIT, PART_LIMIT), tuple(after)
        taps.keep("magnitude", z)
        return real_mask(z, magnitude[:, self.ref_channel, None]), tuple(after)

    def _rows(self, magnitude: Tensor) -> Tensor:
        """Every bin with its neighbours: (batch, mic, freq, frame) → (batch, freq, frame, mic·(2·neighbours + 1))."""
        padded = functional.pad(magnitude, (0, 0, self.neighbours, self.neighbours), mode="reflect")
        windows = padded.unfold(2, 2 * self.neighbours + 1, 1)  # b mic f t neighbour
        return windows.permute(0, 2, 3, 1, 4).flatten(start_dim=3)


def edges_for(n_freqs: int, n_bands: int, split: Split, sample_rate: int, neighbours: int) -> list[int]:
    """Edges of bands as of :func:`band_edges`, each with more bins than it has to reflect as neighbours.

    Raises:
        ValueError: bands that are not possible, or too narrow for the neighbours; it tells what is possible.
    """
    band_edges(n_freqs, 1, split, sample_rate)  # refuses an unknown split
    if neighbours >= n_freqs:
        raise ValueError(f"neighbours: expected at most {n_freqs - 1} for {n_freqs} frequencies, got {neighbours}")
    try:
        edges = band_edges(n_freqs, n_bands, split, sample_rate)
        narrowest = _narrowest(edges)
        if neighbours >= narrowest:
            wanted = f"expected at most {narrowest - 1} for bands of {narrowest} frequencies"
            raise ValueError(f"neighbours: {wanted}, got {neighbours}")
    except ValueError as error:
        most = _most_bands(n_freqs, split, sample_rate, neighbours)
        raise ValueError(f"{error}: neighbours={neighbours} leaves room for n_bands={most} at most") from None
    return edges


def _narrowest(edges: list[int]) -> int:
    return min(end - first for first, end in pairwise(edges))


def _most_bands(n_freqs: int, split: Split, sample_rate: int, neighbours: int) -> int:
    """The most bands of which each has more bins than neighbours; one at least."""
    for n_bands in range(n_freqs // (neighbours + 1), 1, -1):
        try:
            edges = band_edges(n_freqs, n_bands, split, sample_rate)
        except ValueError:  # a band without a bin
            continue
        if _narrowest(edges) > neighbours:
            return n_bands
    return 1
