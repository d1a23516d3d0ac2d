"""DPDCRN: the published sizes, cost, causality, streaming, taps; its transformer against plain loops."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from arrayse.config import config_root
from arrayse.models.dense_dual_path import DilatedDenseBlock, FrameNorm, GRUTransformer, RowColumnLayer
from arrayse.models.dpdcrn import DPDCRN
from arrayse.taps import Taps

CPU = torch.device("cpu")
N_FREQS = 17


def tiny(causal: bool = True, n_mics: int = 1, gain: float = 1.5, n_freqs: int = N_FREQS, **changes: int) -> DPDCRN:
    """A net of eight channels and two layers that attends to four frames, its weights enlarged so that masks vary."""
    past = {"attention_frames": 4} if causal else {}
    sizes: dict[str, Any] = {"channels": 8, "n_layers": 2, "n_heads": 2, **past, **changes}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = DPDCRN(n_mics, n_freqs, causal=causal, **sizes)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(gain)
    return net


def inputs(n_mics: int = 1, n_batch: int = 2, n_frames: int = 30, n_freqs: int = N_FREQS) -> Tensor:
    """Features (batch, 2·n_mics, n_freqs, frames)."""
    return torch.randn(n_batch, 2 * n_mics, n_freqs, n_frames, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def masks(net: DPDCRN, features: Tensor) -> Tensor:
    """The mask without gradients."""
    return net(features, Taps())


@torch.no_grad()
def stepped(net: DPDCRN, features: Tensor, lengths: list[int]) -> Tensor:
    """Masks of a stream that comes in chunks of these lengths."""
    state, pieces = net.initial_state(len(features), features.shape[2], CPU), []
    for chunk in features.split(lengths, dim=-1):
        mask, state = net.step(chunk, state)
        pieces.append(mask)
    return torch.cat(pieces, dim=-1)


@pytest.mark.parametrize(("name", "count"), [("teacher", 3_218_118), ("student", 595_494), ("causal", 595_494)])
def test_the_named_configs_have_the_published_sizes(name: str, count: int) -> None:
    values = OmegaConf.load(config_root() / "model" / f"dpdcrn_{name}.yaml")
    assert values.model.pop("name") == "dpdcrn"
    net = DPDCRN(len(values.mics), values.stft.n_fft // 2 + 1, **values.model)
    assert sum(parameter.numel() for parameter in net.parameters()) == count
    assert net.causal is (name == "causal")


def test_bins_of_the_published_transform() -> None:
    taps = Taps()
    tiny(n_freqs=257)(inputs(n_batch=1, n_frames=2, n_freqs=257), taps)
    bins = {"encoder_1": 129, "decoder_2": 129, "decoder_3": 257, "mask": 257}
    assert {name: tap.shape[2] for name, tap in taps.items()} == {name: bins.get(name, 64) for name in taps}


@pytest.mark.filterwarnings("ignore:TF32")
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("n_frames", [3, 8, 13])
def test_multiply_accumulates_agree_with_a_counter_of_operators(causal: bool, n_frames: int) -> None:
    net, features = tiny(causal, n_mics=2), inputs(2, n_batch=1, n_frames=n_frames)
    plain = sdpa_kernel(SDPBackend.MATH)  # the counter does not know the fused attention of a CPU
    with torch.backends.mkldnn.flags(enabled=False), plain, FlopCounterMode(display=False) as counter:
        net(features, Taps())
    assert counter.get_total_flops() == 2 * net.macs(N_FREQS, n_frames)


@pytest.mark.parametrize("attention_frames", [1, 4, 100])
def test_the_causal_form_does_not_hear_the_future(attention_frames: int) -> None:
    net, features = tiny(attention_frames=attention_frames), inputs()
    before = masks(net, features)
    for frame in (0, 1, 20, 29):
        changed = features.clone()
        changed[..., frame:] += 1.0
        after = masks(net, changed)
        torch.testing.assert_close(after[..., :frame], before[..., :frame], rtol=0, atol=1e-6)
        assert (after[..., frame] - before[..., frame]).abs().max() > 1e-3


def test_the_published_form_hears_the_future_and_says_so() -> None:
    net, features = tiny(causal=False), inputs()
    changed = features.clone()
    changed[..., 29] += 5.0
    assert (masks(net, changed)[..., 0] - masks(net, features)[..., 0]).abs().max() > 1e-5
    assert (net.causal, net.lookahead_frames) == (False, 0)
    with pytest.raises(ValueError, match="step: expected a causal network, got one that needs the whole utterance"):
        net.step(features, net.initial_state(2, N_FREQS, CPU))


@pytest.mark.parametrize("attention_frames", [1, 4, 100])
@pytest.mark.parametrize("lengths", [[1] * 30, [3] * 10, [1, 7, 2, 14, 1, 5], [30]])
def test_chained_steps_equal_forward(attention_frames: int, lengths: list[int]) -> None:
    net, features = tiny(attention_frames=attention_frames), inputs()
    torch.testing.assert_close(stepped(net, features, lengths), masks(net, features), rtol=0, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 6))
def test_any_chunking_equals_forward(lengths: list[int], attention_frames: int) -> None:
    net, features = tiny(n_layers=1, attention_frames=attention_frames), inputs(n_batch=1, n_frames=sum(lengths))
    torch.testing.assert_close(stepped(net, features, lengths), masks(net, features), rtol=0, atol=1e-5)


@torch.no_grad()
def slow_transformer(net: GRUTransformer, x: Tensor, reach: int | None) -> Tensor:
    """One sequence (position, channel) bin by bin; each position sees all, or ``reach`` up to itself."""

    def norm(layer: Any, v: Tensor) -> Tensor:
        return (v - v.mean()) / torch.sqrt(v.var(correction=0) + layer.eps) * layer.weight + layer.bias

    def gru(inputs: list[Tensor], suffix: str) -> list[Tensor]:
        w_in, w_hid, b_in, b_hid = (
            getattr(net.gru, f"{kind}_l0{suffix}") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        h, out = torch.zeros(net.gru.hidden_size, dtype=x.dtype), []
        for v in inputs:
            r_in, z_in, n_in = (w_in @ v + b_in).chunk(3)
            r_hid, z_hid, n_hid = (w_hid @ h + b_hid).chunk(3)
            z = torch.sigmoid(z_in + z_hid)
            h = (1 - z) * torch.tanh(n_in + torch.sigmoid(r_in + r_hid) * n_hid) + z * h
            out.append(h)
        return out

    length, width = x.shape
    per_head = width // net.attention.n_heads
    queries, keys, values = net.attention.attention_in(torch.stack([norm(net.norm_in, v) for v in x])).chunk(3, -1)
    middle = []
    for t in range(length):
        seen = range(length) if reach is None else range(max(0, t - reach + 1), t + 1)
        heads = []
        for head in range(net.attention.n_heads):
            part = slice(head * per_head, (head + 1) * per_head)
            scores = [math.exp(float(queries[t, part] @ keys[s, part]) / math.sqrt(per_head)) for s in seen]
            heads.append(sum(score * values[s, part] for score, s in zip(scores, seen, strict=True)) / sum(scores))
        middle.append(norm(net.norm_middle, x[t] + net.attention.attention_out(torch.cat(heads))))
    recurrent = gru(middle, "")
    if net.gru.bidirectional:
        back = gru(middle[::-1], "_reverse")[::-1]
        recurrent = [torch.cat(pair) for pair in zip(recurrent, back, strict=True)]
    return torch.stack(
        [norm(net.norm_out, m + net.linear(r.clamp(min=0))) for m, r in zip(middle, recurrent, strict=True)]
    )


@pytest.mark.parametrize("bidirectional", [True, False])
@torch.no_grad()
def test_the_transformer_equals_plain_loops(bidirectional: bool) -> None:
    torch.manual_seed(0)
    net = GRUTransformer(6, 3, bidirectional).double()
    for parameter in net.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    x = torch.randn(2, 11, 6, dtype=torch.float64)
    torch.testing.assert_close(net(x), torch.stack([slow_transformer(net, item, None) for item in x]))
    past, hidden = torch.zeros(2, 3, 12, dtype=x.dtype), torch.zeros(1, 2, 12, dtype=x.dtype)
    if not bidirectional:
        got = net.stream(x, (past, hidden), torch.arange(14) >= 3)[0]
        torch.testing.assert_close(got, torch.stack([slow_transformer(net, item, 4) for item in x]))


@torch.no_grad()
def test_rows_run_along_frequency_and_columns_along_time() -> None:
    torch.manual_seed(0)
    layer = RowColumnLayer(4, 2, causal=True).double()
    x = torch.randn(1, 4, 3, 5, dtype=torch.float64)
    row, column, _ = layer(x, layer.initial_state(x, 9), torch.arange(14) >= 9)
    rows = torch.stack([slow_transformer(layer.row, x[0, :, :, t].T, None) for t in range(5)])  # t f c
    columns = torch.stack([slow_transformer(layer.column, x[0, :, f].T, 10) for f in range(3)])  # f t c
    for got, slow in ((row, rows.permute(2, 1, 0)), (column, columns.permute(2, 0, 1))):
        centred = slow - slow.mean(dim=(0, 1))
        torch.testing.assert_close(got[0], centred / torch.sqrt(centred.square().mean(dim=(0, 1)) + 1e-5))


def test_a_frame_norm_of_one_frame_is_a_group_norm() -> None:
    norm, plain = FrameNorm(6), torch.nn.GroupNorm(1, 6)
    with torch.no_grad():
        for parameter, other in zip(norm.parameters(), plain.parameters(), strict=True):
            other.copy_(parameter.copy_(torch.randn_like(parameter)).flatten())
    x = torch.randn(2, 6, 5, 4)
    torch.testing.assert_close(norm(x), torch.cat([plain(x[..., t : t + 1]) for t in range(4)], dim=-1))


@torch.no_grad()
def test_a_dense_block_reaches_back_fifteen_frames_and_over_four_bins() -> None:
    block, x = DilatedDenseBlock(3, causal=True), torch.randn(1, 3, 12, 30)
    changed = x.clone()
    changed[:, :, 5, 2] += 1.0
    for norm in range(4):
        block.norms[norm] = torch.nn.Identity()
    before, after = (block(signal, block.initial_state(signal))[0] for signal in (x, changed))
    bins, frames = torch.nonzero((before != after).any(dim=1)[0], as_tuple=True)
    assert (bins.min(), bins.max(), frames.min(), frames.max()) == (1, 9, 2, 17)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("n_mics", [1, 2, 5])
def test_one_mask_from_any_number_of_microphones_whose_taps_are_as_declared(causal: bool, n_mics: int) -> None:
    net, taps = tiny(causal, n_mics), Taps()
    mask = net(inputs(n_mics), taps)
    assert mask.shape == (2, 1, N_FREQS, 30)
    assert {name: tap.shape[1] for name, tap in taps.items()} == net.tap_channels
    order = ["encoder_1", "encoder_2", "encoder_3", "mid_1", "mid_2", "decoder_1", "decoder_2", "decoder_3", "mask"]
    assert list(taps) == order
    assert all(tap.shape[0] == 2 and tap.shape[3] == 30 for tap in taps.values())
    torch.testing.assert_close(taps["mask"], torch.cat([mask.real, mask.imag], dim=1))
    assert set(net.output_taps) == {"decoder_3", "mask"}


@pytest.mark.parametrize("gain", [1.0, 1.8])
def test_the_output_gives_the_mask_its_phase_and_by_tanh_its_magnitude(gain: float) -> None:
    net, taps = tiny(gain=gain), Taps()
    mask = net(inputs(), taps)
    output = torch.complex(*taps["decoder_3"].chunk(2, dim=1))
    torch.testing.assert_close(mask, torch.polar(torch.tanh(output.abs()), output.angle()), rtol=0, atol=1e-6)
    assert mask.abs().max() < 1 + 1e-6
    assert bool(output.abs().max() > 3) is (gain == 1.8)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("n_freqs", [9, 65, 129])
def test_other_numbers_of_bins(causal: bool, n_freqs: int) -> None:
    features = inputs(n_freqs=n_freqs, n_frames=2)
    assert masks(tiny(causal, n_freqs=n_freqs), features).shape == (2, 1, n_freqs, 2)


@pytest.mark.parametrize("causal", [True, False])
def test_silence_and_its_gradients_are_finite(causal: bool) -> None:
    net = tiny(causal)
    with torch.no_grad():
        net.decoder_conv_2.weight.zero_()  # a mask of exactly 0 has no phase
        net.decoder_conv_2.bias.zero_()  # type: ignore[union-attr]
    mask = net(torch.zeros(1, 2, N_FREQS, 12), Taps())
    mask.real.sum().backward()
    assert mask.abs().max() == 0
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("causal", [True, False])
def test_under_autocast_gradients_are_finite_and_the_mask_has_32_bits(causal: bool) -> None:
    net, taps = tiny(causal, gain=1.0), Taps()
    with torch.autocast("cpu", torch.bfloat16):
        mask = net(inputs(), taps)
    mask.abs().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert taps["decoder_3"].dtype == torch.float32
    torch.testing.assert_close(mask, net(inputs(), Taps()), rtol=0, atol=0.2)
    if causal:
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(stepped(net, inputs(), [7, 23]), mask, rtol=0, atol=0.1)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"n_freqs": 256}, "n_freqs: expected 9 or more, one more than a multiple of 4, got 256"),
        ({"n_freqs": 5}, "n_freqs: expected 9 or more"),
        ({"channels": 7}, "channels: expected an even number, got 7"),
        ({"n_heads": 3}, "n_heads: expected a divisor of 4, half the channels, got 3"),
        ({"causal": False, "attention_frames": 50}, "attention_frames: expected 100, .* got 50: is causal=true meant"),
    ],
)
def test_what_cannot_be_built_is_refused(changes: dict[str, int], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        tiny(**changes)  # type: ignore[arg-type]
