"""Isotropic noise has the coherence of its field and the sound of its sources; sensors have neither."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import jv

from arrayse.geometry import MAX_EXTENT, SPEED_OF_SOUND, circular, compact_diamond, earbuds, linear
from simulate.noise import FIELDS, babble, diffuse_noise, mix_isotropic, sensor_noise

RATE = 16000
REPEATED = np.vstack([circular().positions, circular().positions[:1]])
ARRAYS = {
    "compact_diamond": compact_diamond().positions,
    "circular": circular().positions,
    "earbuds": earbuds().positions,
    "widest": linear(2, MAX_EXTENT).positions,
    "widest ring": circular(8, MAX_EXTENT / 2).positions,
    "tower": linear(4).positions[:, [0, 2, 1]],
    "repeated": REPEATED,
}
APART = linear(5, 0.45).positions  # so wide that above 2 kHz each microphone hears a source of its own


def expected_coherence(positions: np.ndarray, hertz: np.ndarray, field: str) -> np.ndarray:
    """sin(kd) / (kd), or J0(k d_xy), with d and k written out, (n_freqs, n_mics, n_mics)."""
    table = np.ones((len(hertz), len(positions), len(positions)))
    for a, first in enumerate(positions):
        for b, second in enumerate(positions):
            offset = first - second if field == "spherical" else (first - second)[:2]
            phase = 2 * np.pi * hertz / SPEED_OF_SOUND * np.sqrt((offset**2).sum())
            safe = np.maximum(phase, 1e-9)
            table[:, a, b] = np.sin(safe) / safe if field == "spherical" else jv(0, phase)
    return table


def cross_spectra(wave: np.ndarray, n_fft: int = 1024) -> np.ndarray:
    """Sum over half-overlapping Hann frames of a wave (n_mics, n_samples): (n_freqs, n_mics, n_mics)."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, n_fft, axis=-1)[:, :: n_fft // 2]
    spectra = np.fft.rfft(frames * np.hanning(n_fft)).transpose(2, 0, 1)  # f m t
    return spectra @ spectra.conj().transpose(0, 2, 1)


def coherence_error(sources: Callable, positions: np.ndarray, field: str, rng: np.random.Generator) -> float:
    """Rms over pairs and bins between the real part of the coherence of 25 draws and that of theory."""
    total = np.zeros((513, len(positions), len(positions)), dtype=complex)
    for _ in range(25):
        spectra = cross_spectra(diffuse_noise(sources(), positions, RATE, rng, field))
        total += spectra / np.einsum("fii->f", spectra).real[:, None, None]  # loud draws count no more than others
    power = np.einsum("fii->fi", total).real
    coherence = total / np.sqrt(power[:, :, None] * power[:, None, :])
    error = coherence.real - expected_coherence(positions, np.fft.rfftfreq(1024, 1 / RATE), field)
    first, second = np.triu_indices(len(positions), k=1)
    return float(np.sqrt(np.mean(error[4:-4, first, second] ** 2)))


def flickering(rng: np.random.Generator, n_signals: int = 5, n_samples: int = 4 * RATE) -> np.ndarray:
    """Independent noises of different colours, each in bursts of its own pace."""
    time = np.arange(n_samples) / RATE
    noise = rng.standard_normal((n_signals, n_samples + 1))
    noise = noise[:, 1:] + rng.uniform(-0.7, 0.7, (n_signals, 1)) * noise[:, :-1]
    bursts = np.sin(2 * np.pi * rng.uniform(0.7, 5, (n_signals, 1)) * time + rng.uniform(0, 6, (n_signals, 1)))
    return rng.uniform(0.2, 3, (n_signals, 1)) * noise * (0.03 + bursts.clip(0))


