"""Conv-TasNet: the published sizes, cost, latency, streaming, norms, taps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from arrayse.models.conv_tasnet import EPS, Block, ConvTasNet, CumulativeNorm, GlobalNorm, nothing_seen
from arrayse.taps import Taps

CPU = torch.device("cpu")
KINDS = [("gLN", False), ("cLN", False), ("cLN", True)]
SIZE: dict[str, Any] = {"n_filters": 6, "win_length": 8, "bottleneck": 4, "hidden": 5, "n_blocks": 3, "n_repeats": 2}


def tiny(norm: str = "cLN", causal: bool = True, n_mics: int = 2, ref_channel: int = 0, **size: int) -> ConvTasNet:
    """A net with a few channels, every parameter random, so that no gain is 1 and no offset 0."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = ConvTasNet(n_mics, ref_channel, **{**SIZE, **size}, norm=norm, causal=causal)  # type: ignore[arg-type]
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return net


def noise(*shape: int) -> Tensor:
    """Waves (batch, n_mics, n_samples)."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def estimates(net: ConvTasNet, wave: Tensor) -> Tensor:
    """The estimate without gradients."""
    with torch.no_grad():
        return net(wave, Taps())


@pytest.mark.parametrize("norm", ["gLN", "cLN"])
@pytest.mark.parametrize(
    ("n_filters", "win_length", "bottleneck", "hidden", "n_blocks", "n_repeats", "expected"),
    [
        (256, 20, 256, 512, 8, 4, 8_645_184),
        (512, 16, 128, 512, 8, 3, 3_380_272),
        (128, 40, 128, 256, 7, 2, 985_884),
    ],
)
def test_published_parameter_counts(
    norm: str,
    n_filters: int,
    win_length: int,
    bottleneck: int,
    hidden: int,
    n_blocks: int,
    n_repeats: int,
    expected: int,
) -> None:
    net = ConvTasNet(1, 0, n_filters, win_length, bottleneck, hidden, 3, n_blocks, n_repeats, norm)  # type: ignore[arg-type]
    assert sum(parameter.numel() for parameter in net.parameters()) == expected


@pytest.mark.filterwarnings("ignore:TF32")
@pytest.mark.parametrize(("norm", "causal"), KINDS)
@pytest.mark.parametrize(("n_mics", "n_samples"), [(1, 40), (3, 41), (2, 1)])
def test_multiply_accumulates_agree_with_a_counter_of_operators(
    norm: str, causal: bool, n_mics: int, n_samples: int
) -> None:
    net = tiny(norm, causal, n_mics)
    with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
        net(noise(1, n_mics, n_samples), Taps())
    assert counter.get_total_flops() == 2 * net.macs(n_samples)


@pytest.mark.parametrize("sample", [40, 41, 43, 47])
def test_a_causal_net_sees_just_as_far_ahead_as_it_says(sample: int) -> None:
    net, wave = tiny(), noise(1, 2, 80)
    changed = wave.clone()
    changed[..., sample] += 3.0
    moved = (estimates(net, changed) - estimates(net, wave))[0].abs() > 1e-6
    first = int(moved.nonzero()[0])
    bound = sample - (net.delay_samples + net.block_samples - 1)
    assert bound <= first < bound + net.block_samples
    assert (first == bound) is (sample % net.block_samples == net.block_samples - 1)
    assert (net.block_samples, net.delay_samples) == (4, 4)


@pytest.mark.parametrize("norm", ["gLN", "cLN"])
def test_an_early_sample_of_a_net_that_is_not_causal_depends_on_a_late_one(norm: str) -> None:
    net, wave = tiny(norm, causal=False), noise(1, 2, 80)
    changed = wave.clone()
    changed[..., 70:] *= -3.0
    moved = (estimates(net, changed) - estimates(net, wave))[0].abs() > 1e-6
    assert moved[30:60].all()
    assert bool(moved[:10].any()) is (norm == "gLN")  # 14 frames of the convolutions are 56 samples


@pytest.mark.parametrize("sizes", [[1] * 24, [3] * 8, [1, 5, 2, 13, 3], [24]])
@pytest.mark.parametrize("win_length", [8, 6, 2])
def test_chained_steps_equal_forward(sizes: list[int], win_length: int) -> None:
    net = tiny(win_length=win_length)
    block, delay = net.block_samples, net.delay_samples
    n_samples = 24 * block - delay - block // 2  # the rest of the stream is silence that flushes it
    wave = noise(2, 2, n_samples)
    stream = torch.cat([wave, torch.zeros(2, 2, 24 * block - n_samples)], dim=-1)
    state, pieces = net.initial_state(2, CPU), []
    with torch.no_grad():
        for piece in stream.split([size * block for size in sizes], dim=-1):
            estimate, state = net.step(piece, state)
            assert estimate.shape == (2, piece.shape[-1])
            pieces.append(estimate)
    streamed = torch.cat(pieces, dim=-1)[:, delay : delay + n_samples]
    torch.testing.assert_close(streamed, estimates(net, wave), rtol=0, atol=1e-5)


def test_the_state_of_a_block_does_not_keep_the_piece_it_came_from() -> None:
    block = Block(3, 4, 3, 2, "cLN", causal=True)
    _, (_, past, _) = block(noise(1, 3, 1000), block.initial_state(1, CPU))
    assert past.shape == (1, 4, 4)
    assert past.untyped_storage().nbytes() == 4 * past.numel()


@pytest.mark.parametrize("n_samples", [1, 3, 4, 5, 8, 33])
@pytest.mark.parametrize(("norm", "causal"), KINDS)
def test_as_many_samples_as_given_from_any_number_of_microphones(norm: str, causal: bool, n_samples: int) -> None:
    for n_mics in (1, 3):
        assert estimates(tiny(norm, causal, n_mics), noise(2, n_mics, n_samples)).shape == (2, n_samples)


@pytest.mark.parametrize(("norm", "causal"), KINDS)
def test_items_of_a_batch_do_not_mix(norm: str, causal: bool) -> None:
    net, wave = tiny(norm, causal), noise(3, 2, 50)
    alone = torch.cat([estimates(net, item[None]) for item in wave])
    torch.testing.assert_close(estimates(net, wave), alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("causal", [True, False])
def test_a_norm_over_channels_and_time_agrees_with_a_loop(causal: bool) -> None:
    norm = (CumulativeNorm(4) if causal else GlobalNorm(4)).double()
    gain, offset = norm.parameters()
    x = noise(2, 4, 7).double() + 2
    with torch.no_grad():
        gain.copy_(noise(4))
        offset.copy_(noise(5)[1:])
    want = torch.zeros_like(x)
    for item in range(2):
        for frame in range(7):
            seen = x[item, :, : frame + 1] if causal else x[item]
            mean = sum(float(value) for value in seen.flatten()) / seen.numel()
            variance = sum((float(value) - mean) ** 2 for value in seen.flatten()) / seen.numel()
            want[item, :, frame] = (x[item, :, frame] - mean) / (variance + EPS) ** 0.5 * gain + offset
    torch.testing.assert_close(norm(x, nothing_seen(2, CPU))[0], want, rtol=0, atol=1e-12)


def test_cumulative_statistics_hold_for_days() -> None:
    """After 2³³ frames, where a 32-bit count has long stopped, one more frame still counts as much as any other."""
    norm = CumulativeNorm(2).double()
    old = torch.tensor([2.0**33, 3.0, 9.0 + 0.25], dtype=torch.float64)[:, None, None]
    x = torch.tensor([[[3.5], [2.5]]], dtype=torch.float64)
    _, seen = norm(x, old)
    torch.testing.assert_close(
        seen.flatten(), torch.tensor([2.0**33 + 1, 3.0, 9.25], dtype=torch.float64), rtol=0, atol=1e-14
    )
    _, seen = norm(x + 2.0**20, old)
    want = torch.tensor([2.0**33 + 1, 3.0 + 2.0**20 / (2.0**33 + 1)], dtype=torch.float64)
    torch.testing.assert_close(seen[:2].flatten(), want, rtol=0, atol=1e-14)


def test_a_block_that_is_not_causal_sees_as_far_back_as_ahead() -> None:
    block = Block(3, 4, 3, 4, "cLN", causal=False)
    assert (block.n_past, block.n_future) == (4, 4)
    block = Block(3, 4, 3, 4, "cLN", causal=True)
    assert (block.n_past, block.n_future) == (8, 0)


def test_the_mask_multiplies_the_part_of_the_reference_microphone() -> None:
    net, wave, taps = tiny(n_mics=3, ref_channel=2), noise(2, 3, 36), Taps()
    with torch.no_grad():
        got = net(wave, taps)
        net.analysis.conv.weight[:, :2] = 0  # the mask is kept, the other microphones are not heard any more
        alone = Taps()
        net(wave, alone)
        masked = taps["encoder_mask"] * alone["encoder_1"]
        want, _ = net.synthesis(masked[:, :, 0], net.synthesis.initial_state(2, CPU))
    torch.testing.assert_close(got, want[:, net.delay_samples :][:, :36], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("norm", "causal"), KINDS)
def test_taps_are_as_declared(norm: str, causal: bool) -> None:
    net, taps = tiny(norm, causal), Taps()
    net(noise(2, 2, 50), taps)
    assert {name: tap.shape[1] for name, tap in taps.items()} == net.tap_channels
    assert list(taps) == ["encoder_1", "mid_1", "mid_2", "encoder_mask"]
    assert all(tap.shape[0] == 2 and tap.shape[2:] == (1, net.analysis.n_frames(50)) for tap in taps.values())
    mask = taps["encoder_mask"]
    torch.testing.assert_close(mask, torch.sigmoid(net.mask(taps["mid_2"][:, :, 0]))[:, :, None])
    assert net.output_taps == {}


@pytest.mark.parametrize(("norm", "causal"), KINDS)
def test_16_bits_forward_and_backward_are_finite_and_near(norm: str, causal: bool) -> None:
    net, wave, taps = tiny(norm, causal), noise(2, 2, 200), Taps()
    with torch.autocast("cpu", torch.bfloat16):
        estimate = net(wave, taps)
    assert taps["encoder_1"].dtype == taps["encoder_mask"].dtype == estimate.dtype == torch.float32
    assert taps["mid_2"].dtype == torch.bfloat16
    torch.testing.assert_close(estimate, estimates(net, wave), rtol=0, atol=0.2)
    estimate.square().mean().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in net.parameters() if parameter.grad is not None)


@pytest.mark.parametrize(("norm", "causal"), KINDS)
@pytest.mark.parametrize("first_sound", [300, 200])
def test_silence_gives_silence_and_finite_gradients(norm: str, causal: bool, first_sound: int) -> None:
    """Of a new net, whose offsets are 0: each of its norms of silence would amplify gradients by 10⁴."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = ConvTasNet(1, 0, **{**SIZE, "n_blocks": 8}, norm=norm, causal=causal)  # type: ignore[arg-type]
    wave = noise(2, 1, 300)
    wave[..., :first_sound] = 0
    estimate = net(wave, Taps())
    assert torch.isfinite(estimate).all()
    assert not estimate[:, : first_sound - net.delay_samples - net.block_samples].any()
    estimate.sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in net.parameters() if parameter.grad is not None)


