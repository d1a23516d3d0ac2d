"""Who hears what: at rest, on the way, while the array turns, with a body, and in a measured room."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from arrayse.geometry import SPEED_OF_SOUND, ArrayGeometry, circular, compact_diamond
from simulate.bodies import RigidSphere
from simulate.decay import measure_rt60
from simulate.interpolation import LEAD
from simulate.layout import turned
from simulate.measured import load_rooms, measured_responses
from simulate.motion import STEP
from simulate.recipe import Carrier, Recipe
from simulate.respond import MeasuredResponder, PlaceResponder, build_body, responder_of
from simulate.rir import room_responses
from simulate.room import Acoustics, Room
from simulate.scene import Place, draw_scene
from tests.tiny_scenes import Corpora, tiny_world

RATE = 16000
DIM = [3.6, 3.2, 2.5]
CENTRE = np.array([1.5, 1.4, 1.2])
SOURCES = [[2.7, 1.7, 1.6], [0.9, 2.4, 1.1]]
RING = circular(4, 0.05)


def standing(geometry: ArrayGeometry = RING, yaw_deg: float = 20.0, **changes: Any) -> Place:
    """A place with an array and two sources, in which nothing moves unless told so."""
    mics = CENTRE + turned(geometry.positions, yaw_deg)
    place = Place(
        room_dim=DIM,
        rt60=0.12,
        acoustics=Acoustics(),
        carrier=Carrier(),
        array_centre=CENTRE.tolist(),
        array_yaw_deg=yaw_deg,
        array_turns_deg=[],
        mic_positions=mics.tolist(),
        source_positions=SOURCES,
        source_walks=[[], []],
        source_azimuths_deg=[0.0, 0.0],
    )
    return replace(place, **changes)


def responder(geometry: ArrayGeometry = RING, yaw_deg: float = 20.0, **changes: Any) -> PlaceResponder:
    return PlaceResponder(standing(geometry, yaw_deg, **changes), geometry, RATE)


def error_db(wave: np.ndarray, expected: np.ndarray, lowest: float = 0, highest: float = RATE) -> float:
    hertz = np.fft.rfftfreq(expected.shape[-1], 1 / RATE)
    first, second = (np.fft.rfft(x)[..., (hertz >= lowest) & (hertz <= highest)] for x in (wave, expected))
    return float(10 * np.log10(np.sum(np.abs(first - second) ** 2) / np.sum(np.abs(second) ** 2)))


# --- at rest ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("acoustics", [Acoustics(), Acoustics("pyroomacoustics"), Acoustics(band_rt60=[[500, 1.4]])])
def test_at_rest_the_responses_are_those_of_the_room(acoustics: Acoustics) -> None:
    place = standing(acoustics=acoustics)
    here = PlaceResponder(place, RING, RATE)
    assert not here.moves(0)
    sources, mics = np.array(place.source_positions), np.array(place.mic_positions)
    expected = room_responses(Room(np.array(DIM), 0.12, acoustics), sources, mics, RATE)
    both, second = here.at_rest([0, 1]), here.at_rest([1])
    np.testing.assert_allclose(both.full, expected.full, atol=1e-7)
    np.testing.assert_allclose(both.direct, expected.direct, atol=1e-7)
    np.testing.assert_allclose(second.full, expected.full[1:], atol=1e-7)
    assert (both.rt60, both.engine, both.lead) == (expected.rt60, expected.engine, LEAD)


# --- on the way ---------------------------------------------------------------------------------------------


def test_on_the_way_the_responses_are_those_of_every_place() -> None:
    """A bend reached after half of the time, in steps of a centimetre at most, in the room of the start."""
    bend, end = [2.8, 1.7, 1.6], [2.8, 1.75, 1.6]
    here = responder(source_walks=[[bend, end], []])
    assert [here.moves(0), here.moves(1)] == [True, False]
    assert here.switch_at(0) == "emission"
    way = here.on_the_way(0)
    n_points = len(way.full)
    assert n_points == 1 + round(0.2 / STEP)  # 10 cm and 5 cm in equal times: as many for the slower half
    mics = np.array(here.place.mic_positions)
    for number, place in ((0, SOURCES[0]), (n_points // 2, bend), (n_points // 4, [2.75, 1.7, 1.6]), (-1, end)):
        for told, expected in ((way.full, here.fitted.full), (way.direct, here.fitted.direct)):
            np.testing.assert_allclose(told[number], expected(np.array([place]), mics)[0], atol=1e-6)
    still = responder()
    assert here.fitted.reflection.tolist() == still.fitted.reflection.tolist()
    np.testing.assert_allclose(way.full[0], still.at_rest([0]).full[0], atol=1e-6)
    np.testing.assert_array_equal(here.at_rest([0]).full, still.at_rest([0]).full)


def test_a_turning_array_hears_what_arrays_at_its_yaws_hear() -> None:
    here = responder(array_turns_deg=[80.0, 110.0])
    assert [here.moves(0), here.moves(1)] == [True, True]
    assert here.switch_at(0) == "reception"
    turning = here.on_the_way(1)
    n_points = len(turning.full)
    assert n_points == 1 + np.ceil(2 * np.deg2rad(60) * 0.05 / STEP)
    for number, yaw_deg in ((0, 20.0), (-1, 110.0), (1, 20 + 60 * 2 / (n_points - 1))):
        mics = CENTRE + turned(RING.positions, yaw_deg)
        expected = here.fitted.full(np.array(SOURCES[1:]), mics)
        np.testing.assert_allclose(turning.full[number], expected[0], atol=1e-6)


def test_a_ring_that_turns_from_microphone_to_microphone_ends_with_other_names() -> None:
    turning = responder(array_turns_deg=[110.0]).on_the_way(0)
    np.testing.assert_allclose(turning.full[-1], np.roll(turning.full[0], -1, axis=0), atol=1e-5)
    assert error_db(turning.full[-1], turning.full[0]) > -10


def test_who_walks_while_the_array_turns_is_heard_at_both() -> None:
    end = [2.8, 1.7, 1.6]
    here = responder(source_walks=[[end], []], array_turns_deg=[65.0])
    assert (here.switch_at(0), here.switch_at(1)) == ("emission", "reception")
    way = here.on_the_way(0)
    middle = np.array([[2.75, 1.7, 1.6]])
    expected = here.fitted.full(middle, CENTRE + turned(RING.positions, 42.5))
    assert len(way.full) % 2 == 1
    np.testing.assert_allclose(way.full[len(way.full) // 2], expected[0], atol=1e-6)


def test_to_stay_or_to_turn_by_nothing_is_to_be_at_rest() -> None:
    expected = responder().at_rest([0])
    for changes in ({"source_walks": [[SOURCES[0]] * 3, []]}, {"array_turns_deg": [20.0]}):
        way = responder(**changes).on_the_way(0)
        assert way.full.shape == expected.full.shape
        np.testing.assert_allclose(way.full, expected.full, atol=1e-6)
        np.testing.assert_allclose(way.direct, expected.direct, atol=1e-6)


def test_ways_that_leave_the_room_and_sources_outside() -> None:
    with pytest.raises(ValueError, match=r"source on its way: expected a place inside the room .*, got \[9\.0, 1\.0"):
        responder(source_walks=[[[2.0, 1.0, 1.0], [9.0, 1.0, 1.0]], []])
    with pytest.raises(ValueError, match=r"^source: expected a place inside the room"):
        responder(source_positions=[SOURCES[0], [9.0, 1.0, 1.0]])


# --- bodies -------------------------------------------------------------------------------------------------


def test_a_carrier_becomes_a_body_at_the_microphones_of_the_array() -> None:
    assert build_body(Carrier(), RING) is None
    body = build_body(Carrier(sphere_radius=0.04), RING)
    assert isinstance(body, RigidSphere)
    directions, hertz = np.eye(3), np.array([500.0, 3000.0])
    expected = RigidSphere(0.04, RING.positions).transfer(directions, hertz)
    np.testing.assert_array_equal(body.transfer(directions, hertz), expected)
    with pytest.raises(ValueError, match=r"positions: expected microphones on or outside the sphere, 90\.0 mm or more"):
        build_body(Carrier(sphere_radius=0.09), RING)


@pytest.mark.parametrize("acoustics", [Acoustics(), Acoustics(walls=[1, 2, 1, 0.5, 1, 1], band_rt60=[[2000, 0.7]])])
def test_a_tiny_sphere_in_a_small_ring_is_no_obstacle(acoustics: Acoustics) -> None:
    """But for the curvature of the waves from near by, which a body does not know."""
    ring = circular(4, 0.01)
    carried = responder(ring, acoustics=acoustics, carrier=Carrier(sphere_radius=1e-3)).at_rest([0, 1])
    free = responder(ring, acoustics=acoustics).at_rest([0, 1])
    assert carried.full.shape == free.full.shape
    assert (carried.rt60, carried.engine, carried.lead) == (free.rt60, free.engine, LEAD)
    assert error_db(carried.full, free.full, 50, 7000) < -35
    assert error_db(carried.direct, free.direct, 50, 7000) < -35


def test_the_direct_sound_meets_the_body_from_its_direction() -> None:
    """Over the sound at the origin without a body it is the body's transfer function, also when the array is turned."""
    body = RigidSphere(0.05, RING.positions)
    for yaw_deg in (0.0, 75.0, -130.0):
        here = responder(yaw_deg=yaw_deg, carrier=Carrier(sphere_radius=0.05))
        at_origin = np.fft.rfft(here.fitted.direct(np.array(SOURCES), CENTRE[None]))
        hertz = np.fft.rfftfreq(here.fitted.n_taps + LEAD, 1 / RATE)
        band = (hertz > 300) & (hertz < 6000)
        ratio = (np.fft.rfft(here.at_rest([0, 1]).direct) / at_origin)[..., band]
        away = np.array(SOURCES) - CENTRE
        azimuth = np.arctan2(away[:, 1], away[:, 0]) - np.deg2rad(yaw_deg)
        level, rise = np.linalg.norm(away[:, :2], axis=1), away[:, 2]
        seen = np.stack([level * np.cos(azimuth), level * np.sin(azimuth), rise], axis=1)
        expected = body.transfer(seen / np.linalg.norm(seen, axis=1, keepdims=True), hertz[band])
        np.testing.assert_allclose(ratio, expected, atol=0.02)
        loudest = np.abs(expected).mean(axis=2).argmax(axis=1)
        assert [np.abs(ratio).mean(axis=2)[source, loudest[source]] > 1.5 for source in (0, 1)] == [True, True]


