"""Scores: closed forms, an exact slow reference, agreement with the packages, every way to have no value."""

import subprocess
import sys
from fractions import Fraction
from importlib.metadata import version
from math import log10

import numpy as np
import pesq as pesq_package
import pystoi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.metrics import METRICS, Metric, Score, estoi, implementation, pesq_wb, score, si_sdr

RATE = 16_000


def voice(seconds: float = 2.0, pitch: float = 120.0) -> np.ndarray:
    """Speech-like signal (n_samples,): harmonics of a gliding pitch, three formants, syllables at 4 Hz."""
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * pitch * (time + 0.02 * np.sin(2 * np.pi * 0.7 * time))
    wave = np.zeros_like(time)
    for harmonic in range(1, 40):
        frequency = harmonic * pitch
        gain = sum(1 / (1 + ((frequency - formant) / 200) ** 2) for formant in (500, 1500, 2500))
        wave += gain * np.cos(harmonic * phase + harmonic**2)
    return 0.05 * wave * np.sin(np.pi * 4 * time) ** 2


def noisy(target: np.ndarray, gain: float) -> np.ndarray:
    return target + gain * np.random.default_rng(1).standard_normal(target.size)


def tone(periods: int, n_samples: int = 4000) -> np.ndarray:
    """Whole periods of a sine: zero-mean, orthogonal to any other whole number of periods."""
    return np.sin(2 * np.pi * periods * np.arange(n_samples) / n_samples)


def value_of(result: Score) -> float:
    assert result.value is not None, result.reason
    return result.value


def reason(result: Score) -> str:
    assert result.value is None
    return result.reason


every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS.keys())


@pytest.mark.parametrize("expected_db", [-40.0, -3.5, 0.0, 12.0, 90.0])
def test_si_sdr_of_orthogonal_noise_is_the_energy_ratio(expected_db: float) -> None:
    estimate = tone(20) + 10 ** (-expected_db / 20) * tone(33)
    assert si_sdr(estimate, tone(20), RATE).value == pytest.approx(expected_db, abs=1e-6)


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


def test_packages_agree_on_a_healthy_signal() -> None:
    target = voice()
    estimate = noisy(target, 0.01)
    expected = pesq_package.pesq(RATE, target, estimate, "wb")
    assert pesq_wb(estimate, target, RATE).value == pytest.approx(expected)
    assert abs(pesq_package.pesq(RATE, estimate, target, "wb") - expected) > 1e-3  # order matters
    expected = pystoi.stoi(target, estimate, RATE, extended=True)
    assert estoi(estimate, target, RATE).value == pytest.approx(expected, abs=1e-9)
    assert abs(pystoi.stoi(estimate, target, RATE, extended=True) - expected) > 1e-3


def test_identical_signals_have_the_best_score() -> None:
    scores = score(voice(), voice(), RATE, ["pesq_wb", "estoi"])
    assert scores["pesq_wb"].value == pytest.approx(4.6439, abs=1e-3)
    assert scores["estoi"].value == pytest.approx(1.0, abs=1e-9)


@every_metric
def test_more_noise_is_worse(metric: Metric) -> None:
    target = voice()
    values = [value_of(metric(noisy(target, gain), target, RATE)) for gain in (1e-4, 1e-3, 1e-2, 3e-2)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4


@every_metric
def test_inputs_are_left_alone_and_sample_types_do_not_matter(metric: Metric) -> None:
    target = np.round(voice() * 32768).astype(np.int16)
    estimate = np.round(noisy(voice(), 0.01) * 32768).astype(np.int16)
    before = target.copy(), estimate.copy()
    assert metric(estimate, target, RATE).value == metric(estimate / 1.0, target / 1.0, RATE).value
    np.testing.assert_array_equal(before, (target, estimate))


def test_estoi_is_reproducible_and_keeps_the_global_generator() -> None:
    target = voice()
    estimate = noisy(target, 0.01)
    estimate[:16_000] = 0  # where it is digitally silent, the dither decides
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    first = estoi(estimate, target, RATE)
    assert np.random.random() == expected
    assert estoi(estimate, target, RATE) == first
    raw = {pystoi.stoi(target, estimate, RATE, extended=True) for _ in range(3)}
    assert len(raw) == 3, "the package no longer dithers: drop the guard"


@every_metric
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200])
@pytest.mark.parametrize("position", [0, 1])
def test_one_sample_that_is_not_finite(metric: Metric, bad: float, position: int) -> None:
    pair = [voice(), voice()]
    pair[position][77] = bad
    found = reason(metric(pair[0], pair[1], RATE))
    assert found.startswith(("estimate", "target")[position] + ": expected finite")


@every_metric
@pytest.mark.parametrize("silence", [0.0, 0.25, 1e-9 * voice()], ids=["zeros", "constant", "below 24 bits"])
@pytest.mark.parametrize("position", [0, 1])
def test_silence(metric: Metric, silence: float | np.ndarray, position: int) -> None:
    pair = [voice(), voice()]
    pair[position] = silence + np.zeros_like(pair[position])
    found = reason(metric(pair[0], pair[1], RATE))
    assert found.startswith(("estimate", "target")[position] + ": expected a signal, got silence")


@every_metric
def test_a_quiet_signal_is_not_silence(metric: Metric) -> None:
    assert metric(1e-5 * noisy(voice(), 0.01), voice(), RATE).value is not None


