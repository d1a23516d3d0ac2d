"""Rooms as numbers: size and inside against closed forms and an independent rule, and errors that say what can be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from arrayse.geometry import SPEED_OF_SOUND
from arrayse.schema.base import schema_of
from simulate.room import LONGEST_RT60, OCTAVE_BANDS, Acoustics, Room

L_SHAPE = [[0.0, 0.0], [5.0, 0.0], [5.0, 2.0], [2.0, 2.0], [2.0, 4.5], [0.0, 4.5]]
TRIANGLE = [[0.0, 0.0], [4.0, 0.0], [0.0, 3.0]]


def planned(floor_plan: list[list[float]], height: float = 2.5, rt60: float = 0.3) -> Room:
    acoustics = Acoustics("pyroomacoustics", ray_tracing=True, floor_plan=floor_plan)
    return Room(np.append(np.max(floor_plan, axis=0), height), rt60, acoustics)


# --- size ---------------------------------------------------------------------------------------------------


@given(st.tuples(*[st.floats(0.5, 20)] * 3))
def test_a_shoebox_has_the_volume_and_surface_of_its_sides(sides: tuple[float, float, float]) -> None:
    x, y, z = sides
    room = Room(np.array(sides), 0.3)
    assert room.volume == pytest.approx(x * y * z)
    assert room.surface == pytest.approx(2 * (x * y + y * z + z * x))
    planned_room = planned([[0, 0], [x, 0], [x, y], [0, y]], z)
    assert planned_room.volume == pytest.approx(room.volume)
    assert planned_room.surface == pytest.approx(room.surface)


@pytest.mark.parametrize(
    ("floor_plan", "area", "round_about"), [(L_SHAPE, 5 * 2 + 2 * 2.5, 5 + 2 + 3 + 2.5 + 2 + 4.5), (TRIANGLE, 6, 12)]
)
def test_a_floor_plan_has_its_volume_and_surface(
    floor_plan: list[list[float]], area: float, round_about: float
) -> None:
    room = planned(floor_plan)
    assert room.volume == pytest.approx(2.5 * area)
    assert room.surface == pytest.approx(2 * area + 2.5 * round_about)
    assert room.shortest_rt60 == pytest.approx(0.1611 * room.volume / room.surface, rel=1e-3)


def test_the_shortest_reverberation_time_is_sabines() -> None:
    assert Room(np.array([10.0, 10.0, 10.0]), 1.0).shortest_rt60 == pytest.approx(0.161 * 1000 / 600, rel=2e-3)
    assert Room(np.array([2.0, 2.0, 2.0]), 1.0).shortest_rt60 == pytest.approx(24 * np.log(10) / SPEED_OF_SOUND / 3)


# --- inside -------------------------------------------------------------------------------------------------


def winding(point: np.ndarray, corners: np.ndarray) -> float:
    """Turns that the corners make around a point: 1 inside, 0 outside."""
    away = corners - point
    angles = np.unwrap(np.append(np.arctan2(away[:, 1], away[:, 0]), np.arctan2(away[0, 1], away[0, 0])))
    return float(angles[-1] - angles[0]) / (2 * np.pi)


def nearest_wall(point: np.ndarray, corners: np.ndarray) -> float:
    """Distance to the closest of many points on the walls."""
    share = np.linspace(0, 1, 2001)[:, None, None]
    walls = (1 - share) * corners + share * np.roll(corners, -1, axis=0)
    return float(np.linalg.norm(walls - point, axis=-1).min())


def star(seed: int) -> list[list[float]]:
    """A polygon, seldom convex: corners at random distances around a point, anticlockwise."""
    rng = np.random.default_rng(seed)
    n_corners = int(rng.integers(3, 9))
    angles = 2 * np.pi * (np.arange(n_corners) + rng.uniform(-0.3, 0.3, n_corners)) / n_corners
    away = rng.uniform(0.5, 3.0, n_corners)
    return np.stack([3 + away * np.cos(angles), 3 + away * np.sin(angles)], axis=1).tolist()


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.2, 0.5]))
def test_a_place_is_inside_if_the_walls_go_once_around_it(seed: int, margin: float) -> None:
    room, rng = planned(star(seed)), np.random.default_rng(seed)
    places = rng.uniform(0, [6, 6, 2.5], (4, 5, 3))
    inside = room.contains(places, margin)
    assert inside.shape == (4, 5)
    for place, told in zip(places.reshape(-1, 3), inside.ravel(), strict=True):
        away = nearest_wall(place[:2], room.corners)
        if abs(away - margin) > 0.01:  # the walls are sampled
            assert told == (round(winding(place[:2], room.corners)) == 1 and away > margin)


def test_inside_a_shoebox() -> None:
    room = Room(np.array([4.0, 3.0, 2.5]), 0.3)
    assert room.contains(np.array([2.0, 1.5, 1.2]))
    for place in ([0.0, 1, 1], [4.0, 1, 1], [1, -0.1, 1], [1, 3.0, 1], [1, 1, 0.0], [1, 1, 2.5], [np.nan, 1, 1]):
        assert not room.contains(np.array(place))
    near = np.array([[0.3, 1.5, 0.1], [3.7, 1.5, 2.4], [2.0, 0.3, 1.0], [2.0, 2.7, 1.0]])
    assert room.contains(near, 0.29).all()  # the margin is that of the walls, not of floor and ceiling
    assert not room.contains(near, 0.31).any()


def test_a_corner_hides_what_is_behind_it() -> None:
    room = planned(L_SHAPE)
    places, others = np.array([[4.6, 1.0, 1.6], [1.0, 1.0, 1.0]]), np.array([[1.3, 4.0, 1.3], [4.0, 0.3, 2.0]])
    assert room.sees(places, others).tolist() == [[False, True], [True, True]]
    assert room.sees(others, places).tolist() == [[False, True], [True, True]]
    assert Room(np.array([5.0, 4.5, 2.5]), 0.3).sees(places, others).all()


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_who_sees_another_has_only_places_inside_between(seed: int) -> None:
    room, rng = planned(star(seed)), np.random.default_rng(seed)
    places = rng.uniform(0, [6, 6, 2.5], (200, 3))
    first, second = np.array_split(places[room.contains(places)][:20], 2)
    between = first[:, None, None] + np.linspace(0, 1, 500)[:, None] * (second[:, None] - first[:, None, None])
    seen = room.sees(first, second)
    assert room.contains(between)[seen].all()
    shortest_way_out = (~room.contains(between)).sum(axis=-1)
    assert (shortest_way_out[~seen] <= 1).sum() <= 0.1 * seen.size  # a corner that is cut by less than a sample


def test_places_outside_are_told_with_the_room() -> None:
    room = Room(np.array([4.0, 3.5, 2.6]), 0.2)
    room.check_inside(np.array([[1.0, 1.0, 1.0]]), "source")
    with pytest.raises(
        ValueError, match=r"^source: expected a place inside the room \[4.0, 3.5, 2.6\] m, got \[1.0, 4"
    ):
        room.check_inside(np.array([[1.0, 1.0, 1.0], [1.0, 4.0, 1.0]]), "source")
    with pytest.raises(ValueError, match=r"room \[5.0, 4.5, 2.5\] m of floor plan \[\[0.0, 0.0\], .*, got \[4.0, 4.0"):
        planned(L_SHAPE).check_inside(np.array([[4.0, 4.0, 1.0]]), "microphone")


# --- reverberation time -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rt60", [0.05, 0.0, -1.0, np.nan, np.inf, 5.01])
def test_a_reverberation_time_that_the_room_cannot_have(rt60: float) -> None:
    with pytest.raises(ValueError, match=r"^rt60: expected 0\.088 to 5 s in a room of 4\.00 x 3\.50 x 2\.60 m, got"):
        Room(np.array([4.0, 3.5, 2.6]), rt60).check()


def test_every_band_needs_a_reverberation_time_that_the_room_can_have() -> None:
    dim, message = np.array([4.0, 3.5, 2.6]), r"got 0\.1 s with band_rt60 factors of 0\.5, 1$"
    Room(dim, 0.1).check()
    with pytest.raises(ValueError, match=message):
        Room(dim, 0.1, Acoustics(band_rt60=[[500, 0.5]])).check()
    Room(dim, LONGEST_RT60).check()
    with pytest.raises(ValueError, match=r"got 5 s with band_rt60 factors of 1, 1\.5$"):
        Room(dim, LONGEST_RT60, Acoustics(band_rt60=[[500, 1.5]])).check()


# --- acoustics ----------------------------------------------------------------------------------------------


def test_bands_that_are_not_named_have_the_factor_one() -> None:
    assert Acoustics().band_factors.tolist() == [1.0] * 7
    factors = Acoustics(band_rt60=[[8000, 0.5], [250.0, 1.5]]).band_factors
    assert dict(zip(OCTAVE_BANDS, factors.tolist(), strict=True)) == {
        **dict.fromkeys(OCTAVE_BANDS, 1.0),
        250: 1.5,
        8000: 0.5,
    }


FULL = {"engine": "pyroomacoustics", "ray_tracing": True}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"band_rt60": [[300, 1.0]]}, "band_rt60: expected octave bands of 125, 250, .*, 8000 Hz, got 300"),
        ({"band_rt60": [[250, 0.0]]}, "band_rt60: expected a factor of RT60 above 0 at 250 Hz, got 0"),
        ({"band_rt60": [[250, float("nan")]]}, "band_rt60: expected a factor of RT60 above 0 at 250 Hz, got nan"),
        ({"band_rt60": [[250, 1.5], [250, 2.0]]}, "band_rt60: expected every band once"),
        ({"ray_tracing": True}, "engine: expected pyroomacoustics, which has ray_tracing, got ism"),
        ({"floor_plan": L_SHAPE}, "engine: expected pyroomacoustics, which has floor_plan, got ism"),
        ({"directivity": "cardioid"}, "engine: expected pyroomacoustics, which has directivity, got ism"),
        ({"engine": "pyroomacoustics", "threshold": 0.1}, "engine: expected ism, which has threshold"),
        ({"engine": "pyroomacoustics", "tail_density": 4.0}, "engine: expected ism, which has threshold"),
        ({"engine": "pyroomacoustics", "floor_plan": L_SHAPE}, "floor_plan: expected ray_tracing=true with it"),
        ({**FULL, "floor_plan": L_SHAPE[::-1]}, "floor_plan: expected three corners .* or more, anticlockwise, got"),
        ({**FULL, "floor_plan": L_SHAPE[:2]}, "floor_plan: expected three corners"),
        ({**FULL, "floor_plan": [[0, 0], [1, 1], [2, 2]]}, "floor_plan: expected three corners"),
        ({**FULL, "floor_plan": [[0, 0], [np.inf, 0], [2, 2]]}, "floor_plan: expected three corners"),
        ({**FULL, "floor_plan": [*L_SHAPE, L_SHAPE[0]]}, "floor_plan: expected different corners"),
        ({**FULL, "floor_plan": [[0, 0], [4, 0], [4, 4], [1, -1]]}, "floor_plan: expected .* sides that do not cross"),
        ({**FULL, "floor_plan": [[-1, 0], [4, 0], [4, 4]]}, "floor_plan: expected corners with x and y of 0 or more"),
        ({**FULL, "floor_plan": L_SHAPE, "walls": [1, 1, 1, 1, 2, 1]}, "walls: expected six equal ones"),
    ],
)  # fmt: skip
def test_acoustics_that_no_engine_has(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Acoustics(**values)


@pytest.mark.parametrize(
    "values",
    [{"tail_density": 0.5}, {"threshold": 1.0}, {"walls": [1.0] * 5}, {"walls": [0.0] * 6}, {"engine": "rays"}],
)
def test_acoustics_out_of_range_in_a_config(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(values))):
        schema_of(Acoustics)(**values)
