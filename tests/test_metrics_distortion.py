"""Ratios and distances on waves: closed forms, an exact slow reference, scipy's transform."""

from __future__ import annotations

from fractions import Fraction
from math import log10

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import stft

from arrayse.metrics import (
    Score,
    Stems,
    log_spectral_distance,
    noise_reduction,
    sdr,
    si_sdr,
    si_sdr_improvement,
    speech_distortion,
)
from tests.test_metrics import RATE, noisy, reason, tone, value_of, voice


@pytest.mark.parametrize("expected_db", [-40.0, -3.5, 0.0, 12.0, 90.0])
def test_ratios_of_orthogonal_noise_are_the_energy_ratio(expected_db: float) -> None:
    estimate = tone(20) + 10 ** (-expected_db / 20) * tone(33)
    assert si_sdr(estimate, tone(20), RATE).value == pytest.approx(expected_db, abs=1e-6)
    assert sdr(estimate, tone(20), RATE).value == pytest.approx(expected_db, abs=1e-6)


def exact_si_sdr(estimate: np.ndarray, target: np.ndarray) -> float:
    """SI-SDR in rational arithmetic, from the squared cosine between the signals instead of a projection."""
    e, t = ([Fraction(float(x)) for x in wave] for wave in (estimate, target))
    n = len(e)
    cross = n * sum(x * y for x, y in zip(e, t, strict=True)) - sum(e) * sum(t)
    e_power, t_power = n * sum(x * x for x in e) - sum(e) ** 2, n * sum(x * x for x in t) - sum(t) ** 2
    cosine2 = cross**2 / (e_power * t_power)
    return 10 * log10(cosine2 / (1 - cosine2))


def test_si_sdr_equals_exact_arithmetic() -> None:
    rng = np.random.default_rng(7)
    for gain in (1e-3, 0.3, 5.0):
        target = rng.standard_normal(300) + 0.7
        estimate = 0.2 * target + gain * rng.standard_normal(300) - 3
        assert si_sdr(estimate, target, RATE).value == pytest.approx(exact_si_sdr(estimate, target), abs=1e-8)


@settings(max_examples=50, deadline=None)
@given(
    scales=st.tuples(*[st.floats(1e-4, 1e4)] * 2),
    signs=st.tuples(*[st.sampled_from([-1, 1])] * 2),
    offsets=st.tuples(*[st.floats(-1, 1)] * 2),
)
def test_si_sdr_knows_no_scale_sign_or_offset(
    scales: tuple[float, float], signs: tuple[int, int], offsets: tuple[float, float]
) -> None:
    target = voice(0.1)
    estimate = noisy(target, 0.02)
    (g, h), (a, b) = np.multiply(signs, scales), offsets
    changed = si_sdr(g * (estimate + a), h * (target + b), RATE)
    assert changed.value == pytest.approx(si_sdr(estimate, target, RATE).value, abs=1e-6)


def test_si_sdr_has_no_value_at_its_ends() -> None:
    target = voice()
    for scale in (1.0, 0.3, -2.0):
        assert "above 100 dB" in reason(si_sdr(scale * target, target, RATE))
    assert "above 100 dB" in reason(si_sdr(target.astype(np.float32), target, RATE))
    assert "below -100 dB" in reason(si_sdr(tone(33), tone(20), RATE))
    even, odd = np.tile([1.0, 0, -1, 0], 100), np.tile([0.0, 1, 0, -1], 100)
    assert "below -100 dB" in reason(si_sdr(even, odd, RATE))  # the projection is exactly zero


@pytest.mark.parametrize("sign", [1, -1])
def test_si_sdr_limit_lies_at_100_db(sign: int) -> None:
    def at(level_db: float) -> Score:
        return si_sdr(tone(20) + 10 ** (-sign * level_db / 20) * tone(33), tone(20), RATE)

    assert at(99.9).value == pytest.approx(sign * 99.9, abs=1e-3)
    assert "100 dB" in reason(at(100.1))


def test_improvement_is_the_difference_of_two_ratios() -> None:
    given = tone(20) + tone(33)
    assert si_sdr_improvement(tone(20) + 0.1 * tone(33), tone(20), given, RATE).value == pytest.approx(20, abs=1e-6)
    assert si_sdr_improvement(given, tone(20), given, RATE).value == 0.0
    better, worse = (noisy(tone(20), gain) for gain in (0.1, 0.5))
    forth, back = (value_of(si_sdr_improvement(a, tone(20), b, RATE)) for a, b in ((better, worse), (worse, better)))
    assert forth == -back > 0


