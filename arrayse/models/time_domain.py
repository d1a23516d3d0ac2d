"""Enhancers with a network in the time domain: microphones → network → wave."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from arrayse.models.enhancer import Enhancer, check_push
from arrayse.taps import Taps


class TimeDomainNet(Protocol):
    """What a network from waves to the estimate at the reference microphone has to offer.

    Attributes:
        domain: ``time``.
        causal: whether it has :meth:`step`.
        block_samples: a step takes multiples of this.
        delay_samples: what a step gives belongs to the samples that came as many earlier.
        tap_channels: channels of every tap that it leaves.
        output_taps: taps whose channels belong to microphones, and what they hold.
    """

    domain: str
    causal: bool
    block_samples: int
    delay_samples: int
    tap_channels: dict[str, int]
    output_taps: dict[str, str]

    def __call__(self, wave: Tensor, taps: Taps) -> Tensor: ...

    def initial_state(self, n_batch: int, device: torch.device) -> Any: ...

    def step(self, wave: Tensor, state: Any) -> tuple[Tensor, Any]: ...

    def macs(self, n_samples: int) -> int: ...


class TimeDomainEnhancer(Enhancer):
    """A network that makes waves, see :class:`TimeDomainNet`; ``stft`` is the grid that others see its estimates in."""

    @property
    def causal(self) -> bool:
        """Whether the network is."""
        return bool(self.net.causal)

    @property
    def block_samples(self) -> int:
        """Of the network."""
        return int(self.net.block_samples)

    @property
    def delay_samples(self) -> int:
        """Of the network."""
        return int(self.net.delay_samples)

    def estimate(self, wave: Tensor, taps: Taps) -> tuple[Tensor, Tensor]:
        """See :meth:`Enhancer.estimate`."""
        estimate = self.net(wave, taps).float()
        return estimate, self.stft(estimate)[:, None]

    def initial_state(self, n_batch: int = 1) -> Any:
        """See :meth:`Enhancer.initial_state`."""
        return self.net.initial_state(n_batch, self.device)

    def push(self, wave: Tensor, state: Any) -> tuple[Tensor, Any]:
        """See :meth:`Enhancer.push`."""
        check_push(self, wave)
        estimate, state = self.net.step(wave, state)
        return estimate, state

    def macs(self, n_samples: int) -> int:
        """See :meth:`Enhancer.macs`."""
        return int(self.net.macs(n_samples))
