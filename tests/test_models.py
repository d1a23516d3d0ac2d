"""What every network of the table offers: shapes, taps, one level, costs, checkpoints, a training step."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from arrayse.checkpoint import load_enhancer, save_description, save_weights
from arrayse.frontend.features import real_channels
from arrayse.losses import LOSSES
from arrayse.models import GIVEN, NETS, SpectralEnhancer, TimeDomainEnhancer, build_enhancer
from arrayse.objectives import Supervised
from tests.tiny import NETWORKS, batch, network, network_description, waves

HEARD = pytest.mark.parametrize(("mics", "ref_mic"), [([2], 2), ([3, 1, 4], 1)])
EVERY = pytest.mark.parametrize("kind", NETWORKS)
IN_TIME = ["conv_tasnet", "conv_tasnet causal", "dptnet"]


def test_every_network_of_the_table_is_tested() -> None:
    assert {net["name"] for net in NETWORKS.values()} == set(NETS)
    assert [kind for kind in NETWORKS if isinstance(network(kind), TimeDomainEnhancer)] == IN_TIME
    assert all(isinstance(network(kind), SpectralEnhancer) for kind in NETWORKS if kind not in IN_TIME)


@pytest.mark.parametrize("name", NETS)
def test_a_network_has_defaults_for_all_that_is_not_given(name: str) -> None:
    parameters = inspect.signature(NETS[name]).parameters
    needed = {key for key, parameter in parameters.items() if parameter.default is parameter.empty}
    assert needed <= set(GIVEN)
    assert "n_mics" in needed
    assert NETS[name].domain in ("spectrum", "time")


@HEARD
@EVERY
@pytest.mark.parametrize("n_samples", [1, 15, 16, 17, 333])
def test_waves_and_taps_are_as_declared(kind: str, mics: list[int], ref_mic: int, n_samples: int) -> None:
    net = network(kind, mics, ref_mic)
    with torch.no_grad():
        got = net(waves(2, 5, n_samples))
    assert got.wave.shape == (2, n_samples)
    assert got.spec.shape == (2, 1, 33, net.stft.n_frames(n_samples))
    assert (got.wave.dtype, got.spec.dtype) == (torch.float32, torch.complex64)
    assert {tap: feature.shape[1] for tap, feature in got.taps.items()} == net.tap_channels
    assert all(len(feature) == 2 and feature.ndim == 4 for feature in got.taps.values())
    assert torch.equal(got.taps["wave"], got.wave[:, None, None])
    torch.testing.assert_close(got.taps["spec"], real_channels(got.spec))


@EVERY
def test_the_spectrum_of_an_estimate_gives_its_wave(kind: str) -> None:
    net = network(kind)
    with torch.no_grad():
        got = net(waves(2, 5, 333))
    torch.testing.assert_close(net.stft.inverse(got.spec[:, 0], 333), got.wave, rtol=0, atol=1e-6)


@HEARD
@EVERY
def test_an_estimate_follows_the_level_of_the_recording(kind: str, mics: list[int], ref_mic: int) -> None:
    net, wave = network(kind, mics, ref_mic), waves(1, 5, 600)
    with torch.no_grad():
        loud, quiet = net(8 * wave).wave, net(wave).wave
    torch.testing.assert_close(loud, 8 * quiet, rtol=0, atol=1e-5 * float(loud.abs().max()))


@EVERY
def test_a_recording_of_minus_eighty_decibels_is_like_any_other(kind: str) -> None:
    """Noise of 0.1, 60 dB lower."""
    net, wave = network(kind), waves(1, 5, 1600)
    with torch.no_grad():
        loud, quiet = net(wave).wave, net(1e-3 * wave).wave
    assert (1e3 * quiet - loud).norm() < 0.01 * loud.norm()


@EVERY
def test_items_of_a_batch_do_not_know_of_one_another(kind: str) -> None:
    net, wave = network(kind), waves(3, 5, 400)
    with torch.no_grad():
        torch.testing.assert_close(net(wave[1:2]).wave, net(wave).wave[1:2], rtol=0, atol=1e-5)


@EVERY
def test_the_reference_is_the_microphone_that_was_asked_for(kind: str) -> None:
    """Where the others are silent there is still something to estimate; where it is the silent one, there is not.

    Masks of all microphones, added, are another matter.
    """
    net = network(kind, [3, 1, 4], 1)
    alone, without = waves(1, 5, 400), waves(1, 5, 400)
    alone[:, [0, 2, 3, 4]] = 0
    without[:, 1] = 0
    with torch.no_grad():
        assert net(alone).wave.abs().max() > 1e-4
        assert (net(without).wave.abs().max() == 0) == (kind != "ft_jnf several masks")


@HEARD
@EVERY
def test_costs_grow_with_the_length_or_faster(kind: str, mics: list[int], ref_mic: int) -> None:
    """Attention over whole utterances grows with its square."""
    net = network(kind, mics, ref_mic)
    one, two, three = (net.macs(n_samples) for n_samples in (4800, 9600, 14400))
    assert 0 < two - one <= three - two
    assert one >= (two - one) * 0.5
    assert (three - two > two - one) == (kind in ("dptnet", "dpdcrn"))


@pytest.mark.parametrize("kind", IN_TIME)
def test_networks_that_hear_waves_have_no_features(kind: str) -> None:
    name, wrong = NETWORKS[kind]["name"], {**network_description(kind), "features": {"norm": "segment"}}
    with pytest.raises(ValueError, match=f"features: expected none for {name}, which hears waves, got norm"):
        build_enhancer(**wrong)


@HEARD
@EVERY
def test_a_checkpoint_gives_the_same_enhancer(kind: str, mics: list[int], ref_mic: int, tmp_path: Path) -> None:
    net, wave = network(kind, mics, ref_mic), waves(2, 5, 400)
    for name, buffer in net.named_buffers():
        if "running" in name:  # what a training leaves there
            buffer.add_(0.5)
    save_description(tmp_path, network_description(kind, mics, ref_mic))
    save_weights(tmp_path, net)
    again = load_enhancer(tmp_path)
    with torch.no_grad():
        assert torch.equal(again(wave).wave, net(wave).wave)
    np.testing.assert_array_equal(again.enhance(wave[0].numpy(), 16000), net.enhance(wave[0].numpy(), 16000))


@HEARD
@EVERY
@pytest.mark.parametrize("loss", LOSSES)
def test_a_training_step_has_finite_gradients(kind: str, mics: list[int], ref_mic: int, loss: str) -> None:
    """In 16 bits, also with a silent item in the batch; every weight has one, and hardly any is 0."""
    net, scenes = network(kind, mics, ref_mic).train(), batch(n_items=3, n_samples=800)
    scenes.noisy[1] = scenes.target[1] = 0
    with torch.autocast("cpu", torch.bfloat16):
        got = Supervised(net, supervised(loss))(scenes)["loss"]
    assert got.dtype == torch.float32
    got.backward()
    gradients = {name: parameter.grad for name, parameter in net.named_parameters()}
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients.values())
    still = [name for name, gradient in gradients.items() if gradient is not None and not gradient.any()]
    assert len(still) <= len(gradients) / 10, still


@EVERY
def test_masks_and_waves_have_32_bits_under_autocast(kind: str) -> None:
    """16 bits inside a network cost little; in the mask they would leave noise of -48 dB."""
    net, wave = network(kind), waves(2, 5, 800)
    with torch.no_grad():
        exact = net(wave).wave
        with torch.autocast("cpu", torch.bfloat16):
            rounded = net(wave)
    assert {rounded.taps[tap].dtype for tap in ("mask", "encoder_mask", "spec", "wave") if tap in rounded.taps} == {
        torch.float32
    }
    assert (rounded.wave - exact).norm() < 0.1 * exact.norm()


def supervised(name: str) -> nn.Module:
    """A loss with its defaults."""
    loss: Any = LOSSES[name]
    return loss()
