"""The full-band network: size and cost against the sub-band one, streaming, taps, its mask."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from arrayse.models.fullband import FullBandLSTM
from arrayse.models.magnitude_mask import MASK_RANGE, magnitude_mask
from arrayse.models.subband import SubBandLSTM
from arrayse.taps import Taps

CPU = torch.device("cpu")
N_FREQS = 7


def tiny(n_mics: int = 2, n_layers: int = 2, gain: float = 2.0) -> FullBandLSTM:
    """A net with five units that hears the second microphone, its weights enlarged so that its masks vary."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = FullBandLSTM(n_mics, N_FREQS, min(1, n_mics - 1), hidden=5, n_layers=n_layers)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(gain)
    return net


def inputs(n_mics: int = 2, n_frames: int = 12) -> Tensor:
    """Features (2, 2·n_mics, 7 frequencies, frames)."""
    return torch.randn(2, 2 * n_mics, N_FREQS, n_frames, generator=torch.Generator().manual_seed(0))


def masks(net: FullBandLSTM, features: Tensor) -> Tensor:
    """The mask without gradients."""
    with torch.no_grad():
        return net(features, Taps())


def test_it_has_more_parameters_than_the_sub_band_network_and_computes_less() -> None:
    with torch.device("meta"):
        full, sub = FullBandLSTM(1, 257, 0), SubBandLSTM(1, 257, 0, 16000)
    sizes = [sum(parameter.numel() for parameter in net.parameters()) for net in (full, sub)]
    assert sizes == [3_812_097, 1_823_617]
    assert sub.macs(257, 10) / full.macs(257, 10) == pytest.approx(123, abs=1)


@pytest.mark.filterwarnings("ignore:TF32")
@pytest.mark.parametrize("n_layers", [1, 2])
def test_multiply_accumulates_agree_with_a_counter_of_operators(n_layers: int) -> None:
    net, features = tiny(n_layers=n_layers), inputs(n_frames=4)[:1]
    with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
        net(features, Taps())
    assert counter.get_total_flops() == 2 * net.macs(N_FREQS, 4)


def test_the_future_cannot_change_the_past() -> None:
    net, features = tiny(), inputs()
    changed = features.clone()
    changed[..., 7:] = 5.0
    before, after = masks(net, features), masks(net, changed)
    assert (net.causal, net.lookahead_frames) == (True, 0)
    assert torch.equal(before[..., :7], after[..., :7])
    assert not torch.allclose(before[..., 7:], after[..., 7:], rtol=0, atol=1e-3)


@pytest.mark.parametrize("n_frames", [1, 5])
def test_chained_steps_equal_forward(n_frames: int) -> None:
    net, features, pieces = tiny(), inputs(), []
    state = net.initial_state(2, N_FREQS, CPU)
    with torch.no_grad():
        for piece in features.split(n_frames, dim=-1):
            mask, state = net.step(piece, state)
            pieces.append(mask)
    torch.testing.assert_close(torch.cat(pieces, dim=-1), masks(net, features), rtol=0, atol=1e-5)


def test_all_bins_of_all_microphones_come_in_and_all_bins_of_the_reference_go_out() -> None:
    net, features, taps = tiny(), inputs(), Taps()
    net(features, taps)
    magnitude = torch.complex(*features.chunk(2, dim=1)).abs()
    for item in range(2):
        x = torch.stack([magnitude[item, :, :, t].reshape(-1) for t in range(12)])[None]
        for layer in net.net.layers:
            x = layer(x)[0]
        expected = magnitude_mask(net.net.linear(x)[0].T, magnitude[item, 1])
        torch.testing.assert_close(taps["mask"][item, 0], expected, rtol=1e-4, atol=1e-5)
    assert taps["mask"][:, 0].std() > 0.1
    assert taps["mask"][:, 0].min() >= MASK_RANGE[0]
    assert not taps["mask"][:, 1].any()


@pytest.mark.parametrize("n_mics", [1, 3])
@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("n_frames", [1, 4])
def test_taps_are_as_declared(n_mics: int, n_layers: int, n_frames: int) -> None:
    net, taps = tiny(n_mics, n_layers), Taps()
    mask = net(inputs(n_mics, n_frames), taps)
    assert list(taps) == [*(f"mid_{number}" for number in range(1, n_layers + 1)), "mask"]
    assert {name: tap.shape[1] for name, tap in taps.items()} == net.tap_channels
    assert taps["mid_1"].shape == (2, 5, 1, n_frames)
    assert net.output_taps == {"mask": "mask"}
    assert (mask.shape, mask.dtype) == ((2, 1, N_FREQS, n_frames), torch.complex64)
    assert torch.equal(taps["mask"], torch.cat([mask.real, mask.imag], dim=1))


def test_the_mask_is_computed_in_32_bits_under_autocast() -> None:
    net, features, taps = tiny(gain=1.0), inputs(), Taps()
    with torch.autocast("cpu", torch.bfloat16):
        mask = net(features, taps)
    assert (taps["mid_1"].dtype, taps["mask"].dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(mask, net(features, Taps()), rtol=0.05, atol=0.05)
