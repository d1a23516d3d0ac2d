"""Reverberation times: measured on decays of closed form, foretold against image sources and against Eyring."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.geometry import SPEED_OF_SOUND
from simulate.decay import energy_decay_db, measure_rt60, shoebox_rt60
from simulate.highpass import high_passed
from simulate.ism import image_responses

RATE = 16000
EVEN = np.ones(6)


# --- measured -----------------------------------------------------------------------------------------------


def test_the_decay_is_what_is_still_to_come() -> None:
    response = np.array([0.0, 3.0, 0.0, -4.0, 0.0])
    expected = 10 * np.log10([1, 1, 16 / 25, 16 / 25, 1e-30])
    np.testing.assert_allclose(energy_decay_db(response), expected)
    np.testing.assert_allclose(energy_decay_db(-1e-3 * response), expected)


@settings(max_examples=20)
@given(st.floats(0.1, 1.5), st.sampled_from([8000, 16000]), st.floats(1e-3, 1e3))
def test_t30_of_an_exponential_decay(rt60: float, sample_rate: int, level: float) -> None:
    seconds = np.arange(int(1.5 * rt60 * sample_rate)) / sample_rate
    decay = level * 10 ** (-3 * seconds / rt60)  # 60 dB down at rt60
    assert measure_rt60(decay, sample_rate) == pytest.approx(rt60, rel=5e-3)
    noise = np.random.default_rng(0).standard_normal(len(decay))
    assert measure_rt60(decay * noise, sample_rate) == pytest.approx(rt60, rel=0.08)


def test_t30_is_the_slope_between_5_and_35_db() -> None:
    """A decay with knees: what lies above -5 dB and below -35 dB does not count, all between does."""
    slopes = np.repeat([20.0, 100.0, 50.0, 30.0], [3680, 2560, 4640, RATE])  # dB/s; knees at -4.6, -20.6, -35.1 dB
    levels_db = -np.cumsum(slopes) / RATE
    energy = 10 ** (levels_db / 10)
    between = (levels_db < -5) & (levels_db > -35)
    slope = np.polyfit(np.flatnonzero(between) / RATE, levels_db[between], 1)[0]
    assert measure_rt60(np.sqrt(-np.diff(energy, append=0.0)), RATE) == pytest.approx(-60 / slope, rel=1e-3)
    assert 0.8 < -60 / slope < 1.0  # neither 0.6 nor 1.2, those of its parts


def test_t30_of_no_decay() -> None:
    assert measure_rt60(np.eye(1, 100)[0], RATE) == 0.0
    for measure in (energy_decay_db, lambda response: measure_rt60(response, RATE)):
        with pytest.raises(ValueError, match="response: expected an impulse response, got silence"):
            measure(np.zeros(100))


# --- foretold -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_image_sources_decay_as_foretold(seed: int) -> None:
    """In the mean over places; for walls that differ by less than a factor of three."""
    rng = np.random.default_rng(seed)
    dim, walls = rng.uniform([3, 3, 2.4], [8, 6, 3.5]), np.exp(rng.uniform(-0.5, 0.5, 6))
    rt60 = rng.uniform(0.3, 0.5)
    absorbed = shoebox_rt60(dim, walls) / rt60
    sources, mics = rng.uniform(0.4, dim - 0.4, (4, 3)), rng.uniform(0.4, dim - 0.4, (2, 3))
    images = image_responses(dim, np.exp(-absorbed * walls / 2), sources, mics, RATE, round(1.2 * rt60 * RATE))
    responses = high_passed(images, RATE).reshape(8, -1)
    assert np.mean([measure_rt60(response, RATE) for response in responses]) == pytest.approx(rt60, rel=0.1)


@given(st.tuples(*[st.floats(2, 10)] * 3), st.tuples(*[st.floats(0.3, 3)] * 6), st.floats(0.1, 10))
def test_more_absorption_and_smaller_rooms_decay_in_proportion(
    sides: tuple[float, ...], weights: tuple[float, ...], factor: float
) -> None:
    dim, walls = np.array(sides), np.array(weights)
    rt60 = shoebox_rt60(dim, walls)
    assert shoebox_rt60(dim, factor * walls) == pytest.approx(rt60 / factor)
    assert shoebox_rt60(factor * dim, walls) == pytest.approx(rt60 * factor)


@pytest.mark.parametrize(("walls", "tolerance"), [(EVEN, 0.01), (np.array([2, 1, 1, 2, 0.5, 1]), 0.03)])
def test_axes_and_opposite_walls_may_be_exchanged(walls: np.ndarray, tolerance: float) -> None:
    dim = np.array([5.2, 3.6, 2.7])
    rt60 = shoebox_rt60(dim, walls)
    pairs = walls.reshape(3, 2)
    assert shoebox_rt60(dim, pairs[:, ::-1].ravel()) == pytest.approx(rt60)
    for order in itertools.permutations(range(3)):
        assert shoebox_rt60(dim[list(order)], pairs[list(order)].ravel()) == pytest.approx(rt60, rel=tolerance)


def test_a_flat_room_decays_longer_than_eyring_says() -> None:
    """In a cube directions differ little, and T30 is nearly Eyring's; in a flat room many waves avoid two walls."""
    ratios = []
    for sides in ([4, 4, 4], [6, 5, 3], [9, 8, 2.2]):
        dim = np.array(sides, dtype=float)
        surface = 2 * (dim[0] * dim[1] + dim[1] * dim[2] + dim[2] * dim[0])
        eyring = 24 * np.log(10) / SPEED_OF_SOUND * dim.prod() / surface
        ratios.append(shoebox_rt60(dim, EVEN) / eyring)
    assert 1 < ratios[0] < 1.1
    assert ratios[0] < ratios[1] < ratios[2]
    assert ratios[2] > 1.3
