"""FT-JNF: the published sizes, cost, causality, streaming, taps."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from arrayse.models.ft_jnf import FTJNF, MASK_LIMIT, deal_out, stack_bins
from arrayse.taps import Taps

CPU = torch.device("cpu")
KINDS = [("tesch", True), ("tesch", False), ("metzger", True)]
FOLDS = [(None, None), (2, None), (2, 2)]
"""Of frequency and time; the 7 bins of the inputs make 4 bands."""
FRAMES_PER_SECOND, N_FREQS = 16000 / 256, 257


def tiny(
    preset: str = "tesch",
    causal: bool = True,
    n_mics: int = 2,
    gain: float = 2.0,
    folds: tuple[int | None, int | None] = (None, None),
) -> FTJNF:
    """A net with six and four units, its weights enlarged so that its masks vary."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = FTJNF(n_mics, preset, 6, 4, causal, *folds)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(gain)
    return net


def inputs(n_mics: int = 2, n_batch: int = 2, n_frames: int = 30) -> Tensor:
    """Features (batch, 2·n_mics, 7 frequencies, frames)."""
    return torch.randn(n_batch, 2 * n_mics, 7, n_frames, generator=torch.Generator().manual_seed(0))


def masks(net: FTJNF, features: Tensor) -> Tensor:
    """The mask without gradients."""
    with torch.no_grad():
        return net(features, Taps())


@pytest.mark.parametrize(
    ("preset", "n_mics", "freq_hidden", "time_hidden", "causal", "expected"),
    [
        ("metzger", 5, 512, 128, True, 1_403_146),
        ("metzger", 5, 256, 64, True, 357_514),
        ("metzger", 5, 128, 32, True, 92_746),
        ("metzger", 5, 88, 40, True, 56_410),
        ("metzger", 5, 80, 32, True, 44_362),
        ("metzger", 5, 64, 16, True, 24_874),
        ("metzger", 5, 48, 8, True, 13_466),
        ("tesch", 5, 512, 128, False, 3_328_514),
        ("tesch", 5, 256, 128, False, 1_206_786),
        ("tesch", 5, 512, 128, True, 2_737_410),
        ("tesch", 5, 256, 128, True, 877_826),
        ("tesch", 3, 256, 128, False, 1_198_594),
    ],
)
def test_published_parameter_counts(
    preset: str, n_mics: int, freq_hidden: int, time_hidden: int, causal: bool, expected: int
) -> None:
    net = FTJNF(n_mics, preset, freq_hidden, time_hidden, causal)  # type: ignore[arg-type]
    assert sum(parameter.numel() for parameter in net.parameters()) == expected


@pytest.mark.parametrize(
    ("preset", "freq_hidden", "time_hidden", "causal", "giga"),
    [
        ("tesch", 256, 128, False, "19.3"),
        ("tesch", 256, 128, True, "14.0"),
        ("metzger", 512, 128, True, "22.46"),
        ("metzger", 256, 64, True, "5.70"),
        ("metzger", 88, 40, True, "0.889"),
    ],
)
def test_published_multiply_accumulates_per_second(
    preset: str, freq_hidden: int, time_hidden: int, causal: bool, giga: str
) -> None:
    net = FTJNF(5, preset, freq_hidden, time_hidden, causal)  # type: ignore[arg-type]
    got = net.macs(N_FREQS, 1) * FRAMES_PER_SECOND / 1e9
    assert f"{got:.{len(giga.split('.')[1])}f}" == giga


@pytest.mark.filterwarnings("ignore:TF32")
@pytest.mark.parametrize("folds", FOLDS)
@pytest.mark.parametrize(("preset", "causal"), KINDS)
def test_multiply_accumulates_agree_with_a_counter_of_operators(
    preset: str, causal: bool, folds: tuple[int | None, int | None]
) -> None:
    net, features = tiny(preset, causal, folds=folds), inputs(n_batch=1, n_frames=5)
    with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
        net(features, Taps())
    assert counter.get_total_flops() == 2 * net.macs(n_freqs=7, n_frames=5)


@pytest.mark.parametrize(("preset", "causal"), KINDS)
def test_the_future_cannot_change_the_past_of_a_causal_net(preset: str, causal: bool) -> None:
    net, features = tiny(preset, causal), inputs()
    changed = features.clone()
    changed[..., 20:] = 5.0
    before, after = masks(net, features), masks(net, changed)
    assert torch.allclose(after[..., :20], before[..., :20], rtol=0, atol=1e-6) is causal
    assert not torch.allclose(after[..., 20:], before[..., 20:], rtol=0, atol=1e-3)


@pytest.mark.parametrize(("preset", "bidirectional"), [("tesch", True), ("metzger", False)])
def test_direction_of_the_frequency_lstm(preset: str, bidirectional: bool) -> None:
    net, features = tiny(preset), inputs()
    changed = features.clone()
    changed[:, :, 5:] = 5.0
    before, after = masks(net, features), masks(net, changed)
    assert torch.allclose(after[:, :, :5], before[:, :, :5], rtol=0, atol=1e-6) is not bidirectional


