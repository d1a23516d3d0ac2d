"""The sub-band network: sizes, windows over frequency, bands with weights of their own, streaming, its mask."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from arrayse.frontend.bands import Split
from arrayse.losses import MagnitudeMse, magnitude_of
from arrayse.models.magnitude_mask import MASK_RANGE, MIN_MAGNITUDE, magnitude_mask
from arrayse.models.subband import PART_LIMIT, SubBandLSTM, edges_for
from arrayse.taps import Taps

CPU = torch.device("cpu")
N_FREQS = 9
BANDS: list[dict[str, Any]] = [
    {"n_bands": 3},
    {"n_bands": 2, "split": "bark", "neighbours": 1},
    {"n_bands": 3, "split": "bark", "neighbours": 0},
]
KINDS: list[dict[str, Any]] = [{}, *BANDS, {"outputs": 2}, {"n_layers": 1}]


def tiny(n_mics: int = 2, gain: float = 2.0, **options: Any) -> SubBandLSTM:
    """A net with five units that masks the second microphone, its masks varied and mostly within their bounds."""
    arguments = {"hidden": 5, "neighbours": 2, **options}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = SubBandLSTM(n_mics, N_FREQS, min(1, n_mics - 1), 16000, **arguments)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(gain)
        for band in net.bands:
            band.linear.bias.fill_(0.25 * gain)  # type: ignore[union-attr,operator]
    return net


def inputs(n_mics: int = 2, n_batch: int = 2, n_frames: int = 12, seed: int = 0) -> Tensor:
    """Features (batch, 2·n_mics, 9 frequencies, frames)."""
    return torch.randn(n_batch, 2 * n_mics, N_FREQS, n_frames, generator=torch.Generator().manual_seed(seed))


def masks(net: SubBandLSTM, features: Tensor) -> Tensor:
    """The mask without gradients."""
    with torch.no_grad():
        return net(features, Taps())


def per_bin(net: SubBandLSTM, features: Tensor) -> Tensor:
    """The squared error of magnitudes against fixed ones, (batch, freq, frame)."""
    spec = net(features, Taps())[:, 0] * torch.complex(features[:, 1], features[:, 3])
    return (magnitude_of(spec) - inputs(1, len(features), features.shape[-1], seed=5)[:, 0].abs()).square()


def gradients(net: SubBandLSTM, loss: Tensor) -> list[list[Tensor | None]]:
    """Of every band's parameters."""
    net.zero_grad()
    loss.backward()
    return [[None if p.grad is None else p.grad.clone() for p in band.parameters()] for band in net.bands]


@pytest.mark.parametrize(
    ("n_mics", "options", "expected"),
    [
        (1, {}, 1_823_617),
        (1, {"outputs": 2}, 1_824_002),
        (1, {"n_bands": 4, "split": "bark"}, 4 * 1_823_617),
        (3, {}, 1_823_617 + 4 * 384 * 62),
    ],
)
def test_parameter_counts(n_mics: int, options: dict[str, Any], expected: int) -> None:
    with torch.device("meta"):
        net = SubBandLSTM(n_mics, 257, 0, 16000, **options)
    assert sum(parameter.numel() for parameter in net.parameters()) == expected


@pytest.mark.filterwarnings("ignore:TF32")
@pytest.mark.parametrize("options", KINDS)
def test_multiply_accumulates_agree_with_a_counter_of_operators(options: dict[str, Any]) -> None:
    net, features = tiny(**options), inputs(n_batch=1, n_frames=4)
    with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
        net(features, Taps())
    assert counter.get_total_flops() == 2 * net.macs(N_FREQS, 4)


@pytest.mark.parametrize("options", KINDS)
def test_the_future_cannot_change_the_past(options: dict[str, Any]) -> None:
    net, features = tiny(**options), inputs()
    changed = features.clone()
    changed[..., 7:] = 5.0
    before, after = masks(net, features), masks(net, changed)
    assert (net.causal, net.lookahead_frames) == (True, 0)
    assert torch.equal(before[..., :7], after[..., :7])
    assert not torch.allclose(before[..., 7:], after[..., 7:], rtol=0, atol=1e-3)


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("n_frames", [1, 5])
def test_chained_steps_equal_forward(options: dict[str, Any], n_frames: int) -> None:
    net, features, pieces = tiny(**options), inputs(), []
    state = net.initial_state(2, N_FREQS, CPU)
    with torch.no_grad():
        for piece in features.split(n_frames, dim=-1):
            mask, state = net.step(piece, state)
            pieces.append(mask)
    torch.testing.assert_close(torch.cat(pieces, dim=-1), masks(net, features), rtol=0, atol=1e-5)


