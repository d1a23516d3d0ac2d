"""STOI and ESTOI: equal to the package pystoi, part by part and as a whole; invariants; reasons."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pystoi
import pytest
from pystoi import utils
from pystoi.stoi import OBM

from arrayse.metrics import Metric, estoi, stoi
from arrayse.metrics import intelligibility as own
from arrayse.metrics.resample import to_10_khz
from arrayse.metrics.speed import compare_speed
from tests.test_metrics import RATE, noisy, reason, value_of, voice

EXTENDED = {stoi: False, estoi: True}
both = pytest.mark.parametrize("metric", EXTENDED, ids=["stoi", "estoi"])


def package(metric: Metric, estimate: np.ndarray, target: np.ndarray, rate: int) -> float:
    """What pystoi says, with its dither fixed."""
    state = np.random.get_state()
    np.random.seed(0)
    value = float(pystoi.stoi(target, estimate, rate, extended=EXTENDED[metric]))
    np.random.set_state(state)
    return value


@both
@pytest.mark.parametrize("rate", [10_000, 11_025, 16_000, 16_010, 22_050, 44_100, 48_000])
def test_the_score_is_that_of_the_package_at_any_rate(metric: Metric, rate: int) -> None:
    target = voice(3.0)
    for gain in (0.001, 0.02):
        estimate = noisy(target, gain)
        assert metric(estimate, target, rate).value == pytest.approx(package(metric, estimate, target, rate), abs=1e-12)


@both
def test_the_score_is_that_of_the_package_for_all_kinds_of_signals(metric: Metric) -> None:
    rng = np.random.default_rng(3)
    long, paused = voice(9.0), voice(3.0)
    paused[8_000:24_000] = 0  # silent frames of the target are dropped
    pairs = [(noisy(wave, 0.02), wave) for wave in (long, paused, voice(0.45), voice(2.0) + 0.1)]
    pairs += [(wave, rng.standard_normal(20_011)) for wave in (rng.standard_normal(20_011),)]
    pairs += [(-0.3 * noisy(paused, 0.001), paused), (1e-5 * noisy(paused, 0.01), paused), (paused, paused)]
    for estimate, target in pairs:
        assert metric(estimate, target, RATE).value == pytest.approx(package(metric, estimate, target, RATE), abs=1e-12)


def test_digital_silence_in_an_estimate() -> None:
    target = voice(3.0)
    for length in (1_000, 16_000):
        estimate = noisy(target, 0.02)
        estimate[8_000 : 8_000 + length] = 0
        assert stoi(estimate, target, RATE).value == pytest.approx(package(stoi, estimate, target, RATE), abs=1e-12)
        # At the borders of silence ESTOI hangs on rounding: the package too moves by as much when a gain changes.
        assert estoi(estimate, target, RATE).value == pytest.approx(package(estoi, estimate, target, RATE), abs=1e-3)


def test_the_package_still_dithers() -> None:
    estimate = noisy(voice(), 0.01)
    estimate[8_000:24_000] = 0
    values = {pystoi.stoi(voice(), estimate, RATE, extended=True) for _ in range(3)}
    assert len(values) == 3, "the package no longer dithers: drop the dither"


def test_the_dither_is_the_start_of_one_stream() -> None:
    stream = np.random.RandomState(0).standard_normal(2**19 + 1) * np.finfo(np.float64).eps
    for n in (1, 10, 2**19, 2**19 + 1):
        np.testing.assert_array_equal(own._dither(n), stream[:n])


def test_the_dither_enters_before_each_of_the_normalisations() -> None:
    rng = np.random.default_rng(6)
    segments, band_dither, frame_dither = rng.standard_normal((3, own.N_BANDS, 2, own.SEGMENT))
    rows = segments + band_dither
    rows = np.array([[(row - row.mean()) / np.linalg.norm(row - row.mean()) for row in band] for band in rows])
    expected = rows + frame_dither - (rows + frame_dither).sum(axis=0) / own.N_BANDS
    np.testing.assert_allclose(own._normalised(segments, band_dither, frame_dither), expected, atol=1e-14)


@both
def test_numpys_global_generator_is_left_alone(metric: Metric) -> None:
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    first = metric(noisy(voice(), 0.01), voice(), RATE)
    assert np.random.random() == expected
    assert metric(noisy(voice(), 0.01), voice(), RATE) == first


@pytest.mark.parametrize("rate", [11_025, 12_000, 16_000, 16_010, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("n_samples", [1, 31, 5_000, 12_347])
def test_resampling_is_that_of_the_package(rate: int, n_samples: int) -> None:
    waves = np.random.default_rng(2).standard_normal((2, n_samples))
    expected = [utils.resample_oct(wave, 10_000, rate) for wave in waves]
    np.testing.assert_allclose(to_10_khz(waves, rate), expected, atol=1e-14)


def test_resampling_leaves_digital_silence() -> None:
    wave = np.zeros((2, 16_000))
    wave[:, :100] = 1.0
    assert not to_10_khz(wave, RATE)[:, 200:].any()


def test_bands_are_those_of_the_package() -> None:
    edges = own._band_edges()
    bins = np.arange(own.N_FFT // 2 + 1)
    bands = [(low <= bins) & (bins < high) for low, high in pairwise(edges)]
    np.testing.assert_array_equal(bands, OBM)


def test_silent_frames_are_those_of_the_package() -> None:
    target = voice(3.0) * np.repeat([1, 0.005, 1, 0], 12_000)
    estimate = noisy(target, 0.01)
    expected = utils.remove_silent_frames(target, estimate, 40, own.FRAME, own.HOP)
    assert expected[0].size < 40_000
    np.testing.assert_allclose(own._without_silence(np.stack([target, estimate])), expected, atol=1e-15)


@both
def test_identical_signals_have_the_best_score(metric: Metric) -> None:
    assert metric(voice(), voice(), RATE).value == pytest.approx(1.0, abs=1e-9)


@both
def test_gains_and_order(metric: Metric) -> None:
    target, estimate = voice(), noisy(voice(), 0.01)
    expected = value_of(metric(estimate, target, RATE))
    for gain in (0.1, -3.0):
        assert metric(gain * estimate, target, RATE).value == pytest.approx(expected, abs=1e-9)
        assert metric(estimate, gain * target, RATE).value == pytest.approx(expected, abs=1e-9)
    assert abs(value_of(metric(target, estimate, RATE)) - expected) > 1e-3


@both
def test_a_rate_below_10_khz(metric: Metric) -> None:
    assert "expected a sample rate from 10000 Hz up, got 8000" in reason(metric(noisy(voice(), 0.01), voice(), 8_000))


@both
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n_samples", [2, 100, 3_999, 4_200, 6_300])
def test_too_short(metric: Metric, n_samples: int) -> None:
    target = voice()[2000 : 2000 + n_samples]
    assert "stoi: expected 0.4 s or more" in reason(metric(noisy(target, 0.01), target, RATE))


@both
@pytest.mark.filterwarnings("error")
def test_too_little_active_speech(metric: Metric) -> None:
    click = np.zeros(16_000)
    click[8_000] = 1.0
    for target in (np.concatenate([voice(0.3), np.zeros(16_000)]), click):
        assert "active target" in reason(metric(noisy(target, 0.01), target, RATE))


@both
def test_30_frames_are_enough_and_29_are_not(metric: Metric) -> None:
    noise = np.random.default_rng(1).standard_normal(31 * own.HOP + own.FRAME // 2 + 1)
    assert metric(noise + 1e-3, noise, 10_000).value is not None
    assert "active target" in reason(metric(noise[1:] + 1e-3, noise[1:], 10_000))


def test_a_value_outside_the_range(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (float("nan"), -1.1, 1.1):
        monkeypatch.setattr(own, "_normalised_correlation", lambda *_, value=value: value)
        assert "estoi: expected a value from -1 to 1" in reason(estoi(noisy(voice(), 0.01), voice(), RATE))


def test_the_comparison_of_speed_is_a_table() -> None:
    said: list[str] = []
    table = compare_speed(1, said.append)
    assert table == "\n".join([*said, ""])
    assert [line.split("|")[1].strip() for line in table.splitlines()] == ["metric", "---", "STOI", "ESTOI"]
    assert all(float(line.split("|")[5]) < 1e-12 for line in said[1:])
    with pytest.raises(ValueError, match="repeats: expected 1 or more, got 0"):
        compare_speed(0)
