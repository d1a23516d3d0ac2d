"""A scene as plain numbers: what is where in which room, drawn from one generator, good for JSON and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le, Len

from arrayse.geometry import ArrayGeometry
from simulate.corpus import Corpus, Excerpt, draw_excerpt
from simulate.rir import shortest_rt60

MAX_TRIES = 200

Range = Annotated[list[float], Len(2, 2)]
"""Lowest and highest value of a uniform draw."""


@dataclass(frozen=True)
class Recipe:
    """The ranges that scenes are drawn from.

    Azimuth 0 is the front of the array, which itself is turned at random.

    Attributes:
        seconds: length of a scene.
        room_min: smallest room, (x, y, z) metres.
        room_max: largest room.
        rt60: reverberation time in seconds.
        wall_distance: least distance in metres of sources and array from the walls.
        target_distance: metres from the array.
        target_azimuth_deg: degrees.
        height: z in metres of array and sources.
        n_interferers: fewest and most directional noise sources.
        interferer_distance: metres from the array.
        interferer_angle_deg: least angle in degrees, seen from the array, between target and interferers.
        interferer_db: level of each interferer in dB before mixing.
        diffuse_db: spherically diffuse noise in dB relative to all interferers.
        sensor_db: noise of the microphones in dB relative to all other noise.
        early_ms: reflections up to so many ms after the direct path belong to the target; 0: none.
        snr_db: the SNR that is stored; training and evaluation choose their own.
        level_dbfs: level of the reverberant speech at the reference microphone.

    Raises:
        ValueError: a range whose ends are the wrong way round, sides that leave no place between the walls,
            distances, times or counts that are not positive.
    """

    seconds: Annotated[float, Gt(0), Le(60)] = 4.0
    room_min: Annotated[list[float], Len(3, 3)] = field(default_factory=lambda: [3.0, 3.0, 2.4])
    room_max: Annotated[list[float], Len(3, 3)] = field(default_factory=lambda: [8.0, 6.0, 3.5])
    rt60: Range = field(default_factory=lambda: [0.2, 0.5])
    wall_distance: Annotated[float, Gt(0)] = 0.4
    target_distance: Range = field(default_factory=lambda: [0.5, 2.0])
    target_azimuth_deg: Range = field(default_factory=lambda: [-30.0, 30.0])
    height: Range = field(default_factory=lambda: [1.0, 1.8])
    n_interferers: Annotated[list[int], Len(2, 2)] = field(default_factory=lambda: [1, 3])
    interferer_distance: Range = field(default_factory=lambda: [1.0, 3.0])
    interferer_angle_deg: Annotated[float, Ge(0), Le(180)] = 20.0
    interferer_db: Range = field(default_factory=lambda: [-5.0, 5.0])
    diffuse_db: Range = field(default_factory=lambda: [-10.0, 0.0])
    sensor_db: Range = field(default_factory=lambda: [-40.0, -25.0])
    early_ms: Annotated[float, Ge(0)] = 0.0
    snr_db: Range = field(default_factory=lambda: [-5.0, 15.0])
    level_dbfs: Range = field(default_factory=lambda: [-34.0, -24.0])

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, list) and len(value) == 2 and value[0] > value[1]:
                raise ValueError(f"{name}: expected [lowest, highest], got {value}")
        if any(low > high for low, high in zip(self.room_min, self.room_max, strict=True)):
            raise ValueError(f"room_min: expected no side above room_max {self.room_max}, got {self.room_min}")
        if min(self.room_min) <= 2 * self.wall_distance:
            least = f"{2 * self.wall_distance:g} m (2 x wall_distance)"
            raise ValueError(f"room_min: expected sides above {least}, got {self.room_min}")
        for name in ("rt60", "target_distance", "interferer_distance", "n_interferers"):
            if getattr(self, name)[0] <= 0:
                raise ValueError(f"{name}: expected values above 0, got {getattr(self, name)}")


@dataclass(frozen=True)
class Scene:
    """Everything that a renderer needs, as plain numbers; ``source_*`` lists start with the target.

    Attributes:
        id: split and number.
        seed: of the dataset, of the split and of the scene: start of all its draws.
        n_samples: length.
        sample_rate: Hz.
        room_dim: (x, y, z) in metres.
        rt60: asked reverberation time in seconds.
        array_centre: origin of the array in the room, in metres.
        array_yaw_deg: how far the array is turned to the left about the vertical.
        mic_positions: n_mics x 3 in metres, a corner of the room being the origin, as all positions here.
        source_positions: n_sources x 3 in metres.
        source_azimuths_deg: seen from the array's front.
        source_levels_db: of the reverberant images at the reference microphone, before mixing.
        source_excerpts: what the sources play.
        diffuse_excerpt: whose spectrum the diffuse noise has.
        diffuse_db, sensor_db, early_ms, snr_db, level_dbfs: see :class:`Recipe`.
    """

    id: str
    seed: list[int]
    n_samples: int
    sample_rate: int
    room_dim: list[float]
    rt60: float
    array_centre: list[float]
    array_yaw_deg: float
    mic_positions: list[list[float]]
    source_positions: list[list[float]]
    source_azimuths_deg: list[float]
    source_levels_db: list[float]
    source_excerpts: list[Excerpt]
    diffuse_excerpt: Excerpt
    diffuse_db: float
    sensor_db: float
    early_ms: float
    snr_db: float
    level_dbfs: float

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, numbers: dict[str, Any]) -> Scene:
        """The scene of a manifest line, whose other numbers are left out."""
        own = {field.name: numbers[field.name] for field in fields(cls)}
        own["source_excerpts"] = [Excerpt(**excerpt) for excerpt in own["source_excerpts"]]
        return cls(**own | {"diffuse_excerpt": Excerpt(**own["diffuse_excerpt"])})


@dataclass(frozen=True)
class Layout:
    """Where array and sources (target first) stand in the room; azimuths seen from the array's front."""

    centre: np.ndarray
    yaw_deg: float
    mics: np.ndarray
    sources: list[np.ndarray]
    azimuths_deg: list[float]


