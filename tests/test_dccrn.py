"""DCCRN: the published sizes, look-ahead, streaming, cost, masks, taps."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from arrayse.models.complex_mask import mask_parts
from arrayse.models.dccrn import DCCRN
from arrayse.taps import Taps

CPU = torch.device("cpu")
N_FREQS, N_LAYERS = 12, 3  # 11 bins, then 6, 3, 2: odd and even ones
LOOKAHEADS = [0, 1, 2, 3]


def tiny(n_mics: int = 2, **arguments: Any) -> DCCRN:
    """Three layers in eval mode, with other statistics, gains and biases than at the start."""
    arguments = {"lookahead_frames": N_LAYERS, "ref_channel": 0, **arguments}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = DCCRN(n_mics, N_FREQS, channels=[4, 6, 8], lstm_hidden=6, **arguments)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
            for norm in net.modules():
                if isinstance(norm, nn.BatchNorm2d):
                    norm.running_mean.normal_(0, 0.3)
                    norm.running_var.uniform_(0.2, 1)
    return net.eval()


def inputs(n_mics: int = 2, n_batch: int = 2, n_frames: int = 20) -> Tensor:
    return torch.randn(n_batch, 2 * n_mics, N_FREQS, n_frames, generator=torch.Generator().manual_seed(0))


def masks(net: DCCRN, features: Tensor) -> Tensor:
    with torch.no_grad():
        return net(features, Taps())


@pytest.mark.parametrize("lookahead_frames", [0, 6])
@pytest.mark.parametrize(
    ("channels", "lstm_hidden", "expected"),
    [
        ([32, 64, 128, 256, 256, 256], 256, 3_671_053),
        ([16, 32, 64, 128, 128, 128], 128, 920_589),
        ([8, 16, 32, 64, 64, 64], 64, 231_565),
    ],
)
def test_published_parameter_counts(
    channels: list[int], lstm_hidden: int, expected: int, lookahead_frames: int
) -> None:
    net = DCCRN(1, 257, 0, channels, lstm_hidden, lookahead_frames=lookahead_frames)
    assert sum(parameter.numel() for parameter in net.parameters()) == expected


def test_the_defaults_are_the_published_network() -> None:
    net = DCCRN(1, 257, 0)
    assert sum(parameter.numel() for parameter in net.parameters()) == 3_671_053
    assert (net.lookahead_frames, net.mask, net.causal) == (6, "E", True)


@pytest.mark.parametrize("lookahead_frames", LOOKAHEADS)
def test_look_ahead_is_exact(lookahead_frames: int) -> None:
    net, features = tiny(lookahead_frames=lookahead_frames), inputs()
    before = masks(net, features)
    for t in (0, 7, 15):
        late, needed = features.clone(), features.clone()
        late[..., t + lookahead_frames + 1 :] = 5.0
        needed[..., t + lookahead_frames] += 5.0
        assert torch.equal(masks(net, late)[..., : t + 1], before[..., : t + 1])
        assert (masks(net, needed)[..., t] - before[..., t]).abs().max() > 1e-4


@pytest.mark.parametrize("mask", ["E", "C", "R"])
@pytest.mark.parametrize("sizes", [[1], [3], [5, 1, 2]])
@pytest.mark.parametrize("lookahead_frames", LOOKAHEADS)
def test_chained_steps_equal_forward(mask: str, sizes: list[int], lookahead_frames: int) -> None:
    net, features = tiny(lookahead_frames=lookahead_frames, mask=mask, ref_channel=1), inputs()
    stream = functional.pad(features, (0, lookahead_frames))
    state, pieces, first = net.initial_state(2, N_FREQS, CPU), [], 0
    with torch.no_grad():
        while first < stream.shape[-1]:
            size = sizes[len(pieces) % len(sizes)]
            given = stream[..., first : first + size]
            piece, state = net.step(given, state)
            assert piece.shape[-1] == given.shape[-1]
            pieces.append(piece)
            first += size
    chained = torch.cat(pieces, dim=-1)[..., lookahead_frames:]
    torch.testing.assert_close(chained, masks(net, features), rtol=0, atol=1e-5)


def encoder_by_hand(net: DCCRN, x: Tensor) -> list[Tensor]:
    encoded = []
    for layer in net.encoder:
        real, imag = functional.pad(x, (1, 0)).chunk(2, dim=1)
        of_real, of_imag = (
            lambda z, w=part: functional.conv2d(z, w.weight, w.bias, (2, 1), (2, 0))
            for part in (layer.convolution.real, layer.convolution.imag)
        )
        x = torch.cat([of_real(real) - of_imag(imag), of_imag(real) + of_real(imag)], dim=1)
        x = layer.activation(layer.norm(x))
        encoded.append(x)
    return encoded


def decoder_by_hand(net: DCCRN, x: Tensor, encoded: list[Tensor], bins: list[int]) -> Tensor:
    """Whole transposed convolutions in time, of which the first frame is dropped."""
    for layer, skip, n_bins in zip(net.decoder, reversed(encoded), bins, strict=True):
        convolution = getattr(layer, "convolution", layer)
        real, imag = (torch.cat(parts, dim=1) for parts in zip(x.chunk(2, 1), skip.chunk(2, 1), strict=True))
        of_real, of_imag = (
            lambda z, w=part: functional.conv_transpose2d(z, w.weight, w.bias, (2, 1), (2, 0), (1, 0))
            for part in (convolution.real, convolution.imag)
        )
        x = torch.cat([of_real(real) - of_imag(imag), of_imag(real) + of_real(imag)], dim=1)
        x = x[:, :, :n_bins, 1 : 1 + real.shape[-1]]
        if layer is not convolution:
            x = layer.activation(layer.norm(x))
    return x


def test_forward_is_the_published_network_layer_by_layer() -> None:
    net, features, taps = tiny(), inputs(), Taps()
    padded = functional.pad(features, (0, N_LAYERS))[:, :, 1:]
    encoded = encoder_by_hand(net, padded)
    x = encoded[-1].permute(0, 3, 1, 2).reshape(2, padded.shape[-1], -1)
    for lstm in net.lstms:
        x, _ = lstm(x)
    x = x.reshape(2, padded.shape[-1], 8, 2).permute(0, 2, 3, 1)
    with torch.no_grad():
        net(features, taps)
        raw = decoder_by_hand(net, x, encoded, [3, 6, 11])[..., : features.shape[-1]]
    torch.testing.assert_close(taps["decoder_3"], raw, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(taps["mask"][:, :, 1:], mask_parts(raw, "E", raw), rtol=0, atol=1e-5)
    assert not taps["mask"][:, :, 0].any()


def test_mask_r_belongs_to_the_reference_microphone() -> None:
    for ref in (0, 1):
        net, features, taps = tiny(mask="R", ref_channel=ref), inputs(), Taps()
        with torch.no_grad():
            estimate = net(features, taps)[:, 0] * torch.complex(features[:, ref], features[:, 2 + ref])
        raw = functional.pad(taps["decoder_3"], (0, 0, 1, 0))
        expected = torch.complex(raw[:, 0] * features[:, ref], raw[:, 1] * features[:, 2 + ref])
        torch.testing.assert_close(estimate, expected, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore:TF32")
@pytest.mark.parametrize("n_lstm_layers", [1, 2])
@pytest.mark.parametrize("lookahead_frames", LOOKAHEADS)
def test_multiply_accumulates_agree_with_a_counter_of_operators(lookahead_frames: int, n_lstm_layers: int) -> None:
    net = tiny(lookahead_frames=lookahead_frames, n_lstm_layers=n_lstm_layers)
    with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
        net(inputs(n_batch=1, n_frames=5), Taps())
    assert counter.get_total_flops() == 2 * net.macs(N_FREQS, 5)


@pytest.mark.parametrize("n_frames", [1, 20])
@pytest.mark.parametrize("n_lstm_layers", [1, 3])
def test_taps_are_as_declared(n_lstm_layers: int, n_frames: int) -> None:
    net, taps = tiny(n_lstm_layers=n_lstm_layers), Taps()
    mask = net(inputs(n_frames=n_frames), taps)
    middle = [f"mid_{i}" for i in range(1, n_lstm_layers + 1)]
    names = ["encoder_1", "encoder_2", "encoder_3", *middle, "decoder_1", "decoder_2", "decoder_3", "mask"]
    bins = [6, 3, 2, *[1] * (n_lstm_layers - 1), 2, 3, 6, 11, 12]
    assert list(taps) == list(net.tap_channels) == names
    expected = [(2, net.tap_channels[name], n, n_frames) for name, n in zip(names, bins, strict=True)]
    assert [tuple(tap.shape) for tap in taps.values()] == expected
    torch.testing.assert_close(taps["mask"], torch.cat([mask.real, mask.imag], dim=1))
    assert set(net.output_taps) == {"decoder_3", "mask"}


@pytest.mark.parametrize("n_mics", [1, 2, 5])
def test_any_number_of_microphones_gives_one_mask(n_mics: int) -> None:
    net = tiny(n_mics)
    mask = masks(net, inputs(n_mics))
    assert mask.shape == (2, 1, N_FREQS, 20)
    assert mask.dtype == torch.complex64
    for channel in range(2 * n_mics):
        changed = inputs(n_mics)
        changed[:, channel] += 1
        assert not torch.allclose(masks(net, changed), mask, rtol=0, atol=1e-4)


def test_items_of_a_batch_do_not_mix_in_eval_mode() -> None:
    net, features = tiny(), inputs(n_batch=3)
    alone = torch.cat([masks(net, item[None]) for item in features])
    torch.testing.assert_close(masks(net, features), alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch_norm", ["real", "complex"])
@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("n_batch", [1, 3])
def test_training_gives_finite_gradients_to_every_parameter(n_batch: int, autocast: bool, batch_norm: str) -> None:
    net = tiny(batch_norm=batch_norm).train()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        taps = Taps()
        mask = net(inputs(n_batch=n_batch), taps)
    assert taps["decoder_3"].dtype == torch.float32
    assert taps["encoder_1"].dtype == (torch.bfloat16 if autocast else torch.float32)
    assert mask.dtype == torch.complex64
    mask.abs().square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name


def test_steps_run_under_autocast() -> None:
    net, features = tiny(), inputs()
    state = net.initial_state(2, N_FREQS, CPU)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for piece in features.split(5, dim=-1):
            mask, state = net.step(piece, state)
    torch.testing.assert_close(mask, masks(net, features)[..., 12:17], rtol=0, atol=0.1)


def test_masks_e_are_bounded() -> None:
    net = tiny()
    with torch.no_grad():
        for parameter in net.decoder[-1].parameters():
            parameter.mul_(100)
    mask = masks(net, inputs())
    assert math.isclose(mask.abs().max().item(), 1.0, abs_tol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mask": "F"}, "mask: expected one of E, C, R, got F"),
        ({"batch_norm": "none"}, "batch_norm: expected one of real, complex, got none"),
        ({"ref_channel": 2}, "ref_channel: expected 0 to 1, got 2"),
        (
            {"lookahead_frames": 4},
            "lookahead_frames: expected 0 to 3, one per layer .*, got 4: set lookahead_frames=3$",
        ),
        ({"lookahead_frames": -1}, "lookahead_frames: expected 0 to 3, one per layer of channels, got -1$"),
        ({"n_lstm_layers": 0}, "n_lstm_layers: expected at least 1, got 0"),
        ({"lstm_hidden": 5}, "lstm_hidden: expected positive and even"),
        ({"channels": []}, "channels: expected positive and even"),
        ({"channels": [4, 5, 6]}, "channels: expected positive and even"),
        ({"n_freqs": 8}, "n_freqs: expected at least 9, which 3 layers can halve, got 8"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments: dict[str, Any], message: str) -> None:
    usual = {"n_mics": 2, "n_freqs": 12, "ref_channel": 0, "channels": [4, 6, 8], "lookahead_frames": 3}
    with pytest.raises(ValueError, match=message):
        DCCRN(**{**usual, **arguments})


def test_the_fewest_frequencies_that_can_be_halved_are_enough() -> None:
    net = DCCRN(1, 9, 0, channels=[4, 6, 8], lstm_hidden=4, lookahead_frames=3).eval()
    assert net(torch.zeros(1, 2, 9, 4), Taps()).shape == (1, 1, 9, 4)


def test_features_of_another_shape_are_refused() -> None:
    net = tiny()
    state = net.initial_state(1, N_FREQS, CPU)
    for shape in ((1, 4, 11, 5), (1, 2, 12, 5), (4, 12, 5)):
        with pytest.raises(ValueError, match=r"features: expected \(batch, 4, 12, frame\), got \("):
            net(torch.zeros(shape), Taps())
        with pytest.raises(ValueError, match=r"features: expected \(batch, 4, 12, frame\), got \("):
            net.step(torch.zeros(shape), state)
    for call in (lambda: net.macs(11, 5), lambda: net.initial_state(1, 11, CPU)):
        with pytest.raises(ValueError, match="n_freqs: expected 12, got 11"):
            call()
