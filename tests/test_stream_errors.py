"""What streams do with what is no sound, and what they refuse."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from arrayse.stream import MAX_LEVEL, Streamer, TorchBackend
from tests.test_stream import RATE, Summing, noise, stream_of, streamed
from tests.test_streaming import CAUSAL, OTHERS
from tests.tiny import network

# --- what is no sound ---------------------------------------------------------------------------------------


def check_muted(kind: str, bad: float, sizes: list[int]) -> None:
    """A bad sample does what zeros in all its block would do."""
    net, wave = network(kind, [3, 1, 4], 1), noise(320).astype(np.float64)
    block, silenced = net.block_samples, wave.copy()
    first = 100 // block * block
    silenced[:, first : first + block] = 0
    wave[3, 100] = bad
    streamer = stream_of(net)
    got = streamed(streamer, wave, sizes)[streamer.delay_samples :]
    assert streamer.n_muted_blocks == 1
    assert streamer.n_blocks == -(-(320 + streamer.delay_samples) // block)
    np.testing.assert_allclose(got, net.enhance(silenced, RATE), rtol=0, atol=1e-5)


@pytest.mark.parametrize("sizes", [[7], [320]])
@CAUSAL
def test_bad_samples_mute_their_block_and_poison_nothing(kind: str, sizes: list[int]) -> None:
    check_muted(kind, np.nan, sizes)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, 2 * MAX_LEVEL, -2 * MAX_LEVEL, 1e300])
def test_infinite_and_absurdly_loud_samples_are_bad(bad: float) -> None:
    check_muted("ft_jnf", bad, [1])


@CAUSAL
def test_the_loudest_samples_that_are_heard_have_an_estimate(kind: str) -> None:
    streamer, wave = stream_of(network(kind)), noise(160)
    wave[:, 20:40] = 0.9 * MAX_LEVEL
    assert np.isfinite(streamed(streamer, wave, [40])).all()
    assert streamer.n_muted_blocks == 0


def test_microphones_that_are_not_heard_mute_nothing() -> None:
    net, wave = network("ft_jnf", [3, 1, 4], 1), noise(100)
    streamer = stream_of(net)
    expected = streamed(streamer, wave, [20])
    wave[0] = np.nan
    streamer.reset()
    np.testing.assert_array_equal(streamed(streamer, wave, [20]), expected)
    assert streamer.n_muted_blocks == 0


def test_an_estimate_that_is_no_number_is_silenced_and_its_state_forgotten() -> None:
    streamer = Streamer(Summing(), 2)
    got = [streamer.push(np.array([pair], np.float32)).tolist() for pair in ([1, 2], [3, 9], [1, 1], [np.nan, 0])]
    assert got == [[1, 3], [0, 0], [4, 5], [5, 5]]
    assert (streamer.n_blocks, streamer.n_muted_blocks) == (4, 2)


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mics", "n_channels"), [([3, 1], 4), (None, 1), (None, 100)])
def test_wrong_channels_are_told_in_the_words_of_enhance(mics: list[int] | None, n_channels: int) -> None:
    net, words = network("ft_jnf", mics), list[str]()
    for enhance in (stream_of(net).push, lambda wave: net.enhance(wave, RATE)):
        with pytest.raises(ValueError, match=f", got {n_channels}") as error:
            enhance(np.zeros((n_channels, 16), np.float32))
        words.append(str(error.value).split(": ", 1)[1])
    assert words[0] == words[1]


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (np.zeros((4, 16)), "push: expected 5 channels for the array circular, or 2 (its microphones [3, 1]), got 4"),
        (np.zeros((160, 5)), "got 160: is it (n_samples, n_mics)? transpose it"),
        (np.zeros(16), "push: expected (n_mics, n_samples), got (16,)"),
        (np.zeros((1, 5, 16)), "push: expected (n_mics, n_samples), got (1, 5, 16)"),
        (np.zeros((5, 16), np.int16), "push: expected floating-point samples within [-1, 1], got int16"),
        (np.zeros((5, 16), np.complex64), "push: expected floating-point samples within [-1, 1], got complex64"),
        (np.zeros((5, 6)), "push: expected a multiple of 4 samples, got 6"),
    ],
)
def test_blocks_that_are_refused_change_nothing(block: np.ndarray, message: str) -> None:
    net, wave = network("ft_jnf", [3, 1], 1), noise(80)
    streamer = stream_of(net, 4)
    expected = streamed(streamer, wave, [40])
    streamer.reset()
    first = streamer.push(wave[:, :40])
    with pytest.raises(ValueError, match=re.escape(message)):
        streamer.push(block)
    np.testing.assert_array_equal(np.concatenate([first, streamed(streamer, wave[:, 40:], [40])]), expected)


def test_a_stream_that_was_flushed_has_to_be_reset() -> None:
    streamer = stream_of(network("ft_jnf"))
    streamer.flush()
    wanted = r"expected a running stream, got one that has ended: reset\(\) begins another"
    with pytest.raises(ValueError, match=f"push: {wanted}"):
        streamer.push(noise(3))
    with pytest.raises(ValueError, match=f"flush: {wanted}"):
        streamer.flush()
    streamer.reset()
    assert streamer.push(noise(3)).shape == (3,)


def test_a_stream_whose_network_failed_does_not_go_on_with_samples_missing() -> None:
    class Failing(Summing):
        fails = True

        def push(self, wave: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
            if self.fails and wave[0, 0] == 3:
                raise RuntimeError("no memory")
            return super().push(wave, state)

    backend = Failing()
    streamer = Streamer(backend)
    with pytest.raises(RuntimeError, match="no memory"):
        streamer.push(np.array([[1, 2, 3, 4]], np.float32))
    backend.fails = False
    with pytest.raises(ValueError, match="push: expected a running stream, got one that has ended"):
        streamer.push(np.array([[5, 6]], np.float32))
    streamer.reset()
    assert streamer.push(np.array([[1, 2, 3, 4]], np.float32)).shape == (4,)


@pytest.mark.parametrize("kind", OTHERS)
def test_networks_that_are_not_causal_do_not_stream(kind: str) -> None:
    with pytest.raises(ValueError, match="stream: expected a causal network, got one that needs the whole utterance"):
        TorchBackend(network(kind))


def test_a_multiple_is_a_number_of_samples() -> None:
    with pytest.raises(ValueError, match="multiple: expected 1 sample or more, got 0"):
        stream_of(network("ft_jnf"), 0)


def test_networks_run_in_eval_mode_and_without_gradients() -> None:
    net = network("dccrn").train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    stream_of(net).push(noise(200))
    assert not net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_torch_is_not_needed_for_other_backends() -> None:
    code = "import sys, arrayse.stream, arrayse.stream.live; print('torch' in sys.modules)"
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "False"
