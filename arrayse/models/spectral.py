"""Enhancers with a network in the spectrum: microphones → spectrum → features → network → mask → wave."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from arrayse.frontend.features import Features
from arrayse.frontend.stft import Stft
from arrayse.geometry import ArrayGeometry
from arrayse.models.enhancer import Enhancer, check_push
from arrayse.taps import Taps


class SpectralNet(Protocol):
    """What a network between features and mask has to offer.

    Attributes:
        domain: ``spectrum``.
        causal: whether no mask depends on frames later than ``lookahead_frames`` after its own.
        lookahead_frames: see there; 0 where it is not causal.
        tap_channels: channels of every tap that it leaves.
        output_taps: taps whose channels belong to microphones, and what they hold.
    """

    domain: str
    causal: bool
    lookahead_frames: int
    tap_channels: dict[str, int]
    output_taps: dict[str, str]

    def __call__(self, features: Tensor, taps: Taps) -> Tensor: ...

    def initial_state(self, n_batch: int, n_freqs: int, device: torch.device) -> Any: ...

    def step(self, features: Tensor, state: Any) -> tuple[Tensor, Any]: ...

    def macs(self, n_freqs: int, n_frames: int) -> int: ...


class SpectralEnhancer(Enhancer):
    """A network that makes masks: one for the reference microphone, or one for each, whose products are added.

    Args:
        net: see :class:`SpectralNet`.
        stft: the transform.
        features: what the network sees.
        geometry, mics, ref_mic, sample_rate: see :class:`Enhancer`.
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
        super().__init__(net, stft, geometry, mics, ref_mic, sample_rate)
        self.features = features

    @property
    def causal(self) -> bool:
        """Whether no output frame depends on input frames beyond the look-ahead of the network."""
        return bool(self.net.causal and self.features.causal)

    @property
    def block_samples(self) -> int:
        """The hop."""
        return self.stft.hop_length

    @property
    def delay_samples(self) -> int:
        """What overlap-add waits for, and the look-ahead of the network."""
        hop = self.stft.hop_length
        return self.stft.latency_samples - hop + int(self.net.lookahead_frames) * hop

    def estimate(self, wave: Tensor, taps: Taps) -> tuple[Tensor, Tensor]:
        """See :meth:`Enhancer.estimate`."""
        spec = self.stft(wave)
        mask = self.net(self.features(spec)[0], taps)
        estimate = self._masked(mask, spec)
        return self.stft.inverse(estimate[:, 0], wave.shape[-1]), estimate

    def initial_spec_state(self, n_batch: int = 1) -> tuple[Any, Any, Tensor]:
        """State of :meth:`step` before the first frame."""
        features = self.features.initial_state(n_batch, self.device)
        shape = (n_batch, len(self.mics), self.stft.n_freqs, int(self.net.lookahead_frames))
        waiting = torch.zeros(shape, dtype=torch.complex64, device=self.device)
        return features, self.net.initial_state(n_batch, self.stft.n_freqs, self.device), waiting

    def step(self, spec: Tensor, state: tuple[Any, Any, Tensor]) -> tuple[Tensor, tuple[Any, Any, Tensor]]:
        """Enhances the next frames of a stream; chained steps equal :meth:`forward`.

        Args:
            spec: complex (batch, len(mics), freq, frame).
            state: what the step before returned.

        Returns:
            Complex (batch, 1, freq, frame), the estimate of the frames that came as many frames earlier as the network
            looks ahead, and the state after the last frame.

        Raises:
            ValueError: the enhancer is not causal.
        """
        if not self.causal:
            raise ValueError("step: expected a causal enhancer, got one that needs the whole segment")
        features_state, net_state, waiting = state
        features, features_state = self.features(spec, features_state)
        mask, net_state = self.net.step(features, net_state)
        heard, n_frames = torch.cat([waiting, spec], dim=-1), spec.shape[-1]
        return self._masked(mask, heard[..., :n_frames]), (features_state, net_state, heard[..., n_frames:])

    def initial_state(self, n_batch: int = 1) -> Any:
        """See :meth:`Enhancer.initial_state`: samples of the frames to come, sums of those gone by, and of `step`."""
        hop = self.stft.hop_length
        samples = torch.zeros(n_batch, len(self.mics), self.stft.win_length - hop, device=self.device)
        begun = torch.zeros(n_batch, self.stft.latency_samples - hop, device=self.device)
        return samples, begun, self.initial_spec_state(n_batch)

    def push(self, wave: Tensor, state: Any) -> tuple[Tensor, Any]:
        """See :meth:`Enhancer.push`."""
        check_push(self, wave)
        before, begun, step_state = state
        samples, n_samples = torch.cat([before, wave], dim=-1), wave.shape[-1]
        estimate, step_state = self.step(self.stft.frames_to_spec(samples), step_state)
        silent = self.stft.win_length - self.stft.latency_samples  # where no frame gives anything back
        summed = self.stft.overlap_add(estimate[:, 0])[:, silent:]
        summed[:, : begun.shape[-1]] += begun
        return summed[:, :n_samples], (samples[..., n_samples:], summed[:, n_samples:], step_state)

    @torch.inference_mode()
    def shadow(self, noisy: np.ndarray, stem: np.ndarray) -> np.ndarray:
        """What the masks of a recording make of a part of it (shadow filtering): parts add up to the estimate.

        Args:
            noisy: (all mics of the array, n_samples) at the rate of the enhancer.
            stem: likewise, such as the speech in it.

        Returns:
            (n_samples,) float32 at the reference microphone.
        """
        was_training = self.training
        self.eval()
        try:
            heard, part = (self.stft(torch.from_numpy(wave[self.mics])[None].to(self.device)) for wave in (noisy, stem))
            masked = self._masked(self.net(self.features(heard)[0], Taps()), part)
            return self.stft.inverse(masked[:, 0], noisy.shape[-1])[0].cpu().numpy()
        finally:
            self.train(was_training)

    def macs(self, n_samples: int) -> int:
        """See :meth:`Enhancer.macs`."""
        return int(self.net.macs(self.stft.n_freqs, self.stft.n_frames(n_samples)))

    def _masked(self, mask: Tensor, spec: Tensor) -> Tensor:
        """One mask on the reference microphone, or one each and their sum: (batch, 1, freq, frame)."""
        if mask.shape[1] == 1:
            ref = self.mics.index(self.ref_mic)
            return mask * spec[:, ref : ref + 1]
        return (mask * spec).sum(dim=1, keepdim=True)
