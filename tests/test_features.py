"""Level normalisation: against a slow loop, causal, in blocks, at any scale, for silence."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from arrayse.frontend import features as module
from arrayse.frontend.features import MIN_POWER, Features, real_channels
from tests.tiny import spectra

FRAME_RATE = 62.5


def slow_recursive(spec: np.ndarray, time_constant: float) -> np.ndarray:
    """Each frame over the root of the weighted mean of the powers so far, in float64 loops."""
    forget = math.exp(-1 / (time_constant * FRAME_RATE))
    out = np.zeros(spec.shape, dtype=np.complex128)
    for item in range(spec.shape[0]):
        for now in range(spec.shape[3]):
            total, weights = 0.0, 0.0
            for past in range(now + 1):
                weight = forget ** (now - past)
                total += weight * float(np.mean(np.abs(spec[item, :, :, past]) ** 2))
                weights += weight
            out[item, ..., now] = spec[item, ..., now] / math.sqrt(total / weights)
    return np.concatenate([out.real, out.imag], axis=1)


def loud_and_soft(n_frames: int) -> Tensor:
    """Spectra (2, 3, 5, n_frames) whose level jumps from frame to frame."""
    order = torch.randperm(n_frames, generator=torch.Generator().manual_seed(1))
    return spectra(2, 3, 5, n_frames) * 10 ** torch.linspace(-2, 1, n_frames)[order]


def test_real_parts_come_first() -> None:
    spec = torch.tensor([1 + 2j, 3 + 4j]).reshape(1, 2, 1, 1)
    assert real_channels(spec).flatten().tolist() == [1, 3, 2, 4]


@pytest.mark.parametrize("time_constant", [0.05, 1.0])
def test_recursive_norm_equals_a_slow_loop(time_constant: float) -> None:
    spec = loud_and_soft(40)
    got, _ = Features(FRAME_RATE, "recursive", time_constant)(spec)
    np.testing.assert_allclose(got.numpy(), slow_recursive(spec.numpy(), time_constant), rtol=2e-5, atol=1e-6)


def test_recursive_norm_over_several_blocks_equals_a_slow_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_FRAMES", 7)
    spec = loud_and_soft(40)
    got, _ = Features(FRAME_RATE, "recursive", 0.3)(spec)
    np.testing.assert_allclose(got.numpy(), slow_recursive(spec.numpy(), 0.3), rtol=2e-5, atol=1e-6)


@given(cuts=st.lists(st.integers(1, 599), max_size=5, unique=True).map(sorted))
def test_pieces_with_the_state_carried_over_equal_the_whole(cuts: list[int]) -> None:
    features, spec = Features(FRAME_RATE), spectra(1, 2, 3, 600)
    whole, last_state = features(spec)
    state, pieces, bounds = None, [], [0, *cuts, 600]
    for first, last in itertools.pairwise(bounds):
        piece, state = features(spec[..., first:last], state)
        pieces.append(piece)
    torch.testing.assert_close(torch.cat(pieces, dim=-1), whole, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(state, last_state, rtol=1e-5, atol=1e-6)


def test_recursive_norm_is_causal_and_segment_norm_is_not() -> None:
    spec = loud_and_soft(30)
    changed = spec.clone()
    changed[..., 20:] *= 100
    for norm, causal in (("recursive", True), ("none", True), ("segment", False)):
        features = Features(FRAME_RATE, norm)  # type: ignore[arg-type]
        assert features.causal is causal
        assert torch.equal(features(changed)[0][..., :20], features(spec)[0][..., :20]) is causal


def test_items_of_a_batch_do_not_mix() -> None:
    spec = loud_and_soft(20)
    for norm in ("recursive", "segment", "none"):
        features = Features(FRAME_RATE, norm)  # type: ignore[arg-type]
        torch.testing.assert_close(features(spec)[0][1:], features(spec[1:])[0], rtol=1e-5, atol=1e-6)


@given(scale=st.floats(1e-2, 1e4))
def test_normalised_features_do_not_know_the_scale(scale: float) -> None:
    spec = spectra(1, 3, 5, 30)
    for norm in ("recursive", "segment"):
        features = Features(FRAME_RATE, norm)  # type: ignore[arg-type]
        torch.testing.assert_close(features(scale * spec)[0], features(spec)[0], rtol=1e-4, atol=1e-5)


def test_recursive_norm_keeps_level_differences_between_microphones() -> None:
    spec = spectra(1, 2, 5, 30)
    spec[:, 1] = 0.25 * spec[:, 0]
    got, _ = Features(FRAME_RATE)(spec)
    torch.testing.assert_close(got[:, [1, 3]], 0.25 * got[:, [0, 2]])


@pytest.mark.parametrize("norm", ["recursive", "segment", "none"])
def test_digital_silence_stays_silence(norm: str) -> None:
    silence = torch.zeros(1, 2, 5, 300, dtype=torch.complex64)
    assert torch.equal(Features(FRAME_RATE, norm)(silence)[0], torch.zeros(1, 4, 5, 300))  # type: ignore[arg-type]


def test_signals_below_the_floor_are_not_amplified_further() -> None:
    faint = spectra(1, 2, 5, 10) * 1e-8
    torch.testing.assert_close(Features(FRAME_RATE)(faint)[0], real_channels(faint) / math.sqrt(MIN_POWER))


def test_silence_before_speech_fades_from_the_level() -> None:
    spec = spectra(1, 2, 5, 400)
    spec[..., :200] = 0
    power = Features(FRAME_RATE, time_constant=0.2)(spec)[0].square().sum(1).mean(1)[0]
    assert power[200] > 5 * power[300:].mean()  # the running level still remembers the silence
    assert float(power[300:].mean()) == pytest.approx(2.0, rel=0.15)  # two microphones of unit power each


def test_segment_norm_has_mean_zero_and_unit_deviation() -> None:
    got, _ = Features(FRAME_RATE, "segment")(loud_and_soft(50) * 3 + 2)
    torch.testing.assert_close(got.mean(dim=(1, 2, 3)), torch.zeros(2), rtol=0, atol=1e-5)
    torch.testing.assert_close(got.std(dim=(1, 2, 3)), torch.ones(2), rtol=1e-5, atol=0)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="norm: expected one of recursive, segment, none, got layer"):
        Features(FRAME_RATE, "layer")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"time_constant: expected a positive number, got 0\.0"):
        Features(FRAME_RATE, time_constant=0.0)
    with pytest.raises(ValueError, match="frame_rate: expected a positive number, got nan"):
        Features(math.nan)