def test_the_room_around_a_body_has_the_asked_rt60() -> None:
    here = responder(rt60=0.2, carrier=Carrier(sphere_radius=0.05)).at_rest([0, 1])
    assert here.rt60 == pytest.approx(0.2, rel=0.02)
    measured = [measure_rt60(mic, RATE) for source in here.full for mic in source]
    assert np.mean(measured) == pytest.approx(0.2, rel=0.1)


def test_a_body_turns_with_its_array_and_meets_who_walks() -> None:
    carrier, end = Carrier(sphere_radius=0.05), [2.72, 1.7, 1.6]
    here = responder(source_walks=[[end], []], array_turns_deg=[35.0], carrier=carrier)
    way = here.on_the_way(0)
    for number, yaw_deg, place in ((0, 20.0, SOURCES[0]), (-1, 35.0, end)):
        still = responder(yaw_deg=yaw_deg, source_positions=[place, SOURCES[1]], carrier=carrier)
        still.fitted = here.fitted
        expected = still.at_rest([0])
        np.testing.assert_allclose(way.full[number], expected.full[0], atol=1e-5)
        np.testing.assert_allclose(way.direct[number], expected.direct[0], atol=1e-5)


# --- measured rooms and scenes ------------------------------------------------------------------------------


def test_a_measured_room_answers_with_its_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for room in ("hall", "nook", "shed"):
        (tmp_path / room).mkdir()
        for place in range(2):
            seconds = np.arange(2400) / RATE
            response = 0.02 * rng.standard_normal((2400, 4)) * 10 ** (-3 * seconds / 0.1)[:, None]
            response[100 * (1 + place)] = 1
            response[: 100 * (1 + place)] = 0
            soundfile.write(tmp_path / room / f"{place}.wav", response, RATE, "FLOAT")
    bank = load_rooms(str(tmp_path), RATE, 4)
    room = bank.splits["train"][0]
    picks = [{"room": room.name, "path": str(path), "sha256": sha} for path, sha in room.files]
    measured = {"responses": picks, "channels": [3, 1]}
    here = MeasuredResponder(measured, RATE)
    assert not here.moves(0)
    for sources in ([0], [1], [1, 0]):
        expected = measured_responses([picks[source] for source in sources], [3, 1], RATE)
        response = here.at_rest(sources)
        np.testing.assert_array_equal(response.full, expected.full)
        assert response.full.shape[:2] == (len(sources), 2)
        assert (response.engine, response.lead) == ("measured", expected.lead)


