"""What a robustness sweep changes in a scene, one condition a sweep, and what it leaves alone.

A condition acts in two steps: on what scenes are drawn from, where every draw but the changed one must stay as it is
(each part of a scene has a generator of its own), and on the scene that was drawn. Whatever a changed range could push
aside, such as places that would be drawn anew, is changed in the drawn scene.

Walls are fitted to the RT60 between the sources and the first microphone that are there: where these change, their
reflections do by a trifle, within the tolerance of the RT60.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from arrayse.geometry import ArrayGeometry
from simulate.devices import place_mics
from simulate.layout import turned
from simulate.recipe import Recipe
from simulate.room import LONGEST_RT60, Room
from simulate.scene import Place, Scene, World

SNR = "snr"
"""The condition that needs no simulation: the stems are there."""

NONE, EACH = "none", "each"
"""Values of ``dead_mic``: all are alive; every channel but the reference, one after the other."""

Value = float | str | ArrayGeometry
"""A number, a word, or an array."""

ChangeWorld = Callable[[World, Any, Sequence[Any]], World]
"""``(world, value, all values)``: what the scenes of a value are drawn from."""

ChangeScene = Callable[[Scene, ArrayGeometry, Any], Scene]
"""``(scene, array, value)``: a drawn scene with the value."""


@dataclass(frozen=True)
class Condition:
    """One thing that is changed.

    Attributes:
        title: of the axis, with the unit.
        held: what is the same at all values, and what is not although one might think so.
        limits: of the values; None where they are no numbers.
        whole: whether only whole numbers have a meaning.
        in_place: whether it needs a simulated room; measured ones are as they were measured.
        world: see :data:`ChangeWorld`.
        scene: see :data:`ChangeScene`.
        usual: the range that the dataset was drawn from; None where there is none.
    """

    title: str
    held: str
    limits: tuple[float, float] | None
    whole: bool = False
    in_place: bool = True
    world: ChangeWorld = lambda world, value, values: world
    scene: ChangeScene = lambda scene, geometry, value: scene
    usual: Callable[[Recipe], list[float] | None] = lambda recipe: None


def _with_rt60(scene: Scene, geometry: ArrayGeometry, rt60: float) -> Scene:
    """Other walls; raises ValueError if the room cannot have the RT60."""
    place = _placed(scene)
    Room(np.array(place.room_dim), rt60, place.acoustics).check()
    return replace(scene, place=replace(place, rt60=rt60))


def _with_direction(scene: Scene, geometry: ArrayGeometry, azimuth_deg: float) -> Scene:
    """The array turned about its origin until it sees the target at an azimuth, at the start of the scene."""
    place = _placed(scene)
    turn = place.source_azimuths_deg[0] - azimuth_deg
    yaw = place.array_yaw_deg + turn
    mics = np.array(place.array_centre) + turned(place_mics(geometry.positions, scene.device), yaw)
    others = [(azimuth - turn + 180) % 360 - 180 for azimuth in place.source_azimuths_deg[1:]]
    changed = replace(
        place,
        array_yaw_deg=yaw,
        array_turns_deg=[each + turn for each in place.array_turns_deg],
        mic_positions=mics.tolist(),
        source_azimuths_deg=[float(azimuth_deg), *others],
    )
    return replace(scene, place=changed)


def _with_most_interferers(world: World, n: int, values: Sequence[int]) -> World:
    """All values are drawn with the most of them."""
    return replace(world, recipe=replace(world.recipe, n_interferers=[max(values)] * 2))


def _with_first_interferers(scene: Scene, geometry: ArrayGeometry, n: int) -> Scene:
    """Only the first ones of those that were drawn."""
    kept, place, measured = 1 + n, scene.place, scene.measured
    if place is not None:
        names = ("source_positions", "source_walks", "source_azimuths_deg")
        place = replace(place, **{name: getattr(place, name)[:kept] for name in names})
    if measured is not None:
        measured = {**measured, "responses": measured["responses"][:kept]}
    lists = {name: getattr(scene, name)[:kept] for name in ("source_levels_db", "source_excerpts")}
    return replace(scene, place=place, measured=measured, **lists)


def _with_device(key: str) -> ChangeWorld:
    """Other tolerances: the deviations of each scene are the same ones, scaled."""

    def change(world: World, value: float, values: Sequence[float]) -> World:
        told: dict[str, Any] = {key: value}
        device = replace(world.recipe.device, **told)
        return replace(world, recipe=replace(world.recipe, device=device))

    return change


def _with_dead_mic(scene: Scene, geometry: ArrayGeometry, mic: float | str) -> Scene:
    return replace(scene, device=replace(scene.device, dead_mic=None if mic == NONE else int(mic)))


def _with_array(world: World, geometry: ArrayGeometry, values: Sequence[ArrayGeometry]) -> World:
    return replace(world, geometry=geometry)


def _placed(scene: Scene) -> Place:
    assert scene.place is not None, "checked before: see Condition.in_place"
    return scene.place


CONDITIONS: dict[str, Condition] = {
    SNR: Condition("Input SNR (dB)", "the same stems; the noise is scaled.", (-40, 60), in_place=False),
    "rt60": Condition(
        "RT60 (s)",
        "the same places, sounds and noise; other walls. The SNR counts reverberant speech as signal.",
        (0.05, LONGEST_RT60),
        scene=_with_rt60,
        usual=lambda recipe: recipe.rt60,
    ),
    "doa": Condition(
        "Direction of the target (degrees from the front)",
        "the same room, places, sounds and noise; the array is turned where it stands, and with it the directions of "
        "the interferers.",
        (-180, 180),
        scene=_with_direction,
        usual=lambda recipe: recipe.target_azimuth_deg,
    ),
    "n_interferers": Condition(
        "Directional noise sources",
        "scenes drawn with the most of them, of which the first ones sound: the same target, places and diffuse noise. "
        "The SNR is that of all noise together; with 0 it is diffuse.",
        (0, 20),
        whole=True,
        in_place=False,
        world=_with_most_interferers,
        scene=_with_first_interferers,
        usual=lambda recipe: [float(n) for n in recipe.n_interferers],
    ),
    "position_error": Condition(
        "Position error of the microphones (mm, standard deviation of each coordinate)",
        "the same scenes; each microphone deviates in the same direction, by more. Nothing is told of it.",
        (0, 20),
        world=_with_device("position_mm"),
        usual=lambda recipe: [recipe.device.position_mm] * 2,
    ),
    "gain_error": Condition(
        "Gain error of the microphones (dB, standard deviation)",
        "the same scenes; each gain deviates in the same direction, by more, from that of the reference microphone.",
        (0, 20),
        in_place=False,
        world=_with_device("gain_db"),
        usual=lambda recipe: [recipe.device.gain_db] * 2,
    ),
    "dead_mic": Condition(
        "Dead microphone",
        "the same scenes; one channel, never the reference, gives only its own noise.",
        None,
        in_place=False,
        scene=_with_dead_mic,
    ),
    "other_array": Condition(
        "Array",
        "the same rooms, places, sounds and levels; other microphones around the same origin, with noise of their own. "
        "Networks hear the channels of the numbers that they know and estimate at one of them.",
        None,
        world=_with_array,
    ),
}


def check_values(name: str, values: Sequence[Value], geometry: ArrayGeometry | None) -> list[Value]:
    """The values of a sweep, each once, :data:`EACH` dead microphone named.

    Args:
        name: of the condition.
        values: as they were told; arrays for ``other_array``.
        geometry: the array of the dataset; only ``dead_mic`` looks at it.

    Raises:
        ValueError: a value that is of the wrong kind, out of range or told twice.
    """
    condition = CONDITIONS[name]
    if name == "dead_mic":
        assert geometry is not None
        values = _dead_mics(values, geometry)
    elif condition.limits is not None:
        values = [_checked_number(value, condition) for value in values]
    labels = [label_of(value) for value in values]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        hint = ": name: tells arrays apart" if name == "other_array" else ""
        raise ValueError(f"values: expected every value once, got {', '.join(twice)} twice or more{hint}")
    return list(values)


def _checked_number(value: Value, condition: Condition) -> float:
    """The number, a whole one as int; raises ValueError where it makes no sense."""
    assert condition.limits is not None
    low, high = condition.limits
    if isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high:  # NaN is not
        if not condition.whole:
            return value
        if value == int(value):
            return int(value)
    kind = "whole numbers" if condition.whole else "numbers"
    raise ValueError(f"values: expected {kind} from {low:g} to {high:g} ({condition.title}), got {value}")


def _dead_mics(values: Sequence[Value], geometry: ArrayGeometry) -> list[Value]:
    mortal = [mic for mic in range(geometry.n_mics) if mic != geometry.ref_mic]
    named: list[Value] = []
    for value in values:
        named += mortal if value == EACH else [value]
    for value in named:
        if value != NONE and (isinstance(value, (str, bool, ArrayGeometry)) or value not in mortal):
            told = f"{NONE}, {EACH} or channels {', '.join(map(str, mortal))} (not the reference, {geometry.ref_mic})"
            raise ValueError(f"values: expected {told}, got {label_of(value)}")
    return named


def label_of(value: Value) -> str:
    """A value as it stands in tables and names of folders."""
    if isinstance(value, ArrayGeometry):
        return value.name
    return value if isinstance(value, str) else f"{value:g}"