@pytest.mark.parametrize("neighbours", [0, 2, N_FREQS - 1])
def test_a_bin_is_seen_with_its_neighbours_reflected_at_the_ends(neighbours: int) -> None:
    net, features = tiny(neighbours=neighbours), inputs()
    magnitude = torch.complex(*features.chunk(2, dim=1)).abs()
    rows = net._rows(magnitude)
    for f in range(N_FREQS):
        at = []
        for other in range(f - neighbours, f + neighbours + 1):
            folded = abs(other)
            at.append(2 * (N_FREQS - 1) - folded if folded > N_FREQS - 1 else folded)
        expected = torch.cat([magnitude[:, mic, at] for mic in range(2)], dim=1).transpose(1, 2)
        torch.testing.assert_close(rows[:, f], expected, rtol=0, atol=0)


@pytest.mark.parametrize("options", KINDS)
def test_every_bin_is_a_network_in_time_of_its_own_band(options: dict[str, Any]) -> None:
    """From the magnitudes of that band."""
    net, features, taps = tiny(**options), inputs(), Taps()
    net(features, taps)
    magnitude = torch.complex(*features.chunk(2, dim=1)).abs()
    for f in range(N_FREQS):
        number = sum(f >= edge for edge in net.edges[1:])
        band: Any = net.bands[number]
        first, end = net.edges[number : number + 2]
        x = net._rows(magnitude[:, :, first:end])[:, f - first]
        for number, layer in enumerate(band.layers, start=1):
            x = layer(x)[0]
            torch.testing.assert_close(taps[f"mid_{number}"][:, :, f], x.transpose(1, 2), rtol=0, atol=1e-6)
        z = band.linear(x).transpose(1, 2)
        torch.testing.assert_close(taps["magnitude" if net.outputs == 1 else "mask"][:, :, f], z, rtol=0, atol=1e-5)


def test_a_bin_depends_on_its_neighbours_only() -> None:
    net, features = tiny(), inputs()
    changed = features.clone()
    changed[:, :, 6] = 3.0
    moved = (masks(net, changed) - masks(net, features)).abs().amax(dim=(0, 1, 3))
    assert (moved > 1e-4).tolist() == [4 <= f <= 8 for f in range(N_FREQS)]
    assert (moved[:4] == 0).all()


@pytest.mark.parametrize("options", BANDS)
def test_what_is_in_a_band_does_not_change_any_other(options: dict[str, Any]) -> None:
    """Not even its neighbours beyond the edge."""
    net, features = tiny(**options), inputs()
    for first, end in pairwise(net.edges):
        changed = features.clone()
        changed[:, :, first:end] = 3.0 + inputs(seed=1)[:, :, first:end]
        before, after = Taps(), Taps()
        net(features, before)
        net(changed, after)
        for tap in net.tap_channels:
            moved = (after[tap] != before[tap]).any(dim=1).any(dim=2).any(dim=0)
            assert moved.tolist() == [first <= f < end for f in range(N_FREQS)]


