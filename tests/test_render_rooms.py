"""Scenes in which something moves, and scenes in measured rooms: against the scene at rest, and against the files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile

from arrayse.mixture import STEMS, Mixture, mean_power
from simulate.convolution import convolve
from simulate.devices import DeviceRecipe
from simulate.excerpts import read_excerpt
from simulate.interpolation import LEAD
from simulate.measured import load_rooms, measured_responses
from simulate.recipe import Background, Carrier, Motion, Recipe
from simulate.render import render
from simulate.respond import PlaceResponder
from simulate.room import Acoustics
from simulate.scene import Scene, World, draw_scene
from tests.tiny_scenes import GEOMETRY, RATE, Corpora, bytes_of, drawn, placed, power_db, rendered


def same(first: Mixture, second: Mixture, tolerance: float) -> None:
    """Stems differ by no more than a share of their peak."""
    for stem in STEMS:
        one, other = getattr(first, stem), getattr(second, stem)
        np.testing.assert_allclose(one, other, atol=tolerance * np.abs(other).max(), err_msg=stem)


# --- motion -------------------------------------------------------------------------------------------------


def test_who_does_not_get_away_gives_the_scene_at_rest(corpora: Corpora, recipe: Recipe) -> None:
    scene = drawn(corpora, replace(recipe, n_interferers=[2, 2], early_ms=5.0))
    still, place = rendered(scene), placed(scene)
    walks = [[position] * 4 for position in place.source_positions]
    for changes in ({"source_walks": walks}, {"array_turns_deg": [place.array_yaw_deg] * 2}):
        stays = replace(scene, place=replace(place, **changes))
        assert placed(stays).moves
        same(rendered(stays), still, 1e-5)
    same(rendered(replace(scene, place=replace(place, source_walks=[[], walks[1], []]))), still, 1e-5)


def test_who_leaves_late_is_at_rest_before(corpora: Corpora, recipe: Recipe) -> None:
    """A target that waits for half of the scene, then walks; and interferers that do."""
    scene = replace(drawn(corpora, recipe, seconds=0.5), diffuse_db=-200.0, sensor_db=-200.0)
    place = placed(scene)
    still = rendered(scene)
    for source, stem in ((0, "speech"), (0, "target"), (1, "noise")):
        start = np.array(place.source_positions[source])
        centre = np.array(place.array_centre)
        walks: list[list[list[float]]] = [[], []]
        walks[source] = [start.tolist(), (start + 0.2 * (centre - start)).tolist()]
        moved = rendered(replace(scene, place=replace(place, source_walks=walks)))
        before, after = slice(0, RATE // 5), slice(RATE * 3 // 8, None)  # the first faded point lies between
        wave, expected = getattr(moved, stem), getattr(still, stem)
        level = np.vdot(wave[:, before], expected[:, before]) / np.vdot(wave[:, before], wave[:, before])
        error = np.abs(level * wave - expected)
        assert error[:, before].max() < 1e-4 * np.abs(expected).max()
        assert error[:, after].max() > 0.05 * np.abs(expected).max()


@pytest.mark.parametrize("walks", [False, True])
def test_who_walks_is_heard_from_where_it_was_and_who_turns_where_it_is(
    corpora: Corpora, recipe: Recipe, walks: bool
) -> None:
    """The sum over all points of the way of what is emitted (or received) about the time of each."""
    scene = replace(drawn(corpora, recipe, interferer_distance=[1.4, 1.6]), diffuse_db=-200.0, sensor_db=-200.0)
    place = placed(scene)
    if walks:
        ends = [[np.mean([source, place.array_centre], axis=0).tolist()] for source in place.source_positions]
        place = replace(place, source_walks=ends)
    else:
        place = replace(place, array_turns_deg=[place.array_yaw_deg + 90])
    scene = replace(scene, place=place)
    responder, mixture = PlaceResponder(place, GEOMETRY, RATE), rendered(scene)
    for source, stem in ((0, mixture.speech), (1, mixture.noise)):
        dry = read_excerpt(scene.source_excerpts[source], RATE, scene.n_samples)
        responses = np.concatenate([block.full for block in responder.on_the_way(source)])
        moment = np.arange(scene.n_samples) / scene.n_samples * (len(responses) - 1)
        fades = np.maximum(0, 1 - np.abs(moment - np.arange(len(responses))[:, None]))
        emitted = fades * dry if walks else np.repeat(dry[None], len(fades), axis=0)
        received = convolve(emitted, responses, LEAD)
        expected = np.sum(received if walks else fades[:, None] * received, axis=0)
        gain = np.sqrt(mean_power(stem[2]) / mean_power(expected[2]))
        np.testing.assert_allclose(stem, gain * expected, atol=1e-4 * np.abs(stem).max())


def test_a_target_that_comes_nearer_gets_louder(corpora: Corpora, recipe: Recipe) -> None:
    """As 1/distance in the direct sound: against the scene in which it stands still."""
    scene = drawn(corpora, recipe, seconds=1.0, target_distance=[0.9, 1.0])
    place = placed(scene)
    start, centre = np.array(place.source_positions[0]), np.array(place.array_centre)
    near = centre + 0.4 * (start - centre)
    moving = replace(scene, place=replace(place, source_walks=[[near.tolist()], []]))
    still, moved = rendered(scene).target[2], rendered(moving).target[2]
    active = np.abs(scipy.signal.hilbert(still)) > 0.1 * np.abs(still).max()
    envelope = np.abs(scipy.signal.hilbert(moved))[active] / np.abs(scipy.signal.hilbert(still))[active]
    seconds = np.flatnonzero(active) / RATE
    early, late = np.median(envelope[seconds < 0.2]), np.median(envelope[seconds > 0.8])
    mic = np.array(place.mic_positions[2])
    ways = [np.linalg.norm(start + share * (near - start) - mic) for share in (0.1, 0.9)]
    assert late / early == pytest.approx(ways[0] / ways[1], rel=0.15)


@pytest.mark.parametrize("carrier", [Carrier(), Carrier(sphere_radius=0.05)])
def test_a_scene_in_which_all_moves_is_repeatable(corpora: Corpora, recipe: Recipe, carrier: Carrier) -> None:
    motion = Motion(1.0, 1.0, [0.1, 0.2], 1.0)
    scene = drawn(corpora, recipe, motion=motion, carrier=carrier)
    assert all(placed(scene).source_walks)
    assert placed(scene).array_turns_deg
    again = drawn(corpora, recipe, motion=motion, carrier=carrier)
    assert again == scene
    assert bytes_of(again) == bytes_of(scene)
    mixture, measured = render(scene, GEOMETRY)
    assert measured["snr_db_measured"] == pytest.approx(scene.snr_db, abs=1e-4)
    assert power_db(mixture.speech[2]) == pytest.approx(scene.level_dbfs, abs=1e-3)
    assert np.corrcoef(mixture.speech[2], mixture.target[2])[0, 1] > 0.3


# --- rooms of other shapes and engines ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "acoustics",
    [
        Acoustics("pyroomacoustics", directivity="cardioid"),
        Acoustics("pyroomacoustics", ray_tracing=True, floor_plan=[[0, 0.3], [3.6, 0], [3.4, 3.2], [0.2, 3.0]]),
        Acoustics(walls=[1, 2, 1, 1, 0.5, 1], band_rt60=[[125, 1.3], [8000, 0.9]], threshold=1e-4),
    ],
)
def test_scenes_of_every_engine_are_whole_and_repeatable(
    corpora: Corpora, recipe: Recipe, acoustics: Acoustics
) -> None:
    motion = Motion() if acoustics.ray_tracing else Motion(target_share=1.0, speed=[0.1, 0.1])
    scene = drawn(corpora, replace(recipe, rt60=[0.16, 0.17]), acoustics=acoustics, motion=motion)
    assert Scene.from_dict(json.loads(json.dumps(scene.to_dict()))) == scene
    mixture, measured = render(scene, GEOMETRY)
    assert measured["engine"].startswith(acoustics.engine)
    assert measured["rt60_measured"] == pytest.approx(placed(scene).rt60, rel=0.05 if acoustics.band_rt60 else 0.02)
    assert ("band_rt60_measured" in measured) == bool(acoustics.band_rt60)
    assert measured["snr_db_measured"] == pytest.approx(scene.snr_db, abs=1e-4)
    assert power_db(mixture.speech[2]) == pytest.approx(scene.level_dbfs, abs=1e-3)
    assert np.corrcoef(mixture.speech[2], mixture.target[2])[0, 1] > 0.3
    assert bytes_of(scene) == [getattr(mixture, stem).tobytes() for stem in STEMS]


# --- measured rooms -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured_rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three rooms of three places each: a click and exponential noise at 5 channels, the array being four of them."""
    folder, rng = tmp_path_factory.mktemp("rooms"), np.random.default_rng(0)
    for room in ("hall", "nook", "shed"):
        (folder / room).mkdir()
        for place in range(3):
            seconds = np.arange(3200) / RATE
            response = 0.05 * rng.standard_normal((3200, 5)) * 10 ** (-3 * seconds / 0.15)[:, None]
            response[:60] = 0
            response[60 + np.arange(5), np.arange(5)] = 1.0 / (1 + place)
            soundfile.write(folder / room / f"{place}.wav", response, RATE, "FLOAT")
    return folder


