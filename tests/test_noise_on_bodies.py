"""Isotropic noise at microphones that a body carries: coherence and levels are those of the body in that field."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrayse.geometry import earbuds
from simulate.bodies import Body, FreeField, RigidSphere, isotropic_covariance
from simulate.mixing import mix
from simulate.noise import FIELDS, diffuse_noise, mix_isotropic
from tests.test_sofa import SPHERE, clicks, free_field_delays, write_sofa

RATE = 16000
HEAD = 0.0875
EARBUDS = earbuds().positions
UNEVEN = np.array([[HEAD, 0, 0], [0, 0.1, 0.01], [-0.03, -0.09, -0.01], [0.02, 0.03, 0.12]])  # at unequal distances
BODIES: dict[str, Body] = {
    "earbuds": RigidSphere(HEAD, EARBUDS),
    "uneven": RigidSphere(HEAD, UNEVEN),
    "free": FreeField(EARBUDS),
}


def cross_spectra(wave: np.ndarray, n_fft: int = 1024) -> np.ndarray:
    """Mean over half-overlapping Hann frames of a wave (n_mics, n_samples): (n_freqs, n_mics, n_mics)."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, n_fft, axis=-1)[:, :: n_fft // 2]
    spectra = np.fft.rfft(frames * np.hanning(n_fft)).transpose(2, 0, 1)  # f m t
    return spectra @ spectra.conj().transpose(0, 2, 1) / frames.shape[1]


def coherence_of(covariance: np.ndarray) -> np.ndarray:
    power = np.einsum("fmm->fm", covariance).real
    return covariance / np.sqrt(power[:, :, None] * power[:, None, :])


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("n_sources", [1, 4])
def test_long_noise_has_coherence_and_powers_of_the_body(name: str, field: str, n_sources: int) -> None:
    """From one recording and from one for each microphone; with the phase, which a cylindrical field has."""
    body, rng, n_draws = BODIES[name], np.random.default_rng(1), 12
    measured, free = np.zeros((513, 4, 4), dtype=complex), np.zeros(513)
    for _ in range(n_draws):
        sources = rng.standard_normal((n_sources, 10 * RATE)).astype(np.float32)
        measured += cross_spectra(diffuse_noise(sources, EARBUDS, RATE, rng, field, body)) / n_draws
        free += np.einsum("fmm->f", cross_spectra(sources).real) / n_sources / n_draws
    expected = isotropic_covariance(body, np.fft.rfftfreq(1024, 1 / RATE), field)
    error = (coherence_of(measured) - coherence_of(expected))[4:-4]
    first, second = np.triu_indices(4, k=1)
    assert np.sqrt(np.mean(np.abs(error[:, first, second]) ** 2)) < 0.03
    assert np.sqrt(np.mean(error.real[:, first, second] ** 2)) < 0.02
    levels = 10 * np.log10(np.einsum("fmm->mf", measured).real / free / np.einsum("fmm->mf", expected).real)
    np.testing.assert_allclose(levels[:, 4:-4], 0, atol=0.6)
    np.testing.assert_allclose(levels[:, 4:-4].mean(axis=1), 0, atol=0.05)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("name", BODIES)
def test_the_interpolated_root_keeps_the_covariance(name: str, field: str) -> None:
    """Unit vectors, mixed, are the columns of the mixing matrix: its product with itself is the covariance."""
    body, n_bins, bin_hz = BODIES[name], 8001, 1.0
    columns = []
    for unit in np.eye(4, dtype=np.complex64):
        column = np.repeat(unit[:, None], n_bins, axis=1)
        mix_isotropic(column, EARBUDS, bin_hz, field, body)
        columns.append(column.astype(complex))
    matrix = np.stack(columns, axis=-1).transpose(1, 0, 2)  # f i j
    adjoint = matrix.conj().transpose(0, 2, 1)
    obtained = matrix @ adjoint
    expected = isotropic_covariance(body, bin_hz * np.arange(n_bins), field)
    np.testing.assert_allclose(obtained, expected, atol=2e-3)
    np.testing.assert_allclose(matrix, adjoint, atol=1e-6)
    obtained, expected = (each[50:, 0, 0] + each[50:, 1, 1] - 2 * each[50:, 0, 1].real for each in (obtained, expected))
    np.testing.assert_allclose(obtained, expected, rtol=0.02)  # a pair of 14 mm, from 50 Hz on


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("n_sources", [1, 4])
def test_free_air_is_no_body(n_sources: int, field: str) -> None:
    sources = np.random.default_rng(2).standard_normal((n_sources, RATE))
    around = np.random.default_rng(3).uniform(-0.03, 0.03, 3)  # the origin of a body does not matter
    bodies: tuple[Body | None, ...] = (None, FreeField(EARBUDS), FreeField(EARBUDS + around))
    waves = [diffuse_noise(sources, EARBUDS, RATE, np.random.default_rng(4), field, body) for body in bodies]
    for wave in waves[1:]:
        np.testing.assert_allclose(wave, waves[0], atol=5e-3)


