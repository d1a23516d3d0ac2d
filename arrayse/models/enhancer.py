"""The one pipeline: microphones → spectrum → features → network → mask → wave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from arrayse.audio import check_finite, check_rate
from arrayse.frontend.features import Features, real_channels
from arrayse.frontend.stft import Stft
from arrayse.geometry import ArrayGeometry, check_mics
from arrayse.taps import Taps

CHUNK_SECONDS = 20.0
"""Longest piece that :meth:`Enhancer.enhance` computes at once."""

OVERLAP_SECONDS = 2.0
"""Cross-fade between the pieces of a network that is not causal."""


class Net(Protocol):
    """What a network between features and mask has to offer."""

    causal: bool
    tap_channels: dict[str, int]
    output_taps: dict[str, str]
    """Taps whose channels belong to microphones, and what they hold."""

    def __call__(self, features: Tensor, taps: Taps) -> Tensor: ...

    def initial_state(self, n_batch: int, n_freqs: int, device: torch.device) -> Any: ...

    def step(self, features: Tensor, state: Any) -> tuple[Tensor, Any]: ...

    def macs_per_frame(self, n_freqs: int) -> int: ...


@dataclass(frozen=True)
class Enhanced:
    """What an enhancer gives.

    Attributes:
        wave: (batch, n_samples).
        spec: complex (batch, 1, freq, frame): the masked spectrum.
        mask: complex (batch, 1 or n_mics, freq, frame).
        taps: features of the network and ``spec`` (real and imaginary part).
    """

    wave: Tensor
    spec: Tensor
    mask: Tensor
    taps: Taps


class Enhancer(nn.Module):
    """A network with the front-end around it.

    Args:
        net: see :class:`Net`; built for ``len(mics)`` microphones.
        stft: the transform.
        features: what the network sees.
        geometry: the whole array that recordings come from.
        mics: channels of the array that the network hears.
        ref_mic: channel of the array at which speech is estimated; one of ``mics``.
        sample_rate: Hz.

    Raises:
        ValueError: channels that the array does not have, a reference that is not heard, a rate that is none.
    """

    def __init__(
        self,
        net: nn.Module,
        stft: Stft,
        features: Features,
        geometry: ArrayGeometry,
        mics: list[int],
        ref_mic: int,
        sample_rate: int,
    ) -> None:
        super().__init__()
        check_mics(mics, geometry.n_mics)
        if ref_mic not in mics:
            raise ValueError(f"ref_mic: expected one of the mics {mics}, got {ref_mic}")
        if sample_rate < 1:
            raise ValueError(f"sample_rate: expected a positive number of Hz, got {sample_rate}")
        self.net: Any = net
        self.stft, self.features = stft, features
        self.geometry, self.mics, self.ref_mic, self.sample_rate = geometry, mics, ref_mic, sample_rate

    @property
    def causal(self) -> bool:
        """Whether no output frame depends on a later input frame."""
        return bool(self.net.causal and self.features.causal)

    @property
    def tap_channels(self) -> dict[str, int]:
        """Channels of every tap, known before any data."""
        return {**self.net.tap_channels, "spec": 2}

    def output_meaning(self, tap: str) -> tuple[str, tuple[int, ...], int] | None:
        """What a tap holds, of which microphones, to estimate speech at which; None for features inside the network.

        Where the answers of two enhancers are equal, their channels correspond.
        """
        if tap == "spec":
            return "estimate", (self.ref_mic,), self.ref_mic
        if tap not in self.net.output_taps:
            return None
        mics = (self.ref_mic,) if self.tap_channels[tap] == 2 else tuple(self.mics)
        return self.net.output_taps[tap], mics, self.ref_mic

    def describe(self) -> str:
        """Size and microphones, for people."""
        n_parameters = sum(parameter.numel() for parameter in self.parameters())
        return f"{n_parameters:,} parameters, hears microphones {self.mics}, estimates speech at {self.ref_mic}"

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
        spec = self.stft(wave[:, self.mics])
        taps = Taps()
        mask = self.net(self.features(spec)[0], taps)
        estimate = self._masked(mask, spec)
        taps.keep("spec", real_channels(estimate))
        return Enhanced(self.stft.inverse(estimate[:, 0], wave.shape[-1]), estimate, mask, taps)

    def initial_state(self, n_batch: int = 1) -> tuple[Any, Any]:
        """State of :meth:`step` before the first frame."""
        features = self.features.initial_state(n_batch, self.device)
        return features, self.net.initial_state(n_batch, self.stft.n_freqs, self.device)

    def step(self, spec: Tensor, state: tuple[Any, Any]) -> tuple[Tensor, tuple[Any, Any]]:
        """Enhances the next frames of a stream; chained steps equal :meth:`forward`.

        Args:
            spec: complex (batch, len(mics), freq, frame).
            state: what the step before returned.

        Returns:
            Complex (batch, 1, freq, frame) and the state after the last frame.

        Raises:
            ValueError: the enhancer is not causal.
        """
        if not self.causal:
            raise ValueError("step: expected a causal enhancer, got one that needs the whole segment")
        features, features_state = self.features(spec, state[0])
        mask, net_state = self.net.step(features, state[1])
        return self._masked(mask, spec), (features_state, net_state)

    @torch.inference_mode()
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
        noisy = np.require(noisy, np.float32, ["C", "W"])  # torch takes no reversed or read-only arrays
        if noisy.ndim != 2:
            raise ValueError(f"recording: expected (n_mics, n_samples), got {noisy.shape}")
        check_channels(len(noisy), self, "recording")
        if noisy.shape[1] == 0:
            raise ValueError("recording: expected samples, got none")
        check_finite(noisy, "recording")
        wave = torch.from_numpy(noisy)
        if len(wave) != self.geometry.n_mics:  # the microphones that are not heard may be anything
            wave = wave.new_zeros(self.geometry.n_mics, wave.shape[1]).index_copy(0, torch.tensor(self.mics), wave)
        was_training = self.training
        self.eval()
        try:
            return (self._enhance_causal(wave) if self.causal else self._enhance_pieces(wave)).numpy()
        finally:
            self.train(was_training)

    def _masked(self, mask: Tensor, spec: Tensor) -> Tensor:
        """One mask on the reference microphone, or one each and their sum: (batch, 1, freq, frame)."""
        if mask.shape[1] == 1:
            ref = self.mics.index(self.ref_mic)
            return mask * spec[:, ref : ref + 1]
        return (mask * spec).sum(dim=1, keepdim=True)

    def _enhance_causal(self, wave: Tensor) -> Tensor:
        """Pieces with the state carried over: equal to one pass, in bounded working memory."""
        hop, n_fft, n_samples = self.stft.hop_length, self.stft.n_fft, wave.shape[-1]
        front, n_frames = n_fft - hop, self.stft.n_frames(n_samples)
        frames_per_piece = max(1, int(CHUNK_SECONDS * self.sample_rate) // hop)
        padded = torch.nn.functional.pad(wave[self.mics], (front, (n_frames - 1) * hop + n_fft - front - n_samples))
        output = torch.zeros(padded.shape[-1])
        state = self.initial_state()
        for first in range(0, n_frames, frames_per_piece):
            last = min(first + frames_per_piece, n_frames)
            piece = padded[:, first * hop : (last - 1) * hop + n_fft].to(self.device)
            estimate, state = self.step(self.stft.frames_to_spec(piece)[None], state)
            output[first * hop : (last - 1) * hop + n_fft] += self.stft.overlap_add(estimate[0, 0]).cpu()
        return output[front : front + n_samples]

    def _enhance_pieces(self, wave: Tensor) -> Tensor:
        """Overlapping pieces, cross-faded: for networks that see the future."""
        size, overlap = int(CHUNK_SECONDS * self.sample_rate), int(OVERLAP_SECONDS * self.sample_rate)
        n_samples = wave.shape[-1]
        output, weight = torch.zeros(n_samples), torch.zeros(n_samples)
        for first in range(0, max(n_samples - overlap, 1), size - overlap):
            piece = wave[:, first : first + size]
            fade = torch.ones(piece.shape[-1])
            ramp = torch.linspace(0, 1, overlap + 2)[1:-1][: len(fade)]
            if first > 0:
                fade[: len(ramp)] = ramp
            if first + size < n_samples:
                fade[-len(ramp) :] = torch.minimum(fade[-len(ramp) :], ramp.flip(0))
            estimate = self.forward(piece[None].to(self.device)).wave[0].cpu()
            output[first : first + size] += fade * estimate
            weight[first : first + size] += fade
        return output / weight


def check_channels(n_channels: int, enhancer: Enhancer, what: str) -> None:
    """Raises ValueError unless a recording has all microphones of the array, or just those that are heard."""
    n_mics, n_heard = enhancer.geometry.n_mics, len(enhancer.mics)
    if n_channels not in (n_mics, n_heard):
        turned = ": is it (n_samples, n_mics)? transpose it" if n_channels > 64 else ""
        heard = "" if n_heard == n_mics else f", or {n_heard} (its microphones {enhancer.mics})"
        wanted = f"expected {n_mics} channels for the array {enhancer.geometry.name}{heard}"
        raise ValueError(f"{what}: {wanted}, got {n_channels}{turned}")
