"""Where things stand in a room: room, array, sources and their ways, drawn until everything has its place."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from arrayse.geometry import ArrayGeometry
from simulate.motion import draw_walk
from simulate.recipe import Motion, Range, Recipe
from simulate.room import LONGEST_RT60, Room

MAX_TRIES = 200

CLOSEST_WALK = 0.3
"""Metres that who walks keeps from the centre of the array."""


@dataclass(frozen=True)
class Layout:
    """Where array and sources (target first) stand in the room; azimuths seen from the array's front.

    Attributes:
        centre: (3,) metres, origin of the array.
        yaw_deg: how far the array is turned to the left about the vertical.
        mics: (n_mics, 3) metres.
        sources: (3,) metres each.
        azimuths_deg: of each source.
    """

    centre: np.ndarray
    yaw_deg: float
    mics: np.ndarray
    sources: list[np.ndarray] = field(default_factory=list)
    azimuths_deg: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Ways:
    """What moves: waypoints after the start, at equal steps of time; empty for what stands still.

    Attributes:
        walks: of each source, (n, 3) metres.
        turns_deg: yaws of the array.
    """

    walks: list[list[list[float]]]
    turns_deg: list[float]


def uniform(limits: Range, rng: np.random.Generator) -> float:
    """One uniform draw between two limits."""
    return float(rng.uniform(limits[0], limits[1]))


def turned(positions: np.ndarray, yaw_deg: float) -> np.ndarray:
    """Positions (n, 3) turned to the left about the vertical through the origin."""
    cos, sin = np.cos(np.deg2rad(yaw_deg)), np.sin(np.deg2rad(yaw_deg))
    return positions @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])


def draw_room(recipe: Recipe, rng: np.random.Generator) -> Room:
    """A room with its RT60; pairs that would need walls which absorb nearly everything are drawn anew.

    Raises:
        ValueError: no room of the recipe can have an RT60 of its range.
    """
    box = None if recipe.acoustics.floor_plan is None else np.array(recipe.acoustics.floor_plan).max(axis=0)
    for _ in range(MAX_TRIES):
        dim = rng.uniform(recipe.room_min, recipe.room_max)
        if box is not None:
            dim[:2] = box
        room = Room(dim, uniform(recipe.rt60, rng), recipe.acoustics)
        factors = recipe.acoustics.band_factors
        if room.rt60 * factors.min() > 1.1 * room.shortest_rt60 and room.rt60 * factors.max() <= LONGEST_RT60:
            return room
    sides = [*(recipe.room_min[:2] if box is None else box), recipe.room_min[2]]
    smallest = Room(np.array(sides), 1.0, recipe.acoustics)
    least = 1.1 * smallest.shortest_rt60 / recipe.acoustics.band_factors.min()
    raise ValueError(
        f"rt60: expected a range that rooms of {recipe.room_min} to {recipe.room_max} m can have "
        f"({least:.3f} s, for the smallest, to {LONGEST_RT60:g} s), got {recipe.rt60}"
    )


def draw_layout(
    recipe: Recipe, geometry: ArrayGeometry, room: Room, n_interferers: int, rng: np.random.Generator
) -> Layout:
    """Draws whole layouts until all sources have a place: an array that faces a near wall is given up.

    Raises:
        ValueError: there is no place for one of them.
    """
    for _ in range(MAX_TRIES):
        layout = _draw_array(recipe, geometry, room, rng)
        for number in range(1 + n_interferers):
            distance, azimuths = recipe.interferer_distance, [-180.0, 180.0]
            if number == 0:
                distance, azimuths = recipe.target_distance, recipe.target_azimuth_deg
            if not _place_source(recipe, room, layout, distance, azimuths, rng):
                break
        else:
            inside = room.contains(layout.centre, recipe.wall_distance) and _below(
                room, layout.centre, recipe.wall_distance
            )
            if inside and room.contains(layout.mics).all():
                return layout
    raise ValueError(
        f"source: expected places {recipe.target_distance} m (target) and {recipe.interferer_distance} m "
        f"(interferers) from the array, {recipe.wall_distance} m from the walls and at a height of "
        f"{recipe.height} m in a room of {np.round(room.dim, 2).tolist()} m, got none in {MAX_TRIES} draws"
    )


def draw_ways(
    motion: Motion, layout: Layout, room: Room, margin: float, seconds: float, rng: np.random.Generator
) -> Ways | None:
    """Draws who walks, and where to, and how the array turns; None if a source has no way through the room."""
    walks: list[list[list[float]]] = []
    for number, start in enumerate(layout.sources):
        share = motion.interferer_share if number else motion.target_share
        walk = _draw_walk(motion, start, layout, room, margin, seconds, rng) if rng.uniform() < share else []
        if walk is None:
            return None
        walks.append(walk)
    turns = []
    if rng.uniform() < motion.turn_share:
        turns = [layout.yaw_deg + uniform(motion.turn_deg, rng) * float(rng.choice([-1.0, 1.0]))]
    return Ways(walks, turns)


def _draw_walk(
    motion: Motion,
    start: np.ndarray,
    layout: Layout,
    room: Room,
    margin: float,
    seconds: float,
    rng: np.random.Generator,
) -> list[list[float]] | None:
    """Waypoints after the start, in the room and apart from the array, or None."""
    for _ in range(MAX_TRIES // 10):
        path = draw_walk(start, room.dim, margin, uniform(motion.speed, rng), seconds, rng)
        if path is None:
            continue
        between = np.linspace(path[:-1], path[1:], 20).reshape(-1, 3)
        clear = np.linalg.norm(between - layout.centre, axis=1) > CLOSEST_WALK
        if clear.all() and room.contains(between, 0.99 * margin).all() and room.sees(between, layout.mics).all():
            return [point.tolist() for point in path[1:]]
    return None


def _draw_array(recipe: Recipe, geometry: ArrayGeometry, room: Room, rng: np.random.Generator) -> Layout:
    """An array somewhere in the room, without sources."""
    ground = rng.uniform(recipe.wall_distance, room.dim[:2] - recipe.wall_distance)
    centre = np.append(ground, uniform(recipe.height, rng))
    yaw = float(rng.uniform(-180, 180))
    return Layout(centre, yaw, centre + turned(geometry.positions, yaw))


def _place_source(
    recipe: Recipe, room: Room, layout: Layout, distance: Range, azimuth_deg: Range, rng: np.random.Generator
) -> bool:
    """Adds one source to the layout, an interferer at its angle to the target; False if it has no place."""
    for _ in range(MAX_TRIES // 10):
        radius, azimuth, height = (uniform(limits, rng) for limits in (distance, azimuth_deg, recipe.height))
        rise = height - layout.centre[2]
        angle = np.deg2rad(azimuth + layout.yaw_deg)
        ground = np.sqrt(max(radius**2 - rise**2, 0.0))
        position = np.append(layout.centre[:2] + ground * np.array([np.cos(angle), np.sin(angle)]), height)
        inside = room.contains(position, recipe.wall_distance) and _below(room, position, recipe.wall_distance)
        angles = [_angle_between(azimuth, target) for target in layout.azimuths_deg[:1]]
        seen = room.sees(position[None], layout.mics).all()
        if inside and seen and ground > 0 and all(a >= recipe.interferer_angle_deg for a in angles):
            layout.sources.append(position)
            layout.azimuths_deg.append(azimuth)
            return True
    return False


def _below(room: Room, position: np.ndarray, margin: float) -> bool:
    """Whether floor and ceiling are further away than ``margin``."""
    return bool(margin < position[2] < room.dim[2] - margin)


def _angle_between(first_deg: float, second_deg: float) -> float:
    return abs((first_deg - second_deg + 180) % 360 - 180)
