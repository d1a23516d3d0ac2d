"""Diffuse noise has the coherence of a spherical field and the spectrum of its source; sensors have none."""

from __future__ import annotations

import numpy as np
import pytest

from arrayse.geometry import SPEED_OF_SOUND, ArrayGeometry, circular, compact_diamond, earbuds, linear
from simulate.noise import diffuse_noise, sensor_noise, spherical_coherence

RATE = 16000


def expected_coherence(geometry: ArrayGeometry, hertz: np.ndarray) -> np.ndarray:
    """sin(kd) / (kd) with d and k written out, (n_freqs, n_mics, n_mics)."""
    table = np.ones((len(hertz), geometry.n_mics, geometry.n_mics))
    for a, first in enumerate(geometry.positions):
        for b, second in enumerate(geometry.positions):
            phase = 2 * np.pi * hertz / SPEED_OF_SOUND * np.sqrt(((first - second) ** 2).sum())
            table[:, a, b] = np.where(phase == 0, 1, np.sin(phase) / np.where(phase == 0, 1, phase))
    return table


def cross_spectra(wave: np.ndarray, n_fft: int) -> np.ndarray:
    """Sum over half-overlapping Hann frames of a wave (n_mics, n_samples): (n_freqs, n_mics, n_mics)."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, n_fft, axis=-1)[:, :: n_fft // 2]
    spectra = np.fft.rfft(frames * np.hanning(n_fft))  # m t f
    return np.einsum("itf,jtf->fij", spectra, spectra.conj())


def test_a_plane_wave_from_everywhere_has_this_coherence() -> None:
    """The mean over directions of the phase between two microphones: where the formula comes from."""
    geometry, hertz = circular(), np.array([0.0, 500, 2000, 7000])
    n_waves = 20_000
    z = 1 - 2 * (np.arange(n_waves) + 0.5) / n_waves  # a Fibonacci sphere
    angle = np.pi * (1 + np.sqrt(5)) * np.arange(n_waves)
    directions = np.stack([np.sqrt(1 - z**2) * np.cos(angle), np.sqrt(1 - z**2) * np.sin(angle), z], axis=1)
    delays = directions @ geometry.positions.T / SPEED_OF_SOUND
    waves = np.exp(2j * np.pi * hertz[:, None, None] * delays)
    summed = np.einsum("fwi,fwj->fij", waves, waves.conj()) / n_waves
    coherence = spherical_coherence(geometry.positions, hertz)
    np.testing.assert_allclose(coherence, summed, atol=1e-3)
    np.testing.assert_allclose(coherence, expected_coherence(geometry, hertz), atol=1e-12)


@pytest.mark.parametrize("make", [compact_diamond, circular, earbuds])
@pytest.mark.parametrize("n_samples", [512, 511])
def test_coherence_in_expectation(make: type[ArrayGeometry], n_samples: int) -> None:
    geometry, rng, n_draws = make(), np.random.default_rng(1), 4000
    source = rng.standard_normal(n_samples)
    total = np.zeros((n_samples // 2 + 1, geometry.n_mics, geometry.n_mics), dtype=complex)
    for _ in range(n_draws):
        spectra = np.fft.rfft(diffuse_noise(source, geometry, RATE, rng))
        total += np.einsum("if,jf->fij", spectra, spectra.conj())
    hertz = np.fft.rfftfreq(n_samples, 1 / RATE)[1:]
    power = np.einsum("fii->fi", total[1:]).real / n_draws
    coherence = total[1:] / n_draws / np.sqrt(power[:, :, None] * power[:, None, :])
    error = coherence - expected_coherence(geometry, hertz)
    assert np.sqrt(np.mean(np.abs(error) ** 2)) < 0.02
    expected_power = np.abs(np.fft.rfft(source)[1:]) ** 2
    np.testing.assert_allclose(np.mean(power / expected_power[:, None], axis=0), 1, atol=0.01)


@pytest.mark.parametrize("make", [compact_diamond, circular])
def test_coherence_of_one_signal(make: type[ArrayGeometry]) -> None:
    """What a microphone array would estimate from a minute of it, over frames of 64 ms."""
    geometry, rng, n_fft = make(), np.random.default_rng(2), 1024
    total = np.zeros((n_fft // 2 + 1, geometry.n_mics, geometry.n_mics), dtype=complex)
    for _ in range(15):
        total += cross_spectra(diffuse_noise(rng.standard_normal(4 * RATE), geometry, RATE, rng), n_fft)
    power = np.einsum("fii->fi", total).real
    coherence = total / np.sqrt(power[:, :, None] * power[:, None, :])
    kept = slice(4, -4)
    error = (coherence.real - expected_coherence(geometry, np.fft.rfftfreq(n_fft, 1 / RATE)))[kept]
    assert np.sqrt(np.mean(error**2)) < 0.03


def test_one_microphone_gets_the_spectrum_of_the_source() -> None:
    rng = np.random.default_rng(3)
    for n_samples in (400, 401):
        source = rng.standard_normal(n_samples) + 5
        wave = diffuse_noise(source, linear(1), RATE, rng)
        assert wave.shape == (1, n_samples)
        magnitude = np.abs(np.fft.rfft(source))
        magnitude[0] = 0  # no microphone hears a constant pressure
        np.testing.assert_allclose(np.abs(np.fft.rfft(wave[0])), magnitude, atol=1e-9 * magnitude.max())
        assert abs(np.corrcoef(source, wave[0])[0, 1]) < 0.3  # but not its phases


def test_noise_depends_on_its_generator_alone() -> None:
    source = np.random.default_rng(4).standard_normal(300)
    make = [diffuse_noise(source, circular(), RATE, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert np.array_equal(make[0], make[1])
    assert not np.allclose(make[0], make[2])
    sensors = [sensor_noise(2, 9, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert np.array_equal(sensors[0], sensors[1])
    assert not np.allclose(sensors[0], sensors[2])


def test_sensors_are_white_and_apart() -> None:
    wave = sensor_noise(4, 100_000, np.random.default_rng(5))
    np.testing.assert_allclose(np.cov(wave), np.eye(4), atol=0.02)
    spectrum = np.einsum("fii->fi", cross_spectra(wave, 64)).real
    assert spectrum[1:-1].max() / spectrum[1:-1].min() < 1.2
