"""DPTNet: sizes, segments, transformer, cost, what depends on what, taps."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import relu
from torch.utils.flop_counter import FlopCounterMode

from arrayse.models.dptnet import DPTNet
from arrayse.models.dual_path import DualPathLayer, ImprovedTransformer, from_segments, n_segments, to_segments
from arrayse.taps import Taps

CPU = torch.device("cpu")


def tiny(n_mics: int = 1, win_length: int = 4, ref_channel: int = 0, n_layers: int = 2, seed: int = 0) -> DPTNet:
    """A net with five filters and segments of six frames."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DPTNet(
            n_mics, ref_channel, 5, win_length, bottleneck=4, hidden=3, n_layers=n_layers, segment=6, n_heads=2
        )


def waves(n_mics: int = 1, n_batch: int = 2, n_samples: int = 50) -> Tensor:
    """Noise (batch, n_mics, n_samples)."""
    return torch.randn(n_batch, n_mics, n_samples, generator=torch.Generator().manual_seed(1))


def estimate(net: DPTNet, wave: Tensor) -> Tensor:
    """The estimate without gradients."""
    with torch.no_grad():
        return net(wave, Taps())


@pytest.mark.parametrize(
    ("n_mics", "n_layers", "win_length", "expected"),
    [
        (1, 6, 2, 2_830_785),
        (1, 2, 2, 974_785),
        (5, 6, 2, 2_830_785 + 4 * 256 * 2),
        (1, 6, 16, 2_830_785 + 2 * 256 * 14),
    ],
)
def test_published_parameter_count_and_what_changes_it(
    n_mics: int, n_layers: int, win_length: int, expected: int
) -> None:
    net = DPTNet(n_mics, 0, n_layers=n_layers, win_length=win_length)
    assert sum(parameter.numel() for parameter in net.parameters()) == expected


@settings(max_examples=60, deadline=None)
@given(n_frames=st.integers(1, 40), half=st.integers(1, 7))
def test_segments_overlapped_and_added_give_the_sequence_back(n_frames: int, half: int) -> None:
    x = torch.randn(2, n_frames, 3, generator=torch.Generator().manual_seed(n_frames))
    segments = to_segments(x, 2 * half)
    assert segments.shape == (2, n_segments(n_frames, 2 * half), 2 * half, 3)
    assert torch.equal(from_segments(segments, n_frames), x)
    assert torch.equal(segments[:, 1:, :half], segments[:, :-1, half:])
    for t in range(n_frames):  # frame by frame: where half a segment of zeros in front puts it
        first, position = t // half, t % half
        assert torch.equal(segments[:, first, half + position], x[:, t])
    assert torch.equal(segments.count_nonzero(), 2 * x.count_nonzero())


