"""The pipeline: channels, masks, long recordings in pieces, streaming, bad recordings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from arrayse.frontend.features import Features, real_channels
from arrayse.frontend.stft import Stft
from arrayse.geometry import circular
from arrayse.models import NETS, SpectralEnhancer, build_enhancer
from arrayse.models import enhancer as module
from tests.tiny import FixedMask, description, enhancer, waves

RATE = 16000
KINDS = [{"preset": "tesch"}, {"preset": "metzger"}]


def around(net: nn.Module, mics: list[int], ref_mic: int, norm: str = "none") -> SpectralEnhancer:
    """An enhancer of five microphones with a network of the test's own."""
    features = Features(RATE / 64, norm)  # type: ignore[arg-type]
    return SpectralEnhancer(net, Stft(128, 64), features, circular(), mics, ref_mic, RATE)


def recording(n_samples: int, seed: int = 0) -> np.ndarray:
    """White noise (5, n_samples)."""
    return waves(5, n_samples, seed=seed).numpy()


def assert_same(got: np.ndarray | Tensor, expected: np.ndarray | Tensor, tolerance: float = 1e-6) -> None:
    torch.testing.assert_close(torch.as_tensor(got), torch.as_tensor(expected), rtol=0, atol=tolerance)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("n_samples", [1, 63, 64, 1000, 4001])
def test_a_mask_of_one_gives_the_reference_microphone_back(causal: bool, n_samples: int) -> None:
    whole = recording(n_samples)
    assert_same(around(FixedMask([1], causal), [0, 1, 2], 1).enhance(whole, RATE), whole[1])


@pytest.mark.parametrize("mics", [[0], [3, 1], [4, 2, 0]])
def test_the_network_hears_the_channels_that_were_asked_for(mics: list[int]) -> None:
    net, wave = FixedMask([1]), waves(2, 5, 900)
    around(net, mics, mics[-1])(wave)
    torch.testing.assert_close(net.seen, real_channels(Stft(128, 64)(wave[:, mics])))


def test_the_reference_may_be_any_heard_microphone() -> None:
    wave = waves(1, 5, 900)
    for ref_mic in (3, 1):
        assert_same(around(FixedMask([1]), [3, 1], ref_mic)(wave).wave[0], wave[0, ref_mic])


def test_one_mask_per_microphone_is_a_filter_and_sum() -> None:
    wave, weights = waves(1, 5, 900), [0.5, 2.0, -1.0]
    got = around(FixedMask(weights), [4, 0, 2], 0)(wave)
    assert_same(got.wave[0], 0.5 * wave[0, 4] + 2.0 * wave[0, 0] - wave[0, 2])
    assert got.spec.shape[1] == 1


