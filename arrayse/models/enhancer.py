"""What every enhancer has, whatever network is inside: microphones in, the estimated speech and named features out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from arrayse.audio import check_finite, check_rate
from arrayse.frontend.channels import check_channels, heard_channels
from arrayse.frontend.features import real_channels
from arrayse.frontend.stft import Stft
from arrayse.geometry import ArrayGeometry, check_mics
from arrayse.taps import Taps

CHUNK_SECONDS = 20.0
"""Longest piece that :meth:`Enhancer.enhance` computes at once."""

OVERLAP_SECONDS = 2.0
"""Cross-fade between the pieces of a network that is not causal."""


@dataclass(frozen=True)
class Enhanced:
    """What an enhancer gives.

    Attributes:
        wave: (batch, n_samples).
        spec: complex (batch, 1, freq, frame): the estimate in the enhancer's STFT.
        taps: features of the network, ``spec`` (real and imaginary part) and ``wave`` (batch, 1, 1, n_samples).
    """

    wave: Tensor
    spec: Tensor
    taps: Taps


class Enhancer(nn.Module, ABC):
    """A network with all that it needs to hear recordings of an array.

    Args:
        net: the network, built for ``len(mics)`` microphones.
        stft: the grid in which estimates are looked at; for networks in the spectrum, also that of the network.
        geometry: the whole array that recordings come from.
        mics: channels of the array that the network hears.
        ref_mic: channel of the array at which speech is estimated; one of ``mics``.
        sample_rate: Hz.

    Raises:
        ValueError: channels that the array does not have, a reference that is not heard, a rate that is none.
    """

    def __init__(
        self, net: nn.Module, stft: Stft, geometry: ArrayGeometry, mics: list[int], ref_mic: int, sample_rate: int
    ) -> None:
        super().__init__()
        check_mics(mics, geometry.n_mics)
        if ref_mic not in mics:
            raise ValueError(f"ref_mic: expected one of the mics {mics}, got {ref_mic}")
        if sample_rate < 1:
            raise ValueError(f"sample_rate: expected a positive number of Hz, got {sample_rate}")
        self.net: Any = net
        self.stft, self.geometry = stft, geometry
        self.mics, self.ref_mic, self.sample_rate = mics, ref_mic, sample_rate

    @property
    @abstractmethod
    def causal(self) -> bool:
        """Whether there is a form that works on a stream: :meth:`push`."""

    @property
    @abstractmethod
    def block_samples(self) -> int:
        """Samples that a stream comes in multiples of."""

    @property
    @abstractmethod
    def delay_samples(self) -> int:
        """By how many samples what :meth:`push` gives is later than what it takes."""

    @property
    def latency_samples(self) -> int:
        """Algorithmic latency: sample n depends on none from n + ``latency_samples`` on."""
        return self.block_samples + self.delay_samples

    @abstractmethod
    def estimate(self, wave: Tensor, taps: Taps) -> tuple[Tensor, Tensor]:
        """The estimates for whole utterances.

        Args:
            wave: (batch, len(mics), n_samples).
            taps: receives the features of the network.

        Returns:
            (batch, n_samples), and its spectrum, complex (batch, 1, freq, frame).
        """

    @abstractmethod
    def initial_state(self, n_batch: int = 1) -> Any:
        """State of :meth:`push` before the first sample."""

    @abstractmethod
    def push(self, wave: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Enhances the next samples of a stream; chained calls equal :meth:`forward`.

        Args:
            wave: (batch, len(mics), a multiple of ``block_samples``).
            state: what the call before returned.

        Returns:
            (batch, as many samples): the estimate of what came ``delay_samples`` earlier, and the state.

        Raises:
            ValueError: the enhancer is not causal, or another number of samples.
        """

    @abstractmethod
    def macs(self, n_samples: int) -> int:
        """Multiply-accumulates of the network for an utterance; transforms not included."""

    @property
    def tap_channels(self) -> dict[str, int]:
        """Channels of every tap, known before any data."""
        return {**self.net.tap_channels, "spec": 2, "wave": 1}

    def output_meaning(self, tap: str) -> tuple[str, tuple[int, ...], int] | None:
        """What a tap holds, of which microphones, to estimate speech at which; None for features inside the network.

        Where the answers of two enhancers are equal, their channels correspond.
        """
        if tap in ("spec", "wave"):
            return tap, (self.ref_mic,), self.ref_mic
        if tap not in self.net.output_taps:
            return None
        mics = (self.ref_mic,) if self.tap_channels[tap] == 2 else tuple(self.mics)
        return self.net.output_taps[tap], mics, self.ref_mic

    def tap_of_target(self, tap: str, wave: Tensor) -> Tensor:
        """What a perfect estimate would leave in ``spec`` or ``wave``.

        Args:
            tap: one of the two.
            wave: the clean target at the reference microphone, (batch, n_samples).

        Raises:
            ValueError: any other tap: nobody knows what a perfect network has inside.
        """
        if tap == "wave":
            return wave[:, None, None]
        if tap == "spec":
            return real_channels(self.stft(wave)[:, None])
        raise ValueError(f"tap of the target: expected spec or wave, got {tap}")

    def describe(self) -> str:
        """Size and microphones, for people."""
        n_parameters = sum(parameter.numel() for parameter in self.parameters())
        latency = 1000 * self.latency_samples / self.sample_rate
        causal = f"causal with {latency:g} ms of latency" if self.causal else "not causal"
        return (
            f"{n_parameters:,} parameters, {causal}, hears microphones {self.mics}, estimates speech at {self.ref_mic}"
        )

    @property
    def device(self) -> torch.device:
        """Where the enhancer computes."""
        return self.stft.window.device

    def forward(self, wave: Tensor) -> Enhanced:
        """Enhances whole utterances, (batch, all mics of the array, n_samples).

        Raises:
            ValueError: another number of microphones.
        """
        if wave.shape[1] != self.geometry.n_mics:
            raise ValueError(f"wave: expected {self.geometry.n_mics} microphones, got {wave.shape[1]}")
        taps = Taps()
        estimate, spec = self.estimate(wave[:, self.mics], taps)
        taps.keep("spec", real_channels(spec))
        taps.keep("wave", estimate[:, None, None])
        return Enhanced(estimate, spec, taps)

    def enhance(self, noisy: np.ndarray, sample_rate: int) -> np.ndarray:
        """Enhances a recording of any length.

        Args:
            noisy: (n_mics, n_samples), all microphones of the array, or only those of ``mics`` in their order.
            sample_rate: Hz of the recording.

        Returns:
            (n_samples,) float32 at the reference microphone.

        Raises:
            ValueError: wrong rate, wrong number of channels, no samples, NaN.
        """
        check_rate(sample_rate, self.sample_rate, "recording")
        if not np.issubdtype(np.asarray(noisy).dtype, np.floating):
            raise ValueError(
                f"recording: expected floating-point samples within [-1, 1], got {np.asarray(noisy).dtype}"
            )
        noisy = np.require(noisy, np.float32, ["C", "W"])  # torch takes no reversed or read-only arrays
        if noisy.ndim != 2:
            raise ValueError(f"recording: expected (n_mics, n_samples), got {noisy.shape}")
        check_channels(len(noisy), self, "recording")
        if noisy.shape[1] == 0:
            raise ValueError("recording: expected samples, got none")
        check_finite(noisy, "recording")
        pieces = self.enhance_pieces(lambda start, n_samples: noisy[:, start : start + n_samples], noisy.shape[1])
        return np.concatenate(list(pieces))

    @torch.inference_mode()
    def enhance_pieces(self, read: Callable[[int, int], np.ndarray], n_samples: int) -> Iterator[np.ndarray]:
        """Enhances a recording that is read piece by piece, in memory that does not depend on its length.

        Args:
            read: gives so many samples from a first one on: (n_mics, n_samples) float32, all microphones of the array
                or only those of ``mics``.
            n_samples: length of the recording.

        Yields:
            Float32, as many samples in all.
        """
        was_training = self.training
        self.eval()
        try:
            pieces = self._stream_pieces if self.causal else self._faded_pieces
            for piece in pieces(lambda start, length: self._heard(read(start, length)), n_samples):
                yield piece.cpu().numpy()
        finally:
            self.train(was_training)

    def _heard(self, wave: np.ndarray) -> Tensor:
        """The microphones that the network hears of a piece, as a batch of one."""
        return torch.from_numpy(heard_channels(wave, self))[None].to(self.device)

    def _stream_pieces(self, read: Callable[[int, int], Tensor], n_samples: int) -> Iterator[Tensor]:
        """Pieces with the state carried over: equal to one pass."""
        block, late = self.block_samples, self.delay_samples
        n_padded = -(-(n_samples + late) // block) * block
        size, state = max(1, int(CHUNK_SECONDS * self.sample_rate) // block) * block, self.initial_state()
        for first in range(0, n_padded, size):
            length = min(size, n_padded - first)
            there = max(0, min(length, n_samples - first))
            piece = read(first, there) if there else torch.zeros(1, len(self.mics), 0, device=self.device)
            estimate, state = self.push(torch.nn.functional.pad(piece, (0, length - there)), state)
            yield estimate[0, max(0, late - first) : n_samples + late - first]

    def _faded_pieces(self, read: Callable[[int, int], Tensor], n_samples: int) -> Iterator[Tensor]:
        """Overlapping pieces, cross-faded: for networks that see the future."""
        size, overlap = int(CHUNK_SECONDS * self.sample_rate), int(OVERLAP_SECONDS * self.sample_rate)
        faded, weight = torch.zeros(0), torch.zeros(0)  # of the samples that the next piece has too
        for first in range(0, max(n_samples - overlap, 1), size - overlap):
            piece = read(first, min(size, n_samples - first))
            length, is_last = piece.shape[-1], first + size >= n_samples
            fade = torch.ones(length)
            ramp = torch.linspace(0, 1, overlap + 2)[1:-1][:length]
            if first > 0:
                fade[: len(ramp)] = ramp
            if not is_last:
                fade[-len(ramp) :] = torch.minimum(fade[-len(ramp) :], ramp.flip(0))
            output = fade * self.estimate(piece, Taps())[0][0].cpu()
            output[: len(faded)] += faded
            fade[: len(weight)] += weight
            whole = length if is_last else length - overlap
            yield output[:whole] / fade[:whole]
            faded, weight = output[whole:], fade[whole:]


def check_push(enhancer: Enhancer, wave: Tensor) -> None:
    """Raises ValueError unless an enhancer takes a stream, and this piece of it."""
    if not enhancer.causal:
        raise ValueError("push: expected a causal enhancer, got one that needs the whole utterance")
    block_samples, n_samples = enhancer.block_samples, wave.shape[-1]
    if wave.ndim != 3 or wave.shape[1] != len(enhancer.mics):
        raise ValueError(f"push: expected (batch, {len(enhancer.mics)}, n_samples), got {tuple(wave.shape)}")
    if n_samples < 1 or n_samples % block_samples:
        raise ValueError(f"push: expected a positive multiple of {block_samples} samples, got {n_samples}")
