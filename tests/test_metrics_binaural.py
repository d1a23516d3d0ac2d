"""Binaural cues: closed forms of delayed and scaled channels, a search over all lags, what must not matter."""

from __future__ import annotations

import numpy as np
import pytest

from arrayse.metrics import ild_error_db, itd_error_us
from tests.test_metrics import RATE, reason, tone, value_of, voice


def faded_noise(seed: int = 0, n_samples: int = 8_000) -> np.ndarray:
    """Noise of all frequencies that begins and ends in silence, so that it can be delayed."""
    return np.random.default_rng(seed).standard_normal(n_samples) * np.hanning(n_samples) ** 2


def delayed(wave: np.ndarray, seconds: float, rate: int = RATE) -> np.ndarray:
    """The wave later by any time, by its phases."""
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(wave.size, 1 / rate) * seconds)
    return np.fft.irfft(np.fft.rfft(wave) * turn, wave.size)


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
@pytest.mark.parametrize("itd_us", [0.0, 1.0, 10.4, -333.3, 700.0, -980.0])
def test_itd_error_of_a_delayed_channel_is_the_delay(itd_us: float, rate: int) -> None:
    wave = faded_noise()
    estimate = np.stack([wave, delayed(wave, 1e-6 * itd_us, rate)])
    assert itd_error_us(estimate, np.stack([wave, wave]), rate).value == pytest.approx(abs(itd_us), abs=0.05)


def test_itd_error_is_the_difference_of_two_delays() -> None:
    wave = faded_noise()
    waves = [np.stack([delayed(wave, left), delayed(wave, right)]) for left, right in ((0, 5e-4), (3e-4, 1e-4))]
    assert itd_error_us(*waves, RATE).value == pytest.approx(700, abs=0.05)
    assert itd_error_us(waves[0][::-1], waves[0], RATE).value == pytest.approx(1000, abs=0.05)


def test_itd_by_a_search_over_all_lags() -> None:
    rng = np.random.default_rng(4)
    wave = faded_noise()
    pair = np.stack([wave, delayed(wave, 2.2e-4)]) + 0.3 * rng.standard_normal((2, wave.size))
    spectra = np.fft.rfft(pair, 2 * wave.size)
    frequencies = np.fft.rfftfreq(2 * wave.size, 1 / RATE)
    low = frequencies < 1500
    lags = np.arange(-1e-3, 1e-3, 1e-6)
    kernel = np.exp(2j * np.pi * lags[:, None] * frequencies[low])
    correlation = (kernel @ (spectra[0].conj() * spectra[1])[low]).real
    expected = 1e6 * abs(lags[correlation.argmax()])
    assert itd_error_us(pair, np.stack([wave, wave]), RATE).value == pytest.approx(expected, abs=1.0)


def test_itd_is_heard_below_1500_hz() -> None:
    low, high = tone(200, 8_000), tone(1500, 8_000)  # 400 and 3000 Hz
    target = np.stack([low + high, low + high])
    assert value_of(itd_error_us(np.stack([low + high, low + np.roll(high, 2)]), target, RATE)) < 0.5
    assert value_of(itd_error_us(np.stack([low + high, np.roll(low, 2) + high]), target, RATE)) > 100


def test_levels_do_not_move_the_itd_and_delays_do_not_move_the_ild() -> None:
    wave = faded_noise()
    target = np.stack([wave, wave])
    assert value_of(itd_error_us(np.stack([wave, 0.2 * wave]), target, RATE)) < 1e-6
    assert value_of(ild_error_db(np.stack([wave, delayed(wave, 5e-4)]), target, RATE)) < 1e-9