@pytest.mark.parametrize(("preset", "causal"), KINDS)
def test_items_of_a_batch_do_not_mix(preset: str, causal: bool) -> None:
    net, features = tiny(preset, causal), inputs(n_batch=3)
    alone = torch.cat([masks(net, item[None]) for item in features])
    torch.testing.assert_close(masks(net, features), alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("folds", FOLDS)
@pytest.mark.parametrize("preset", ["tesch", "metzger"])
@pytest.mark.parametrize("n_frames", [1, 4])
def test_chained_steps_equal_forward(preset: str, n_frames: int, folds: tuple[int | None, int | None]) -> None:
    net, features = tiny(preset, folds=folds), inputs(n_frames=32)
    state, pieces = net.initial_state(2, 7, CPU), []
    with torch.no_grad():
        for piece in features.split(n_frames, dim=-1):
            mask, state = net.step(piece, state)
            pieces.append(mask)
    torch.testing.assert_close(torch.cat(pieces, dim=-1), masks(net, features), rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_mics", [1, 2, 3, 6])
@pytest.mark.parametrize(("preset", "causal"), KINDS)
def test_any_number_of_microphones(preset: str, causal: bool, n_mics: int) -> None:
    net = tiny(preset, causal, n_mics)
    mask = masks(net, inputs(n_mics))
    assert mask.shape == (2, 1 if preset == "tesch" else n_mics, 7, 30)
    assert mask.dtype == torch.complex64


@pytest.mark.parametrize("folds", FOLDS)
@pytest.mark.parametrize(("preset", "causal"), KINDS)
def test_taps_are_as_declared(preset: str, causal: bool, folds: tuple[int | None, int | None]) -> None:
    net, taps = tiny(preset, causal, folds=folds), Taps()
    mask = net(inputs(), taps)
    assert {name: tap.shape[1] for name, tap in taps.items()} == net.tap_channels
    assert list(taps) == ["freq_lstm", "time_lstm", "linear", "mask"]
    assert all(tap.shape[0] == 2 and tap.shape[2:] == (7, 30) for tap in taps.values())
    torch.testing.assert_close(taps["mask"], torch.cat([mask.real, mask.imag], dim=1))
    if net.time_fold == 1:
        linear = net.linear(taps["time_lstm"].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        torch.testing.assert_close(taps["linear"], linear)


def test_bins_of_a_band_are_stacked_and_its_units_dealt_out() -> None:
    x = torch.randn(2, 3, 7, 4, generator=torch.Generator().manual_seed(0))  # b t f c
    stacked, dealt = stack_bins(x, 3), deal_out(x, 2, 13)
    assert (stacked.shape, dealt.shape) == ((2, 3, 3, 12), (2, 3, 13, 2))
    for band, place, channel in product(range(3), range(3), range(4)):
        expected = x[:, :, 3 * band + place, channel] if 3 * band + place < 7 else torch.zeros(2, 3)
        assert torch.equal(stacked[:, :, band, 4 * place + channel], expected)
    for band, place, channel in product(range(7), range(2), range(2)):
        if 2 * band + place < 13:
            assert torch.equal(dealt[:, :, 2 * band + place, channel], x[:, :, band, 2 * channel + place])


@pytest.mark.parametrize("time_fold", [None, 2])
def test_a_folded_net_is_a_net_of_wider_bins(time_fold: int | None) -> None:
    """The same weights run by hand, band by band and bin by bin."""
    net, features, taps = tiny("metzger", folds=(2, time_fold)), inputs(n_batch=1), Taps()
    with torch.no_grad():
        net(features, taps)
        padded = torch.cat([features, torch.zeros(1, 4, 1, 30)], dim=2)[0]  # c f t
        bands = torch.cat([padded[:, ::2], padded[:, 1::2]]).permute(2, 1, 0)  # t band (place c)
        heard = torch.stack([net.freq_lstm(frame)[0] for frame in bands])  # t band unit
        for row in range(7):
            own = heard[:, row // 2] if time_fold else heard[:, row // 2, row % 2 :: 2]
            units = net.time_lstm(own)[0]
            z = net.linear(units)[:, row % 2 :: 2] if time_fold else net.linear(units)
            torch.testing.assert_close(taps["linear"][0, :, row].T, z, rtol=0, atol=1e-6)
            torch.testing.assert_close(taps["freq_lstm"][0, :, row].T, heard[:, row // 2, row % 2 :: 2])
            torch.testing.assert_close(taps["time_lstm"][0, :, row].T, units[:, row % 2 :: 2] if time_fold else units)


def test_folding_saves_steps_and_operations() -> None:
    plain, shared, folded = (FTJNF(5, "metzger", 64, 32, True, *folds) for folds in ((), (4,), (4, 4)))
    per_bin, per_step = (10 + 64) * 4 * 64 + (64 + 32) * 4 * 32 + 32 * 10, (40 + 64) * 4 * 64
    assert plain.macs(257, 1) == 257 * per_bin
    assert shared.macs(257, 1) == 65 * per_step + 257 * ((16 + 32) * 4 * 32 + 32 * 10)
    assert folded.macs(257, 1) == 65 * (per_step + (64 + 32) * 4 * 32 + 32 * 40)
    assert [net.initial_state(1, 257, CPU)[0].shape[1] for net in (plain, shared, folded)] == [257, 257, 65]


def test_a_net_without_folds_is_what_it_was_before_there_were_any() -> None:
    """The same keys and initial weights for a seed, and the same bits in the mask."""
    torch.manual_seed(3)
    freq, time = nn.LSTM(4, 6, batch_first=True, bidirectional=True), nn.LSTM(12, 4, batch_first=True)
    last, features = nn.Linear(4, 2), inputs()
    torch.manual_seed(3)
    net = FTJNF(2, "tesch", 6, 4)
    layers = {"freq_lstm": freq, "time_lstm": time, "linear": last}
    expected = {f"{name}.{key}": each for name, layer in layers.items() for key, each in layer.state_dict().items()}
    assert list(net.state_dict()) == list(expected)
    assert all(torch.equal(each, expected[key]) for key, each in net.state_dict().items())
    with torch.no_grad():
        x = freq(features.permute(0, 3, 2, 1).reshape(60, 7, 4))[0].reshape(2, 30, 7, 12)
        x = time(x.transpose(1, 2).reshape(14, 30, 12))[0].reshape(2, 7, 30, 4)
        z = last(x).permute(0, 3, 1, 2).clamp(-MASK_LIMIT, MASK_LIMIT)
    assert torch.equal(masks(net, features), torch.complex(z[:, :1].contiguous(), z[:, 1:].contiguous()))


def test_masks_are_bounded() -> None:
    for preset, limit in (("tesch", MASK_LIMIT), ("metzger", 1.0)):
        taps = Taps()
        tiny(preset, gain=100.0)(inputs(), taps)
        assert taps["linear"].abs().max() > 20
        assert taps["mask"].abs().max() == limit
    taps = Taps()
    tiny("metzger")(inputs(), taps)
    torch.testing.assert_close(taps["mask"], torch.tanh(taps["linear"]))


def test_the_bound_is_where_tanh_can_no_longer_be_inverted() -> None:
    assert torch.atanh(torch.tanh(torch.tensor(MASK_LIMIT + 0.1))) == torch.inf
    assert torch.atanh(torch.tanh(torch.tensor(MASK_LIMIT - 1.0))) < torch.inf


@pytest.mark.parametrize("folds", FOLDS)
def test_the_mask_is_computed_in_32_bits_under_autocast(folds: tuple[int | None, int | None]) -> None:
    net, taps = tiny(folds=folds), Taps()
    with torch.autocast("cpu", torch.bfloat16):
        mask = net(inputs(), taps)
    assert taps["time_lstm"].dtype == torch.bfloat16
    assert taps["linear"].dtype == torch.float32
    if net.time_fold == 1:
        exact = net.linear(taps["time_lstm"].float().permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        torch.testing.assert_close(taps["linear"], exact, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(mask, net(inputs(), Taps()), rtol=0, atol=0.2)


def test_what_cannot_be_built_or_streamed_is_refused() -> None:
    with pytest.raises(ValueError, match="causal: expected true for metzger"):
        FTJNF(5, "metzger", causal=False)
    with pytest.raises(ValueError, match="preset: expected one of tesch, metzger, got tech"):
        FTJNF(5, "tech")  # type: ignore[arg-type]
    for folds, message in (
        ((3, None), "freq_fold: expected 2 or more and a divisor of freq_hidden 8, got 3"),
        ((1, None), "freq_fold: expected 2 or more and a divisor of freq_hidden 8, got 1"),
        ((4, 3), "time_fold: expected 2 or more and a divisor of time_hidden 4, got 3"),
        ((4, 2), "time_fold: expected none or freq_fold 4, got 2"),
        ((None, 2), "time_fold: expected none or freq_fold None, got 2"),
    ):
        with pytest.raises(ValueError, match=message):
            FTJNF(5, "tesch", 8, 4, True, *folds)
    net = tiny(causal=False)
    with pytest.raises(ValueError, match="step: expected a causal network"):
        net.step(inputs(), net.initial_state(2, 7, CPU))


def test_taps_refuse_a_taken_name_and_another_shape() -> None:
    taps = Taps()
    taps.keep("x", torch.zeros(1, 2, 3, 4))
    with pytest.raises(ValueError, match="tap x: expected a new name"):
        taps.keep("x", torch.zeros(1, 2, 3, 4))
    with pytest.raises(ValueError, match=r"tap y: expected \(batch, channel, freq, frame\), got \(2, 3\)"):
        taps.keep("y", torch.zeros(2, 3))
