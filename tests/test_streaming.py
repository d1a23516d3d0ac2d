"""Every network on a stream: pieces equal the whole, and the latency is what is promised, to the sample."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from arrayse.models import NETS, Enhancer, build_enhancer
from arrayse.models import enhancer as module
from tests.tiny import NETWORKS, network, network_description, waves

RATE = 16000
HEARD = pytest.mark.parametrize(("mics", "ref_mic"), [([2], 2), ([3, 1, 4], 1)])
STREAMS = [kind for kind in NETWORKS if network(kind).causal]
OTHERS = [kind for kind in NETWORKS if kind not in STREAMS]
EVERY = pytest.mark.parametrize("kind", NETWORKS)
CAUSAL = pytest.mark.parametrize("kind", STREAMS)

SPECTRAL = pytest.mark.parametrize("kind", [kind for kind in STREAMS if NETS[NETWORKS[kind]["name"]].domain != "time"])
SLANTED = {"n_fft": 64, "win_length": 60, "hop_length": 8, "window": "asymmetric", "synthesis_length": 24}


def slanted(kind: str, mics: list[int], ref_mic: int) -> Enhancer:
    """The network with its weights behind asymmetric windows."""
    built = build_enhancer(**{**network_description(kind, mics, ref_mic), "stft": SLANTED})
    built.load_state_dict(network(kind, mics, ref_mic).state_dict())
    return built.eval()


def streamed(net: Enhancer, wave: Tensor, sizes: list[int]) -> Tensor:
    """Pieces of so many blocks, the last size again and again, until every sample of the wave has come out."""
    block, n_samples = net.block_samples, wave.shape[-1]
    n_blocks = -(-(n_samples + net.delay_samples) // block)
    heard = torch.nn.functional.pad(wave[:, net.mics], (0, n_blocks * block - n_samples))
    state, pieces, first = net.initial_state(len(wave)), [], 0
    with torch.no_grad():
        while first < n_blocks:
            size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
            piece, state = net.push(heard[..., first * block : (first + size) * block], state)
            pieces.append(piece)
            first += size
    return torch.cat(pieces, dim=-1)[:, net.delay_samples :][:, :n_samples]


def test_which_networks_stream() -> None:
    assert {NETWORKS[kind]["name"] for kind in NETWORKS} == set(NETS)
    assert OTHERS == ["ft_jnf both ways", "conv_tasnet", "dptnet", "dpdcrn"]


@HEARD
@CAUSAL
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6), n_samples=st.integers(1, 500))
@settings(max_examples=8)
def test_pushed_blocks_of_any_size_equal_forward(
    kind: str, mics: list[int], ref_mic: int, sizes: list[int], n_samples: int
) -> None:
    net, wave = network(kind, mics, ref_mic), waves(2, 5, n_samples)
    with torch.no_grad():
        expected = net(wave).wave
    torch.testing.assert_close(streamed(net, wave, sizes), expected, rtol=0, atol=1e-5)


@HEARD
@SPECTRAL
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6), n_samples=st.integers(1, 500))
@settings(max_examples=4)
def test_streams_through_asymmetric_windows_equal_forward(
    kind: str, mics: list[int], ref_mic: int, sizes: list[int], n_samples: int
) -> None:
    net, wave = slanted(kind, mics, ref_mic), waves(2, 5, n_samples)
    with torch.no_grad():
        expected = net(wave).wave
    torch.testing.assert_close(streamed(net, wave, sizes), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(net.enhance(wave[1].numpy(), RATE), expected[1].numpy(), rtol=0, atol=1e-5)


@HEARD
@EVERY
@pytest.mark.parametrize("n_samples", [1, 700])
def test_enhance_equals_forward(
    kind: str, mics: list[int], ref_mic: int, n_samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams in pieces of 10 ms; the others at once."""
    net, wave = network(kind, mics, ref_mic), waves(1, 5, n_samples)
    if net.causal:
        monkeypatch.setattr(module, "CHUNK_SECONDS", 0.01)
    with torch.no_grad():
        expected = net(wave).wave[0].numpy()
    np.testing.assert_allclose(net.train().enhance(wave[0].numpy(), RATE), expected, rtol=0, atol=1e-5)
    assert net.training