def test_a_scene_knows_what_answers_for_it(corpora: Corpora, recipe: Recipe) -> None:
    scene = draw_scene(tiny_world(corpora, recipe), "train", 0)
    assert isinstance(responder_of(scene, circular()), PlaceResponder)
    measured = replace(scene, place=None, measured={"responses": [], "channels": [0]})
    assert isinstance(responder_of(measured, circular()), MeasuredResponder)
    with pytest.raises(ValueError, match=rf"^scene {scene.id}: expected a place or a measured room, got neither"):
        responder_of(replace(scene, place=None), circular())


def test_offsets_of_the_microphones_turn_with_the_array() -> None:
    """The microphones of the place count, not those of the drawing, unless a body carries them."""
    diamond = compact_diamond()
    moved = CENTRE + turned(diamond.positions + np.array([0.02, 0, 0]), 20)
    here = responder(diamond, mic_positions=moved.tolist(), array_turns_deg=[110.0])
    expected = here.fitted.direct(
        np.array(SOURCES[:1]), CENTRE + turned(diamond.positions + np.array([0.02, 0, 0]), 110)
    )
    np.testing.assert_allclose(here.on_the_way(0).direct[-1], expected[0], atol=1e-6)
    distance = np.linalg.norm(SOURCES[0] - moved[0]) * RATE / SPEED_OF_SOUND
    assert abs(np.abs(here.at_rest([0]).direct[0, 0]).argmax() - LEAD - distance) <= 1
