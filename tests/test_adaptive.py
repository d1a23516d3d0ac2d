"""MVDR and multichannel Wiener filters: closed forms, plain numpy, and what they promise to minimise."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from arrayse.frontend.adaptive import apply_per_frame, mvdr, mvdr_souden, sdw_mwf, sdw_mwf_rank1
from arrayse.frontend.covariance import recursive_covariance, spatial_covariance
from arrayse.frontend.spatial import apply_weights, delay_and_sum, steering_vector
from arrayse.geometry import ArrayGeometry, circular

FREQUENCIES = torch.tensor([125.0, 500, 1000, 3000, 7900], dtype=torch.float64)
REF = 2
GEOMETRY = ArrayGeometry(circular().positions, ref_mic=REF)
LOOK = steering_vector(GEOMETRY, 40.0, 10.0, FREQUENCIES)

Pair = Callable[[Tensor, Tensor], Tensor]
FILTERS: dict[str, Pair] = {
    "mvdr_souden": lambda speech, noise: mvdr_souden(speech, noise, REF, 0.0),
    "sdw_mwf_rank1": lambda speech, noise: sdw_mwf_rank1(speech, noise, REF, 0.7, 0.0),
    "sdw_mwf": lambda speech, noise: sdw_mwf(speech, noise, REF, 0.7, 0.0),
}
"""From two covariances."""


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def covariances(*leading: int, seed: int = 0) -> Tensor:
    """Of full rank, (*leading, 5, 5)."""
    mixing = random(*leading, 5, 8, seed=seed)
    return mixing @ mixing.mH


def rank_one(powers: Tensor, steering: Tensor) -> Tensor:
    return powers[..., None, None] * steering[..., :, None] * steering[..., None, :].conj()


def response(weights: Tensor, steering: Tensor) -> Tensor:
    return (weights.conj() * steering).sum(-1)


# --- MVDR ---------------------------------------------------------------------------------------------------


@given(st.floats(-180, 180), st.floats(-90, 90), st.sampled_from([0.0, 1e-6, 1.0]), st.integers(0, 1000))
def test_what_comes_from_the_look_direction_passes(
    azimuth_deg: float, elevation_deg: float, loading: float, seed: int
) -> None:
    steering = steering_vector(GEOMETRY, azimuth_deg, elevation_deg, FREQUENCIES)
    got = response(mvdr(covariances(3, 5, seed=seed), steering, loading), steering)
    torch.testing.assert_close(got, torch.ones_like(got), atol=1e-6, rtol=0)


def test_every_frame_of_a_recursion_is_distortionless_from_the_first_on() -> None:
    spec = random(2, 5, len(FREQUENCIES), 12).to(torch.complex64)
    running, _ = recursive_covariance(spec, 0.9)  # of rank one, two, ... five
    weights = mvdr(running, LOOK, 1e-6)
    assert weights.shape == (2, 12, len(FREQUENCIES), 5)
    got = response(weights, LOOK)
    torch.testing.assert_close(got, torch.ones_like(got), atol=1e-6, rtol=0)


@pytest.mark.parametrize("power", [1e-12, 1.0, 1e12])
def test_noise_of_the_microphones_themselves_gives_delay_and_sum(power: float) -> None:
    white = power * torch.eye(5, dtype=torch.complex128).expand(len(FREQUENCIES), 5, 5)
    torch.testing.assert_close(mvdr(white, LOOK, 0.0), delay_and_sum(LOOK))
    loaded = mvdr(covariances(len(FREQUENCIES)), LOOK, 1e9)
    torch.testing.assert_close(loaded, delay_and_sum(LOOK), atol=1e-6, rtol=0)


@pytest.mark.parametrize("ratio", [1e-8, 1e-3, 1.0, 1e3])
def test_an_interferer_is_suppressed_as_the_closed_form_says(ratio: float) -> None:
    """Response ``conj(c) e / (M (M + e) - |c|^2)`` with ``c = a^H d`` and e the white noise over the interferer."""
    other = steering_vector(GEOMETRY, -80.0, 0.0, FREQUENCIES)
    noise = rank_one(torch.ones(len(FREQUENCIES)), other) + ratio * torch.eye(5)
    overlap = response(other, LOOK)
    expected = overlap.conj() * ratio / (5 * (5 + ratio) - overlap.abs().square())
    got = response(mvdr(noise, LOOK, 0.0), other)
    torch.testing.assert_close(got, expected, atol=1e-9, rtol=1e-6)
    if ratio == 1e-8:
        assert got.abs().max() < 1e-6  # a null


def test_no_other_distortionless_weights_let_less_noise_through() -> None:
    noise = covariances(len(FREQUENCIES))
    best = mvdr(noise, LOOK, 0.0)

    def through(weights: Tensor) -> Tensor:
        return torch.einsum("fm,fmn,fn->f", weights.conj(), noise, weights).real

    for seed in range(20):
        step = 0.01 * random(len(FREQUENCIES), 5, seed=seed)
        step -= response(LOOK, step)[:, None] * LOOK / 5  # changes nothing in the look direction
        assert (through(best + step) > through(best)).all()


# --- from covariances ---------------------------------------------------------------------------------------


def test_weights_are_those_of_the_formulas_written_out() -> None:
    speech, noise, loading, mu = covariances(2, 3, 4, seed=1), covariances(2, 3, 4, seed=2), 1e-2, 0.7
    steering = random(2, 3, 4, 5, seed=3)
    got = {
        "mvdr": mvdr(noise, steering, loading),
        "souden": mvdr_souden(speech, noise, REF, loading),
        "rank1": sdw_mwf_rank1(speech, noise, REF, mu, loading),
        "full": sdw_mwf(speech, noise, REF, mu, loading),
    }
    for place in np.ndindex(2, 3, 4):
        x, v, d = (tensor[place].numpy() for tensor in (speech, noise, steering))
        inverse = np.linalg.inv(v + loading * np.trace(v).real / 5 * np.eye(5))
        both = x + mu * v
        ratio = np.trace(inverse @ x).real
        expected = {
            "mvdr": inverse @ d / (d.conj() @ inverse @ d),
            "souden": (inverse @ x)[:, REF] / ratio,
            "rank1": (inverse @ x)[:, REF] / (mu + ratio),
            "full": np.linalg.inv(both + loading * np.trace(both).real / 5 * np.eye(5)) @ x[:, REF],
        }
        for name, weights in expected.items():
            np.testing.assert_allclose(got[name][place].numpy(), weights, rtol=1e-9, atol=1e-12, err_msg=name)


def test_for_speech_of_rank_one_covariances_and_steering_say_the_same() -> None:
    noise = covariances(2, len(FREQUENCIES))
    powers = torch.rand(2, len(FREQUENCIES), generator=torch.Generator().manual_seed(0)) + 0.1
    speech = rank_one(powers, LOOK)
    steered = mvdr(noise, LOOK, 1e-6)
    torch.testing.assert_close(mvdr_souden(speech, noise, REF, 1e-6), steered, rtol=1e-8, atol=1e-10)
    for mu in (0.1, 1.0, 10.0):
        rank1 = sdw_mwf_rank1(speech, noise, REF, mu, 0.0)
        torch.testing.assert_close(sdw_mwf(speech, noise, REF, mu, 0.0), rank1, rtol=1e-8, atol=1e-10)
        left = torch.einsum("bfm,bfmn,bfn->bf", steered.conj(), noise, steered).real
        gain = powers / (powers + mu * left)  # the Wiener gain behind the MVDR
        torch.testing.assert_close(rank1, gain[..., None] * steered, rtol=1e-4, atol=1e-6)


def test_the_wiener_filter_becomes_the_mvdr_beamformer_where_noise_costs_little() -> None:
    noise, speech = covariances(len(FREQUENCIES)), rank_one(torch.ones(len(FREQUENCIES)), LOOK)
    steered = mvdr(noise, LOOK, 0.0)
    assert torch.equal(sdw_mwf_rank1(speech, noise, REF, 0.0, 0.0), mvdr_souden(speech, noise, REF, 0.0))
    gaps = []
    for mu in (1e-2, 1e-4, 1e-6):
        full, rank1 = (form(speech, noise, REF, mu, 0.0) for form in (sdw_mwf, sdw_mwf_rank1))
        torch.testing.assert_close(full, rank1, rtol=1e-6, atol=1e-7)
        gaps.append(float((full - steered).abs().max()))
    assert gaps[0] > 20 * gaps[1] > 400 * gaps[2]


def test_the_wiener_filter_is_the_least_squares_fit_and_whatever_differs_is_worse() -> None:
    """Frames x + v and x - v make the cross terms of the sample covariances vanish exactly."""
    wanted, rest = random(1, 5, 3, 40, seed=1), 0.5 * random(1, 5, 3, 40, seed=2)
    noisy, clean = torch.cat([wanted + rest, wanted - rest], dim=-1), torch.cat([wanted, wanted], dim=-1)
    weights = sdw_mwf(spatial_covariance(wanted), spatial_covariance(rest), REF, 1.0, 0.0)

    def error(candidate: Tensor) -> Tensor:
        return (apply_weights(candidate, noisy) - clean[:, REF]).abs().square().mean(-1)

    for freq in range(3):
        fitted = np.linalg.lstsq(noisy[0, :, freq].numpy().conj().T, clean[0, REF, freq].numpy().conj())[0]
        np.testing.assert_allclose(weights[0, freq].numpy(), fitted, atol=1e-9)
    for seed in range(20):
        assert (error(weights + 0.01 * random(1, 3, 5, seed=seed)) > error(weights)).all()


@pytest.mark.parametrize("mu", [0.3, 1.0, 5.0])
def test_one_microphone_gets_the_wiener_gain(mu: float) -> None:
    speech, noise = (torch.rand(2, 4, 1, 1, generator=torch.Generator().manual_seed(seed)) + 0.1 for seed in (0, 1))
    expected = (speech / (speech + mu * noise))[..., 0].to(torch.complex128)
    for form in (sdw_mwf, sdw_mwf_rank1):
        torch.testing.assert_close(form(speech, noise, 0, mu, 0.0), expected, rtol=1e-6, atol=0)
    alone = torch.ones_like(expected)
    torch.testing.assert_close(mvdr_souden(speech, noise, 0, 0.0), alone)
    torch.testing.assert_close(mvdr(noise, alone, 1e-2), alone)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("factor", [1e-60, 1e-8, 1e12])
def test_a_common_factor_changes_no_weights(name: str, factor: float) -> None:
    speech, noise = covariances(2, 3, seed=1), covariances(2, 3, seed=2)
    torch.testing.assert_close(FILTERS[name](factor * speech, factor * noise), FILTERS[name](speech, noise))


@pytest.mark.parametrize("name", FILTERS)
def test_items_of_a_batch_do_not_mix(name: str) -> None:
    speech, noise = covariances(3, 4, seed=1), covariances(3, 4, seed=2)
    together = FILTERS[name](speech, noise)
    for item in range(3):
        torch.testing.assert_close(FILTERS[name](speech[item], noise[item]), together[item])


# --- silence, singular matrices, errors ---------------------------------------------------------------------


def test_silence_gives_the_weights_that_are_documented() -> None:
    some, none = covariances(3), torch.zeros(3, 5, 5, dtype=torch.complex128)
    passed = torch.eye(5, dtype=torch.complex128)[REF].expand(3, 5)
    steering = LOOK[:3]
    for silence in (none, 1e-300 * some):  # of numbers too small to be inverted
        torch.testing.assert_close(mvdr(silence, steering, 0.0), delay_and_sum(steering))
    for noise in (some, none):
        assert torch.equal(mvdr_souden(none, noise, REF, 0.0), passed)
        assert torch.equal(sdw_mwf(none, noise, REF, 1.0, 0.0), 0 * passed)
    assert torch.equal(sdw_mwf_rank1(none, some, REF, 1.0, 0.0), 0 * passed)
    assert torch.equal(sdw_mwf_rank1(none, none, REF, 1.0, 0.0), passed)
    speech = rank_one(torch.ones(3), steering)
    for mu in (0.0, 1.0):  # no noise: the filter that is matched to the speech
        torch.testing.assert_close(sdw_mwf_rank1(speech, none, REF, mu, 0.0), delay_and_sum(steering))


@pytest.mark.parametrize("factor", [1e-60, 1.0, 1e9])
def test_a_singular_matrix_is_named_unless_it_is_loaded(factor: float) -> None:
    singular = factor * rank_one(torch.ones(4, len(FREQUENCIES)), random(4, len(FREQUENCIES), 5))
    speech = factor * covariances(4, len(FREQUENCIES))
    for call in (
        lambda loading: mvdr(singular, LOOK, loading),
        lambda loading: mvdr_souden(speech, singular, REF, loading),
        lambda loading: sdw_mwf(singular, singular, REF, 1.0, loading),
    ):
        with pytest.raises(ValueError, match="loading: expected more than 0, got a singular or not finite covariance"):
            call(0.0)
        assert torch.isfinite(torch.view_as_real(call(1e-6))).all()


def test_errors() -> None:
    speech, noise = covariances(5, seed=1), covariances(5, seed=2)
    with pytest.raises(ValueError, match=r"noise: expected last axes \(5, 5\) as steering, got \(5, 4, 4\)"):
        mvdr(noise[:, :4, :4], LOOK, 0.0)
    with pytest.raises(ValueError, match=r"speech and noise: expected one shape .* got \(4, 5, 5\) and \(5, 5, 5\)"):
        mvdr_souden(speech[:4], noise, REF, 0.0)
    with pytest.raises(ValueError, match="ref_mic: expected 0 to 4, got 5"):
        sdw_mwf(speech, noise, 5, 1.0, 0.0)
    for loading in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="loading: expected a finite number of at least 0"):
            mvdr(noise, LOOK, loading)
    for mu in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="mu: expected a finite number of at least 0"):
            sdw_mwf_rank1(speech, noise, REF, mu, 0.0)
    with pytest.raises(ValueError, match="mu: expected more than 0"):
        sdw_mwf(speech, noise, REF, 0.0, 0.0)
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not finite covariance"):
            mvdr(bad * noise, LOOK, 1.0)
    with pytest.raises(ValueError, match=r"weights: expected shape \(1, 6, 3, 4\), got \(1, 3, 4\)"):
        apply_per_frame(random(1, 3, 4), random(1, 4, 3, 6))


def test_weights_per_frame_multiply_their_frame() -> None:
    spec, weights = random(2, 4, 3, 6).to(torch.complex64), random(2, 6, 3, 4, seed=1)
    got = apply_per_frame(weights, spec)
    assert got.dtype == torch.complex64
    for frame in range(6):
        expected = apply_weights(weights[:, frame], spec[..., frame : frame + 1])[..., 0]
        torch.testing.assert_close(got[..., frame], expected)
