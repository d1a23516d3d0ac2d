"""Devices: draws have the asked statistics, recordings the closed forms of every imperfection, stems still add up."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from arrayse.converter import Converter
from arrayse.geometry import circular
from arrayse.schema.base import schema_of
from simulate.devices import Device, DeviceRecipe, a_weighting, draw_device, place_mics, record, self_noise

RATE = 16000
SEEDS = st.integers(0, 2**32 - 1)
REAL = DeviceRecipe(1.0, 3.0, 1.0, 30.0, [60.0, 65.0], 80.0, -6.0, 16, 0.3, 0.3, 20.0)
"""Every imperfection at once."""


def ideal(n_mics: int = 5, **changes: Any) -> Device:
    return replace(draw_device(DeviceRecipe(), n_mics, 0, np.random.default_rng(0)), **changes)


def drawn(recipe: DeviceRecipe, seed: int, n_mics: int = 5, ref_mic: int = 0) -> Device:
    return draw_device(recipe, n_mics, ref_mic, np.random.default_rng(seed))


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def response(device: Device, mic: int, hertz: np.ndarray) -> np.ndarray:
    """Frequency response of a channel from its impulse response."""
    impulse = np.zeros((device.n_mics, RATE))
    impulse[:, 0] = 1
    taps = record(impulse, device, RATE)[mic].astype(np.float64)
    return np.exp(-2j * np.pi * hertz[:, None] * np.arange(RATE) / RATE) @ taps


# --- what is drawn ------------------------------------------------------------------------------------------


@given(SEEDS, st.integers(1, 6), st.data())
def test_the_default_recipe_is_an_ideal_device(seed: int, n_mics: int, data: st.DataObject) -> None:
    ref_mic = data.draw(st.integers(0, n_mics - 1))
    device, wave = drawn(DeviceRecipe(), seed, n_mics, ref_mic), noise(3, n_mics, 40)
    positions = np.random.default_rng(seed).standard_normal((n_mics, 3))
    assert record(wave, device, RATE) is wave
    assert place_mics(positions, device).tobytes() == positions.tobytes()
    assert not self_noise(device, 9, RATE, np.random.default_rng(0)).any()
    assert device.converter == Converter()
    assert "-0.0" not in json.dumps(asdict(device))


def test_deviations_have_the_asked_spread() -> None:
    recipe = DeviceRecipe(gain_db=1.5, phase_deg=2.0, position_mm=3.0, clock_ppm=20.0)
    devices = [drawn(recipe, seed, ref_mic=2) for seed in range(3000)]
    for name, spread in (("gains_db", 1.5), ("phases_deg", 2.0), ("clocks_ppm", 20.0)):
        values = np.array([getattr(device, name) for device in devices])
        assert (values[:, 2] == 0).all(), name
        others = np.delete(values, 2, axis=1) / spread
        # each of two independent microphones has variance 1; all are counted from the same one
        np.testing.assert_allclose(np.cov(others.T), np.eye(4) + 1, atol=0.12)
        np.testing.assert_allclose(others.mean(axis=0), 0, atol=0.1)
    offsets = np.array([device.position_offsets for device in devices]).reshape(3000, 15) * 1000 / 3
    np.testing.assert_allclose(np.cov(offsets.T), np.eye(15), atol=0.12)


def test_faults_have_the_asked_shares_and_choose_evenly() -> None:
    devices = [drawn(DeviceRecipe(dead_share=0.3, swap_share=0.6), seed, 4, ref_mic=1) for seed in range(4000)]
    dead = [device.dead_mic for device in devices if device.dead_mic is not None]
    pairs = [tuple(np.flatnonzero(np.diff([device.places, range(4)], axis=0)[0])) for device in devices]
    swapped = [pair for pair in pairs if pair]
    assert abs(len(dead) / 4000 - 0.3) < 0.03
    assert abs(len(swapped) / 4000 - 0.6) < 0.03
    assert set(dead) == {0, 2, 3}
    assert len(set(swapped)) == 6
    assert {len(pair) for pair in swapped} == {2}
    for choices in (dead, swapped):
        counts = np.unique(choices, axis=0, return_counts=True)[1] / len(choices)
        np.testing.assert_allclose(counts, 1 / len(counts), atol=0.04)
    levels = [drawn(REAL, seed).speech_spl_db for seed in range(500)]
    assert 60 <= min(levels) < 60.1 < 64.9 < max(levels) <= 65


@given(SEEDS)
def test_one_microphone_cannot_die_nor_be_swapped_nor_deviate(seed: int) -> None:
    device = drawn(replace(REAL, dead_share=1.0, swap_share=1.0), seed, n_mics=1)
    assert (device.dead_mic, device.places, device.gains_db, device.clocks_ppm) == (None, [0], [0.0], [0.0])


@pytest.mark.parametrize("name", asdict(REAL))
def test_a_key_of_the_recipe_changes_nothing_else_of_the_device(name: str) -> None:
    """So systems can be compared on the same devices with one imperfection more."""
    touches = {
        "gain_db": "gains_db",
        "phase_deg": "phases_deg",
        "position_mm": "position_offsets",
        "dead_share": "dead_mic",
        "swap_share": "places",
        "clock_ppm": "clocks_ppm",
    }
    value = 1.0 if name.endswith("share") else getattr(REAL, name)
    before, after = (asdict(drawn(recipe, 7)) for recipe in (DeviceRecipe(), DeviceRecipe(**{name: value})))
    assert {key for key in before if before[key] != after[key]} == {touches.get(name, name)}


@given(SEEDS, st.integers(1, 6))
def test_a_device_goes_through_json(seed: int, n_mics: int) -> None:
    device = drawn(REAL, seed, n_mics)
    assert Device(**json.loads(json.dumps(asdict(device)))) == device


# --- what is recorded ---------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(SEEDS, st.integers(1, 5))
def test_stems_still_add_up(seed: int, n_mics: int) -> None:
    device, stems = drawn(REAL, seed, n_mics), noise(3, n_mics, 2000, seed=seed)
    together = record(stems, device, RATE)
    assert together.dtype == np.float32
    for stem, recorded in zip(stems, together, strict=True):
        np.testing.assert_array_equal(record(stem, device, RATE), recorded)
    np.testing.assert_allclose(record(stems[0] + stems[1], device, RATE), together[0] + together[1], atol=1e-4)


@given(SEEDS, st.integers(2, 5), st.data())
def test_the_reference_channel_keeps_its_bits(seed: int, n_mics: int, data: st.DataObject) -> None:
    ref_mic = data.draw(st.integers(0, n_mics - 1))
    recipe = replace(REAL, high_pass_hz=None, swap_share=0.0, dead_share=1.0)
    wave = noise(n_mics, 300, seed=seed)
    recorded = record(wave, drawn(recipe, seed, n_mics, ref_mic), RATE)
    np.testing.assert_array_equal(recorded[ref_mic], wave[ref_mic])
    others = np.delete(recorded - wave, ref_mic, axis=0)
    assert (np.abs(others).max(axis=1) > 0).all()


def test_a_gain_is_a_gain() -> None:
    wave = noise(2, 500)
    recorded = record(wave, ideal(2, gains_db=[0.0, -6.0]), RATE)
    np.testing.assert_allclose(recorded[1], wave[1] * 10**-0.3, rtol=1e-6)


@given(SEEDS, st.integers(2, 5))
def test_a_swap_is_its_own_inverse_and_the_channel_keeps_its_own_mismatch(seed: int, n_mics: int) -> None:
    wave = noise(n_mics, 60, seed=seed)
    swap = drawn(DeviceRecipe(swap_share=1.0), seed, n_mics)
    once = record(wave, swap, RATE)
    assert not np.array_equal(once, wave)
    np.testing.assert_array_equal(record(once, swap, RATE), wave)
    both = drawn(replace(REAL, swap_share=1.0), seed, n_mics)
    unswapped = replace(both, places=list(range(n_mics)))
    np.testing.assert_array_equal(record(wave, both, RATE), record(wave[both.places], unswapped, RATE))


@given(SEEDS, st.integers(2, 5), st.data())
def test_a_dead_channel_is_silent_but_for_its_noise(seed: int, n_mics: int, data: st.DataObject) -> None:
    ref_mic = data.draw(st.integers(0, n_mics - 1))
    device = drawn(replace(REAL, dead_share=1.0, swap_share=1.0), seed, n_mics, ref_mic)
    recorded = record(noise(n_mics, 200), device, RATE)
    assert np.flatnonzero(~recorded.any(axis=1)).tolist() == [device.dead_mic]
    assert device.dead_mic != ref_mic
    assert self_noise(device, 200, RATE, np.random.default_rng(seed)).any(axis=1).all()


@pytest.mark.parametrize("degrees", [-20.0, -3.0, 0.5, 3.0, 40.0])
def test_the_phase_has_the_asked_rms_over_the_octaves(degrees: float) -> None:
    hertz = 100 * 80 ** ((np.arange(60) + 0.5) / 60)
    found = response(ideal(2, phases_deg=[0.0, degrees]), 1, hertz)
    phase = np.rad2deg(np.angle(found))
    assert (np.sign(phase) == np.sign(degrees)).all()
    assert abs(np.sqrt(np.mean(phase**2)) / abs(degrees) - 1) < 0.003
    inverse = response(ideal(2, phases_deg=[0.0, -degrees]), 1, hertz)
    np.testing.assert_allclose(found * inverse, 1, atol=1e-5)


def test_a_phase_of_three_degrees_is_what_the_documentation_says() -> None:
    found = response(ideal(2, phases_deg=[0.0, 3.0]), 1, np.array([100.0, 1000.0, 7000.0]))
    np.testing.assert_allclose(np.rad2deg(np.angle(found)), [8.48, 0.92, 0.04], atol=0.01)
    np.testing.assert_allclose(20 * np.log10(np.abs(found)), [-0.4, 0, 0], atol=0.01)


@pytest.mark.parametrize("corner", [20.0, 80.0, 500.0])
def test_the_high_pass_is_of_first_order(corner: float) -> None:
    device = ideal(2, high_pass_hz=corner)
    hertz = np.array([0.0, corner / 4, corner, 2 * corner])
    expected = 1j * hertz / (corner + 1j * hertz)
    for mic in range(2):
        np.testing.assert_allclose(response(device, mic, hertz), expected, atol=5e-3)
    assert abs(20 * np.log10(abs(response(device, 1, hertz)[2])) + 3.0103) < 1e-3


def test_a_clock_takes_a_sine_at_its_own_times() -> None:
    clocks = [0.0, 35.0, -120.0]
    times = np.arange(2 * RATE) / RATE
    recorded = record(np.stack([np.sin(2 * np.pi * 1234 * times)] * 3), ideal(3, clocks_ppm=clocks), RATE)
    expected = [np.sin(2 * np.pi * 1234 * times / (1 + ppm * 1e-6)) for ppm in clocks]
    np.testing.assert_allclose(recorded[:, 40:-40], np.array(expected)[:, 40:-40], atol=1e-4)


def test_microphones_stand_where_the_offsets_put_them() -> None:
    positions = circular().positions
    device = drawn(DeviceRecipe(position_mm=2.0), 3)
    moved = place_mics(positions + 4.0, device) - 4.0 - positions
    np.testing.assert_allclose(moved, device.position_offsets, atol=1e-12)
    assert 0.0005 < np.abs(moved).max() < 0.01


def test_the_converter_is_that_of_the_recipe() -> None:
    converter = drawn(REAL, 0).converter
    assert converter.bits == 16
    assert abs(20 * np.log10(converter.clip or 0) + 6) < 1e-9


# --- self-noise ---------------------------------------------------------------------------------------------


def test_the_a_weighting_is_the_table_of_the_standard() -> None:
    hertz = 1000 * 10 ** (np.arange(-15, 14, 3) / 10)  # the exact frequencies of the octaves, 31.6 Hz to 15.8 kHz
    table = [-39.4, -26.2, -16.1, -8.6, -3.2, 0.0, 1.2, 1.0, -1.1, -6.6]
    np.testing.assert_allclose(10 * np.log10(a_weighting(hertz)), table, atol=0.06)
    assert a_weighting(np.array([1000.0])) == 1


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_self_noise_has_its_level_through_an_a_weighting_of_poles_and_zeros(rate: int) -> None:
    device = ideal(3, self_noise_dba=33.0, speech_spl_db=61.0)
    wave = self_noise(device, 200_000, rate, np.random.default_rng(1))
    poles = -2 * np.pi * np.array([20.6, 20.6, 107.7, 737.9, 12194.0, 12194.0])
    hertz = np.fft.rfftfreq(wave.shape[1], 1 / rate)
    gain = np.abs(scipy.signal.freqs_zpk([0] * 4, poles, 1.0, 2 * np.pi * np.append(hertz, 1000.0))[1])
    weighted = np.fft.irfft(np.fft.rfft(wave) * gain[:-1] / gain[-1], wave.shape[1])
    np.testing.assert_allclose(10 * np.log10(np.mean(weighted**2, axis=1)), 33 - 61, atol=0.1)
    np.testing.assert_allclose(np.corrcoef(wave), np.eye(3), atol=0.01)
    low, high = np.array_split(np.abs(np.fft.rfft(wave)) ** 2, 2, axis=1)
    np.testing.assert_allclose(low.mean() / high.mean(), 1, atol=0.02)  # white


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, -0.1) for key in ("gain_db", "phase_deg", "position_mm", "self_noise_dba", "dead_share", "clock_ppm")),
        *(("swap_share", value) for value in (-0.1, 1.1, float("nan"), "often")),
        *(("bits", value) for value in (3, 25, 16.5)),
        *(("clip_dbfs", value) for value in (0.1, -61.0)),
        *(("high_pass_hz", value) for value in (0.0, 1001.0)),
        ("speech_spl_db", [60.0]),
        ("phase_deg", 15.1),
    ],
)
def test_a_configuration_out_of_range_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        schema_of(DeviceRecipe)(**{key: value})
    assert {error["loc"][0] for error in caught.value.errors()} == {key}


def test_a_range_of_levels_the_wrong_way_round() -> None:
    with pytest.raises(ValueError, match=r"^speech_spl_db: expected \[lowest, highest\], got \[70.0, 55.0\]"):
        DeviceRecipe(speech_spl_db=[70.0, 55.0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position_offsets": [[0.0, 0.0]] * 2}, "position_offsets: expected shape (2, 3), got (2, 2)"),
        ({"phases_deg": [0.0]}, "phases_deg: expected 2 numbers from -60 to 60, got [0.0]"),
        ({"phases_deg": [0.0, 61.0]}, "phases_deg: expected 2 numbers from -60 to 60, got [0.0, 61.0]"),
        ({"gains_db": [0.0, float("nan")]}, "gains_db: expected 2 numbers from -100 to 100, got [0.0, nan]"),
        ({"clocks_ppm": [0.0, -1e6]}, "clocks_ppm: expected 2 numbers from -10000 to 10000, got [0.0, -1000000.0]"),
        ({"places": [0, 0]}, "places: expected each of 0 to 1 once, got [0, 0]"),
        ({"dead_mic": 2}, "dead_mic: expected 0 to 1, got 2"),
    ],
)
def test_a_device_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        ideal(2, **changes)


def test_what_does_not_fit_the_device() -> None:
    with pytest.raises(ValueError, match=r"^wave: expected shape \(..., 2, n_samples\), got \(3, 10\)"):
        record(np.zeros((3, 10)), ideal(2), RATE)
    with pytest.raises(ValueError, match=r"^positions: expected shape \(2, 3\), got \(3, 3\)"):
        place_mics(np.zeros((3, 3)), ideal(2))
    with pytest.raises(ValueError, match=r"^high_pass_hz: expected above 0 and below 400 Hz, got 500"):
        record(np.zeros((2, 10)), ideal(2, high_pass_hz=500.0), 800)
    with pytest.raises(ValueError, match=r"^ref_mic: expected 0 to 1, got 2"):
        draw_device(DeviceRecipe(), 2, 2, np.random.default_rng(0))