@pytest.mark.parametrize(("norm", "causal"), KINDS)
@pytest.mark.parametrize("n_mics", [1, 3])
def test_a_quiet_recording_has_the_estimate_of_a_loud_one(norm: str, causal: bool, n_mics: int) -> None:
    """At -20 dB and at -80 dB of full scale, as the net was drawn."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = ConvTasNet(n_mics, 0, **SIZE, norm=norm, causal=causal)  # type: ignore[arg-type]
    wave = 0.1 * noise(2, n_mics, 400)
    loud, quiet = estimates(net, wave), estimates(net, 1e-3 * wave)
    assert (1e3 * quiet - loud).norm() < 0.01 * loud.norm()
    assert loud.norm() > 0.01 * wave[:, 0].norm()
    assert torch.isfinite(estimates(net, 1e-9 * wave)).all()


def test_what_cannot_be_built_or_streamed_is_refused() -> None:
    with pytest.raises(ValueError, match="norm: expected cLN for a causal network, got gLN"):
        ConvTasNet(1, 0, norm="gLN", causal=True)
    with pytest.raises(ValueError, match="norm: expected one of gLN, cLN, got BN"):
        ConvTasNet(1, 0, norm="BN")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="win_length: expected an even number of samples, got 15"):
        ConvTasNet(1, 0, win_length=15)
    with pytest.raises(ValueError, match="ref_channel: expected one of 2 microphones from 0, got 2"):
        ConvTasNet(2, 2)
    for norm in ("gLN", "cLN"):
        net = tiny(norm, causal=False)
        with pytest.raises(ValueError, match="step: expected a causal network"):
            net.step(noise(2, 2, 8), net.initial_state(2, CPU))


def test_waves_that_do_not_fit_are_refused() -> None:
    net = tiny()
    with pytest.raises(ValueError, match="wave: expected a positive multiple of 4 samples, got 7"):
        net.step(noise(2, 2, 7), net.initial_state(2, CPU))
    with pytest.raises(ValueError, match="wave: expected at least 1 sample, got 0"):
        net(noise(2, 2, 0), Taps())
    with pytest.raises(ValueError, match=r"wave: expected \(batch, 2 microphones, n_samples\), got \(2, 3, 8\)"):
        net(noise(2, 3, 8), Taps())