def test_each_frame_is_the_mean_of_both_its_segments() -> None:
    segments = torch.randn(1, 4, 6, 2, generator=torch.Generator().manual_seed(0))
    merged = from_segments(segments, 8)
    for t in range(8):
        mean = (segments[:, t // 3, 3 + t % 3] + segments[:, t // 3 + 1, t % 3]) / 2
        assert torch.equal(merged[:, t], mean)


def slow_attention(layer: ImprovedTransformer, x: Tensor) -> Tensor:
    """Multi-head self-attention of one sequence (position, channel), head by head and position by position."""
    length, n_channels = x.shape
    size = n_channels // layer.n_heads
    query, key, value = (
        x @ w.T + b for w, b in zip(*(p.chunk(3) for p in layer.attention_in.parameters()), strict=True)
    )
    heads = torch.zeros_like(x)
    for h in range(layer.n_heads):
        part = slice(h * size, (h + 1) * size)
        for i in range(length):
            scores = [float(query[i, part] @ key[j, part]) / math.sqrt(size) for j in range(length)]
            weights = [math.exp(score) for score in scores]
            for j in range(length):
                heads[i, part] += weights[j] / sum(weights) * value[j, part]
    return heads @ layer.attention_out.weight.T + layer.attention_out.bias


def slow_lstm(layer: ImprovedTransformer, x: Tensor) -> Tensor:
    """Both directions of the LSTM over one sequence (position, channel), from its equations."""
    outputs = []
    for suffix, steps in (("", range(len(x))), ("_reverse", range(len(x) - 1, -1, -1))):
        w_in, w_rec, b_in, b_rec = (
            getattr(layer.lstm, f"{n}_l0{suffix}") for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        hidden = cell = x.new_zeros(layer.lstm.hidden_size)
        rows: dict[int, Tensor] = {}
        for t in steps:
            i, f, g, o = (w_in @ x[t] + b_in + w_rec @ hidden + b_rec).chunk(4)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            rows[t] = hidden = o.sigmoid() * cell.tanh()
        outputs.append(torch.stack([rows[t] for t in range(len(x))]))
    return torch.cat(outputs, dim=1)


def slow_norm(x: Tensor, norm: torch.nn.LayerNorm) -> Tensor:
    """Zero mean and unit variance over the channels of each position."""
    centred = x - x.mean(1, keepdim=True)
    return centred / (centred.square().mean(1, keepdim=True) + norm.eps).sqrt() * norm.weight + norm.bias


def slow_transformer(layer: ImprovedTransformer, x: Tensor) -> Tensor:
    """One sequence (position, channel)."""
    x = slow_norm(x + slow_attention(layer, x), layer.attention_norm)
    return slow_norm(x + relu(slow_lstm(layer, x)) @ layer.linear.weight.T + layer.linear.bias, layer.norm)


@torch.no_grad()
def test_a_dual_path_layer_equals_loops_within_and_across_segments() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = DualPathLayer(6, hidden=3, n_heads=2).double()
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter))
        x = torch.randn(2, 3, 4, 6, dtype=torch.float64)  # 3 segments of 4 positions
    within = torch.stack([torch.stack([slow_transformer(layer.intra, segment) for segment in item]) for item in x])
    across = [[slow_transformer(layer.inter, item[:, k]) for k in range(4)] for item in within]
    expected = torch.stack([torch.stack(rows, dim=1) for rows in across])
    torch.testing.assert_close(layer(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.filterwarnings("ignore:TF32")
@pytest.mark.parametrize(("n_mics", "win_length", "n_samples"), [(1, 2, 40), (1, 4, 1), (3, 4, 41), (1, 7, 29)])
def test_multiply_accumulates_agree_with_a_counter_of_operators(n_mics: int, win_length: int, n_samples: int) -> None:
    net, wave = tiny(n_mics, win_length), waves(n_mics, n_batch=1, n_samples=n_samples)
    plain = torch.backends.mkldnn.flags(enabled=False)
    with (
        plain,
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):  # fused attention goes uncounted
        net(wave, Taps())
    assert counter.get_total_flops() == 2 * net.macs(n_samples)


def test_it_is_not_causal_and_says_so() -> None:
    net, wave = tiny(), waves()
    changed = wave.clone()
    changed[..., -1] += 3.0
    assert not net.causal
    difference = (estimate(net, changed) - estimate(net, wave)).abs()
    assert difference[:, 0].min() > 1e-6
    with pytest.raises(ValueError, match="causal: expected false for dptnet, which has no causal form, got true"):
        DPTNet(1, 0, causal=True)
    with pytest.raises(ValueError, match="initial_state: expected a causal network, got DPTNet"):
        net.initial_state(2, CPU)
    with pytest.raises(ValueError, match="step: expected a causal network, got DPTNet"):
        net.step(wave, None)


@pytest.mark.parametrize("win_length", [2, 4, 16])
def test_the_hop_is_half_a_window(win_length: int) -> None:
    net, taps = tiny(win_length=win_length), Taps()
    net(waves(n_samples=64), taps)
    assert net.block_samples == win_length // 2
    assert taps["encoder_1"].shape[-1] == 64 // net.block_samples + 1
    assert net.delay_samples == 0


@pytest.mark.parametrize("n_samples", [1, 2, 3, 11, 12, 13, 50])
def test_any_length_and_items_of_a_batch_do_not_mix(n_samples: int) -> None:
    net, wave = tiny(), waves(n_batch=3, n_samples=n_samples)
    got = estimate(net, wave)
    assert got.shape == (3, n_samples)
    torch.testing.assert_close(got, torch.cat([estimate(net, item[None]) for item in wave]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("n_mics", [1, 3])
def test_the_estimate_follows_the_level_of_the_input(n_mics: int) -> None:
    net, wave = tiny(n_mics).double(), waves(n_mics).double()
    for gain in (0.01, 2.0, 100.0):
        expected = gain * estimate(net, wave)
        torch.testing.assert_close(
            estimate(net, gain * wave), expected, rtol=0, atol=1e-3 * float(expected.abs().max())
        )


def test_with_a_mask_of_one_the_decoder_can_give_the_reference_back() -> None:
    net, wave = tiny(n_mics=3, win_length=2, ref_channel=1), waves(3)
    net._mask = lambda encoding, taps: torch.ones_like(encoding)  # type: ignore[method-assign]
    with torch.no_grad():
        net.analysis.conv.weight[:2, 1, :] = torch.tensor([[0.0, 1.0], [0.0, -1.0]])  # both signs of the last sample
        net.synthesis.linear.weight.zero_()[1, :2] = torch.tensor([1.0, -1.0])
    torch.testing.assert_close(estimate(net, wave), wave[:, 1])


@pytest.mark.parametrize("n_mics", [2, 3])
def test_every_microphone_shapes_the_mask(n_mics: int) -> None:
    net, wave = tiny(n_mics, ref_channel=1), waves(n_mics)
    for mic in range(n_mics):
        changed = wave.clone()
        changed[:, mic] *= -1
        assert not torch.allclose(estimate(net, changed), estimate(net, wave), rtol=0, atol=1e-4)
    assert not torch.allclose(estimate(tiny(n_mics), wave), estimate(net, wave), rtol=0, atol=1e-4)


@pytest.mark.parametrize("n_mics", [1, 2])
def test_taps_are_as_declared(n_mics: int) -> None:
    net, taps = tiny(n_mics, n_layers=3), Taps()
    got = net(waves(n_mics), taps)  # 26 frames: 9 blocks of 3, 10 segments of 6
    assert list(taps) == ["encoder_1", "mid_1", "mid_2", "mid_3", "encoder_mask"]
    assert {name: tap.shape[1] for name, tap in taps.items()} == net.tap_channels
    assert taps["encoder_1"].shape == taps["encoder_mask"].shape == (2, 5, 1, 26)
    assert all(taps[f"mid_{i}"].shape == (2, 4, 6, 10) for i in (1, 2, 3))
    assert net.output_taps == {}
    assert min(taps["encoder_1"].min(), taps["encoder_mask"].min()) == 0
    last = net.layers[2](taps["mid_2"].permute(0, 3, 2, 1))
    torch.testing.assert_close(taps["mid_3"], last.permute(0, 3, 2, 1))
    if n_mics == 1:
        masked = (taps["encoder_1"] * taps["encoder_mask"])[:, :, 0]
        whole, _ = net.synthesis(masked, net.synthesis.initial_state(2, CPU))
        torch.testing.assert_close(got, whole[:, 2:52])


@pytest.mark.parametrize("n_mics", [1, 2])
def test_training_under_autocast_is_finite_and_its_ends_are_in_32_bits(n_mics: int) -> None:
    net, taps = tiny(n_mics), Taps()
    wave = waves(n_mics)
    with torch.autocast("cpu", torch.bfloat16):
        got = net(wave, taps)
    assert got.dtype == taps["encoder_1"].dtype == taps["encoder_mask"].dtype == torch.float32
    torch.testing.assert_close(got, estimate(net, wave), rtol=0, atol=0.05)
    assert not torch.allclose(got, estimate(net, wave), rtol=0, atol=1e-6)
    got.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.layers.parameters())


def test_silence_stays_silent_and_trains() -> None:
    net = tiny()
    wave = torch.cat([waves(), torch.zeros(1, 1, 50)])
    got = net(wave, Taps())
    assert torch.equal(got[2], torch.zeros(50))
    got.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_what_cannot_be_built_or_heard_is_refused() -> None:
    with pytest.raises(ValueError, match="segment: expected an even number of frames, got 5"):
        DPTNet(1, 0, segment=5)
    with pytest.raises(ValueError, match="n_heads: expected a divisor of the 64 channels, got 5"):
        DPTNet(1, 0, n_heads=5)
    with pytest.raises(ValueError, match=r"wave: expected \(batch, 2 microphones, n_samples\), got \(2, 3, "):
        tiny(2)(waves(3), Taps())
    with pytest.raises(ValueError, match="wave: expected at least 1 sample, got 0"):
        tiny()(waves(n_samples=0), Taps())