@HEARD
@CAUSAL
def test_the_latency_is_exact(kind: str, mics: list[int], ref_mic: int) -> None:
    """A sample changes no output ``latency_samples`` before it, and one of a block what comes right after that.

    Windows begin with weights near 0, which hide the first two samples.
    """
    assert_latency(network(kind, mics, ref_mic))


@HEARD
@SPECTRAL
def test_the_latency_of_asymmetric_windows_is_what_they_give_back(kind: str, mics: list[int], ref_mic: int) -> None:
    net = slanted(kind, mics, ref_mic)
    assert net.latency_samples == 24 + 8 * net.net.lookahead_frames
    assert_latency(net)


def assert_latency(net: Enhancer) -> None:
    places = torch.arange(480, 480 + 16)
    wave = waves(1, 5, 960).repeat(len(places) + 1, 1, 1)
    wave[torch.arange(len(places)), :, places] += 10.0
    with torch.no_grad():
        got = net(wave).wave
    first = (got[:-1] - got[-1:]).abs().gt(1e-6).int().argmax(dim=1)
    assert -net.latency_samples < (first - places).min() <= -net.latency_samples + 3


@pytest.mark.parametrize("kind", OTHERS)
def test_networks_that_are_not_causal_see_the_end_of_an_utterance_at_its_start(kind: str) -> None:
    net, wave = network(kind), waves(1, 5, 400).repeat(2, 1, 1)
    wave[1, :, 390] += 10.0
    with torch.no_grad():
        before, after = net(wave).wave[:, :200]
    assert (after - before).abs().max() > 1e-5


@pytest.mark.parametrize("kind", OTHERS)
def test_networks_that_are_not_causal_refuse_streams(kind: str) -> None:
    net = network(kind)
    with pytest.raises(ValueError, match="expected a causal "):
        net.push(waves(1, 5, 4 * net.block_samples), net.initial_state())


@CAUSAL
def test_streams_come_in_whole_blocks(kind: str) -> None:
    net = network(kind)
    for n_samples in (0, 1, net.block_samples - 1, net.block_samples + 1):
        wanted = rf"push: expected a positive multiple of {net.block_samples} samples, got {n_samples}"
        with pytest.raises(ValueError, match=wanted):
            net.push(waves(1, 5, n_samples), net.initial_state())


@HEARD
@CAUSAL
def test_streams_have_the_microphones_that_the_network_hears(kind: str, mics: list[int], ref_mic: int) -> None:
    """Not those of the array, and with a batch axis."""
    net = network(kind, mics, ref_mic)
    n_samples = 4 * net.block_samples
    for shape in ((1, 5, n_samples), (1, len(mics) + 1, n_samples), (len(mics), n_samples)):
        got = re.escape(f"push: expected (batch, {len(mics)}, n_samples), got {shape}")
        with pytest.raises(ValueError, match=got):
            net.push(waves(*shape), net.initial_state())


@HEARD
@EVERY
def test_a_network_says_whether_it_streams_and_how_late_it_is(kind: str, mics: list[int], ref_mic: int) -> None:
    net = network(kind, mics, ref_mic)
    n_parameters = sum(parameter.numel() for parameter in net.parameters())
    milliseconds = f"{net.latency_samples / 16:g} ms"
    causal = f"causal with {milliseconds} of latency" if kind in STREAMS else "not causal"
    where = f"hears microphones {mics}, estimates speech at {ref_mic}"
    assert net.describe() == f"{n_parameters:,} parameters, {causal}, {where}"


def test_the_latency_of_a_window_is_told_in_milliseconds() -> None:
    assert ", causal with 3 ms of latency, " in network("ft_jnf").describe()  # 48 samples at 16 kHz
    assert ", causal with 5 ms of latency, " in network("dccrn").describe()  # and two frames of 16


@CAUSAL
def test_a_state_is_not_changed_by_what_comes_after_it(kind: str) -> None:
    """So a stream can be taken up again from any state."""
    net, wave = network(kind), waves(2, 5, 8 * 16)
    with torch.no_grad():
        _, state = net.push(wave[..., :64], net.initial_state(2))
        first, _ = net.push(wave[..., 64:], state)
        again, _ = net.push(wave[..., 64:], state)
    assert torch.equal(first, again)
