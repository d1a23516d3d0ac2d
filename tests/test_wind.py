"""Wind is low in frequency, comes in gusts and is as coherent as the Corcos model says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import welch

from arrayse.geometry import circular, compact_diamond, earbuds, linear
from simulate.highpass import high_passed
from simulate.wind import corcos_decay, gusts, mix_decaying, wind_noise

RATE = 16000
N_FFT = 4096  # a quarter of a second: far longer than the wind takes to pass an array
HERTZ = np.fft.rfftfreq(N_FFT, 1 / RATE)


def cross_spectra(wave: np.ndarray) -> np.ndarray:
    """Mean over half-overlapping Hann frames of equal level of (n_mics, n_samples): (n_freqs, n_mics, n_mics)."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, N_FFT, axis=-1)[:, :: N_FFT // 2]
    spectra = np.fft.rfft(frames * np.hanning(N_FFT)).transpose(2, 0, 1)  # f m t
    spectra /= np.sqrt(np.mean(np.abs(spectra) ** 2, axis=(0, 1)))  # else gusts leave few frames to average over
    return spectra @ spectra.conj().transpose(0, 2, 1) / frames.shape[1]


def expected_coherence(positions: np.ndarray, speed: float, azimuth_deg: float, hertz: np.ndarray) -> np.ndarray:
    """exp(-w (0.125 |along| + 0.7 |across|) / U_c - i w along / U_c), written out, (n_freqs, n_mics, n_mics)."""
    angle = np.deg2rad(azimuth_deg + 180)  # where the wind goes
    table = np.ones((len(hertz), len(positions), len(positions)), dtype=complex)
    for a, first in enumerate(positions):
        for b, second in enumerate(positions):
            x, y, z = first - second
            along = np.cos(angle) * x + np.sin(angle) * y
            across = np.hypot(-np.sin(angle) * x + np.cos(angle) * y, z)
            exponent = 0.125 * abs(along) + 0.7 * across + 1j * along
            table[:, a, b] = np.exp(-2 * np.pi * hertz * exponent / (0.8 * speed))
    return table


@pytest.mark.parametrize(("make", "speed", "azimuth_deg"), [(compact_diamond, 5.0, 0.0), (circular, 12.0, 70.0)])
def test_coherence_is_that_of_the_corcos_model(make: Callable, speed: float, azimuth_deg: float) -> None:
    """With its phase: the same turbulence passes one microphone after the other."""
    positions, rng = make().positions, np.random.default_rng(1)
    total = sum(cross_spectra(wind_noise(positions, 60 * RATE, RATE, rng, speed, azimuth_deg)) for _ in range(5))
    power = np.einsum("fii->fi", total).real
    coherence = total / np.sqrt(power[:, :, None] * power[:, None, :])
    error = (coherence - expected_coherence(positions, speed, azimuth_deg, HERTZ))[2:]
    first, second = np.triu_indices(len(positions), k=1)
    low = HERTZ[2:] < 300  # where the wind is and where it is coherent
    assert np.sqrt(np.mean(np.abs(error[:, first, second]) ** 2)) < 0.03
    assert np.sqrt(np.mean(np.abs(error[low][:, first, second]) ** 2)) < 0.03
    assert np.abs(coherence[HERTZ > 4000][:, 0, 1:]).mean() < 0.03


@pytest.mark.parametrize("speed", [1.0, 5.0, 20.0])
@pytest.mark.parametrize("make", [compact_diamond, circular, earbuds])
def test_the_interpolated_root_keeps_the_coherence(make: Callable, speed: float) -> None:
    """Unit vectors, mixed, are the columns of the mixing matrix: its product with itself is the coherence."""
    positions, n_bins, bin_hz = make().positions, 8001, 1.0
    decay = corcos_decay(positions, speed, 30.0)[0]
    columns = []
    for unit in np.eye(len(positions), dtype=np.complex64):
        column = np.repeat(unit[:, None], n_bins, axis=1)
        mix_decaying(column, decay, bin_hz)
        columns.append(column.real.astype(float))
    matrix = np.stack(columns, axis=-1).transpose(1, 0, 2)  # f i j
    expected = np.abs(expected_coherence(positions, speed, 30.0, bin_hz * np.arange(n_bins)))
    np.testing.assert_allclose(matrix @ matrix.transpose(0, 2, 1), expected, atol=2e-3)