def test_a_measured_room_is_heard_through_its_files(corpora: Corpora, recipe: Recipe, measured_rooms: Path) -> None:
    bank = load_rooms(str(measured_rooms), RATE, 4, [4, 0, 2, 1])
    world = World(replace(recipe, seconds=0.5), GEOMETRY, *corpora, 0, bank)
    scene = draw_scene(world, "train", 0)
    assert scene.place is None
    assert scene.measured is not None
    assert Scene.from_dict(scene.to_dict()) == scene
    mixture, measured = render(replace(scene, diffuse_db=-200.0, sensor_db=-200.0), GEOMETRY)
    response = measured_responses(scene.measured["responses"], scene.measured["channels"], RATE)
    assert (measured["engine"], measured["rt60_measured"]) == ("measured", pytest.approx(0.15, rel=0.1))
    dry = np.stack([read_excerpt(excerpt, RATE, scene.n_samples) for excerpt in scene.source_excerpts])
    images, direct = (convolve(dry, part, response.lead) for part in (response.full, response.direct))
    level = 10 ** (scene.level_dbfs / 20) / np.sqrt(mean_power(images[0, 2]))
    for wave, expected in ((mixture.speech, images[0]), (mixture.target, direct[0])):
        np.testing.assert_allclose(wave, level * expected, atol=1e-5 * np.abs(level * expected).max())
    gain = np.sqrt(mean_power(mixture.noise[2]) / mean_power(images[1, 2]))
    np.testing.assert_allclose(mixture.noise, gain * images[1], atol=1e-5 * np.abs(gain * images[1]).max())


def test_a_measured_scene_has_its_devices_and_levels(corpora: Corpora, recipe: Recipe, measured_rooms: Path) -> None:
    bank = load_rooms(str(measured_rooms), RATE, 4, [0, 1, 2, 3])
    device = DeviceRecipe(1.0, 3.0, 0.0, 25.0, [60.0, 65.0], 80.0, -3.0, 16, 1.0, 1.0, 20.0)
    windy = Background("cylindrical", "babble", 2, [-10.0, -5.0])
    world = World(replace(recipe, device=device, background=windy, early_ms=2.0), GEOMETRY, *corpora, 0, bank)
    for index in range(3):
        scene = draw_scene(world, "train", index)
        mixture, measured = render(scene, GEOMETRY)
        assert measured["snr_db_measured"] == pytest.approx(scene.snr_db, abs=1e-4)
        assert power_db(mixture.speech[2]) == pytest.approx(scene.level_dbfs, abs=1e-3)
        assert not mixture.speech[scene.device.dead_mic].any()
