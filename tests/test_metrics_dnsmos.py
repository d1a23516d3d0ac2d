"""DNSMOS: clips and polynomials on a network that is made up; the true one where the extra is installed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from arrayse.audio import read_audio
from arrayse.metrics import METRICS, Utterance, dnsmos, implementation
from arrayse.provenance import installed
from tests.test_metrics import RATE, noisy, reason, value_of, voice

SCALES = ("sig", "bak", "ovrl")


class LoudnessNetwork:
    """Stands for the network: rates a clip by how loud its halves are, and counts how often it is asked."""

    def __init__(self) -> None:
        self.n_runs = 0

    def run(self, names: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.n_runs += 1
        clip = inputs["input_1"]
        assert clip.shape == (1, 144_160)
        assert clip.dtype == np.float32
        return [np.array([[np.abs(clip).mean(), np.abs(clip[:, :72_080]).mean(), np.abs(clip[:, 72_080:]).mean()]])]


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> LoudnessNetwork:
    network = LoudnessNetwork()
    monkeypatch.setattr(dnsmos, "_session", lambda: network)
    monkeypatch.setattr(dnsmos, "installed", lambda: True)
    return network


def rate_all(wave: np.ndarray, rate: int = RATE) -> list[float]:
    utterance = Utterance(wave, rate)
    return [value_of(METRICS[f"dnsmos_{scale}"](utterance)) for scale in SCALES]


def test_a_rating_is_the_mean_of_the_polynomials_over_clips(network: LoudnessNetwork) -> None:
    wave = np.abs(np.random.default_rng(0).uniform(0.5, 1, 12 * RATE))
    raw = np.array(
        [network.run(None, {"input_1": wave[None, s : s + 144_160].astype("f4")})[0][0] for s in (0, RATE, 2 * RATE)]
    )
    sig = -0.08397278 * raw[:, 0] ** 2 + 1.22083953 * raw[:, 0] + 0.0052439
    bak = -0.13166888 * raw[:, 1] ** 2 + 1.60915514 * raw[:, 1] - 0.39604546
    ovrl = -0.06766283 * raw[:, 2] ** 2 + 1.11546468 * raw[:, 2] + 0.04602535
    assert rate_all(wave) == pytest.approx([sig.mean(), bak.mean(), ovrl.mean()], abs=1e-6)


def test_one_run_of_the_network_gives_all_scales_of_one_utterance(network: LoudnessNetwork) -> None:
    loud, louder = (np.full(10 * RATE, level) * np.tile([1, -1], 5 * RATE) for level in (0.5, 0.9))
    first = rate_all(loud)
    assert network.n_runs == 1
    assert rate_all(louder) != first
    assert rate_all(loud) == first
    assert network.n_runs == 3


@pytest.mark.parametrize(
    "n_samples", [RATE, 3 * RATE + 5, 144_159, 144_160, 10 * RATE, 11 * RATE - 1, 13 * RATE + 7, 20 * RATE]
)
def test_clips_are_those_of_the_published_program(n_samples: int) -> None:
    wave = np.arange(n_samples, dtype=float)
    audio, expected = wave, []
    while len(audio) < int(9.01 * RATE):
        audio = np.append(audio, audio)
    for index in range(int(np.floor(len(audio) / RATE) - 9.01) + 1):
        clip = audio[int(index * RATE) : int((index + 9.01) * RATE)]
        if len(clip) >= int(9.01 * RATE):
            expected.append(clip)
    np.testing.assert_array_equal(dnsmos._clips(wave), expected)


def test_reasons(network: LoudnessNetwork) -> None:
    for scale in SCALES:
        metric = METRICS[f"dnsmos_{scale}"]
        for wave, rate, expected in (
            (voice(), 8_000, f"dnsmos_{scale}: expected a sample rate of 16000 Hz, got 8000"),
            (voice(0.9), RATE, f"dnsmos_{scale}: expected 1 s or more, got 0.900 s"),
            (1.5 * voice() / np.abs(voice()).max(), RATE, f"dnsmos_{scale}: expected samples from -1 to 1, got 1.5"),
            (0 * voice(), RATE, "estimate: expected a signal, got silence"),
            (voice()[None], RATE, "estimate: expected real samples of shape (n_samples,)"),
        ):
            assert reason(metric(Utterance(wave, rate))).startswith(expected)
    assert network.n_runs == 0


def test_a_rating_that_no_listener_gives(network: LoudnessNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "run", lambda *_: [np.full((1, 3), -3.0)])
    assert "dnsmos_bak: expected a value from 0 to 5" in reason(METRICS["dnsmos_bak"](Utterance(voice(), RATE)))


def test_without_the_extra_the_reason_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dnsmos, "installed", lambda: False)
    found = reason(METRICS["dnsmos_ovrl"](Utterance(voice(), RATE)))
    assert found.endswith("speechmos and onnxruntime, got none: pip install 'arrayse[dnsmos]'")
    assert "DNSMOS P.835 OVRL, model of speechmos" in implementation("dnsmos_ovrl")


# --- the true network ---------------------------------------------------------------------------------------

needs_extra = pytest.mark.skipif(not dnsmos.installed(), reason="the extra dnsmos is not installed")


@needs_extra
def test_the_model_is_the_one_that_ships_with_the_package() -> None:
    assert rate_all(noisy(0.2 * voice(), 1e-3)) == pytest.approx(rate_all(noisy(0.2 * voice(), 1e-3)), abs=0)
    assert installed("speechmos") in implementation("dnsmos_sig")


@needs_extra
@pytest.mark.real
def test_noise_makes_real_speech_worse(real_data: Path) -> None:
    speech = read_audio(real_data / "speech" / "arctic_aew" / "cmu_arctic_us_aew_a0001.flac", RATE)[0]
    ratings = [rate_all(0.5 * noisy(speech, gain * speech.std())) for gain in (0.0, 0.3, 1.0)]
    for better, worse in pairwise(ratings):
        assert better[1] > worse[1]
        assert better[2] > worse[2]
    assert ratings[0][0] > ratings[-1][0]  # some noise does not spoil the speech itself
    assert ratings[0][1] > 3.5