def test_improvement_has_a_reason_where_one_of_both_has_one() -> None:
    wave, estimate = tone(20), noisy(tone(20), 0.1)
    above = "si_sdr: above 100 dB, the scaled target itself up to rounding"
    assert reason(si_sdr_improvement(wave, wave, estimate, RATE)) == f"si_sdr_improvement: {above}"
    assert reason(si_sdr_improvement(estimate, wave, wave, RATE)) == f"si_sdr_improvement: noisy: {above}"
    assert reason(si_sdr_improvement(estimate, wave, 0 * wave, RATE)).startswith("noisy: expected a signal")
    assert "noisy: expected 4000 samples" in reason(si_sdr_improvement(estimate, wave, wave[1:], RATE))


def test_sdr_counts_gain_and_mean_as_errors() -> None:
    for gain in (0.5, 1.1, -1.0):
        assert sdr(gain * tone(20), tone(20), RATE).value == pytest.approx(-20 * log10(abs(1 - gain)))
    assert sdr(tone(20) + 0.1, tone(20), RATE).value == pytest.approx(10 * log10(0.5 / 0.01))


def test_sdr_has_no_value_at_its_ends() -> None:
    assert reason(sdr(tone(20), tone(20), RATE)) == "sdr: above 100 dB, the target itself up to rounding"
    assert reason(sdr(1e6 * tone(33), tone(20), RATE)) == "sdr: below -100 dB, nothing but error"


@pytest.mark.parametrize("gain", [0.1, -0.5, 3.0])
def test_log_spectral_distance_of_a_scaled_copy_is_the_gain(gain: float) -> None:
    found = log_spectral_distance(gain * voice(), voice(), RATE)
    assert found.value == pytest.approx(abs(20 * log10(abs(gain))), abs=1e-9)


@pytest.mark.parametrize(("rate", "n_samples"), [(16_000, 16_000), (16_000, 8_195), (8_000, 300), (44_100, 20_000)])
def test_log_spectral_distance_by_scipy(rate: int, n_samples: int) -> None:
    target, length = voice()[1000 : 1000 + n_samples], 2 * round(0.016 * rate)
    estimate = noisy(target, 0.001)
    levels = []
    for wave in (estimate, target):
        spectrum = stft(wave, window="hann", nperseg=length, noverlap=length // 2, padded=True)[2]
        level = 20 * np.log10(np.abs(spectrum) + 1e-300)
        levels.append(np.maximum(level, level.max() - 50))
    expected = np.sqrt(((levels[0] - levels[1]) ** 2).mean(axis=0)).mean()
    assert log_spectral_distance(estimate, target, rate).value == pytest.approx(expected, rel=1e-9)


def test_log_spectral_distance_is_symmetric_and_zero_for_equals() -> None:
    target, estimate = voice(), noisy(voice(), 0.01)
    assert log_spectral_distance(target, target, RATE).value == 0.0
    forth, back = (log_spectral_distance(*pair, RATE) for pair in ((estimate, target), (target, estimate)))
    assert forth == back
    assert 1 < value_of(forth) <= 50


def test_noise_that_is_halved_is_reduced_by_6_db() -> None:
    noise = noisy(np.zeros(4000), 1.0)
    for gain in (0.5, -0.01, 2.0):
        stems = Stems(tone(20), noise, tone(20), gain * noise)
        assert noise_reduction(stems, RATE).value == pytest.approx(-20 * log10(abs(gain)))


def test_noise_reduction_has_no_value_at_its_ends() -> None:
    stems = Stems(tone(20), 1e6 * tone(33), tone(20), tone(33))
    assert reason(noise_reduction(stems, RATE)).startswith("noise_reduction: above 100 dB, no noise left")
    stems = Stems(tone(20), tone(33), tone(20), 1e6 * tone(33))
    assert reason(noise_reduction(stems, RATE)).startswith("noise_reduction: below -100 dB")
    stems = Stems(tone(20), tone(33), tone(20), 0 * tone(33))
    assert reason(noise_reduction(stems, RATE)).startswith("noise_out: expected a signal, got silence")


def test_speech_distortion_in_closed_form() -> None:
    for change, expected in ((-0.5 * tone(20), 20 * log10(0.5)), (0.01 * tone(33), -40.0), (10 * tone(7), 20.0)):
        stems = Stems(tone(20), tone(5), tone(20) + change, tone(5))
        assert speech_distortion(stems, RATE).value == pytest.approx(expected, abs=1e-9)


def test_speech_distortion_has_no_value_at_its_ends() -> None:
    stems = Stems(tone(20), tone(5), tone(20), 0.1 * tone(5))
    assert reason(speech_distortion(stems, RATE)).endswith("below -100 dB, the speech itself up to rounding")
    stems = Stems(tone(20), tone(5), 1e6 * tone(20), tone(5))
    assert reason(speech_distortion(stems, RATE)).startswith("speech_distortion: above 100 dB")
