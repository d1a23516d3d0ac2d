"""What holds for every metric: ways to have no value, gains, order; how metrics are asked for by name."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest

from arrayse.metrics import DEFAULT_METRICS, METRICS, Metric, Score, Stems, Utterance, implementation, score, si_sdr

RATE = 16_000

NEED_TARGET = {name: metric for name, metric in METRICS.items() if "target" in metric.needs}
NEED_STEMS = {name: metric for name, metric in METRICS.items() if "stems" in metric.needs}
every_metric = pytest.mark.parametrize("metric", NEED_TARGET.values(), ids=NEED_TARGET.keys())
stem_metric = pytest.mark.parametrize("metric", NEED_STEMS.values(), ids=NEED_STEMS.keys())


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


def rate_pair(metric: Metric, estimate: np.ndarray, target: np.ndarray, sample_rate: int = RATE) -> Score:
    """A metric of an estimate, its target and, where the metric wants one, an input with more noise."""
    wanted = np.random.default_rng(5).standard_normal(np.size(target)).reshape(np.shape(target))
    return metric(Utterance(estimate, sample_rate, target, wanted))


@every_metric
def test_more_noise_is_worse(metric: Metric) -> None:
    target = voice()
    values = [value_of(rate_pair(metric, noisy(target, gain), target)) for gain in (1e-4, 1e-3, 1e-2, 3e-2)]
    assert values == sorted(values, reverse=metric.higher_is_better)
    assert len(set(values)) == 4


@every_metric
def test_one_gain_on_all_waves_changes_nothing(metric: Metric) -> None:
    target, estimate, given = voice(), noisy(voice(), 0.01), noisy(voice(), 0.03)
    expected = value_of(metric(Utterance(estimate, RATE, target, given)))
    found = metric(Utterance(0.25 * estimate, RATE, 0.25 * target, 0.25 * given))
    assert found.value == pytest.approx(expected, abs=1e-9)


@every_metric
def test_inputs_are_left_alone_and_sample_types_do_not_matter(metric: Metric) -> None:
    target = np.round(voice() * 32768).astype(np.int16)
    estimate = np.round(noisy(voice(), 0.01) * 32768).astype(np.int16)
    before = target.copy(), estimate.copy()
    expected = value_of(rate_pair(metric, estimate / 1.0, target / 1.0))
    assert rate_pair(metric, estimate, target).value == expected
    np.testing.assert_array_equal(before, (target, estimate))


@every_metric
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200])
@pytest.mark.parametrize("position", [0, 1])
def test_one_sample_that_is_not_finite(metric: Metric, bad: float, position: int) -> None:
    pair = [voice(0.5), voice(0.5)]
    pair[position][77] = bad
    found = reason(rate_pair(metric, *pair))
    assert found.startswith(("estimate", "target")[position] + ": expected finite")


@every_metric
@pytest.mark.parametrize("silence", [0.0, 0.25, 1e-9 * voice(0.5)], ids=["zeros", "constant", "below 24 bits"])
@pytest.mark.parametrize("position", [0, 1])
def test_silence(metric: Metric, silence: float | np.ndarray, position: int) -> None:
    pair = [voice(0.5), voice(0.5)]
    pair[position] = silence + np.zeros_like(pair[position])
    found = reason(rate_pair(metric, *pair))
    assert found.startswith(("estimate", "target")[position] + ": expected a signal, got silence")


@every_metric
def test_a_quiet_signal_is_not_silence(metric: Metric) -> None:
    assert rate_pair(metric, 1e-5 * noisy(voice(), 0.01), voice()).value is not None


@every_metric
@pytest.mark.parametrize("n_samples", [7_999, 4_000, 10])
def test_unequal_lengths(metric: Metric, n_samples: int) -> None:
    wave = voice(0.5)
    assert "estimate: expected 8000 samples like the target" in reason(rate_pair(metric, wave[-n_samples:], wave))
    assert f"expected {n_samples} samples like the target" in reason(rate_pair(metric, wave, wave[-n_samples:]))


@every_metric
@pytest.mark.parametrize("shape", [(0,), (1, 8_000), (8_000, 1), ()])
def test_anything_but_one_waveform(metric: Metric, shape: tuple[int, ...]) -> None:
    wave = voice(0.5)
    assert "estimate: expected real samples of shape" in reason(rate_pair(metric, np.ones(shape), wave))
    assert "expected real samples of shape" in reason(rate_pair(metric, wave, np.ones(shape)))


@every_metric
def test_samples_that_are_not_real(metric: Metric) -> None:
    for dtype in (np.complex128, object, str):
        assert "expected real samples" in reason(rate_pair(metric, voice(0.5).astype(dtype), voice(0.5)))


@every_metric
@pytest.mark.parametrize("rate", [0, -16_000, 16_000.5])
def test_an_impossible_rate(metric: Metric, rate: float) -> None:
    found = rate_pair(metric, noisy(voice(0.5), 0.01), voice(0.5), rate)  # type: ignore[arg-type]
    assert "sample" in reason(found)


@every_metric
def test_an_utterance_without_a_target(metric: Metric) -> None:
    found = reason(metric(Utterance(voice(0.5), RATE, noisy=voice(0.5))))
    assert found == f"{metric.name}: expected an utterance with target, got one without"


@stem_metric
def test_an_utterance_without_stems(metric: Metric) -> None:
    found = reason(metric(Utterance(voice(0.5), RATE, voice(0.5))))
    assert found == f"{metric.name}: expected an utterance with stems, got one without"


@stem_metric
def test_stems_that_are_unfit(metric: Metric) -> None:
    healthy = {name: noisy(voice(0.5), 0.01) for name in ("speech_in", "noise_in", "speech_out", "noise_out")}
    kind = metric.name.split("_")[0]
    for which, wave, expected in (
        ("in", 0 * voice(0.5), f"{kind}_in: expected a signal, got silence"),
        ("out", np.full(8_000, np.nan), f"{kind}_out: expected finite samples"),
        ("out", voice(0.4), f"{kind}_out: expected 8000 samples like the {kind}_in, got 6400"),
    ):
        stems = Stems(**healthy | {f"{kind}_{which}": wave})
        assert expected in reason(metric(Utterance(voice(0.5), RATE, stems=stems)))


def test_score_gives_one_entry_per_name_in_order() -> None:
    target = voice(0.3)
    estimate = noisy(target, 0.01)
    scores = score(estimate, target, RATE, ["si_sdr", "estoi", "si_sdr_improvement"])
    assert list(scores) == ["si_sdr", "estoi", "si_sdr_improvement"]
    assert scores["si_sdr"] == si_sdr(estimate, target, RATE)
    assert "0.4 s" in reason(scores["estoi"])
    assert "with noisy, got one without" in reason(scores["si_sdr_improvement"])


def test_score_hands_everything_to_every_metric() -> None:
    target, noise = voice(), noisy(np.zeros(32_000), 0.02)
    stems = Stems(target, noise, 0.9 * target, 0.5 * noise)
    names = [name for name in METRICS if not name.startswith("dnsmos")]
    scores = score(0.9 * target + 0.5 * noise, target, RATE, names, target + noise, stems)
    assert all(np.isfinite(value_of(scores[name])) for name in names)
    assert scores["noise_reduction"].value == pytest.approx(20 * np.log10(2))


def test_a_score_does_not_depend_on_what_was_scored_before() -> None:
    targets = [voice(2.0), voice(3.0, 210.0), voice(1.0, 170.0)]
    names = ["stoi", "estoi", "log_spectral_distance", "si_sdr"]
    first = [score(noisy(target, 0.01), target, RATE, names) for target in targets]
    again = [score(noisy(target, 0.01), target, RATE, names[::-1]) for target in targets[::-1]]
    assert first == again[::-1]


def test_unknown_names_raise_with_the_choices() -> None:
    for call in (lambda: score(voice(), voice(), RATE, ["si_sdr", "stoy"]), lambda: implementation("stoy")):
        with pytest.raises(ValueError, match=r"metric: expected one of pesq_wb, .*estoi, si_sdr, .*, got stoy"):
            call()


def test_every_metric_names_its_implementation() -> None:
    for name, metric in METRICS.items():
        assert name == metric.name
        assert implementation(name).startswith(name + ": ")
    for name in ("pesq_wb", "pesq_nb"):
        assert f"pesq {version('pesq')}, without P.862 corrigendum 2" in implementation(name)
    assert "not comparable" in implementation("pesq_wb")
    assert f"equal to pystoi 0.4 with its dither fixed, by arrayse on numpy {np.__version__}" in implementation("estoi")
    assert "beyond ±100 dB counted as failed" in implementation("si_sdr")


def test_what_is_scored_by_default_needs_a_target_alone() -> None:
    assert DEFAULT_METRICS == ("pesq_wb", "estoi", "si_sdr")
    assert all(METRICS[name].needs == ("target",) for name in DEFAULT_METRICS)


@pytest.mark.parametrize(("value", "why"), [(None, ""), (1.0, "bad"), (float("nan"), ""), (float("inf"), "")])
def test_a_score_is_either_a_finite_value_or_a_reason(value: float | None, why: str) -> None:
    with pytest.raises(ValueError, match="Score: expected"):
        Score(value, why)


def test_import_needs_numpy_only() -> None:
    heavy = {"pesq", "pystoi", "scipy", "torch", "onnxruntime", "speechmos"}
    code = f"import sys, arrayse.metrics; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
