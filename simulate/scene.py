"""A scene as plain numbers: what is where in which room, drawn from one generator, good for JSON and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from enum import Enum
from typing import Any

import numpy as np

from arrayse.geometry import ArrayGeometry
from simulate.corpus import Corpus
from simulate.devices import Device, draw_device, place_mics
from simulate.excerpts import Excerpt, draw_excerpt
from simulate.layout import draw_layout, draw_room, draw_ways, turned, uniform
from simulate.measured import RoomBank, draw_positions
from simulate.recipe import Background, Carrier, Recipe
from simulate.room import Acoustics

MAX_REDRAWS = 10
LEVELS = ("snr_db", "level_dbfs", "diffuse_db", "sensor_db")
FRESH = 1
"""Stands between the numbers of a scene and its epoch."""


class Part(Enum):
    """Of the draws of a scene: each has a generator of its own, so that no setting changes what others give."""

    PLACE = 1
    LEVELS = 2
    SOUNDS = 3
    TRACKS = 4
    DEVICE = 5
    MOTION = 6
    WIND = 7
    RENDER = 8


@dataclass(frozen=True)
class World:
    """Everything that scenes are drawn from.

    Attributes:
        recipe: ranges, shares and tolerances.
        geometry: the array.
        speech: what targets say.
        noise: what interferers play, and what diffuse noise is made of.
        seed: with the split and the number of a scene it decides everything.
        rooms: measured responses in place of simulated rooms.
    """

    recipe: Recipe
    geometry: ArrayGeometry
    speech: Corpus
    noise: Corpus
    seed: int
    rooms: RoomBank | None = None


@dataclass(frozen=True)
class Place:
    """A simulated room and what stands in it, in metres, a corner of the room being the origin.

    Attributes:
        room_dim: (x, y, z); with a floor plan the box around it.
        rt60: asked reverberation time in seconds.
        acoustics: how the room is computed.
        carrier: the body that carries the microphones.
        array_centre: origin of the array.
        array_yaw_deg: how far the array is turned to the left about the vertical.
        array_turns_deg: yaws that it turns to during the scene, at equal steps of time.
        mic_positions: n_mics x 3 at the start.
        source_positions: n_sources x 3 at the start, the target first.
        source_walks: waypoints of each source after its start, at equal steps of time.
        source_azimuths_deg: seen from the array's front at the start.
    """

    room_dim: list[float]
    rt60: float
    acoustics: Acoustics
    carrier: Carrier
    array_centre: list[float]
    array_yaw_deg: float
    array_turns_deg: list[float]
    mic_positions: list[list[float]]
    source_positions: list[list[float]]
    source_walks: list[list[list[float]]]
    source_azimuths_deg: list[float]

    @property
    def moves(self) -> bool:
        """Whether anything does."""
        return bool(self.array_turns_deg) or any(self.source_walks)


@dataclass(frozen=True)
class Scene:
    """Everything that a renderer needs, as plain numbers; ``source_*`` lists start with the target.

    Attributes:
        id: split and number.
        seed: of the dataset, of the split and of the scene: start of all its draws.
        n_samples: length.
        sample_rate: Hz.
        place: the simulated room; None if it is a measured one.
        measured: ``responses`` (room and file of each source) and ``channels`` of a measured room; or None.
        source_levels_db: of the reverberant images at the reference microphone, before mixing.
        source_excerpts: what the sources play.
        background: the kind of diffuse noise.
        diffuse_excerpts: tracks of one voice or more each: one track whose spectrum the diffuse noise has, or one
            for each microphone.
        wind_db, wind_speed: level relative to all other noise, and m/s; None: no wind.
        device: imperfections of the microphones.
        diffuse_db, sensor_db, early_ms, snr_db, level_dbfs: see :class:`simulate.recipe.Recipe`.
    """

    id: str
    seed: list[int]
    n_samples: int
    sample_rate: int
    place: Place | None
    measured: dict[str, Any] | None
    source_levels_db: list[float]
    source_excerpts: list[Excerpt]
    background: Background
    diffuse_excerpts: list[list[Excerpt]]
    diffuse_db: float
    sensor_db: float
    early_ms: float
    snr_db: float
    level_dbfs: float
    wind_db: float | None
    wind_speed: float | None
    device: Device

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, numbers: dict[str, Any]) -> Scene:
        """The scene of a manifest line, whose other numbers are left out."""
        own = {field.name: numbers[field.name] for field in fields(cls)}
        own["source_excerpts"] = [Excerpt(**excerpt) for excerpt in own["source_excerpts"]]
        own["diffuse_excerpts"] = [[Excerpt(**excerpt) for excerpt in track] for track in own["diffuse_excerpts"]]
        own["background"] = Background(**own["background"])
        own["device"] = Device(**own["device"])
        if own["place"] is not None:
            place = own["place"]
            parts = {"acoustics": Acoustics(**place["acoustics"]), "carrier": Carrier(**place["carrier"])}
            own["place"] = Place(**place | parts)
        return cls(**own)


def draw_scene(world: World, split: str, index: int, epoch: int | None = None) -> Scene:
    """Draws scene number ``index`` of a split, which is a function of the arguments alone.

    Args:
        world: what it is drawn from.
        split: train, valid or test.
        index: number within the split.
        epoch: None for the scene of the dataset; else a fresh scene of that epoch.

    Raises:
        ValueError: the ranges leave no place for a source, or no room that can have the RT60; an empty split;
            see :func:`simulate.excerpts.draw_excerpt`.
    """
    recipe, speech, noise = world.recipe, world.speech, world.noise
    seeds = [world.seed, list(speech.splits).index(split), index, *([] if epoch is None else [FRESH, epoch])]
    rngs = {part: np.random.default_rng([*seeds, part.value]) for part in Part}  # no draw depends on another part's
    n_samples = round(recipe.seconds * speech.sample_rate)
    levels, sounds, wind = rngs[Part.LEVELS], rngs[Part.SOUNDS], recipe.background.wind_db
    drawn = {name: uniform(getattr(recipe, name), levels) for name in LEVELS}
    n_interferers = int(levels.integers(recipe.n_interferers[0], recipe.n_interferers[1] + 1))
    device = draw_device(recipe.device, world.geometry.n_mics, world.geometry.ref_mic, rngs[Part.DEVICE])
    target = draw_excerpt(speech, split, n_samples, sounds)
    return Scene(
        id=f"{split}-{index:06d}",
        seed=seeds,
        n_samples=n_samples,
        sample_rate=speech.sample_rate,
        place=_draw_place(world, n_interferers, device, rngs) if world.rooms is None else None,
        measured=_draw_measured(world.rooms, split, 1 + n_interferers, rngs[Part.PLACE]) if world.rooms else None,
        source_levels_db=[0.0, *(uniform(recipe.interferer_db, levels) for _ in range(n_interferers))],
        source_excerpts=[target, *(draw_excerpt(noise, split, n_samples, sounds) for _ in range(n_interferers))],
        background=recipe.background,
        diffuse_excerpts=_draw_tracks(world, split, n_samples, target.group, rngs[Part.TRACKS]),
        early_ms=recipe.early_ms,
        wind_db=None if wind is None else uniform(wind, rngs[Part.WIND]),
        wind_speed=None if wind is None else uniform(recipe.background.wind_speed, rngs[Part.WIND]),
        device=device,
        **drawn,
    )


def _draw_place(world: World, n_interferers: int, device: Device, rngs: dict[Part, np.random.Generator]) -> Place:
    recipe = world.recipe
    room = draw_room(recipe, rngs[Part.PLACE])
    for _ in range(MAX_REDRAWS):
        layout = draw_layout(recipe, world.geometry, room, n_interferers, rngs[Part.PLACE])
        ways = draw_ways(recipe.motion, layout, room, recipe.wall_distance, recipe.seconds, rngs[Part.MOTION])
        if ways is not None:
            break
    else:
        raise ValueError(
            f"motion: expected ways at {recipe.motion.speed} m/s for {recipe.seconds:g} s through a room of "
            f"{np.round(room.dim, 2).tolist()} m, none too close to the array, got none in {MAX_REDRAWS} layouts"
        )
    mics = layout.centre + turned(place_mics(world.geometry.positions, device), layout.yaw_deg)
    return Place(
        room_dim=room.dim.tolist(),
        rt60=room.rt60,
        acoustics=recipe.acoustics,
        carrier=recipe.carrier,
        array_centre=layout.centre.tolist(),
        array_yaw_deg=layout.yaw_deg,
        array_turns_deg=ways.turns_deg,
        mic_positions=mics.tolist(),
        source_positions=[position.tolist() for position in layout.sources],
        source_walks=ways.walks,
        source_azimuths_deg=layout.azimuths_deg,
    )


def _draw_measured(rooms: RoomBank, split: str, n_sources: int, rng: np.random.Generator) -> dict[str, Any]:
    return {"responses": draw_positions(rooms, split, n_sources, rng), "channels": rooms.channels}


def _draw_tracks(
    world: World, split: str, n_samples: int, talker: str, rng: np.random.Generator
) -> list[list[Excerpt]]:
    """What the diffuse noise is made of, see :class:`Scene`; the ``talker`` of the target is not in it."""
    background = world.recipe.background
    if background.source == "stationary":
        return [[draw_excerpt(world.noise, split, n_samples, rng)]]
    n_mics, tracks = world.geometry.n_mics, []
    for _ in range(MAX_REDRAWS * n_mics):
        if background.source == "babble":
            track = _draw_voices(world.speech, split, n_samples, talker, background.n_voices, rng)
        else:
            track = [draw_excerpt(world.noise, split, n_samples, rng)]
        if track not in tracks:  # short files are soon drawn twice, and equal tracks would be coherent
            tracks.append(track)
        if len(tracks) == n_mics:
            return tracks
    raise ValueError(
        f"background.source: expected {n_mics} different excerpts in split {split}, got {len(tracks)}: "
        f"{background.source} needs more or longer files"
    )


def _draw_voices(
    speech: Corpus, split: str, n_samples: int, talker: str, n_voices: int, rng: np.random.Generator
) -> list[Excerpt]:
    """Voices of one track of babble: different speakers, as long as there are so many beside the talker."""
    n_others = len({file.group for file in speech.files(split)} - {talker})
    voices: list[Excerpt] = []
    for _ in range(n_voices):
        taken = {voice.group for voice in voices} if n_others >= n_voices else set()
        voices.append(draw_excerpt(speech, split, n_samples, rng, frozenset({talker, *taken})))
    return voices
