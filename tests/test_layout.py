"""Layouts: everything in its place in every kind of room, in sight of the array, also on its way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.geometry import circular, direction, glasses, pairwise_distances
from simulate.layout import CLOSEST_WALK, Layout, Ways, draw_layout, draw_room, draw_ways, turned, uniform
from simulate.recipe import Motion, Recipe
from simulate.room import Acoustics, Room

L_SHAPE = [[0.0, 0.0], [5.0, 0.0], [5.0, 2.5], [2.5, 2.5], [2.5, 4.5], [0.0, 4.5]]
KITE = [[0.0, 1.0], [5.0, 0.0], [4.5, 4.0], [1.5, 4.5]]
MOVING = Motion(1.0, 1.0, [0.2, 0.8], 1.0, [20.0, 40.0])
SEEDS = st.integers(0, 2**32 - 1)


def recipe_for(floor_plan: list[list[float]] | None) -> Recipe:
    recipe = Recipe(seconds=1.5, n_interferers=[2, 2], interferer_angle_deg=30.0, height=[0.1, 2.3])
    if floor_plan is None:
        return recipe
    return replace(recipe, acoustics=Acoustics("pyroomacoustics", ray_tracing=True, floor_plan=floor_plan))


def drawn(floor_plan: list[list[float]] | None, seed: int) -> tuple[Recipe, Room, Layout, Ways | None]:
    recipe, rng = recipe_for(floor_plan), np.random.default_rng(seed)
    room = draw_room(recipe, rng)
    layout = draw_layout(recipe, glasses(), room, 2, rng)
    return recipe, room, layout, draw_ways(MOVING, layout, room, recipe.wall_distance, recipe.seconds, rng)


def wall_distance(room: Room, places: np.ndarray) -> float:
    """Of the place nearest to one of many points on the walls."""
    share = np.linspace(0, 1, 201)[:, None, None]
    walls = (1 - share) * room.corners + share * np.roll(room.corners, -1, axis=0)
    return float(np.linalg.norm(places[:, None, :2] - walls.reshape(-1, 2), axis=-1).min())


def is_in_sight(room: Room, places: np.ndarray, others: np.ndarray) -> bool:
    """Whether the lines from all places (n, 3) to all others (m, 3) are inside at 60 points."""
    share = np.linspace(0, 1, 60)[:, None]
    return bool(room.contains(places[:, None, None] + share * (others[:, None] - places[:, None, None])).all())


# --- places -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("floor_plan", [None, L_SHAPE, KITE])
@settings(max_examples=15)
@given(SEEDS)
def test_everything_is_inside_apart_from_the_walls_and_in_sight(
    floor_plan: list[list[float]] | None, seed: int
) -> None:
    recipe, room, layout, _ = drawn(floor_plan, seed)
    sources = np.array(layout.sources)
    assert room.contains(layout.mics).all()
    assert room.contains(np.vstack([sources, layout.centre])).all()
    assert wall_distance(room, np.vstack([sources, layout.centre])) > recipe.wall_distance - 0.01
    assert ((sources[:, 2] > recipe.wall_distance) & (sources[:, 2] < room.dim[2] - recipe.wall_distance)).all()
    assert is_in_sight(room, sources, layout.mics)

    away = sources - layout.centre
    distance = np.linalg.norm(away, axis=1)
    assert recipe.target_distance[0] - 1e-9 <= distance[0] <= recipe.target_distance[1] + 1e-9
    assert (distance[1:] >= recipe.interferer_distance[0] - 1e-9).all()
    assert (distance[1:] <= recipe.interferer_distance[1] + 1e-9).all()
    for vector, azimuth in zip(away, layout.azimuths_deg, strict=True):
        ahead = direction(azimuth + layout.yaw_deg)[:2]
        np.testing.assert_allclose(vector[:2] / np.linalg.norm(vector[:2]), ahead, atol=1e-9)
    ground = away[:, :2] / np.linalg.norm(away[:, :2], axis=1, keepdims=True)
    assert (ground[1:] @ ground[0] <= np.cos(np.deg2rad(30)) + 1e-9).all()


def test_no_microphone_is_in_a_wall() -> None:
    recipe = Recipe(room_min=[2.0, 2.0, 2.4], room_max=[2.2, 2.2, 2.5], wall_distance=0.01, target_distance=[0.6, 0.7])
    for seed in range(20):
        rng = np.random.default_rng(seed)
        room = draw_room(recipe, rng)
        assert room.contains(draw_layout(recipe, circular(6, 0.5), room, 0, rng).mics).all()


def test_both_arms_of_an_l_are_used_and_its_notch_is_not() -> None:
    layouts = [drawn(L_SHAPE, seed)[2] for seed in range(30)]
    places = np.array([place for layout in layouts for place in (layout.centre, *layout.sources)])
    east, north = places[:, 0] > 2.5, places[:, 1] > 2.5
    assert east.sum() > 5
    assert north.sum() > 5
    assert not (east & north).any()


def test_turning_is_to_the_left_about_the_vertical() -> None:
    np.testing.assert_allclose(turned(np.array([[1.0, 0, 3], [0, 1, 0]]), 90), [[0, 1, 3], [-1, 0, 0]], atol=1e-15)
    positions = glasses().positions
    np.testing.assert_allclose(turned(turned(positions, 25), -25), positions, atol=1e-15)
    np.testing.assert_allclose(turned(turned(positions, 170), 190), positions, atol=1e-15)
    np.testing.assert_allclose(pairwise_distances(turned(positions, 33)), pairwise_distances(positions), atol=1e-15)
    np.testing.assert_allclose(turned(direction(20)[None], 30)[0], direction(50), atol=1e-15)


def test_a_uniform_draw_keeps_to_its_limits() -> None:
    draws = [uniform([2.0, 3.0], np.random.default_rng(seed)) for seed in range(200)]
    assert 2 <= min(draws) < 2.05
    assert 2.95 < max(draws) <= 3
    assert uniform([1.5, 1.5], np.random.default_rng(0)) == 1.5


# --- rooms --------------------------------------------------------------------------------------------------


@given(SEEDS)
def test_rooms_keep_to_their_ranges_and_can_have_their_rt60(seed: int) -> None:
    recipe = Recipe(rt60=[0.08, 0.3], acoustics=Acoustics(band_rt60=[[125, 0.7], [500, 1.5]]))
    room = draw_room(recipe, np.random.default_rng(seed))
    room.check()
    assert (recipe.room_min <= room.dim).all()
    assert (room.dim <= recipe.room_max).all()
    assert 0.08 <= room.rt60 <= 0.3
    assert 0.7 * room.rt60 > 1.1 * room.shortest_rt60


def test_a_floor_plan_gives_the_ground_and_the_recipe_the_height() -> None:
    rooms = [draw_room(recipe_for(KITE), np.random.default_rng(seed)) for seed in range(20)]
    assert {tuple(room.dim[:2]) for room in rooms} == {(5.0, 4.5)}
    heights = {float(room.dim[2]) for room in rooms}
    assert len(heights) == 20
    assert all(2.4 <= height <= 3.5 for height in heights)


def test_a_floor_plan_tells_the_shortest_reverberation_time_of_its_own_shape() -> None:
    recipe = replace(recipe_for(L_SHAPE), rt60=[0.05, 0.06])
    smallest = Room(np.array([5, 4.5, 2.4]), 1.0, recipe.acoustics)
    with pytest.raises(ValueError, match=rf"\({1.1 * smallest.shortest_rt60:.3f} s, for the smallest, to 5 s\)"):
        draw_room(recipe, np.random.default_rng(0))
    long = Recipe(rt60=[4.0, 5.0], acoustics=Acoustics(band_rt60=[[125, 1.5]]))
    with pytest.raises(ValueError, match=r"\(.*, for the smallest, to 5 s\), got \[4\.0, 5\.0\]"):
        draw_room(long, np.random.default_rng(0))


# --- ways ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("floor_plan", [None, L_SHAPE, KITE])
@settings(max_examples=15)
@given(SEEDS)
def test_walks_stay_inside_in_sight_and_apart_from_the_array(floor_plan: list[list[float]] | None, seed: int) -> None:
    recipe, room, layout, ways = drawn(floor_plan, seed)
    if ways is None:  # there was no way from there
        return
    for start, walk in zip(layout.sources, ways.walks, strict=True):
        path = np.vstack([start, walk])
        speed = np.linalg.norm(np.diff(path, axis=0), axis=1).sum() / recipe.seconds
        assert 0.2 - 1e-9 <= speed <= 0.8 + 1e-9
        np.testing.assert_allclose(np.linalg.norm(np.diff(path, axis=0), axis=1), speed * recipe.seconds / 8)
        assert (path[:, 2] == start[2]).all()
        between = np.linspace(path[:-1], path[1:], 12).reshape(-1, 3)
        assert room.contains(between).all()
        assert wall_distance(room, between) > 0.98 * recipe.wall_distance - 0.01
        assert np.linalg.norm(between - layout.centre, axis=1).min() > CLOSEST_WALK - 0.01
        assert is_in_sight(room, between, layout.mics)
    (turn,) = ways.turns_deg
    assert 20 <= abs(turn - layout.yaw_deg) <= 40


def test_who_moves_is_drawn_by_shares() -> None:
    """Each with its own: the target walks in a third, an interferer in two thirds, the array turns in half."""
    rng = np.random.default_rng(0)
    room = Room(np.array([8.0, 8.0, 3.0]), 0.4)
    layout = draw_layout(Recipe(), circular(), room, 1, rng)
    motion = Motion(1 / 3, 2 / 3, [0.1, 0.2], 0.5)
    moves = []
    for _ in range(600):
        ways = draw_ways(motion, layout, room, 0.3, 1.0, rng)
        assert ways is not None
        moves.append([bool(ways.walks[0]), bool(ways.walks[1]), bool(ways.turns_deg)])
        assert {len(walk) for walk in ways.walks} <= {0, 8}
    np.testing.assert_allclose(np.mean(moves, axis=0), [1 / 3, 2 / 3, 1 / 2], atol=0.07)
    still = draw_ways(Motion(), layout, room, 0.3, 1.0, rng)
    assert still == Ways([[], []], [])


def test_a_turn_is_as_likely_to_either_side() -> None:
    layout = Layout(np.array([2.0, 2, 1]), 10.0, np.array([[2.0, 2, 1]]))
    room, rng = Room(np.array([4.0, 4, 2.5]), 0.3), np.random.default_rng(0)
    ways = [draw_ways(Motion(turn_share=1.0, turn_deg=[30.0, 60.0]), layout, room, 0.3, 1.0, rng) for _ in range(300)]
    turns = np.array([way.turns_deg[0] - 10 for way in ways if way is not None])
    assert 0.4 < np.mean(turns > 0) < 0.6
    assert np.abs(turns).min() >= 30
    assert np.abs(turns).max() <= 60


def test_who_has_no_way_is_told() -> None:
    """Too fast for the room; too near to the array."""
    room, rng = Room(np.array([3.0, 3, 2.5]), 0.3), np.random.default_rng(0)
    centre = np.array([1.5, 1.5, 1.2])
    for away, speed in ((0.8, 50.0), (0.2, 0.1)):
        layout = Layout(centre, 0.0, centre[None], [centre + np.array([away, 0, 0])], [0.0])
        assert draw_ways(Motion(target_share=1.0, speed=[speed, speed]), layout, room, 0.4, 1.0, rng) is None


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("floor_plan", [None, L_SHAPE])
def test_no_place_is_told_with_what_was_asked(floor_plan: list[list[float]] | None) -> None:
    recipe = replace(recipe_for(floor_plan), target_distance=[8.0, 9.0])
    room = draw_room(recipe, np.random.default_rng(0))
    message = r"^source: expected places \[8\.0, 9\.0\] m \(target\) and \[1\.0, 3\.0\] m .* got none in 200 draws$"
    with pytest.raises(ValueError, match=message):
        draw_layout(recipe, circular(), room, 1, np.random.default_rng(0))