def draw_scene(
    recipe: Recipe, geometry: ArrayGeometry, speech: Corpus, noise: Corpus, split: str, index: int, seed: int
) -> Scene:
    """Draws scene number ``index`` of a split, which is a function of the arguments alone.

    Raises:
        ValueError: the ranges leave no place for a source, or no room that can have the RT60; an empty split;
            see :func:`simulate.corpus.draw_excerpt`.
    """
    seeds = [seed, list(speech.splits).index(split), index]
    rng = np.random.default_rng(seeds)
    n_samples = round(recipe.seconds * speech.sample_rate)
    room_dim, rt60 = _draw_room(recipe, rng)
    n_interferers = int(rng.integers(recipe.n_interferers[0], recipe.n_interferers[1] + 1))
    layout = _draw_layout(recipe, geometry, room_dim, n_interferers, rng)
    return Scene(  # the draws below happen in the order of the lines
        id=f"{split}-{index:06d}",
        seed=seeds,
        n_samples=n_samples,
        sample_rate=speech.sample_rate,
        room_dim=room_dim.tolist(),
        rt60=rt60,
        array_centre=layout.centre.tolist(),
        array_yaw_deg=layout.yaw_deg,
        mic_positions=layout.mics.tolist(),
        source_positions=[position.tolist() for position in layout.sources],
        source_azimuths_deg=layout.azimuths_deg,
        source_levels_db=[0.0, *(_uniform(recipe.interferer_db, rng) for _ in range(n_interferers))],
        source_excerpts=[
            draw_excerpt(speech, split, n_samples, rng),
            *(draw_excerpt(noise, split, n_samples, rng) for _ in range(n_interferers)),
        ],
        diffuse_excerpt=draw_excerpt(noise, split, n_samples, rng),
        diffuse_db=_uniform(recipe.diffuse_db, rng),
        sensor_db=_uniform(recipe.sensor_db, rng),
        early_ms=recipe.early_ms,
        snr_db=_uniform(recipe.snr_db, rng),
        level_dbfs=_uniform(recipe.level_dbfs, rng),
    )


