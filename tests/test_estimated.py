"""Beamformers that estimate their statistics: they stream, spare the target, and take away what is steady."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from arrayse.frontend.estimated import MIN_GAIN, MvdrState, decision_directed_gain, estimated_mvdr
from arrayse.frontend.spatial import apply_weights, diffuse_coherence, steering_vector, superdirective
from arrayse.geometry import ArrayGeometry, circular, linear

RATE = 62.5
FREQUENCIES = torch.tensor([0.0, 250, 500, 1000, 3000, 7900], dtype=torch.float64)
GEOMETRY = ArrayGeometry(circular().positions, ref_mic=2)
LOOK = steering_vector(GEOMETRY, 40.0, 0.0, FREQUENCIES)
FIELD = diffuse_coherence(GEOMETRY, FREQUENCIES)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


def plane_wave(steering: Tensor, heard: Tensor) -> Tensor:
    """What the array hears of a wave that the reference microphone hears as (batch, n_freqs, n_frames)."""
    return torch.einsum("fm,bft->bmft", steering.to(heard), heard)


def interfered(n_frames: int, seed: int = 0) -> Tensor:
    """An interferer from behind, 30 dB above noise of the microphones."""
    wave = plane_wave(steering_vector(GEOMETRY, -120.0, 0.0, FREQUENCIES), random(2, 6, n_frames, seed=seed))
    return wave + 0.03 * random(2, 5, 6, n_frames, seed=seed + 1)


def power(spec: Tensor) -> Tensor:
    return spec.abs().double().square()


@pytest.mark.parametrize("sizes", [[1] * 30, [4, 25, 1]])
def test_chunks_give_what_the_whole_gives(sizes: list[int]) -> None:
    spec = interfered(30)
    whole, left, last = estimated_mvdr(spec, LOOK, FIELD, RATE)
    gains, last_speech = decision_directed_gain(whole, left, RATE)
    state: MvdrState | None = None
    speech: Tensor | None = None
    frame = 0
    for chunk in spec.split(sizes, dim=-1):
        got, noise, state = estimated_mvdr(chunk, LOOK, FIELD, RATE, state)
        gain, speech = decision_directed_gain(got, noise, RATE, state=speech)
        here = slice(frame, frame + chunk.shape[-1])
        torch.testing.assert_close(got, whole[..., here], rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(noise, left[..., here], rtol=1e-10, atol=0)
        torch.testing.assert_close(gain, gains[..., here], rtol=1e-5, atol=1e-7)
        frame += chunk.shape[-1]
    assert state is not None
    assert torch.equal(state.covariance.total, last.covariance.total)
    torch.testing.assert_close(speech, last_speech, rtol=1e-5, atol=0)


def test_the_target_leaves_as_the_reference_microphone_heard_it() -> None:
    heard = random(2, 6, 40)
    got, _, _ = estimated_mvdr(plane_wave(LOOK, heard), LOOK, FIELD, RATE)
    assert got.dtype == torch.complex64
    torch.testing.assert_close(got, heard, rtol=1e-4, atol=1e-4)
    noise = interfered(40, seed=9)
    mixed, clean = (estimated_mvdr(noise + level * plane_wave(LOOK, heard), LOOK, FIELD, RATE)[0] for level in (1, 0))
    assert power(mixed - clean - heard).mean() < 0.1 * power(heard).mean()  # though the weights differ


def test_an_interferer_is_learnt_and_taken_away_better_than_by_a_fixed_beamformer() -> None:
    spec = interfered(100)
    got, left, _ = estimated_mvdr(spec, LOOK, FIELD, RATE)
    fixed = apply_weights(superdirective(LOOK, FIELD, 1e-2), spec)
    above = slice(2, None)  # 500 Hz and up, where the array is not small
    gain_db = 10 * torch.log10(power(fixed)[:, above, 50:].mean() / power(got)[:, above, 50:].mean())
    assert gain_db > 5
    ratio_db = 10 * torch.log10(left[..., 50:].mean((0, 2)) / power(got)[..., 50:].mean((0, 2)))
    assert ratio_db.abs().max() < 2  # the noise that is left is known


def test_speech_does_not_get_into_the_noise_covariance() -> None:
    noise, heard = interfered(120), torch.zeros(2, 6, 120, dtype=torch.complex64)
    heard[..., 60:80] = 10 * random(2, 6, 20, seed=5)
    speaking = estimated_mvdr(noise + plane_wave(LOOK, heard), LOOK, FIELD, RATE)
    silent = estimated_mvdr(noise, LOOK, FIELD, RATE)
    assert power(heard[..., 60:80]).mean() > 50 * silent[1][..., 79].mean()
    assert speaking[1][..., 79].mean() < 2 * silent[1][..., 59].mean()


def test_one_microphone_is_left_as_it_is() -> None:
    alone, spec = linear(1), random(2, 1, 6, 20)
    steering = steering_vector(alone, 0.0, 0.0, FREQUENCIES)
    got, left, _ = estimated_mvdr(spec, steering, diffuse_coherence(alone, FREQUENCIES), RATE)
    torch.testing.assert_close(got, spec[:, 0])
    assert (left > 0).all()


def test_items_of_a_batch_do_not_mix_and_may_have_their_own_direction() -> None:
    spec, other = interfered(20), steering_vector(GEOMETRY, -10.0, 30.0, FREQUENCIES)
    together, left, _ = estimated_mvdr(spec, torch.stack([LOOK, other]), FIELD, RATE)
    for item, steering in enumerate((LOOK, other)):
        alone, noise, _ = estimated_mvdr(spec[item : item + 1], steering, FIELD, RATE)
        torch.testing.assert_close(alone[0], together[item])
        torch.testing.assert_close(noise[0], left[item])


@pytest.mark.parametrize("factor", [1e-20, 1e8])
def test_the_level_does_not_matter(factor: float) -> None:
    spec = interfered(30)
    got, left, _ = estimated_mvdr(factor * spec, LOOK, FIELD, RATE)
    expected, noise, _ = estimated_mvdr(spec, LOOK, FIELD, RATE)
    torch.testing.assert_close(got / factor, expected, rtol=1e-3, atol=1e-4)
    gain, _ = decision_directed_gain(got, left, RATE)
    torch.testing.assert_close(gain, decision_directed_gain(expected, noise, RATE)[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("silent", [slice(0, 40), slice(0, 10), slice(20, 40)])
def test_silence_is_finite(silent: slice) -> None:
    spec = interfered(40)
    spec[..., silent] = 0
    got, left, _ = estimated_mvdr(spec, LOOK, FIELD, RATE)
    gain, _ = decision_directed_gain(got, left, RATE)
    assert torch.isfinite(torch.view_as_real(got)).all()
    assert torch.equal(got[..., silent], torch.zeros_like(got[..., silent]))
    assert torch.isfinite(left).all()
    assert ((gain >= MIN_GAIN) & (gain <= 1)).all()


# --- the gain -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mu", [0.3, 1.0, 4.0])
def test_the_gain_is_the_recursion_written_out(mu: float) -> None:
    spec, noise = 2 * random(2, 3, 25), 0.5 + torch.rand(2, 3, 25, generator=torch.Generator().manual_seed(1))
    got, _ = decision_directed_gain(spec, noise, RATE, mu)
    keep = math.exp(-0.016 / 0.2)
    for item, freq in np.ndindex(2, 3):
        before = 0.0
        for frame in range(25):
            now, left = float(spec[item, freq, frame].abs()) ** 2, float(noise[item, freq, frame])
            ratio = keep * before / left + (1 - keep) * max(now / left - 1, 0)
            gain = max(ratio / (mu + ratio), 10**-0.75)
            before = gain**2 * now
            assert float(got[item, freq, frame]) == pytest.approx(gain, rel=1e-5)


def test_steady_speech_gets_its_wiener_gain_and_noise_the_least() -> None:
    spec = torch.full((1, 1, 400), 100.0, dtype=torch.complex64)
    gain, _ = decision_directed_gain(spec, torch.ones(1, 1, 400), RATE)
    assert float(gain[0, 0, -1]) == pytest.approx(1, abs=1e-3)
    assert torch.equal(decision_directed_gain(0 * spec, torch.ones(1, 1, 400), RATE)[0].unique(), gain.new([MIN_GAIN]))


def test_errors() -> None:
    spec = random(1, 6, 4)
    with pytest.raises(ValueError, match=r"expected one shape \(batch, n_freqs, n_frames\), got .* \(1, 6, 3\)"):
        decision_directed_gain(spec, torch.ones(1, 6, 3), RATE)
    for mu in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="mu: expected a positive number"):
            decision_directed_gain(spec, torch.ones(1, 6, 4), RATE, mu)
    with pytest.raises(ValueError, match="frame_rate: expected a positive number"):
        estimated_mvdr(interfered(3), LOOK, FIELD, 0.0)
    with pytest.raises(ValueError, match=r"coherence: expected last axes \(6, 5, 5\)"):
        estimated_mvdr(interfered(3), LOOK, FIELD[:1], RATE)
    with pytest.raises(ValueError, match=r"weights: expected last axes \(6, 4\)"):
        estimated_mvdr(interfered(3)[:, :4], LOOK, FIELD, RATE)