@every_metric
@pytest.mark.parametrize("n_samples", [31_999, 16_000, 10])
def test_unequal_lengths(metric: Metric, n_samples: int) -> None:
    wave = voice()
    assert "expected 32000 samples like the target" in reason(metric(wave[-n_samples:], wave, RATE))
    assert f"expected {n_samples} samples like the target" in reason(metric(wave, wave[-n_samples:], RATE))


@every_metric
@pytest.mark.parametrize("shape", [(0,), (1, 32_000), (32_000, 1), ()])
def test_anything_but_one_waveform(metric: Metric, shape: tuple[int, ...]) -> None:
    assert "estimate: expected real samples of shape" in reason(metric(np.ones(shape), voice(), RATE))
    assert "target: expected real samples of shape" in reason(metric(voice(), np.ones(shape), RATE))


@every_metric
def test_samples_that_are_not_real(metric: Metric) -> None:
    for dtype in (np.complex128, object, str):
        assert "expected real samples" in reason(metric(voice().astype(dtype), voice(), RATE))


@every_metric
@pytest.mark.parametrize("rate", [0, -16_000, 16_000.5])
def test_an_impossible_rate(metric: Metric, rate: float) -> None:
    assert "sample" in reason(metric(noisy(voice(), 0.01), voice(), rate))  # type: ignore[arg-type]


def test_rates_that_a_metric_does_not_know(capfd: pytest.CaptureFixture[str]) -> None:
    for rate in (8_000, 48_000):
        assert "expected a sample rate of 16000 Hz" in reason(pesq_wb(noisy(voice(), 0.01), voice(), rate))
    assert capfd.readouterr().out == ""  # the package prints its manual
    assert "from 10000 Hz" in reason(estoi(noisy(voice(), 0.01), voice(), 8_000))
    assert estoi(noisy(voice(), 0.01), voice(), 44_100).value is not None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n_samples", [2, 100, 3_999, 4_200, 6_300])
def test_too_short(n_samples: int) -> None:
    target = voice()[2000 : 2000 + n_samples]
    assert "estoi: expected 0.4 s or more" in reason(estoi(noisy(target, 0.01), target, RATE))
    if n_samples < 4_000:
        assert "pesq_wb: expected 0.25 to 19 s" in reason(pesq_wb(noisy(target, 0.01), target, RATE))


@pytest.mark.filterwarnings("error")
def test_too_little_active_speech_for_estoi() -> None:
    click = np.zeros(16_000)
    click[8_000] = 1.0
    for target in (np.concatenate([voice(0.3), np.zeros(16_000)]), click):
        assert "active target" in reason(estoi(noisy(target, 0.01), target, RATE))


def test_pesq_without_an_utterance() -> None:
    target = np.zeros(32_000)
    target[:300] = voice()[2000:2300]
    assert "the package failed: No utterances detected" in reason(pesq_wb(noisy(target, 1e-3), target, RATE))


def test_pesq_error_code_in_place_of_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    for code in (-7, float("nan"), 0.0, 5.0):
        monkeypatch.setattr(pesq_package, "pesq", lambda *_, code=code: code)
        assert "from 0.999 to 4.65" in reason(pesq_wb(noisy(voice(), 0.01), voice(), RATE))


def test_estoi_outside_its_range(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (float("nan"), -1.1, 1.1):
        monkeypatch.setattr(pystoi, "stoi", lambda *_, value=value, **__: value)
        assert "from -1 to 1" in reason(estoi(noisy(voice(), 0.01), voice(), RATE))


def test_pesq_refuses_what_could_overrun_its_tables() -> None:
    long = voice(19.01)
    assert "expected 0.25 to 19 s, got 19.010 s" in reason(pesq_wb(noisy(long, 1e-3), long, RATE))
    assert pesq_wb(noisy(long, 1e-3)[:304_000], long[:304_000], RATE).value is not None


def test_score_gives_one_entry_per_name_in_order() -> None:
    target = voice(0.3)
    estimate = noisy(target, 0.01)
    scores = score(estimate, target, RATE, ["si_sdr", "estoi", "pesq_wb"])
    assert list(scores) == ["si_sdr", "estoi", "pesq_wb"]
    assert scores["si_sdr"] == si_sdr(estimate, target, RATE)
    assert scores["pesq_wb"] == pesq_wb(estimate, target, RATE)
    assert "0.4 s" in reason(scores["estoi"])


def test_unknown_names_raise_with_the_choices() -> None:
    for call in (lambda: score(voice(), voice(), RATE, ["si_sdr", "stoy"]), lambda: implementation("stoy")):
        with pytest.raises(ValueError, match="expected one of pesq_wb, estoi, si_sdr, got stoy"):
            call()


def test_every_metric_names_its_implementation() -> None:
    for name in METRICS:
        assert implementation(name).startswith(name + ":")
    assert f"pesq {version('pesq')}" in implementation("pesq_wb")
    assert "without P.862 corrigendum 2" in implementation("pesq_wb")
    assert f"pystoi {version('pystoi')}" in implementation("estoi")


@pytest.mark.parametrize(("value", "why"), [(None, ""), (1.0, "bad"), (float("nan"), ""), (float("inf"), "")])
def test_a_score_is_either_a_finite_value_or_a_reason(value: float | None, why: str) -> None:
    with pytest.raises(ValueError, match="Score: expected"):
        Score(value, why)


def test_import_needs_numpy_only() -> None:
    code = "import sys, arrayse.metrics; assert not {'pesq', 'pystoi', 'scipy', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
