"""The high-pass of all responses: its closed form, and the mode at 0 Hz that it is there for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from simulate.decay import measure_rt60
from simulate.highpass import high_passed
from simulate.ism import image_responses

RATE = 16000


@pytest.mark.parametrize("sample_rate", [8000, 16000, 48000])
def test_it_is_a_butterworth_filter_of_second_order_at_20_hz(sample_rate: int) -> None:
    impulse = np.eye(1, 2 * sample_rate)
    spectrum = np.fft.rfft(high_passed(impulse, sample_rate)[0])
    hertz = np.fft.rfftfreq(2 * sample_rate, 1 / sample_rate)
    analogue = (1j * hertz / 20) ** 2 / (1 + np.sqrt(2) * 1j * hertz / 20 - (hertz / 20) ** 2)
    low = hertz < 500  # the bilinear transform bends what is higher
    np.testing.assert_allclose(spectrum[low], analogue[low], atol=2e-3)
    np.testing.assert_allclose(np.abs(spectrum[hertz > 100]), 1, atol=1e-3)
    assert abs(spectrum[0]) < 1e-6


def test_every_response_is_filtered_alone_in_double_precision() -> None:
    responses = np.random.default_rng(0).standard_normal((2, 3, 400)).astype(np.float32)
    before = responses.copy()
    filtered = high_passed(responses, RATE)
    assert filtered.dtype == np.float32
    assert np.array_equal(responses, before)
    for row, alone in zip(filtered.reshape(6, -1), responses.reshape(6, -1), strict=True):
        np.testing.assert_array_equal(row, high_passed(alone, RATE))
    exact = sosfilt(butter(2, 20, "highpass", fs=RATE, output="sos"), responses.astype(np.float64))
    np.testing.assert_allclose(filtered, exact, atol=1e-6)


def octave(responses: np.ndarray, centre: float) -> np.ndarray:
    """Octave band of responses (..., n_taps), filtered backwards: the filter's own decay comes before the room's."""
    sections = butter(4, [centre / np.sqrt(2), centre * np.sqrt(2)], "bandpass", fs=RATE, output="sos")
    return sosfilt(sections, responses[..., ::-1])[..., ::-1]


def test_the_mode_at_0_hz_fades_more_slowly_than_what_is_heard() -> None:
    """In the mean over rooms the high-passed T30 is that of the speech octaves; without it is much longer."""
    ratios = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        dim = rng.uniform([3, 3, 2.4], [7, 6, 3.2])
        sources, mics = rng.uniform(0.5, dim - 0.5, (4, 3)), rng.uniform(0.5, dim - 0.5, (1, 3))
        raw = image_responses(dim, np.full(6, 0.85), sources, mics, RATE, round(0.6 * RATE))[:, 0]
        heard = [measure_rt60(octave(response, hertz), RATE) for response in raw for hertz in (500, 1000, 2000, 4000)]
        with_it = np.mean([measure_rt60(response, RATE) for response in high_passed(raw, RATE)])
        without = np.mean([measure_rt60(response, RATE) for response in raw])
        ratios.append([with_it / np.mean(heard), without / np.mean(heard)])
    with_it, without = np.mean(ratios, axis=0)
    assert with_it == pytest.approx(1, abs=0.04)
    assert without > 1.15
