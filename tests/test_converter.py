"""The converter: its levels and errors are those of theory, and a drifting clock reads sines where it should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from arrayse.converter import Converter, offset_rate

RATE = 16000

WAVES = npst.arrays(np.float32, (2, 50), elements=st.floats(-4, 4, width=32))
CLIPS = st.none() | st.floats(1e-3, 2.0)
BITS = st.none() | st.integers(4, 24)


# --- clipping and quantisation ------------------------------------------------------------------------------


def test_an_ideal_converter_returns_the_very_array() -> None:
    wave = np.random.default_rng(0).standard_normal((2, 100)) * 10
    assert Converter()(wave) is wave


@given(WAVES, CLIPS, BITS)
def test_nothing_exceeds_full_scale_and_converting_again_changes_nothing(
    wave: np.ndarray, clip: float | None, bits: int | None
) -> None:
    converter = Converter(clip, bits)
    once = converter(wave)
    assert once.dtype == wave.dtype
    assert once.shape == wave.shape
    if converter != Converter():
        assert np.abs(once).max() <= np.float32(1.0 if clip is None and bits else clip or np.inf)
    np.testing.assert_array_equal(converter(once), once)


@given(WAVES, CLIPS, st.integers(4, 24))
def test_the_error_is_half_a_step_at_most_where_nothing_clips(wave: np.ndarray, clip: float | None, bits: int) -> None:
    converter = Converter(clip, bits)
    full_scale = clip or 1.0
    exact = wave.astype(np.float64)
    inside = (exact >= -full_scale) & (exact <= full_scale - converter.step)
    error = converter(exact) - exact
    assert (np.abs(error[inside]) <= converter.step / 2 * (1 + 1e-9)).all()
    assert (converter(exact)[exact < -full_scale] == -full_scale).all()
    np.testing.assert_allclose(converter(exact)[exact > full_scale], full_scale - converter.step, rtol=1e-12)


@given(WAVES, st.floats(1e-3, 2.0))
def test_without_bits_samples_inside_keep_their_bits(wave: np.ndarray, clip: float) -> None:
    clipped = Converter(clip)(wave)
    inside = np.abs(wave) <= clip * (1 - 1e-6)
    np.testing.assert_array_equal(clipped[inside], wave[inside])
    np.testing.assert_array_equal(np.sign(clipped), np.sign(wave))


@pytest.mark.parametrize("bits", [4, 5, 8])
def test_the_levels_are_those_of_twos_complement(bits: int) -> None:
    levels = np.unique(Converter(clip=0.5, bits=bits)(np.linspace(-1, 1, 100_001)))
    np.testing.assert_allclose(levels, 0.5 * np.arange(-(2 ** (bits - 1)), 2 ** (bits - 1)) / 2 ** (bits - 1))
    assert 0 in levels  # mid-tread: silence stays silence


@pytest.mark.parametrize(("clip", "bits"), [(None, 8), (0.3, 10), (None, 16), (0.7, 20)])
def test_the_error_has_the_power_of_theory(clip: float | None, bits: int) -> None:
    converter, full_scale = Converter(clip, bits), clip or 1.0
    wave = np.random.default_rng(1).uniform(-0.9 * full_scale, 0.9 * full_scale, 400_000)
    step = 2 * full_scale / 2**bits
    np.testing.assert_allclose(np.mean((converter(wave) - wave) ** 2), step**2 / 12, rtol=0.01)


@pytest.mark.parametrize("bits", [6, 8, 12, 16])
def test_a_sine_of_full_scale_lies_six_db_per_bit_above_the_error(bits: int) -> None:
    sine = (1 - 2.0 ** (1 - bits)) * np.sin(2 * np.pi * np.sqrt(2) / 10 * np.arange(200_000))
    error = Converter(bits=bits)(sine) - sine
    lost = 20 * np.log10(1 - 2.0 ** (1 - bits))  # the last step below full scale
    snr = 10 * np.log10(np.mean(sine**2) / np.mean(error**2)) - lost
    assert abs(snr - (6.0206 * bits + 1.7609)) < 0.2


@pytest.mark.parametrize("clip", [0.0, -1.0, float("nan"), float("inf")])
def test_a_full_scale_that_is_none(clip: float) -> None:
    with pytest.raises(ValueError, match=r"^clip: expected a full scale above 0, got"):
        Converter(clip)


@pytest.mark.parametrize("bits", [0, 3, 25])
def test_bits_that_no_converter_has(bits: int) -> None:
    with pytest.raises(ValueError, match=rf"^bits: expected 4 to 24, got {bits}"):
        Converter(bits=bits)


# --- the clock ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset_ppm", [-900.0, -50.0, 3.0, 20.0, 250.0])
@pytest.mark.parametrize("hertz", [100.0, 1000.0, 4000.0, 7000.0])
def test_a_sine_has_its_closed_form(hertz: float, offset_ppm: float) -> None:
    times = np.arange(40_000) / RATE
    taken = offset_rate(np.sin(2 * np.pi * hertz * times + 0.3), offset_ppm)
    expected = np.sin(2 * np.pi * hertz * times / (1 + offset_ppm * 1e-6) + 0.3)
    assert taken.dtype == np.float32
    np.testing.assert_allclose(taken[32:-80], expected[32:-80], atol=1e-4)


@pytest.mark.parametrize("offset_ppm", [-1500.0, 700.0])
def test_two_roads_to_a_band_limited_signal(offset_ppm: float) -> None:
    """A pulse that is silent at both ends, read off its own Fourier series."""
    n_samples = 1500
    spectrum = np.fft.rfft(np.random.default_rng(2).standard_normal(n_samples) * np.hanning(n_samples) ** 16)
    spectrum *= np.clip(5 * (0.85 - np.linspace(0, 1, len(spectrum))), 0, 1)  # smooth, so no ringing to the ends
    pulse = np.fft.irfft(spectrum, n_samples)
    late = np.arange(n_samples) / (1 + offset_ppm * 1e-6)
    waves = np.exp(2j * np.pi * np.arange(len(spectrum)) * late[:, None] / n_samples)
    expected = (2 * np.real(waves @ spectrum) - spectrum[0].real) / n_samples
    np.testing.assert_allclose(offset_rate(pulse, offset_ppm), expected, atol=1e-4 * np.abs(pulse).max())


def test_a_channel_starts_with_its_first_sample_and_drifts_from_there() -> None:
    wave = np.random.default_rng(3).standard_normal(20_000).astype(np.float32)
    taken = offset_rate(wave, 100.0)
    assert abs(taken[0] - wave[0]) < 1e-6
    np.testing.assert_allclose(taken[10_000:10_050], wave[9_999:10_049], atol=0.02)  # 1 s and 100 ppm: a sample late
    assert np.abs(taken[5_000:5_050] - wave[5_000:5_050]).max() > 0.3


def test_no_offset_returns_the_very_array() -> None:
    wave = np.ones((2, 8))
    assert offset_rate(wave, 0.0) is wave
    assert offset_rate(wave, 1e-12) is wave


def test_the_opposite_offset_undoes_it() -> None:
    times = np.arange(20_000)
    wave = (np.hanning(20_000) * np.sin(0.2 * times + 1e-5 * times**2)).astype(np.float32)
    back = offset_rate(offset_rate(wave, 150.0), (1 / (1 + 150e-6) - 1) * 1e6)
    np.testing.assert_allclose(back, wave, atol=1e-4)


@settings(max_examples=25)
@given(st.integers(0, 300), st.floats(-5000, 5000), st.integers(0, 2**32 - 1))
def test_any_length_and_shape_channel_by_channel_and_linear(n_samples: int, offset_ppm: float, seed: int) -> None:
    first, second = np.random.default_rng(seed).standard_normal((2, 3, 2, n_samples)).astype(np.float32)
    taken = offset_rate(first, offset_ppm)
    assert taken.shape == first.shape
    for index in np.ndindex(3, 2):
        np.testing.assert_array_equal(offset_rate(first[index], offset_ppm), taken[index])
    summed = offset_rate(first + 2 * second, offset_ppm)
    np.testing.assert_allclose(summed, taken + 2 * offset_rate(second, offset_ppm), atol=1e-4)
