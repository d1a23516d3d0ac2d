"""Who hears what: at rest, on the way, while the array turns, with a body, and in a measured room."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from arrayse.geometry import SPEED_OF_SOUND, ArrayGeometry, circular, compact_diamond
from simulate.interpolation import LEAD
from simulate.layout import turned
from simulate.measured import load_rooms, measured_responses
from simulate.motion import STEP
from simulate.recipe import Carrier, Recipe
from simulate.respond import MeasuredResponder, PlaceResponder, responder_of
from simulate.rir import RoomResponse, room_responses
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


def way_of(here: PlaceResponder, source: int) -> RoomResponse:
    """All blocks of the way beside each other."""
    blocks = list(here.on_the_way(source))
    assert {(block.rt60, block.engine, block.lead) for block in blocks} == {(here.fitted.rt60, "ism", LEAD)}
    full, direct = (np.concatenate([getattr(block, part) for block in blocks]) for part in ("full", "direct"))
    assert len(full) == here.n_points(source)
    return replace(blocks[0], full=full, direct=direct)


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
    way = way_of(here, 0)
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
    turning = way_of(here, 1)
    n_points = len(turning.full)
    assert n_points == 1 + np.ceil(2 * np.deg2rad(60) * 0.05 / STEP)
    for number, yaw_deg in ((0, 20.0), (-1, 110.0), (1, 20 + 60 * 2 / (n_points - 1))):
        mics = CENTRE + turned(RING.positions, yaw_deg)
        expected = here.fitted.full(np.array(SOURCES[1:]), mics)
        np.testing.assert_allclose(turning.full[number], expected[0], atol=1e-6)


def test_a_ring_that_turns_from_microphone_to_microphone_ends_with_other_names() -> None:
    turning = way_of(responder(array_turns_deg=[110.0]), 0)
    np.testing.assert_allclose(turning.full[-1], np.roll(turning.full[0], -1, axis=0), atol=1e-5)
    assert error_db(turning.full[-1], turning.full[0]) > -10


def test_who_walks_while_the_array_turns_is_heard_at_both() -> None:
    end = [2.8, 1.7, 1.6]
    here = responder(source_walks=[[end], []], array_turns_deg=[65.0])
    assert (here.switch_at(0), here.switch_at(1)) == ("emission", "reception")
    way = way_of(here, 0)
    middle = np.array([[2.75, 1.7, 1.6]])
    expected = here.fitted.full(middle, CENTRE + turned(RING.positions, 42.5))
    assert len(way.full) % 2 == 1
    np.testing.assert_allclose(way.full[len(way.full) // 2], expected[0], atol=1e-6)


def test_to_stay_or_to_turn_by_nothing_is_to_be_at_rest() -> None:
    expected = responder().at_rest([0])
    for changes in ({"source_walks": [[SOURCES[0]] * 3, []]}, {"array_turns_deg": [20.0]}):
        way = way_of(responder(**changes), 0)
        assert way.full.shape == expected.full.shape
        np.testing.assert_allclose(way.full, expected.full, atol=1e-6)
        np.testing.assert_allclose(way.direct, expected.direct, atol=1e-6)


@pytest.mark.parametrize("turns", [[], [65.0]])
def test_the_responses_come_in_blocks_whose_sizes_do_not_matter(
    turns: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = responder(source_walks=[[[2.8, 1.7, 1.6]], []], array_turns_deg=turns)
    whole = way_of(here, 0)
    for n_together in (1, 4):
        monkeypatch.setattr("simulate.respond.MAX_BLOCK", n_together * whole.full[0].size + 1)
        sizes = [len(block.full) for block in here.on_the_way(0)]
        assert set(sizes[:-1]) == {n_together}
        parts = way_of(here, 0)
        np.testing.assert_array_equal(parts.full, whole.full)
        np.testing.assert_array_equal(parts.direct, whole.direct)
    monkeypatch.setattr("simulate.respond.MAX_BLOCK", 1)
    assert len(next(here.on_the_way(0)).full) == 1


def test_a_straight_way_across_the_corner_of_a_floor_plan_leaves_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of its ends lie inside."""
    corners = [[0.0, 0.0], [3.6, 0.0], [3.6, 3.2], [2.0, 3.2], [2.0, 2.0], [0.0, 2.0]]
    acoustics = Acoustics("pyroomacoustics", ray_tracing=True, floor_plan=corners)
    start, end = [0.5, 1.8, 1.2], [2.2, 3.0, 1.2]
    changes: dict[str, Any] = {"acoustics": acoustics, "source_positions": [start, SOURCES[0]]}
    monkeypatch.setattr("simulate.respond.fit_room", lambda *room: None)
    with pytest.raises(ValueError, match=r"^source on its way: expected a place inside the room .* floor plan"):
        responder(source_walks=[[end], []], **changes)
    around = responder(source_walks=[[[2.2, 1.8, 1.2], end], []], **changes)
    assert around.moves(0)


def test_ways_that_leave_the_room_and_sources_outside() -> None:
    with pytest.raises(ValueError, match=r"source on its way: expected a place inside the room .*, got \[9\.0, 1\.0"):
        responder(source_walks=[[[2.0, 1.0, 1.0], [9.0, 1.0, 1.0]], []])
    with pytest.raises(ValueError, match=r"^source: expected a place inside the room"):
        responder(source_positions=[SOURCES[0], [9.0, 1.0, 1.0]])


# --- measured rooms and scenes ------------------------------------------------------------------------------


def test_a_measured_room_answers_with_its_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for room in ("hall", "nook", "shed"):
        (tmp_path / room).mkdir()
        for place in range(2):
            seconds = np.arange(2400) / RATE
            wave = 0.02 * rng.standard_normal((2400, 4)) * 10 ** (-3 * seconds / 0.1)[:, None]
            wave[100 * (1 + place)] = 1
            wave[: 100 * (1 + place)] = 0
            soundfile.write(tmp_path / room / f"{place}.wav", wave, RATE, "FLOAT")
    bank = load_rooms(str(tmp_path), RATE, 4)
    measured_room = bank.splits["train"][0]
    picks = [{"room": measured_room.name, "path": str(path), "sha256": sha} for path, sha in measured_room.files]
    measured = {"responses": picks, "channels": [3, 1]}
    here = MeasuredResponder(measured, RATE)
    assert not here.moves(0)
    assert here.body is None
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
    np.testing.assert_allclose(way_of(here, 0).direct[-1], expected[0], atol=1e-6)
    distance = np.linalg.norm(SOURCES[0] - moved[0]) * RATE / SPEED_OF_SOUND
    assert abs(np.abs(here.at_rest([0]).direct[0, 0]).argmax() - LEAD - distance) <= 1