def levels_db(wave: np.ndarray, n_frame: int = 1600) -> np.ndarray:
    """Level in dB in frames of 0.1 s: (n_mics, n_frames)."""
    return 10 * np.log10(np.mean(wave[:, : wave.shape[1] // n_frame * n_frame].reshape(len(wave), -1, n_frame) ** 2, 2))


@pytest.mark.parametrize("field", FIELDS)
def test_plane_waves_from_everywhere_have_this_coherence(field: str) -> None:
    """The mean over directions of the phase between two microphones: where the formulas come from."""
    positions, hertz = np.vstack([circular().positions, [0.02, 0.01, 0.07]]), np.array([0.0, 500, 2000, 7000])
    n_waves = 20_000
    height = 1 - 2 * (np.arange(n_waves) + 0.5) / n_waves if field == "spherical" else np.zeros(n_waves)
    angle = np.pi * (1 + np.sqrt(5)) * np.arange(n_waves)  # a Fibonacci sphere
    ring = np.sqrt(1 - height**2)
    delays = np.stack([ring * np.cos(angle), ring * np.sin(angle), height], axis=1) @ positions.T / SPEED_OF_SOUND
    waves = np.exp(2j * np.pi * hertz[:, None, None] * delays)
    coherence = FIELDS[field](positions, hertz)
    np.testing.assert_allclose(coherence, np.einsum("fwi,fwj->fij", waves, waves.conj()) / n_waves, atol=1e-3)
    np.testing.assert_allclose(coherence, expected_coherence(positions, hertz, field), atol=1e-12)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("name", ARRAYS)
def test_the_interpolated_root_keeps_the_coherence(name: str, field: str) -> None:
    """Unit vectors, mixed, are the columns of the mixing matrix: its product with itself is the coherence."""
    positions, n_bins, bin_hz = ARRAYS[name], 8001, 1.0
    columns = []
    for unit in np.eye(len(positions), dtype=np.complex64):
        column = np.repeat(unit[:, None], n_bins, axis=1)
        mix_isotropic(column, positions, bin_hz, field)
        columns.append(column.real.astype(float))
    matrix = np.stack(columns, axis=-1).transpose(1, 0, 2)  # f i j
    obtained = matrix @ matrix.transpose(0, 2, 1)
    power = np.einsum("fii->fi", obtained)
    np.testing.assert_allclose(power, 1, atol=1e-3)
    obtained /= np.sqrt(power[:, :, None] * power[:, None, :])
    expected = expected_coherence(positions, bin_hz * np.arange(n_bins), field)
    np.testing.assert_allclose(obtained, expected, atol=1e-3)
    np.testing.assert_allclose(matrix, matrix.transpose(0, 2, 1), atol=1e-6)
    apart = expected[:, 0, 1] < 1  # what a differential pair hears is right too, down to the lowest frequencies
    difference = np.sum((matrix[:, 0] - matrix[:, 1]) ** 2, axis=1)
    np.testing.assert_allclose(difference[apart], (2 - 2 * expected[:, 0, 1])[apart], rtol=0.02, atol=1e-10)


@pytest.mark.parametrize("make", [compact_diamond, circular, earbuds])
@pytest.mark.parametrize("n_samples", [128, 127])
def test_coherence_in_expectation(make: Callable, n_samples: int) -> None:
    positions, rng, n_draws = make().positions, np.random.default_rng(1), 2500
    source = rng.standard_normal(n_samples)
    total = np.zeros((n_samples // 2 + 1, len(positions), len(positions)), dtype=complex)
    for _ in range(n_draws):
        spectra = np.fft.rfft(diffuse_noise(source, positions, RATE, rng)).T
        total += spectra[:, :, None] * spectra[:, None, :].conj()
    power = np.einsum("fii->fi", total[1:]).real / n_draws
    coherence = total[1:] / n_draws / np.sqrt(power[:, :, None] * power[:, None, :])
    error = coherence - expected_coherence(positions, np.fft.rfftfreq(n_samples, 1 / RATE)[1:], "spherical")
    assert np.sqrt(np.mean(np.abs(error) ** 2)) < 0.02
    expected_power = np.abs(np.fft.rfft(source)[1:]) ** 2
    np.testing.assert_allclose(np.mean(power / expected_power[:, None], axis=0), 1, atol=0.01)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("make", [compact_diamond, circular])
@pytest.mark.parametrize("n_sources", [1, 5])
def test_coherence_that_an_array_would_estimate(make: Callable, field: str, n_sources: int) -> None:
    """Over frames of 64 ms of two minutes, from one excerpt and from five that flicker."""
    positions, rng = make().positions, np.random.default_rng(2)
    assert coherence_error(lambda: flickering(rng, n_sources), positions, field, rng) < 0.02


def test_one_microphone_gets_the_spectrum_of_the_source() -> None:
    rng = np.random.default_rng(3)
    for n_samples in (400, 401):
        source = rng.standard_normal(n_samples) + 5
        wave = diffuse_noise(source, linear(1).positions, RATE, rng)
        assert wave.shape == (1, n_samples)
        magnitude = np.abs(np.fft.rfft(source))
        magnitude[0] = 0  # no microphone hears a constant pressure
        np.testing.assert_allclose(np.abs(np.fft.rfft(wave[0])), magnitude, atol=1e-5 * magnitude.max())
        assert abs(np.corrcoef(source, wave[0])[0, 1]) < 0.3  # but not its phases
        assert not np.allclose(wave, diffuse_noise(source, linear(1).positions, RATE, rng))


def test_sources_keep_their_course_in_time() -> None:
    rng = np.random.default_rng(4)
    sources = flickering(rng)
    wave = diffuse_noise(sources, APART, RATE, rng)
    agreement = [np.corrcoef(a, b)[0, 1] for a, b in zip(levels_db(sources), levels_db(wave), strict=True)]
    assert min(agreement) > 0.9
    assert np.std(levels_db(wave)) > 4
    assert np.std(levels_db(diffuse_noise(sources[0], APART, RATE, rng))) < 1


def test_a_thud_stays_short() -> None:
    rng, spilt = np.random.default_rng(13), []
    for _ in range(5):
        thud, thuds = np.cumsum(rng.standard_normal((5, 400)), axis=1), 1e-4 * rng.standard_normal((5, 2 * RATE))
        thuds[:, RATE : RATE + 400] += thud - thud.mean(axis=1, keepdims=True)
        power = diffuse_noise(thuds, circular().positions, RATE, rng) ** 2
        spilt.append(1 - power[:, RATE - 400 : RATE + 800].sum() / power.sum())  # 25 ms before and after
    assert np.mean(spilt) < 0.001


def test_sources_of_different_spectra_get_one_in_common() -> None:
    """That of their mean at equal power, also where one of them has nothing at all."""
    rng = np.random.default_rng(5)
    hertz = np.fft.rfftfreq(4 * RATE, 1 / RATE)
    shapes = np.stack([hertz**0, 100 / (100 + hertz), hertz < 2500, 1 / (1 + (hertz - 3000) ** 2 / 1e6), hertz / 8000])
    spectra = shapes * np.fft.rfft(rng.standard_normal((5, 4 * RATE)))
    sources = np.array([[1], [9], [0.1], [2], [3]]) * np.fft.irfft(spectra)
    wave = diffuse_noise(sources, APART, RATE, rng)
    power = np.einsum("fii->fi", cross_spectra(wave).real)
    alike = cross_spectra(sources / np.std(sources, axis=1, keepdims=True)).real
    expected = np.einsum("fii->f", alike) / 5 * np.mean(np.var(sources, axis=1))
    for band in np.split(np.arange(513), (np.geomspace(150, 7800, 18) / RATE * 1024).astype(int))[1:-1]:
        np.testing.assert_allclose(10 * np.log10(power[band].mean(axis=0) / expected[band].mean()), 0, atol=0.8)
    np.testing.assert_allclose(np.mean(wave**2), np.mean(np.var(sources, axis=1)), rtol=0.1)


def test_sources_with_the_same_tone_are_apart_in_expectation() -> None:
    rng, tone, n_draws = np.random.default_rng(6), np.sin(2 * np.pi * 3000 / RATE * np.arange(800)), 300
    total = np.zeros((2, 2))
    for _ in range(n_draws):
        total += np.corrcoef(diffuse_noise(tone + 0.05 * rng.standard_normal((2, 800)), APART[:2], RATE, rng))
    expected = expected_coherence(APART[:2], np.array([3000.0]), "spherical")[0]
    np.testing.assert_allclose(total / n_draws, expected, atol=0.15)  # the mean of 300 signs


def test_microphones_at_one_place_hear_the_same() -> None:
    rng = np.random.default_rng(7)
    for sources in (rng.standard_normal(3000), rng.standard_normal((6, 3000))):
        wave = diffuse_noise(sources, REPEATED, RATE, rng)
        np.testing.assert_allclose(wave[5], wave[0], atol=1e-5)
        assert np.std(wave[1] - wave[0]) > 0.1
    same = diffuse_noise(rng.standard_normal((3, 3000)), np.zeros((3, 3)), RATE, rng)
    np.testing.assert_allclose(same, same[:1].repeat(3, axis=0), atol=1e-5)


@given(n_mics=st.integers(1, 6), n_samples=st.integers(2, 700), field=st.sampled_from(sorted(FIELDS)))
def test_any_size_gives_finite_noise_from_the_seed_alone(n_mics: int, n_samples: int, field: str) -> None:
    rng = np.random.default_rng(n_samples)
    positions = 0.1 * rng.standard_normal((n_mics, 3))
    sources = rng.standard_normal((n_mics if n_samples > 30 else 1, n_samples)) + 1  # a few samples are easily alike
    sources.flags.writeable = False
    waves = [diffuse_noise(sources, positions, RATE, np.random.default_rng(1), field) for _ in range(2)]
    assert waves[0].shape == (n_mics, n_samples)
    assert waves[0].dtype == np.float32
    assert np.isfinite(waves[0]).all()
    assert waves[0].tobytes() == waves[1].tobytes()


def test_sensors_are_white_and_apart() -> None:
    wave = sensor_noise(4, 100_000, np.random.default_rng(9))
    np.testing.assert_allclose(np.cov(wave), np.eye(4), atol=0.02)
    spectrum = np.einsum("fii->fi", cross_spectra(wave, 64)).real
    assert spectrum[1:-1].max() / spectrum[1:-1].min() < 1.2
    assert np.array_equal(wave, sensor_noise(4, 100_000, np.random.default_rng(9)))
    assert not np.allclose(wave, sensor_noise(4, 100_000, np.random.default_rng(10)))


def test_voices_of_babble_are_equally_loud_while_they_talk() -> None:
    rng = np.random.default_rng(10)
    voices = rng.standard_normal((3, 60_000)) * np.array([[1], [0.01], [30]])
    voices[1, 5_000:] *= 1e-4  # talks a little and then breathes
    voices[2, ::2] = 0
    mixture = babble(voices)
    assert mixture.dtype == np.float32
    np.testing.assert_allclose(np.mean(mixture**2), 1, rtol=1e-5)
    gains = np.linalg.lstsq(voices.T, mixture, rcond=None)[0]
    parts = gains * [np.std(voices[0]), np.std(voices[1, :5_000]), np.std(voices[2])]
    np.testing.assert_allclose(parts / parts[0], 1, atol=0.06)  # the frame in which a voice stops counts too
    for n_samples in (1, 300, 511, 513):
        assert babble(rng.standard_normal((2, n_samples))).shape == (n_samples,)


def test_errors_name_what_is_wrong() -> None:
    rng, positions = np.random.default_rng(11), circular().positions
    good = rng.standard_normal((5, 100))
    silent, broken, twice = np.stack([good] * 3)
    silent[3] = 0.7
    broken[1, 1] = np.nan
    twice[4] = -2 * twice[0] + 1
    for sources, message in (
        (good[:3], r"sources: expected shape .* or \(5, n_samples\), got \(3, 100\)"),
        (good[:, :, None], "sources: expected shape"),
        (good[:, :0], "sources: expected shape"),
        (silent, r"sources: expected sound in each of 5, got silence in \[3\]"),
        (np.zeros(100), r"sources: expected sound in each of 1, got silence in \[0\]"),
        (broken, "sources: expected finite samples, got 1 NaN"),
        (twice, "sources: expected different signals, got the same for 0 and 4$"),
    ):
        with pytest.raises(ValueError, match=message):
            diffuse_noise(sources, positions, RATE, rng)
    with pytest.raises(ValueError, match=r"positions: expected shape \(n_mics, 3\), got \(3, 5\)"):
        diffuse_noise(good, positions.T, RATE, rng)
    with pytest.raises(ValueError, match="positions: expected finite numbers"):
        diffuse_noise(good, np.full((5, 3), np.inf), RATE, rng)
    with pytest.raises(ValueError, match="field: expected one of spherical, cylindrical, got conical"):
        diffuse_noise(good, positions, RATE, rng, "conical")
    for voices, message in (
        (good[0], "voices: expected shape"),
        (good * [[1], [1], [0], [1], [1]], r"silence in \[2\]"),
    ):
        with pytest.raises(ValueError, match=message):
            babble(voices)


@pytest.mark.real
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("kind", ["noise", "babble"])
def test_real_sources_have_the_coherence_of_the_field(real_data: Path, kind: str, field: str) -> None:
    rng, n_samples = np.random.default_rng(12), 4 * RATE
    with (real_data / "MANIFEST.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == ("speech" if kind == "babble" else kind)]
    paths = [real_data / row["path"] for row in rows if float(row["seconds"]) > 4]
    waves = [soundfile.read(paths[k], dtype="float32")[0] for k in rng.permutation(len(paths))[:80]]

    def excerpt() -> np.ndarray:
        wave = waves[rng.integers(len(waves))]
        return wave[rng.integers(len(wave) - n_samples) :][:n_samples]

    def sources() -> np.ndarray:
        if kind == "noise":
            return np.stack([excerpt() for _ in range(5)])
        return np.stack([babble(np.stack([excerpt() for _ in range(8)])) for _ in range(5)])

    for positions in (compact_diamond().positions, circular().positions):
        assert coherence_error(sources, positions, field, rng) < 0.02
