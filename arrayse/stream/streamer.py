"""A causal network on an endless stream: blocks of any size in, as many samples out, in memory that does not grow.

torch is imported by :class:`TorchBackend` alone, when it computes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from arrayse.frontend.channels import check_channels, heard_channels
from arrayse.geometry import ArrayGeometry

if TYPE_CHECKING:
    from arrayse.models import Enhancer

MAX_LEVEL = 1e10
"""200 dB above full scale: beyond that powers leave float32, and a running level would stay infinite for ever."""


class Backend(Protocol):
    """A causal network that works on blocks; what it remembers is in the state alone, so many streams can share it.

    Attributes:
        sample_rate: Hz.
        geometry: the array.
        mics: channels of the array that it hears.
        block_samples: every push takes exactly so many samples.
        delay_samples: push returns the estimate of what came so many samples earlier.
    """

    sample_rate: int
    geometry: ArrayGeometry
    mics: list[int]
    block_samples: int
    delay_samples: int

    def start(self) -> Any:
        """The state before the first sample."""

    def push(self, wave: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        """Enhances the next block, which it may keep, and leaves the state that it is given as it is.

        Args:
            wave: (len(mics), block_samples) float32.
            state: what the call before returned.

        Returns:
            (block_samples,) float32, and the state.
        """


class TorchBackend:
    """The network of an enhancer, on the device where it is.

    Args:
        enhancer: is put into eval mode, and has to stay in it.

    Raises:
        ValueError: it is not causal.
    """

    def __init__(self, enhancer: Enhancer) -> None:
        if not enhancer.causal:
            raise ValueError("stream: expected a causal network, got one that needs the whole utterance")
        self.enhancer = enhancer.eval()
        self.sample_rate, self.geometry, self.mics = enhancer.sample_rate, enhancer.geometry, list(enhancer.mics)
        self.block_samples, self.delay_samples = enhancer.block_samples, enhancer.delay_samples

    def start(self) -> Any:
        """See :meth:`Backend.start`."""
        return self.enhancer.initial_state()

    def push(self, wave: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        """See :meth:`Backend.push`."""
        import torch

        with torch.inference_mode():
            heard = torch.from_numpy(wave)[None].to(self.enhancer.device)
            estimate, state = self.enhancer.push(heard, state)
            return estimate[0].float().cpu().numpy(), state


class Streamer:
    """One stream through a network. Every push returns as many samples as it takes, ``delay_samples`` late.

    All that was returned, and what :meth:`flush` returns, is ``delay_samples`` zeros and then what
    ``Enhancer.enhance`` makes of the whole; how the stream is cut into pushes changes nothing.

    A block of the network with samples that are NaN, infinite or beyond :data:`MAX_LEVEL` is muted: the network hears
    zeros instead. So is one for which the network gives no finite estimate: zeros come out, and its state is that
    before the block.

    Args:
        backend: may be shared by any number of streams.
        multiple: every push brings a multiple of so many samples. Samples have to be kept back only where a push may
            end inside a block of the network: none if this is a multiple of its block.

    Attributes:
        n_blocks: blocks that went through the network.
        n_muted_blocks: how many of them were muted.

    Raises:
        ValueError: ``multiple`` below 1.
    """

    def __init__(self, backend: Backend, multiple: int = 1) -> None:
        if multiple < 1:
            raise ValueError(f"multiple: expected 1 sample or more, got {multiple}")
        self.backend, self.multiple = backend, multiple
        self.reset()

    @property
    def delay_samples(self) -> int:
        """Output sample n is the estimate of input sample n - ``delay_samples``; the first ones are zero."""
        block = self.backend.block_samples
        return self.backend.delay_samples + block - math.gcd(self.multiple, block)

    @property
    def latency_samples(self) -> int:
        """Samples from the arrival of a sample to its estimate, the wait for the rest of a smallest push included.

        The algorithmic latency of the network (its block and its delay) where ``multiple`` divides its block.
        """
        return self.delay_samples + self.multiple

    def reset(self) -> None:
        """Begins a new stream: forgets all that was heard and counted."""
        self.n_blocks = self.n_muted_blocks = 0
        self._state = self.backend.start()
        self._coming, self._n_coming = self._empty_block(), 0  # input that fills no block yet
        self._ready = np.zeros(self.delay_samples - self.backend.delay_samples, np.float32)  # output that waits
        self._n_early = self.backend.delay_samples  # samples to come that are estimates of what was before the stream
        self._ended = False

    def push(self, block: np.ndarray) -> np.ndarray:
        """Takes the next samples and returns as many.

        Args:
            block: (n_mics, n_samples) of floating-point numbers: all microphones of the array, or only those that the
                network hears, in their order; any number of samples, 0 too, that is a multiple of ``multiple``.

        Returns:
            (n_samples,) float32.

        Raises:
            ValueError: another shape or type, or a stream that has ended and was not reset: it was flushed, or the
                network raised an error.
        """
        return self._take(self._heard(block))

    def flush(self) -> np.ndarray:
        """Ends the stream.

        Returns:
            (delay_samples,) float32: the estimates that were still to come.

        Raises:
            ValueError: the stream has ended before.
        """
        self._check_open("flush")
        to_block_end = -(self._n_coming + self.delay_samples) % self.backend.block_samples
        silence = np.zeros((len(self.backend.mics), self.delay_samples + to_block_end), np.float32)
        tail = self._take(silence)[: self.delay_samples]
        self._ended = True
        return tail

    def _heard(self, block: np.ndarray) -> np.ndarray:
        """The channels that the network hears, (len(mics), n_samples) float32."""
        self._check_open("push")
        block = np.asarray(block)
        if block.ndim != 2:
            raise ValueError(f"push: expected (n_mics, n_samples), got {block.shape}")
        check_channels(len(block), self.backend, "push")
        if not np.issubdtype(block.dtype, np.floating):
            raise ValueError(f"push: expected floating-point samples within [-1, 1], got {block.dtype}")
        if block.shape[1] % self.multiple:
            raise ValueError(f"push: expected a multiple of {self.multiple} samples, got {block.shape[1]}")
        heard = heard_channels(block, self.backend)
        with np.errstate(over="ignore"):  # what is too large for 32 bits is infinite, and muted
            return heard.astype(np.float32, copy=False)

    def _take(self, heard: np.ndarray) -> np.ndarray:
        """Fills blocks and runs the network on those that are full."""
        self._ended = True  # should the network raise an error: samples are missing then
        n_samples, first, pieces = heard.shape[1], 0, [self._ready]
        while first < n_samples:
            size = min(self.backend.block_samples - self._n_coming, n_samples - first)
            self._coming[:, self._n_coming : self._n_coming + size] = heard[:, first : first + size]
            first, self._n_coming = first + size, self._n_coming + size
            if self._n_coming == self.backend.block_samples:
                pieces.append(self._enhance(self._coming))
                self._coming, self._n_coming = self._empty_block(), 0  # a new one: the network may keep the other
        joined = np.concatenate(pieces)
        self._ready = joined[n_samples:].copy()  # a view would keep all of it alive
        self._ended = False
        return joined[:n_samples]

    def _enhance(self, block: np.ndarray) -> np.ndarray:
        """The estimate for one block of the network, (block_samples,)."""
        self.n_blocks += 1
        muted = not np.abs(block).max() <= MAX_LEVEL  # no comparison with NaN is true
        estimate, state = self.backend.push(np.zeros_like(block) if muted else block, self._state)
        if np.isfinite(estimate).all():
            self._state = state
        else:
            muted, estimate = True, np.zeros_like(estimate)
        self.n_muted_blocks += muted
        if self._n_early:
            estimate, n_early = estimate.copy(), min(self._n_early, len(estimate))
            estimate[:n_early] = 0
            self._n_early -= n_early
        return estimate

    def _empty_block(self) -> np.ndarray:
        return np.empty((len(self.backend.mics), self.backend.block_samples), np.float32)

    def _check_open(self, what: str) -> None:
        if self._ended:
            raise ValueError(f"{what}: expected a running stream, got one that has ended: reset() begins another")
