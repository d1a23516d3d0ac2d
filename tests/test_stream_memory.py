"""Streams that run for hours: nothing that they hold grows, by torch as by ONNX Runtime (:mod:`test_onnx_backend`)."""

from __future__ import annotations

import mmap
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from arrayse.models import Enhancer, build_enhancer
from arrayse.stream import Streamer
from tests.test_stream import Summing, Waiting, noise, stream_of
from tests.test_streaming import CAUSAL
from tests.tiny import FixedMask, enhancer, network, network_description


def wide_net() -> Enhancer:
    """A network whose states are large beside anything else that a process may take meanwhile."""
    described = network_description("ft_jnf", [3, 1], 1)
    return build_enhancer(**{**described, "net": {**described["net"], "time_hidden": 64}}).eval()


def bytes_of(value: Any) -> int:
    """Bytes that a state keeps alive, also through views of larger arrays."""
    if isinstance(value, Tensor):
        return value.untyped_storage().nbytes()
    if isinstance(value, np.ndarray):
        return bytes_of(value.base) if value.base is not None else value.nbytes
    if isinstance(value, dict):
        return sum(map(bytes_of, value.values()))
    if isinstance(value, (list, tuple)):
        return sum(map(bytes_of, value))
    return 0


def growth(streamer: Streamer, n_pushes: int) -> tuple[int, int]:
    """Bytes that a stream, and this process (0 where it does not tell), hold after ten times as many pushes and not
    after the first ones."""
    block = noise(streamer.backend.block_samples + 1, len(streamer.backend.mics))
    told, held, resident = Path("/proc/self/statm"), list[int](), list[int]()
    for number in range(10 * n_pushes):
        streamer.push(block)
        held.append(bytes_of(list(vars(streamer).values())))
        if number in (n_pushes, 10 * n_pushes - 1) and told.exists():
            resident.append(int(told.read_text().split()[1]) * mmap.PAGESIZE)
    assert 0 < max(held) < 1e6
    return max(held) - max(held[:n_pushes]), (resident or [0])[-1] - (resident or [0])[0]


@CAUSAL
def test_the_state_does_not_grow(kind: str) -> None:
    assert growth(stream_of(network(kind)), 20)[0] == 0


def test_the_process_does_not_grow() -> None:
    """A block has 17 kB of states: kept, they would be 15 MB."""
    assert growth(stream_of(wide_net()), 100)[1] < 4e6


def test_nothing_of_a_long_block_stays() -> None:
    streamer = Streamer(Waiting(4, 6))
    streamer.push(np.ones((2, 99_999), np.float32))
    assert 0 < bytes_of(list(vars(streamer).values())) < 200


def test_memory_is_bounded_over_thousands_of_blocks() -> None:
    """State and waiting samples of a network; Python's own memory with one that has none."""
    net = enhancer(n_fft=8, mics=[0], ref_mic=0)
    net.net = FixedMask([1.0])
    streamer, block, sizes = stream_of(net), noise(5), []
    for _ in range(2000):
        streamer.push(block)
        sizes.append(bytes_of(list(vars(streamer).values())))
    assert max(sizes) == max(sizes[:20]) < 2000
    plain = Streamer(Summing())
    tracemalloc.start()
    try:
        for _ in range(200):
            plain.push(block[:1])
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(2000):
            plain.push(block[:1])
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 2000