@pytest.mark.parametrize("gain_db", [-12.0, 0.5, 20.0])
def test_ild_error_of_a_scaled_channel_is_the_gain(gain_db: float) -> None:
    target = np.stack([faded_noise(0), faded_noise(1)])
    estimate = target * [[1.0], [10 ** (gain_db / 20)]]
    assert ild_error_db(estimate, target, RATE).value == pytest.approx(abs(gain_db), abs=1e-9)
    assert ild_error_db(7 * estimate, 0.3 * target, RATE).value == pytest.approx(abs(gain_db), abs=1e-9)


def test_ild_error_is_the_mean_over_bands_of_the_target() -> None:
    waves = [tone(periods, 16_000) for periods in (500, 2000, 5000)]
    target = np.stack([sum(waves), sum(waves)])
    estimate = np.stack([sum(waves), waves[0] + 0.5 * waves[1] - 2 * waves[2]])
    assert ild_error_db(estimate, target, RATE).value == pytest.approx((0 + 2 * 20 * np.log10(2)) / 3, abs=1e-9)
    faint = np.stack([sum(waves[:2]) + 1e-4 * waves[2]] * 2)  # the third band is 80 dB down: not heard
    assert ild_error_db(estimate, faint, RATE).value == pytest.approx(20 * np.log10(2) / 2, abs=1e-9)


def test_third_octave_bands_have_their_standard_edges() -> None:
    def error(frequency: int) -> float:
        """A second tone of another level, in the band of 1 kHz or beside it."""
        first, second = tone(1000, 16_000), tone(frequency, 16_000)
        target = np.stack([first, first])
        return value_of(ild_error_db(np.stack([first, first + second]), target, RATE))

    for inside in (892, 1122):
        assert error(inside) == pytest.approx(10 * np.log10(2), abs=1e-9)
    for outside in (891, 1123):
        assert error(outside) < 1e-9


def test_bands_end_where_half_the_sample_rate_would_cut_one() -> None:
    for frequency, expected in ((7000, 10 * np.log10(4) / 2), (7200, 0.0)):  # the band of 6.3 kHz ends at 7079 Hz
        first, second = tone(1000, 16_000), tone(frequency, 16_000)
        target, estimate = np.stack([first + second] * 2), np.stack([first + second, first + 2 * second])
        assert ild_error_db(estimate, target, RATE).value == pytest.approx(expected, abs=1e-9)


def test_equal_signals_have_no_error_whatever_they_are() -> None:
    pair = np.stack([voice(1.0), np.random.default_rng(1).standard_normal(16_000)])
    assert itd_error_us(pair, pair, RATE).value == 0.0
    assert ild_error_db(pair, pair, RATE).value == 0.0


def test_anything_but_two_channels() -> None:
    pair = np.stack([voice(0.5), voice(0.5)])
    for metric in (itd_error_us, ild_error_db):
        for wrong in (pair[0], pair[:1], np.concatenate([pair, pair]), pair.T):
            assert reason(metric(wrong, pair, RATE)).startswith("estimate: expected two channels of shape (2, n_sam")
            assert reason(metric(pair, wrong, RATE)).startswith("target: expected two channels")
        assert reason(metric(pair * [[1], [0]], pair, RATE)).startswith("estimate, channel 1: expected a signal")
        assert "expected 7999 samples like the target" in reason(metric(pair, pair[:, 1:], RATE))
        assert reason(metric(pair, np.full_like(pair, np.nan), RATE)).startswith("target, channel 0: expected finite")


def test_signals_without_the_bands_that_are_compared() -> None:
    pair = np.stack([tone(20, 16_000)] * 2)  # 20 Hz
    assert "in third-octave bands from 125 Hz up, got none" in reason(ild_error_db(pair, pair, 200))
    alternating = np.tile([1.0, -1.0], 512)  # its transform is exactly zero below half the sample rate
    noise = np.random.default_rng(0).standard_normal((2, 1024))
    for estimate in (np.stack([alternating, noise[1]]), np.stack([alternating, alternating])):
        assert "expected energy at both ears in all bands of the target" in reason(ild_error_db(estimate, noise, RATE))