def test_a_complex_mask_turns_the_phase() -> None:
    time = torch.arange(1024) / RATE
    wave = torch.cos(2 * torch.pi * 1000 * time).expand(1, 5, -1)  # 8 bins
    got = around(FixedMask([1j]), [0], 0)(wave).wave[0]
    assert_same(got[200:800], -torch.sin(2 * torch.pi * 1000 * time)[200:800], 3e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_enhancer_gives(kind: dict[str, str]) -> None:
    net = enhancer(mics=[1, 3], **kind)
    got = net(waves(2, 5, 900))
    assert got.wave.shape == (2, 900)
    assert got.spec.shape == (2, 1, 65, net.stft.n_frames(900))
    assert {name: tap.shape[1] for name, tap in got.taps.items()} == net.tap_channels
    torch.testing.assert_close(got.taps["spec"], real_channels(got.spec))
    torch.testing.assert_close(got.taps["wave"], got.wave[:, None, None])
    assert_same(got.wave, net.stft.inverse(got.spec[:, 0], 900))


@pytest.mark.parametrize("kind", [*KINDS, {"norm": "segment"}, {"causal": False}])
def test_enhance_equals_forward_for_short_recordings(kind: dict[str, object]) -> None:
    net, whole = enhancer(**kind), recording(1501)
    with torch.no_grad():
        assert_same(net.enhance(whole, RATE), net(torch.from_numpy(whole)[None]).wave[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk_seconds", [0.001, 0.02, 0.05])
def test_causal_pieces_equal_one_pass(
    kind: dict[str, str], chunk_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, whole = enhancer(**kind), recording(3001)
    at_once = net.enhance(whole, RATE)
    monkeypatch.setattr(module, "CHUNK_SECONDS", chunk_seconds)
    assert_same(net.enhance(whole, RATE), at_once, 1e-5)


@pytest.mark.parametrize("n_samples", [10, 639, 640, 641, 960, 2000, 4801])
@pytest.mark.parametrize("overlap_seconds", [0.02, 0.03])
def test_pieces_of_a_network_that_is_not_causal_join_without_a_seam(
    n_samples: int, overlap_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_SECONDS", 0.04)  # 640 samples
    monkeypatch.setattr(module, "OVERLAP_SECONDS", overlap_seconds)
    whole = recording(n_samples)
    assert_same(around(FixedMask([1], causal=False), [0], 0).enhance(whole, RATE), whole[0])


def test_pieces_of_a_network_that_is_not_causal_are_its_own_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_SECONDS", 0.04)
    monkeypatch.setattr(module, "OVERLAP_SECONDS", 0.01)
    net, whole = enhancer(causal=False), recording(1100)
    got = net.enhance(whole, RATE)
    with torch.no_grad():
        first = net(torch.from_numpy(whole[:, :640])[None]).wave[0].numpy()
        second = net(torch.from_numpy(whole[:, 480:])[None]).wave[0].numpy()
    assert_same(got[:480], first[:480])
    assert_same(got[640:], second[160:])
    lowest, highest = np.minimum(first[480:], second[:160]), np.maximum(first[480:], second[:160])
    assert np.all((got[480:640] >= lowest - 1e-6) & (got[480:640] <= highest + 1e-6))


@pytest.mark.parametrize("kind", KINDS)
def test_steps_over_a_stream_equal_forward(kind: dict[str, str]) -> None:
    net, wave = enhancer(mics=[2, 0], **kind), waves(2, 5, 1280)
    spec, state, pieces = net.stft(wave[:, net.mics]), net.initial_spec_state(2), []
    with torch.no_grad():
        for frame in spec.split(1, dim=-1):
            estimate, state = net.step(frame, state)
            pieces.append(estimate)
        streamed = net.stft.inverse(torch.cat(pieces, dim=-1)[:, 0], 1280)
        assert_same(streamed, net(wave).wave, 1e-5)


@pytest.mark.parametrize("kind", [*KINDS, {"norm": "segment"}])
def test_parts_of_a_recording_through_its_masks_add_up_to_the_estimate(kind: dict[str, str]) -> None:
    """And masks come from the whole: a part alone is masked otherwise."""
    net, whole, part = enhancer(mics=[3, 1], **kind), recording(1500), recording(1500, seed=1)
    assert isinstance(net, SpectralEnhancer)
    shadows = [net.shadow(whole, each) for each in (part, whole - part)]
    assert_same(shadows[0] + shadows[1], net.enhance(whole, RATE), 1e-5)
    assert np.abs(shadows[0] - net.enhance(part, RATE)).max() > 1e-3


def test_only_a_causal_net_with_causal_features_is_causal() -> None:
    assert enhancer().causal
    for kind in ({"causal": False}, {"norm": "segment"}):
        net = enhancer(**kind)
        assert not net.causal
        with pytest.raises(ValueError, match="step: expected a causal enhancer"):
            net.step(net.stft(waves(1, 5, 100)), net.initial_spec_state())


def test_a_recording_may_have_just_the_microphones_that_are_heard() -> None:
    net, whole = enhancer(mics=[3, 1]), recording(400)
    np.testing.assert_array_equal(net.enhance(whole[[3, 1]], RATE), net.enhance(whole, RATE))
    assert not np.array_equal(net.enhance(whole[[1, 3]], RATE), net.enhance(whole, RATE))


def test_enhance_leaves_no_trace() -> None:
    net, whole = enhancer().train(), recording(300)
    before = whole.copy()
    got = net.enhance(whole, RATE)
    assert net.training
    assert got.dtype == np.float32
    np.testing.assert_array_equal(whole, before)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_enhance_takes_any_memory_layout() -> None:
    net, whole = enhancer(), recording(400)
    expected = net.enhance(whole, RATE)
    backwards = np.ascontiguousarray(whole[:, ::-1])[:, ::-1]
    frozen = whole.copy()
    frozen.setflags(write=False)
    for same in (backwards, frozen, whole.astype(np.float64), np.asfortranarray(whole)):
        np.testing.assert_array_equal(net.enhance(same, RATE), expected)


def test_recordings_that_cannot_be_enhanced_are_refused() -> None:
    net, whole = enhancer(), recording(100)
    with pytest.raises(ValueError, match="recording: expected 16000 Hz, got 8000 Hz"):
        net.enhance(whole, 8000)
    for wrong in (whole[:4], whole.T):
        with pytest.raises(ValueError, match="recording: expected 5 channels for the array circular, got"):
            net.enhance(wrong, RATE)
    for wrong in (whole[0], whole[None]):
        with pytest.raises(ValueError, match=r"recording: expected \(n_mics, n_samples\), got"):
            net.enhance(wrong, RATE)
    with pytest.raises(ValueError, match=r"expected 5 channels .*, or 2 \(its microphones \[3, 1\]\), got 3"):
        enhancer(mics=[3, 1]).enhance(whole[:3], RATE)
    with pytest.raises(ValueError, match="recording: expected samples, got none"):
        net.enhance(whole[:, :0], RATE)
    with pytest.raises(ValueError, match=r"recording: expected floating-point samples .*, got int16"):
        net.enhance((whole * 1000).astype(np.int16), RATE)
    whole[2, 50] = np.nan
    with pytest.raises(ValueError, match="recording: expected finite samples, got 1 NaN"):
        net.enhance(whole, RATE)
    with pytest.raises(ValueError, match="wave: expected 5 microphones, got 3"):
        net(waves(1, 3, 100))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mics": []}, "mics: expected distinct channel numbers from 0 to 4"),
        ({"mics": [0, 5]}, "mics: expected distinct channel numbers from 0 to 4"),
        ({"mics": [1, 1]}, "mics: expected distinct channel numbers from 0 to 4"),
        ({"mics": [1, 2], "ref_mic": 0}, r"ref_mic: expected one of the mics \[1, 2\], got 0"),
        ({"name": "lstm"}, f"model name: expected one of {', '.join(NETS)}, got lstm"),
        ({"sample_rate": -1}, "frame_rate: expected a positive number"),
    ],
)
def test_enhancers_that_cannot_be_built_are_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_enhancer(**description(**changed))  # type: ignore[arg-type]


def test_the_reference_is_that_of_the_array_where_it_is_heard() -> None:
    assert enhancer(mics=[2, 0]).ref_mic == 0
    assert enhancer(mics=[2, 1]).ref_mic == 2