@pytest.mark.parametrize("options", BANDS)
def test_each_band_learns_from_its_own_bins_alone(options: dict[str, Any]) -> None:
    """So one training of all elite teachers is that of each on its own band."""
    net, features = tiny(**options), inputs()
    together = gradients(net, per_bin(net, features).mean())
    for number, (first, end) in enumerate(pairwise(net.edges)):
        alone = gradients(net, per_bin(net, features)[:, first:end].mean())
        for other, of_band in enumerate(alone):
            assert all((g is None or not g.any()) is (other != number) for g in of_band)
        share = (end - first) / N_FREQS
        for got, expected in zip(together[number], alone[number], strict=True):
            assert got is not None
            assert expected is not None
            torch.testing.assert_close(got, share * expected, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("options", BANDS)
def test_an_elite_teacher_is_a_general_network_that_hears_nothing_but_its_band(options: dict[str, Any]) -> None:
    elites, features = tiny(**options), inputs()
    for number, (first, end) in enumerate(pairwise(elites.edges)):
        alone = SubBandLSTM(2, end - first, 1, 16000, hidden=5, neighbours=elites.neighbours)
        alone.bands[0].load_state_dict(elites.bands[number].state_dict())
        expected = masks(alone, features[:, :, first:end])
        torch.testing.assert_close(masks(elites, features)[:, :, first:end], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("n_mics", [1, 3])
@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("n_frames", [1, 4])
def test_taps_are_as_declared(options: dict[str, Any], n_mics: int, n_frames: int) -> None:
    net, taps = tiny(n_mics, **options), Taps()
    mask = net(inputs(n_mics, n_frames=n_frames), taps)
    assert {name: tap.shape[1] for name, tap in taps.items()} == net.tap_channels
    assert all(tap.shape[0] == 2 and tap.shape[2:] == (N_FREQS, n_frames) for tap in taps.values())
    assert net.output_taps == {"mask": "mask"}
    assert (mask.shape, mask.dtype) == ((2, 1, N_FREQS, n_frames), torch.complex64)
    assert torch.equal(taps["mask"], torch.cat([mask.real, mask.imag], dim=1))


def test_names_of_the_taps() -> None:
    assert list(tiny().tap_channels) == ["mid_1", "mid_2", "magnitude", "mask"]
    assert list(tiny(outputs=2).tap_channels) == ["mid_1", "mid_2", "mask"]


def test_the_masked_reference_has_the_estimated_magnitude_and_the_noisy_phase() -> None:
    net, features, taps = tiny(), inputs(), Taps()
    mask, reference = net(features, taps)[:, 0], torch.complex(features[:, 1], features[:, 3])
    estimate = taps["magnitude"][:, 0]
    within = (estimate > MASK_RANGE[0] * reference.abs()) & (estimate < MASK_RANGE[1] * reference.abs())
    assert within.float().mean() > 0.5
    torch.testing.assert_close((mask * reference).abs()[within], estimate[within], rtol=1e-5, atol=1e-6)
    assert not mask.imag.any()
    assert mask.real.min() >= MASK_RANGE[0]


def test_masks_are_bounded() -> None:
    for options, limit in (({}, MASK_RANGE[1]), ({"outputs": 2}, PART_LIMIT)):
        taps = Taps()
        tiny(gain=30.0, **options)(inputs(), taps)
        assert taps["mask"].abs().max() == limit
    mask = magnitude_mask(torch.tensor([-1.0, 0.5, 5.0, 1e-3]), torch.tensor([1.0, 1.0, 0.1, 0.0]))
    torch.testing.assert_close(mask, torch.tensor([MASK_RANGE[0], 0.5, MASK_RANGE[1], 1e-3 / MIN_MAGNITUDE]))


def test_a_net_whose_estimates_are_all_out_of_bounds_learns_its_way_back() -> None:
    net, features = tiny(gain=0.1), inputs()
    bias: Any = net.bands[0].linear.bias  # type: ignore[union-attr]
    for start, sign in ((-1.0, -1), (100.0, 1)):
        with torch.no_grad():
            bias.fill_(start)
        gradients(net, per_bin(net, features).mean())
        assert float(bias.grad) * sign > 1e-4


def test_silence_has_a_finite_gradient_and_mask() -> None:
    net, features = tiny(), inputs()
    features[..., 4:] = 0
    features.requires_grad_()
    spec = net(features, Taps())[:, 0] * torch.complex(features[:, 1], features[:, 3])
    MagnitudeMse()(spec, spec, spec, torch.ones_like(spec)).backward()
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


@pytest.mark.parametrize("options", KINDS)
def test_the_mask_is_computed_in_32_bits_under_autocast(options: dict[str, Any]) -> None:
    net, features, taps = tiny(gain=1.0, **options), inputs(), Taps()
    with torch.autocast("cpu", torch.bfloat16):
        mask = net(features, taps)
        state = net.initial_state(2, N_FREQS, CPU)
        assert torch.isfinite(torch.view_as_real(net.step(features, state)[0])).all()
    assert (taps["mid_1"].dtype, taps["mask"].dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(mask, net(features, Taps()), rtol=0.05, atol=0.05)


def test_what_cannot_be_built_or_heard_is_refused() -> None:
    with pytest.raises(ValueError, match="neighbours: expected at most 8 for 9 frequencies, got 9"):
        tiny(neighbours=9)
    with pytest.raises(ValueError, match="neighbours: expected at most 2 for bands of 3 frequencies, got 3"):
        tiny(n_bands=3, neighbours=3)
    with pytest.raises(ValueError, match="neighbours: expected at most 0 for bands of 1 frequencies, got 1"):
        tiny(n_bands=3, split="bark", neighbours=1)
    with pytest.raises(ValueError, match="outputs: expected 1 or 2, got 3"):
        tiny(outputs=3)
    with pytest.raises(ValueError, match="n_bands: expected at most 9 uniform bands"):
        tiny(n_bands=10)
    with pytest.raises(ValueError, match=r"split: expected one of uniform, bark, got mel$"):
        tiny(split="mel")
    with pytest.raises(ValueError, match="features: expected 9 frequencies, got 8"):
        tiny()(inputs()[:, :, :8], Taps())


@pytest.mark.parametrize("split", ["uniform", "bark"])
@pytest.mark.parametrize("neighbours", [0, 1, 2, 8, 15])
@pytest.mark.parametrize("too_many", [66, 300])
def test_the_advice_on_bands_and_neighbours_is_the_most_that_can_be_built(
    split: Split, neighbours: int, too_many: int
) -> None:
    with pytest.raises(ValueError, match=r"neighbours=\d+ leaves room for n_bands=\d+ at most") as told:
        edges_for(65, too_many, split, 16000, neighbours)
    most = int(re.findall(r"n_bands=(\d+) at most", str(told.value))[0])
    edges = edges_for(65, most, split, 16000, neighbours)
    assert min(end - first for first, end in pairwise(edges)) > neighbours
    for n_bands in range(most + 1, 66):
        with pytest.raises(ValueError, match=f"leaves room for n_bands={most} at most"):
            edges_for(65, n_bands, split, 16000, neighbours)