def test_the_spectrum_is_flat_and_then_falls_with_the_seven_thirds() -> None:
    wave = wind_noise(linear(1).positions, 120 * RATE, RATE, np.random.default_rng(0))
    level = 10 * np.log10(welch(wave[0], RATE, nperseg=N_FFT)[1])
    falling = (HERTZ > 200) & (HERTZ < 5000)
    slope = np.polyfit(np.log10(HERTZ[falling]), level[falling], 1)[0]
    assert slope == pytest.approx(-70 / 3, abs=0.5)
    expected = -35 / 3 * np.log10(1 + (HERTZ * 0.2 / 5) ** 2)
    error = level - expected
    np.testing.assert_allclose((error - np.median(error))[(HERTZ > 50) & (HERTZ < 7000)], 0, atol=2.5)
    bands = [error[(low <= HERTZ) & (2 * low > HERTZ)].mean() for low in (50, 100, 200)]
    assert np.ptp(bands) < 0.5


def test_infrasound_fades_as_in_every_response() -> None:
    """Told by white noise through the filter of the responses; 18 % of what is left lies above 100 Hz at 5 m/s."""
    wave = wind_noise(linear(1).positions, 240 * RATE, RATE, np.random.default_rng(6))[0]
    hertz, spectrum = welch(wave, RATE, nperseg=2 * RATE)
    click = high_passed(np.eye(1, 2 * RATE)[0], RATE)
    expected = np.abs(np.fft.rfft(click)) ** 2 * (1 + (hertz * 0.2 / 5) ** 2) ** (-7 / 6)
    for low, high in ((0, 5), (5, 10), (10, 15), (15, 20), (20, 30), (30, 50)):
        band = (hertz >= low) & (hertz < high)
        share, told = (part[band].sum() / part.sum() for part in (spectrum, expected))
        assert share == pytest.approx(told, rel=0.15, abs=0.002)
    assert spectrum[hertz > 100].sum() / spectrum.sum() == pytest.approx(0.18, abs=0.015)
    assert spectrum[hertz < 10].sum() / spectrum.sum() < 0.015


def test_a_stronger_wind_reaches_higher_frequencies() -> None:
    share = []
    for speed in (2.0, 5.0, 10.0):
        wave = wind_noise(linear(1).positions, 30 * RATE, RATE, np.random.default_rng(2), speed)
        spectrum = welch(wave[0], RATE, nperseg=N_FFT)[1]
        share.append(spectrum[HERTZ > 100].sum() / spectrum.sum())
    np.testing.assert_allclose(share, [0.12, 0.18, 0.30], atol=0.025)  # the spectrum of theory, added up


