"""Streams through networks: any blocks give what the whole gives, the latency is the one declared, memory stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.geometry import linear
from arrayse.models import Enhancer
from arrayse.stream import Streamer, TorchBackend
from tests.test_streaming import CAUSAL, HEARD
from tests.tiny import enhancer, network, waves

RATE = 16000


def streamed(streamer: Streamer, wave: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """All that comes out of a stream, the tail too; pushes of so many samples, the last size again and again."""
    pieces, first, left = [], 0, list(sizes)
    while first < wave.shape[1]:
        size = left.pop(0) if len(left) > 1 else max(left[0], 1)
        piece = streamer.push(wave[:, first : first + size])
        assert piece.dtype == np.float32
        assert len(piece) == min(size, wave.shape[1] - first)
        pieces.append(piece)
        first += size
    return np.concatenate([*pieces, streamer.flush()])


def noise(n_samples: int, n_mics: int = 5, seed: int = 0) -> np.ndarray:
    wave: np.ndarray = waves(n_mics, n_samples, seed=seed).numpy()
    return wave


class Summing:
    """A network of one sample that adds up all that it hears; beyond 10 it has no number."""

    sample_rate, geometry, mics, block_samples, delay_samples = RATE, linear(1), [0], 2, 0

    def start(self) -> float:
        return 0.0

    def push(self, wave: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        sums = state + wave[0].cumsum()
        return np.where(sums < 10, sums, np.nan).astype(np.float32), float(sums[-1])


class Waiting:
    """A delay line for any block and delay, which keeps the blocks that it is given."""

    sample_rate, geometry, mics = RATE, linear(2), [1]

    def __init__(self, block_samples: int, delay_samples: int) -> None:
        self.block_samples, self.delay_samples = block_samples, delay_samples

    def start(self) -> list[np.ndarray]:
        return [np.zeros((1, self.block_samples), np.float32)] * -(-self.delay_samples // self.block_samples)

    def push(self, wave: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        heard, size = [*state, wave], self.block_samples + self.delay_samples
        return np.concatenate(heard, axis=1)[0, -size:][: self.block_samples], heard[1:]


def stream_of(net: Enhancer, multiple: int = 1) -> Streamer:
    return Streamer(TorchBackend(net), multiple)


def passing_net() -> Enhancer:
    """A network whose mask is 1: the estimate is the reference microphone."""
    net = enhancer(n_fft=64, mics=[3, 1], ref_mic=1).eval()
    with torch.no_grad():
        net.net.linear.weight.zero_()
        net.net.linear.bias.copy_(torch.tensor([1.0, 0.0]))
    return net


# --- the same as the whole ----------------------------------------------------------------------------------


@given(
    block=st.integers(1, 12),
    delay=st.integers(0, 30),
    multiple=st.integers(1, 15),
    counts=st.lists(st.integers(0, 4), min_size=1, max_size=9),
)
@settings(max_examples=200)
def test_a_stream_is_late_by_exactly_what_it_says(block: int, delay: int, multiple: int, counts: list[int]) -> None:
    """And in no other way is it less late: where it waited a sample less, some push would have nothing to return."""
    streamer = Streamer(Waiting(block, delay), multiple)
    wave = np.arange(1, 2 * multiple * (sum(counts) + 1) + 1, dtype=np.float32).reshape(2, -1)
    got = streamed(streamer, wave, [multiple * max(count, 1) for count in counts])
    np.testing.assert_array_equal(got, np.pad(wave[1], (streamer.delay_samples, 0)))
    fill = [(number * multiple) % block for number in range(block)]
    assert streamer.delay_samples == delay + max(fill)


@HEARD
@CAUSAL
@given(sizes=st.lists(st.integers(0, 70), min_size=1, max_size=8), n_samples=st.integers(1, 400))
@settings(max_examples=4)
def test_blocks_of_any_size_give_what_enhance_gives(
    kind: str, mics: list[int], ref_mic: int, sizes: list[int], n_samples: int
) -> None:
    net, wave = network(kind, mics, ref_mic), noise(n_samples)
    streamer = stream_of(net)
    got = streamed(streamer, wave, sizes)
    assert len(got) == n_samples + streamer.delay_samples
    assert not got[: streamer.delay_samples].any()
    np.testing.assert_allclose(got[streamer.delay_samples :], net.enhance(wave, RATE), rtol=0, atol=1e-5)


@CAUSAL
@given(multiple=st.integers(1, 50), counts=st.lists(st.integers(0, 5), min_size=1, max_size=5))
@settings(max_examples=4)
def test_blocks_that_are_multiples_give_what_enhance_gives(kind: str, multiple: int, counts: list[int]) -> None:
    net, wave = network(kind, [3, 1, 4], 1), noise(7 * multiple)
    streamer = stream_of(net, multiple)
    got = streamed(streamer, wave, [multiple * max(count, 1) for count in counts])
    np.testing.assert_allclose(got[streamer.delay_samples :], net.enhance(wave, RATE), rtol=0, atol=1e-5)


def test_the_microphones_that_are_heard_are_enough() -> None:
    net, wave = network("ft_jnf", [3, 1, 4], 1), noise(200)
    np.testing.assert_array_equal(streamed(stream_of(net), wave, [30]), streamed(stream_of(net), wave[[3, 1, 4]], [30]))


def test_all_microphones_in_another_order_are_those_of_the_array() -> None:
    """Where an array has as many microphones as are heard, blocks have the order of the array."""
    net, wave = network("ft_jnf", [4, 3, 2, 1, 0], 1), noise(200)
    got = streamed(stream_of(net), wave, [30])
    np.testing.assert_allclose(got[47:], net.enhance(wave, RATE), rtol=0, atol=1e-5)


def test_a_stream_without_samples_has_a_silent_tail() -> None:
    streamer = stream_of(network("fullband"))
    assert streamer.push(np.zeros((5, 0), np.float32)).shape == (0,)
    np.testing.assert_array_equal(streamer.flush(), np.zeros(streamer.delay_samples))


def test_double_precision_and_reversed_arrays_are_taken() -> None:
    net, wave = network("ft_jnf"), noise(200)
    got = streamed(stream_of(net), wave[:, ::-1].astype(np.float64), [30])
    np.testing.assert_array_equal(got, streamed(stream_of(net), np.ascontiguousarray(wave[:, ::-1]), [30]))


def test_a_buffer_can_be_used_again_for_the_next_block() -> None:
    net, wave = network("conv_tasnet causal"), noise(240)
    streamer, buffer, pieces = stream_of(net, 8), np.empty((5, 8), np.float32), []
    for first in range(0, 240, 8):
        buffer[:] = wave[:, first : first + 8]
        pieces.append(streamer.push(buffer))
        buffer.fill(np.nan)
    got = np.concatenate([*pieces, streamer.flush()])
    np.testing.assert_array_equal(got, streamed(stream_of(net, 8), wave, [8]))


def test_several_streams_through_one_network_do_not_know_of_each_other() -> None:
    backend, first, second = TorchBackend(network("dccrn")), noise(300), noise(300, seed=1)
    alone = [streamed(Streamer(backend), wave, [30]) for wave in (first, second)]
    streamers = Streamer(backend), Streamer(backend, 10)
    pieces: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for start in range(0, 300, 30):
        for streamer, wave, out in zip(streamers, (first, second), pieces, strict=True):
            out.append(streamer.push(wave[:, start : start + 30]))
    for streamer, out, expected in zip(streamers, pieces, alone, strict=True):
        got = np.concatenate([*out, streamer.flush()])[streamer.delay_samples :]
        np.testing.assert_array_equal(got, expected[-300:])


def test_reset_begins_a_new_stream() -> None:
    streamer, wave = stream_of(network("dpdcrn causal")), noise(300)
    first = streamed(streamer, wave, [50])
    streamer.reset()
    streamer.push(np.full((5, 70), np.nan))
    assert (streamer.n_blocks, streamer.n_muted_blocks) == (4, 4)
    streamer.reset()
    assert (streamer.n_blocks, streamer.n_muted_blocks) == (0, 0)
    np.testing.assert_array_equal(streamed(streamer, wave, [50]), first)


# --- latency ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("multiple", "delay"), [(1, 63), (2, 62), (8, 56), (12, 60), (16, 48), (32, 32), (64, 32)])
def test_an_impulse_comes_out_after_the_declared_delay(multiple: int, delay: int) -> None:
    """Frames of 64 samples every 32; the network takes 32 and is 32 late."""
    streamer = stream_of(passing_net(), multiple)
    assert (streamer.delay_samples, streamer.latency_samples) == (delay, delay + multiple)
    for place in range(80, 80 + 40):
        streamer.reset()
        wave = np.zeros((5, 192), np.float32)
        wave[:, place] = 1.0
        got = streamed(streamer, wave, [multiple])
        assert got.argmax() == place + delay
        np.testing.assert_allclose(got[place + delay], 1, atol=1e-6)
        assert np.abs(np.delete(got, place + delay)).max() < 1e-6


@CAUSAL
def test_single_samples_wait_for_the_algorithmic_latency_and_no_longer(kind: str) -> None:
    """In the push that brings a sample there is, for one sample of a block, something that depends on it.

    Windows begin with weights near 0, which hide the first two samples.
    """
    net = network(kind, [2], 2)
    streamer = stream_of(net)
    assert streamer.latency_samples == net.latency_samples == streamer.delay_samples + 1
    plain, late = streamed(streamer, noise(112), [1]), []
    for place in range(80, 80 + net.block_samples):
        wave = noise(112)
        wave[:, place] += 10
        streamer.reset()
        late.append(int((np.abs(streamed(streamer, wave, [1]) - plain) > 1e-6).argmax()) - place)
    assert 0 <= min(late) <= 2


@pytest.mark.parametrize("multiple", [1, 2, 4, 8, 16])
def test_the_latency_is_that_of_the_network_where_pushes_divide_its_block(multiple: int) -> None:
    net = network("dccrn")
    assert stream_of(net, multiple).latency_samples == net.latency_samples


def test_whole_blocks_are_not_kept_back() -> None:
    net = network("dccrn")
    assert stream_of(net, 16).delay_samples == stream_of(net, 48).delay_samples == net.delay_samples