def test_a_mixture_has_the_phase_of_its_covariance() -> None:
    """From complex numbers with a lag that grows with frequency; the other sign would be the other order."""
    rng, n_bins, step = np.random.default_rng(5), 5000, 30
    lag = np.exp(1j * np.arange(0, n_bins + step, step) / 2000)
    half = 0.5 * np.stack([[2 + 0 * lag, lag], [lag.conj(), 2 + 0 * lag]]).transpose(2, 0, 1)
    spectra = rng.standard_normal((2, 2 * n_bins)).astype(np.float32).view(np.complex64)
    mix(spectra, half, step)
    products = spectra[0] * spectra[1].conj() / 2
    turned = products * np.exp(-1j * np.arange(n_bins) / 2000)
    assert turned[4000:].mean() == pytest.approx(0.5, abs=0.08)
    assert turned.mean() == pytest.approx(0.5, abs=0.05)


def test_measured_heads_are_as_good_as_exact_ones(tmp_path: Path) -> None:
    """Files of clicks with the delays of a free array, in 90 directions: coarse, but the same at low frequencies."""
    from simulate.sofa import SofaBody
    from tests.test_sofa import POSITIONS

    body = SofaBody(write_sofa(tmp_path / "a.sofa", clicks(free_field_delays(0.002), RATE), SPHERE, RATE), 3, 0.002)
    source = np.random.default_rng(6).standard_normal(20 * RATE)
    measured = cross_spectra(diffuse_noise(source, POSITIONS, RATE, np.random.default_rng(7), "spherical", body))
    hertz = np.fft.rfftfreq(1024, 1 / RATE)
    error = coherence_of(measured) - FIELDS["spherical"](POSITIONS, hertz)
    assert np.sqrt(np.mean(np.abs(error[4:250]) ** 2)) < 0.06
    short = diffuse_noise(source[:5], POSITIONS, RATE, np.random.default_rng(8), "spherical", body)
    assert short.shape == (3, 5)  # a file answers little above half its rate, and is asked for no more


@given(n_samples=st.integers(2, 700), n_sources=st.sampled_from([1, 4]), field=st.sampled_from(sorted(FIELDS)))
def test_any_length_gives_finite_noise_from_the_seed_and_an_equal_body(
    n_samples: int, n_sources: int, field: str
) -> None:
    sources = np.random.default_rng(n_samples).standard_normal((n_sources if n_samples > 30 else 1, n_samples)) + 1
    waves = [
        diffuse_noise(sources, EARBUDS, RATE, np.random.default_rng(1), field, RigidSphere(HEAD, EARBUDS))
        for _ in range(2)
    ]
    assert waves[0].shape == (4, n_samples)
    assert waves[0].dtype == np.float32
    assert np.isfinite(waves[0]).all()
    assert waves[0].tobytes() == waves[1].tobytes()


def test_an_equal_body_is_not_computed_again() -> None:
    """Scenes make a body each; positions that a device moves do not count."""
    asked = []

    class Counting(RigidSphere):
        def transfer(self, directions: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
            asked.append(len(directions))
            return super().transfer(directions, frequencies)

    source, counts = np.random.default_rng(9).standard_normal(3000), []
    for offset in (0.0, 0.001):
        diffuse_noise(source, EARBUDS + offset, RATE, np.random.default_rng(9), body=Counting(0.08, EARBUDS))
        counts.append(len(asked))
    assert 0 < counts[0] == counts[1]


def test_a_body_has_as_many_microphones_as_there_are_positions() -> None:
    with pytest.raises(ValueError, match="body: expected 2 microphones, as there are positions, got 4"):
        diffuse_noise(np.ones(100), EARBUDS[:2], RATE, np.random.default_rng(0), body=BODIES["earbuds"])
