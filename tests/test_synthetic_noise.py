"""The synthetic noises: each kind has the property it is named for, and is its seed and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from simulate.synthetic_noise import (
    NOISE_TYPES,
    SAMPLE_RATE,
    drift,
    frequencies,
    long_term_spectrum,
    make_noise,
)


def decibels(power: float) -> float:
    return 10 * np.log10(power)


def shape(wave: np.ndarray) -> np.ndarray:
    """Long-term spectrum in dB over 24 bands of 250 Hz up to 6 kHz, without the level."""
    bands = decibels(long_term_spectrum(wave)[:192].reshape(24, 8).mean(axis=1))
    return bands - bands.mean()


@pytest.fixture(scope="module")
def voices() -> list[list[np.ndarray]]:
    """Three voices of two utterances: noise with a spectral peak, switched on and off."""
    rng = np.random.default_rng(0)
    waves = rng.standard_normal((3, 2, 30000))
    waves[..., 1:] += 0.9 * waves[..., :-1]
    waves[..., 9000:14000] = 0
    return [list(voice) for voice in waves]


@pytest.mark.parametrize("kind", NOISE_TYPES)
def test_noise_is_its_seed_and_nothing_else(kind: str, voices: list[list[np.ndarray]]) -> None:
    one, again, other = (make_noise(kind, np.random.default_rng(seed), 48001, voices) for seed in (1, 1, 2))
    assert one.shape == (48001,)
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(one, again)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.2
    assert np.abs(one).max() < 10 * np.sqrt(np.mean(one**2))  # at -26 dBFS half of full scale


def test_pink_falls_by_three_decibels_per_octave() -> None:
    wave = make_noise("pink", np.random.default_rng(3), 20 * SAMPLE_RATE, [])
    power = long_term_spectrum(wave, 4096)
    hertz = np.linspace(0, SAMPLE_RATE / 2, len(power))
    used = (hertz > 100) & (hertz < 7000)
    slope = np.polyfit(np.log2(hertz[used]), decibels(power[used]), 1)[0]
    assert slope == pytest.approx(-3.01, abs=0.15)


def test_speech_shaped_has_the_spectrum_of_the_voices(voices: list[list[np.ndarray]]) -> None:
    wave = make_noise("speech_shaped", np.random.default_rng(4), 20 * SAMPLE_RATE, voices)
    wanted = shape(np.concatenate([utterance for voice in voices for utterance in voice]))
    np.testing.assert_allclose(shape(wave), wanted, atol=0.7)
    envelope = np.mean(wave.reshape(-1, 1600) ** 2, axis=1)
    assert envelope.std() < 0.2 * envelope.mean()  # steady, though the voices stop and start


def test_babble_repeats_no_utterance_as_it_is(voices: list[list[np.ndarray]]) -> None:
    wave = make_noise("babble", np.random.default_rng(5), 3 * SAMPLE_RATE, voices)
    for utterance in (utterance for voice in voices for utterance in voice):
        size = len(wave) + len(utterance)
        match = np.fft.irfft(np.fft.rfft(wave, size) * np.conj(np.fft.rfft(utterance, size)), size)
        assert np.abs(match).max() < 0.15 * np.linalg.norm(wave) * np.linalg.norm(utterance)


def test_babble_has_six_to_ten_talkers() -> None:
    """With one steady voice the power is the number of talkers, but for gains; it is eight on average."""
    tone = [[np.sin(2 * np.pi * 440 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)]]
    rng = np.random.default_rng(6)
    counts = [np.mean(make_noise("babble", rng, SAMPLE_RATE // 2, tone) ** 2) / 0.5 for _ in range(200)]
    mean_gain = np.mean(10 ** (np.linspace(-3, 3, 1001) / 10))
    assert np.mean(counts) / mean_gain == pytest.approx(8, rel=0.15)


def test_machine_is_harmonic_fan_is_broad_clatter_is_sudden() -> None:
    rng = np.random.default_rng(7)
    machine, fan, clatter = (make_noise(kind, rng, 8 * SAMPLE_RATE, []) for kind in ("machine", "fan", "clatter"))

    def line_db(wave: np.ndarray) -> float:
        """How far the strongest line from 100 Hz to 2 kHz stands out of the 60 Hz around it."""
        power = long_term_spectrum(wave, 8192)
        return max(decibels(power[k] / np.median(power[k - 15 : k + 16])) for k in range(51, 1024))

    def kurtosis(wave: np.ndarray) -> float:
        return float(np.mean(wave**4) / np.mean(wave**2) ** 2)

    assert line_db(machine) > 30 > line_db(fan)
    slope_db = shape(fan)
    assert slope_db.max() - slope_db.min() < 20
    assert kurtosis(clatter) > 6 > 3.5 > kurtosis(fan)


def test_drift_moves_slowly() -> None:
    line = drift(np.random.default_rng(8), 60 * SAMPLE_RATE, rate_hz=2.0)
    power = np.abs(np.fft.rfft(line - line.mean())) ** 2
    assert power[frequencies(len(line)) < 3].sum() > 0.95 * power.sum()
    assert line[:: SAMPLE_RATE // 2].std() == pytest.approx(1, abs=0.25)


def test_unknown_noise_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"noise kind: expected one of speech_shaped, .*, got thunder"):
        make_noise("thunder", np.random.default_rng(0), 1000, [])