def _uniform(limits: list[float], rng: np.random.Generator) -> float:
    return float(rng.uniform(limits[0], limits[1]))


def _draw_room(recipe: Recipe, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Room (3,) and RT60; pairs that would need walls which absorb nearly everything are drawn anew."""
    for _ in range(MAX_TRIES):
        room_dim = rng.uniform(recipe.room_min, recipe.room_max)
        rt60 = _uniform(recipe.rt60, rng)
        if rt60 > 1.1 * shortest_rt60(room_dim):
            return room_dim, rt60
    least = shortest_rt60(np.array(recipe.room_min))
    raise ValueError(
        f"rt60: expected a range that rooms of {recipe.room_min} to {recipe.room_max} m can have "
        f"(the smallest needs {1.1 * least:.3f} s or more), got {recipe.rt60}"
    )


def _draw_layout(
    recipe: Recipe,
    geometry: ArrayGeometry,
    room_dim: np.ndarray,
    n_interferers: int,
    rng: np.random.Generator,
) -> Layout:
    """Draws whole layouts until all sources have a place: an array that faces a near wall is given up."""
    for _ in range(MAX_TRIES):
        centre, yaw, mics = _draw_array(recipe, geometry, room_dim, rng)
        layout = Layout(centre, yaw, mics, [], [])
        for number in range(1 + n_interferers):
            distance, azimuths = recipe.interferer_distance, [-180.0, 180.0]
            if number == 0:
                distance, azimuths = recipe.target_distance, recipe.target_azimuth_deg
            if not _place_source(recipe, room_dim, layout, distance, azimuths, rng):
                break
        else:
            if ((mics > 0) & (mics < room_dim)).all():
                return layout
    raise ValueError(
        f"source: expected places {recipe.target_distance} m (target) and {recipe.interferer_distance} m "
        f"(interferers) from the array, {recipe.wall_distance} m from the walls and at a height of "
        f"{recipe.height} m in a room of {np.round(room_dim, 2).tolist()} m, got none in {MAX_TRIES} draws"
    )


def _draw_array(
    recipe: Recipe, geometry: ArrayGeometry, room_dim: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, float, np.ndarray]:
    """Centre (3,), yaw in degrees and microphone positions (n_mics, 3) of the array in the room."""
    ground = rng.uniform(recipe.wall_distance, room_dim[:2] - recipe.wall_distance)
    centre = np.append(ground, _uniform(recipe.height, rng))
    yaw = float(rng.uniform(-180, 180))
    cos, sin = np.cos(np.deg2rad(yaw)), np.sin(np.deg2rad(yaw))
    return centre, yaw, centre + geometry.positions @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])


def _place_source(
    recipe: Recipe,
    room_dim: np.ndarray,
    layout: Layout,
    distance: list[float],
    azimuth_deg: list[float],
    rng: np.random.Generator,
) -> bool:
    """Adds one source to the layout, an interferer at its angle to the target; False if it has no place."""
    for _ in range(MAX_TRIES // 10):
        radius, azimuth, height = (_uniform(limits, rng) for limits in (distance, azimuth_deg, recipe.height))
        rise = height - layout.centre[2]
        angle = np.deg2rad(azimuth + layout.yaw_deg)
        ground = np.sqrt(max(radius**2 - rise**2, 0.0))
        position = np.append(layout.centre[:2] + ground * np.array([np.cos(angle), np.sin(angle)]), height)
        inside = (position > recipe.wall_distance) & (position < room_dim - recipe.wall_distance)
        angles = [_angle_between(azimuth, target) for target in layout.azimuths_deg[:1]]
        if inside.all() and ground > 0 and all(a >= recipe.interferer_angle_deg for a in angles):
            layout.sources.append(position)
            layout.azimuths_deg.append(azimuth)
            return True
    return False


def _angle_between(first_deg: float, second_deg: float) -> float:
    return abs((first_deg - second_deg + 180) % 360 - 180)