def test_gusts_change_the_level_slowly_and_at_all_microphones_at_once() -> None:
    positions = linear(2, 1.0).positions  # too far apart for the wind itself to be coherent
    wave = wind_noise(positions, 160 * RATE, RATE, np.random.default_rng(3))
    spectra = np.fft.rfft(wave)
    spectra[:, : 100 * 160] = 0  # above 100 Hz many periods fall into a frame
    frames = np.fft.irfft(spectra).reshape(2, -1, RATE // 20)
    level = 10 * np.log10(np.mean(frames**2, axis=2))
    assert np.corrcoef(level)[0, 1] > 0.7
    common = level.mean(axis=0) - level.mean()
    assert 3 < np.std(common) < 6  # 20 lg exp(2 * 0.25 v) has 4.3 dB
    course = np.abs(np.fft.rfft(common)) ** 2
    hertz = np.fft.rfftfreq(len(common), 1 / 20)
    assert course[(hertz > 0) & (hertz < 1)].mean() > 3 * course[(hertz > 2) & (hertz < 5)].mean()
    assert course[(hertz > 2) & (hertz < 5)].mean() > 2 * course[hertz > 6].mean()


@pytest.mark.parametrize("n_samples", [RATE, 10 * RATE, 8 * RATE + 1])
def test_gusts_end_at_five_hertz_and_leave_the_mean(n_samples: int) -> None:
    """The logarithm over 2 x 0.25 is the wind speed: von Karman's spectrum up to the limit, nothing at 0 Hz."""
    hertz, n_draws = np.fft.rfftfreq(n_samples, 1 / RATE), 40
    course = np.zeros(len(hertz))
    for seed in range(n_draws):
        speed = np.log(gusts(n_samples, RATE, np.random.default_rng(seed)).astype(float)) / 0.5
        assert abs(speed.mean()) < 1e-6
        course += np.abs(np.fft.rfft(speed)) ** 2 / n_draws / n_samples**2
    inside = (hertz > 0) & (hertz <= 5)
    assert course[hertz > 5].max() < 1e-9 * course[inside].min()
    expected = (1 + (hertz / 0.5) ** 2) ** (-5 / 6) * inside
    expected /= 2 * expected.sum()  # power 1 of v
    np.testing.assert_allclose(course[inside], expected[inside], rtol=0.75)
    np.testing.assert_allclose(course[inside].sum(), 0.5, rtol=0.15)


@given(n_mics=st.integers(1, 5), n_samples=st.integers(2, 3000), speed=st.floats(0.5, 30), azimuth=st.floats(-360, 360))
def test_any_size_has_unit_power_and_depends_on_the_seed_alone(
    n_mics: int, n_samples: int, speed: float, azimuth: float
) -> None:
    positions = 0.1 * np.random.default_rng(n_mics).standard_normal((n_mics, 3))
    waves = [
        wind_noise(positions, n_samples, RATE, np.random.default_rng(seed), speed, azimuth_deg=azimuth)
        for seed in (0, 0, 1)
    ]
    assert waves[0].shape == (n_mics, n_samples)
    assert waves[0].dtype == np.float32
    np.testing.assert_allclose(np.mean(waves[0].astype(float) ** 2), 1, rtol=1e-4)
    assert waves[0].tobytes() == waves[1].tobytes()
    assert waves[0].tobytes() != waves[2].tobytes() or n_samples * n_mics < 4


def test_the_power_is_the_same_at_every_microphone_and_place() -> None:
    rng = np.random.default_rng(4)
    power = [np.mean(wind_noise(circular().positions + shift, 60 * RATE, RATE, rng) ** 2, axis=1) for shift in (0, 3)]
    np.testing.assert_allclose(power, 1, atol=0.15)
    positions = np.vstack([circular().positions, circular().positions[:1]])
    wave = wind_noise(positions, RATE, RATE, rng)
    np.testing.assert_allclose(wave[5], wave[0], atol=1e-4)


def test_errors_name_what_is_wrong() -> None:
    rng, positions = np.random.default_rng(5), circular().positions
    with pytest.raises(ValueError, match=r"positions: expected shape \(n_mics, 3\), got \(3, 5\)"):
        wind_noise(positions.T, 100, RATE, rng)
    with pytest.raises(ValueError, match="n_samples: expected at least 2, got 1"):
        wind_noise(positions, 1, RATE, rng)
    for speed in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=rf"speed: expected a positive number of m/s, got {speed}"):
            wind_noise(positions, 100, RATE, rng, speed)
    with pytest.raises(ValueError, match="azimuth_deg: expected a finite number, got nan"):
        wind_noise(positions, 100, RATE, rng, azimuth_deg=float("nan"))
