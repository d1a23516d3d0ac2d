"""Scenes with every background and device: levels as asked, and stems on which each acts as it should."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.signal

from arrayse.geometry import ArrayGeometry
from arrayse.mixture import STEMS, mean_power, snr_db
from simulate.devices import DeviceRecipe, a_weighting
from simulate.excerpts import read_excerpt
from simulate.noise import FIELDS, babble
from simulate.recipe import Background, Carrier, Motion, Recipe
from simulate.render import render
from simulate.scene import Scene, draw_scene
from tests.tiny_scenes import GEOMETRY, RATE, Corpora, bytes_of, drawn, placed, power_db, rendered, tiny_world


def apart(whole: np.ndarray, part: np.ndarray) -> np.ndarray:
    """What a noise (n_mics, n_samples) has beside another one, whose gain is told by the samples themselves.

    The two must have nothing else in common.
    """
    gain = np.vdot(part, whole) / np.vdot(part, part)
    return whole - gain * part


# --- background ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["stationary", "recordings", "babble"])
@pytest.mark.parametrize("coherence", ["spherical", "cylindrical"])
def test_diffuse_noise_of_every_kind_has_its_level(
    corpora: Corpora, recipe: Recipe, source: Any, coherence: Any
) -> None:
    """Told by renderings with the interferers or the diffuse noise alone."""
    scene = drawn(corpora, recipe, background=Background(coherence, source, n_voices=3))
    n_tracks, n_voices = {"stationary": (1, 1), "recordings": (4, 1), "babble": (4, 3)}[source]
    assert [len(track) for track in scene.diffuse_excerpts] == [n_voices] * n_tracks
    quiet = replace(scene, sensor_db=-200.0)
    whole, interferers, diffuse = (rendered(replace(quiet, diffuse_db=level)).noise for level in (-6.0, -200.0, 200.0))
    parts = np.stack([interferers, diffuse]).astype(np.float64)
    gains, residual, *_ = np.linalg.lstsq(parts.reshape(2, -1).T, whole.ravel().astype(np.float64), rcond=None)
    assert residual[0] < 1e-8 * np.sum(whole.astype(np.float64) ** 2)
    levels = [power_db(gain * part[2]) for gain, part in zip(gains, parts, strict=True)]
    assert levels[1] - levels[0] == pytest.approx(-6, abs=1e-3)


@pytest.mark.parametrize("field", ["spherical", "cylindrical"])
def test_diffuse_noise_of_recordings_has_the_coherence_of_its_field(
    corpora: Corpora, recipe: Recipe, field: Any
) -> None:
    """In the mean over scenes, each of whose tracks are excerpts of three files."""
    cross = np.zeros((4, 4, 257), dtype=complex)
    for index in range(16):
        scene = drawn(corpora, recipe, index, background=Background(field, "recordings"), seconds=0.5)
        noise = rendered(replace(scene, diffuse_db=200.0, sensor_db=-200.0)).noise
        hertz, spectra = scipy.signal.csd(noise[:, None], noise[None], RATE, nperseg=512)
        own = np.real(np.einsum("mmf->mf", spectra))
        cross += spectra / np.sqrt(own[:, None] * own) / 16
    band = (hertz > 100) & (hertz < 7000)
    errors = {
        name: np.sqrt(np.mean(np.abs(np.moveaxis(cross, -1, 0) - coherence(GEOMETRY.positions, hertz))[band] ** 2))
        for name, coherence in FIELDS.items()
    }
    assert errors.pop(field) < 0.06
    assert min(errors.values()) > 0.12


def test_babble_is_several_voices_at_once(corpora: Corpora, recipe: Recipe) -> None:
    """One microphone records it as it is."""
    geometry = ArrayGeometry(GEOMETRY.positions[:1])
    recipe = replace(recipe, background=Background(source="babble", n_voices=3))
    scene = draw_scene(tiny_world(corpora, recipe, geometry), "train", 0)
    noise = render(replace(scene, diffuse_db=200.0, sensor_db=-200.0), geometry)[0].noise[0]
    voices = np.stack([read_excerpt(voice, RATE, scene.n_samples) for voice in scene.diffuse_excerpts[0]])
    expected = babble(voices)
    gain = np.sqrt(mean_power(noise) / mean_power(expected))
    np.testing.assert_allclose(noise, gain * expected, atol=1e-5 * np.abs(noise).max())


def test_babble_moves_in_time_and_stationary_noise_does_not(corpora: Corpora, recipe: Recipe) -> None:
    """The level of the one changes from one twentieth of a second to the next as voices do."""
    changes = []
    for source in ("babble", "stationary"):
        scene = drawn(corpora, recipe, background=Background(source=source, n_voices=1), seconds=2.0)
        noise = rendered(replace(scene, diffuse_db=200.0, sensor_db=-200.0)).noise[0]
        changes.append(np.std(10 * np.log10(np.mean(noise.reshape(-1, RATE // 20) ** 2, axis=1))))
    assert changes[0] > 2 * changes[1]


def test_wind_has_its_level_and_its_spectrum(corpora: Corpora, recipe: Recipe) -> None:
    windy = drawn(corpora, recipe, background=Background(wind_db=[3.0, 3.0], wind_speed=[4.0, 4.0]), seconds=1.0)
    assert (windy.wind_db, windy.wind_speed) == (3.0, 4.0)
    windy = replace(windy, sensor_db=-200.0)
    still = replace(windy, wind_db=None, wind_speed=None)
    loud = rendered(replace(windy, wind_db=200.0)).noise.astype(np.float64)
    parts = np.stack([rendered(still).noise.astype(np.float64), loud])
    whole = rendered(windy).noise.astype(np.float64)
    gains, residual, *_ = np.linalg.lstsq(parts.reshape(2, -1).T, whole.ravel(), rcond=None)
    assert residual[0] < 1e-8 * np.sum(whole**2)
    levels = [power_db(gain * part[2]) for gain, part in zip(gains, parts, strict=True)]
    assert levels[1] - levels[0] == pytest.approx(3, abs=1e-3)
    hertz = np.fft.rfftfreq(RATE, 1 / RATE)
    spectrum = np.mean(np.abs(np.fft.rfft(loud)) ** 2, axis=0)
    low, high = spectrum[(hertz > 2) & (hertz < 20)].mean(), spectrum[(hertz > 400) & (hertz < 600)].mean()
    assert 20 < 10 * np.log10(low / high) < 40  # 23 dB a decade from 20 Hz on
    assert drawn(corpora, recipe, background=Background(wind_db=[3.0, 3.0]), seconds=1.0).device == windy.device


def test_wind_changes_nothing_else(corpora: Corpora, recipe: Recipe) -> None:
    still = drawn(corpora, recipe)
    windy = drawn(corpora, recipe, background=Background(wind_db=[0.0, 0.0]))
    wind = {"background": still.background, "wind_db": None, "wind_speed": None}
    assert replace(windy, **wind) == still
    first, second = rendered(still), rendered(windy)
    np.testing.assert_array_equal(first.speech, second.speech)
    np.testing.assert_array_equal(first.target, second.target)


# --- devices ------------------------------------------------------------------------------------------------


def test_a_dead_microphone_has_neither_speech_nor_target(corpora: Corpora, recipe: Recipe) -> None:
    scene = drawn(corpora, recipe, device=DeviceRecipe(dead_share=1.0))
    dead, ideal = scene.device.dead_mic, replace(scene, device=replace(scene.device, dead_mic=None))
    assert dead in (0, 1, 3)
    mixture, whole = rendered(scene), rendered(ideal)
    alive = [mic for mic in range(4) if mic != dead]
    assert not mixture.speech[dead].any()
    assert not mixture.target[dead].any()
    for stem in STEMS:
        np.testing.assert_array_equal(getattr(mixture, stem)[alive], getattr(whole, stem)[alive])
    sensors_db = power_db(mixture.noise[dead]) - power_db(mixture.noise[2])
    assert sensors_db == pytest.approx(scene.sensor_db, abs=0.5)


def test_swapped_channels_are_swapped_in_every_stem(corpora: Corpora, recipe: Recipe) -> None:
    scene = replace(drawn(corpora, recipe), sensor_db=-200.0)
    swapped = replace(scene, device=replace(scene.device, places=[0, 3, 2, 1]))
    mixture, whole = rendered(swapped), rendered(scene)
    for stem in STEMS:
        np.testing.assert_allclose(getattr(mixture, stem), getattr(whole, stem)[[0, 3, 2, 1]], atol=1e-6)
    assert np.abs(mixture.speech[1] - whole.speech[1]).max() > 0.1 * np.abs(whole.speech).max()
    drawn_swapped = drawn(corpora, recipe, device=DeviceRecipe(swap_share=1.0))
    assert sum(place != mic for mic, place in enumerate(drawn_swapped.device.places)) == 2


def test_a_swapped_reference_has_level_and_snr_of_what_it_records(corpora: Corpora, recipe: Recipe) -> None:
    scene = replace(drawn(corpora, recipe), sensor_db=-200.0)
    mixture = rendered(replace(scene, device=replace(scene.device, places=[2, 1, 0, 3])))
    assert power_db(mixture.speech[2]) == pytest.approx(scene.level_dbfs, abs=1e-3)
    assert snr_db(mixture.speech[2], mixture.noise[2]) == pytest.approx(scene.snr_db, abs=1e-3)
    whole = rendered(scene)
    level = np.sqrt(mean_power(mixture.speech[2]) / mean_power(whole.speech[0]))
    np.testing.assert_allclose(mixture.speech[2], level * whole.speech[0], atol=1e-6)


def test_gains_and_filters_act_on_every_stem_alike(corpora: Corpora, recipe: Recipe) -> None:
    scene = replace(drawn(corpora, recipe), sensor_db=-200.0)
    mixture, whole = (
        rendered(replace(scene, device=replace(scene.device, gains_db=[6.0, -3.0, 0.0, 1.0]))),
        rendered(scene),
    )
    gain = 10 ** (np.array([[6.0], [-3], [0], [1]]) / 20)
    for stem in STEMS:
        np.testing.assert_allclose(getattr(mixture, stem), gain * getattr(whole, stem), atol=1e-6)


def test_microphones_off_their_places_hear_the_room_there(corpora: Corpora, recipe: Recipe) -> None:
    exact = drawn(corpora, recipe)
    scene = drawn(corpora, recipe, device=DeviceRecipe(position_mm=5.0))
    offsets = np.array(placed(scene).mic_positions) - placed(exact).mic_positions
    assert 0 < np.abs(offsets).max() < 0.03
    np.testing.assert_allclose(np.linalg.norm(offsets, axis=1), np.linalg.norm(scene.device.position_offsets, axis=1))
    assert not np.allclose(rendered(scene).target, rendered(exact).target, atol=1e-4)
    moved = ArrayGeometry(GEOMETRY.positions + scene.device.position_offsets, GEOMETRY.ref_mic)
    same = render(replace(exact, place=scene.place), moved)[0]
    for stem in STEMS:  # diffuse noise as well
        np.testing.assert_allclose(getattr(rendered(scene), stem), getattr(same, stem), atol=1e-6)


@pytest.mark.parametrize(("clip_dbfs", "bits"), [(-20.0, None), (None, 6), (-12.0, 8)])
def test_the_converter_acts_on_the_noisy_sum_alone(
    corpora: Corpora, recipe: Recipe, clip_dbfs: float | None, bits: int | None
) -> None:
    scene = drawn(corpora, recipe, level_dbfs=[-20.0, -20.0])
    device = replace(scene.device, clip_dbfs=clip_dbfs, bits=bits)
    mixture, ideal = rendered(replace(scene, device=device)), rendered(scene)
    for stem in STEMS:
        np.testing.assert_array_equal(getattr(mixture, stem), getattr(ideal, stem))
    np.testing.assert_array_equal(ideal.noisy, ideal.speech + ideal.noise)
    full_scale = 1.0 if clip_dbfs is None else 10 ** (clip_dbfs / 20)
    assert np.abs(mixture.noisy).max() <= full_scale
    if bits is None:
        np.testing.assert_array_equal(mixture.noisy, np.clip(ideal.noisy, -full_scale, full_scale))
        assert np.abs(ideal.noisy).max() > full_scale
    else:
        steps = mixture.noisy / full_scale * 2 ** (bits - 1)
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)
    np.testing.assert_array_equal(mixture.at_snr(-5.0).noisy, mixture.converter(ideal.at_snr(-5.0).noisy))


def test_self_noise_is_at_its_level_below_the_speech(corpora: Corpora, recipe: Recipe) -> None:
    """30 dB(A) under speech that stands for 50 dB: told by the same scene without it."""
    recipe = replace(recipe, seconds=2.0, snr_db=[5.0, 5.0])
    scene = drawn(corpora, recipe, device=DeviceRecipe(self_noise_dba=30.0, speech_spl_db=[50.0, 50.0]))
    mixture = rendered(scene)
    without = replace(scene, sensor_db=-200.0, device=replace(scene.device, self_noise_dba=None))
    own = apart(mixture.noise, rendered(without).noise)
    assert snr_db(mixture.speech[2], mixture.noise[2]) == pytest.approx(5, abs=1e-3)
    spectrum = np.abs(np.fft.rfft(own)) ** 2
    weighted = np.mean(spectrum * a_weighting(np.fft.rfftfreq(own.shape[1], 1 / RATE)), axis=1) / np.mean(
        spectrum, axis=1
    )
    for mic in range(4):
        level = power_db(own[mic]) + 10 * np.log10(weighted[mic]) - power_db(mixture.speech[2])
        assert level == pytest.approx(30 - 50, abs=0.3)
    correlation = np.corrcoef(own)
    assert np.abs(correlation - np.eye(4)).max() < 0.05  # every microphone has its own


def test_self_noise_that_is_louder_than_the_snr_allows_is_all_that_is_left(corpora: Corpora, recipe: Recipe) -> None:
    device = DeviceRecipe(self_noise_dba=60.0, speech_spl_db=[55.0, 55.0])
    scene = drawn(corpora, recipe, snr_db=[10.0, 10.0], device=device)
    mixture = rendered(scene)
    assert snr_db(mixture.speech[2], mixture.noise[2]) == pytest.approx(10, abs=1e-3)
    other = rendered(replace(scene, diffuse_db=20.0, source_levels_db=[0.0, 20.0]))
    np.testing.assert_allclose(mixture.noise, other.noise, atol=1e-6)
    spectrum = np.abs(np.fft.rfft(mixture.noise)) ** 2
    assert np.std(10 * np.log10(spectrum[:, :2000].reshape(4, 8, -1).mean(axis=(0, 2)))) < 1  # white


def test_a_device_with_everything_still_adds_up(corpora: Corpora, recipe: Recipe) -> None:
    device = DeviceRecipe(1.0, 3.0, 1.0, 30.0, [60.0, 65.0], 80.0, None, None, 1.0, 1.0, 20.0)
    scene = drawn(corpora, recipe, device=device, seconds=1.0)
    mixture, measured = render(scene, GEOMETRY)
    assert all(np.isfinite(getattr(mixture, stem)).all() for stem in STEMS)
    assert measured["snr_db_measured"] == pytest.approx(scene.snr_db, abs=1e-4)
    assert power_db(mixture.speech[2]) == pytest.approx(scene.level_dbfs, abs=1e-3)
    assert Scene.from_dict(scene.to_dict()) == scene


# --- repeatable ---------------------------------------------------------------------------------------------


def test_scenes_are_the_same_in_any_order(corpora: Corpora, recipe: Recipe) -> None:
    kinds: list[dict[str, Any]] = [
        {},
        {"background": Background("cylindrical", "babble", 2, [-10.0, 0.0])},
        {"motion": Motion(1.0, 0.0, [0.1, 0.2]), "device": DeviceRecipe(1.0, 3.0, 1.0, 30.0, swap_share=1.0)},
        {"carrier": Carrier(sphere_radius=0.05), "background": Background(source="recordings")},
    ]
    forwards = [bytes_of(drawn(corpora, recipe, index, **kind)) for kind in kinds for index in range(2)]
    backwards = [bytes_of(drawn(corpora, recipe, index, **kind)) for kind in kinds[::-1] for index in (1, 0)]
    assert forwards == backwards[::-1]
    assert len({tuple(waves) for waves in forwards}) == len(forwards)
    assert forwards[0][:2] == forwards[2][:2]  # no kind of noise changes the voice
