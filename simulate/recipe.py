"""What scenes are drawn from: ranges, shares and tolerances, as configs hold them."""

from __future__ import annotations

import types
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from annotated_types import Ge, Gt, Le, Len

from simulate.devices import DeviceRecipe
from simulate.room import Acoustics

Range = Annotated[list[float], Len(2, 2)]
"""Lowest and highest value of a uniform draw."""

Levels = Annotated[list[Annotated[float, Ge(-100), Le(100)]], Len(2, 2)]
"""The same in dB."""

Share = Annotated[float, Ge(0), Le(1)]


@dataclass(frozen=True)
class Background:
    """Noise from everywhere.

    Attributes:
        coherence: ``spherical``: noise from all directions; ``cylindrical``: from all horizontal directions.
        source: ``stationary``: noise with the spectrum of a recording; ``recordings``: different recordings, one
            for each microphone, mixed to the coherence of the field; ``babble``: the same with many voices.
        n_voices: voices of each babble track.
        wind_db: range in dB of wind noise at the microphones relative to all other noise; null: no wind.
        wind_speed: range in m/s.
    """

    coherence: Literal["spherical", "cylindrical"] = "spherical"
    source: Literal["stationary", "recordings", "babble"] = "stationary"
    n_voices: Annotated[int, Ge(1), Le(50)] = 8
    wind_db: Levels | None = None
    wind_speed: Range = field(default_factory=lambda: [2.0, 8.0])

    def __post_init__(self) -> None:
        _check_ranges(self)
        if self.wind_speed[0] <= 0:
            raise ValueError(f"wind_speed: expected values above 0, got {self.wind_speed}")


@dataclass(frozen=True)
class Motion:
    """What moves during a scene, at constant speed.

    Attributes:
        target_share: probability that the target walks.
        interferer_share: probability that an interferer does.
        speed: range in m/s.
        turn_share: probability that the array turns.
        turn_deg: range of the angle that it turns through during the scene, either way.
    """

    target_share: Share = 0.0
    interferer_share: Share = 0.0
    speed: Range = field(default_factory=lambda: [0.2, 1.0])
    turn_share: Share = 0.0
    turn_deg: Range = field(default_factory=lambda: [20.0, 90.0])

    def __post_init__(self) -> None:
        _check_ranges(self)
        if self.speed[0] < 0:
            raise ValueError(f"speed: expected values of 0 or more, got {self.speed}")

    @property
    def possible(self) -> bool:
        """Whether anything ever moves."""
        return max(self.target_share, self.interferer_share, self.turn_share) > 0


@dataclass(frozen=True)
class Carrier:
    """The body that carries the microphones and shadows sound; without one they hang in free air.

    Attributes:
        sphere_radius: of a rigid sphere round the origin of the array, in metres; microphones lie on it or outside.
        sofa: a SOFA file with measured directional responses; its receivers are the microphones.
    """

    sphere_radius: Annotated[float, Gt(0), Le(1)] | None = None
    sofa: str | None = None

    def __post_init__(self) -> None:
        if self.sphere_radius is not None and self.sofa is not None:
            raise ValueError("sphere_radius: expected this or sofa, got both")


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
        n_interferers: fewest and most directional noise sources; with none the diffuse noise is all.
        interferer_distance: metres from the array.
        interferer_angle_deg: least angle in degrees, seen from the array, between target and interferers.
        interferer_db: level of each interferer in dB before mixing.
        diffuse_db: diffuse noise in dB relative to all interferers.
        sensor_db: noise of the microphones in dB relative to all other noise; ``device.self_noise_dba`` replaces it.
        early_ms: reflections up to so many ms after the direct path belong to the target; 0: none.
        snr_db: the SNR that is stored; training and evaluation choose their own.
        level_dbfs: level of the reverberant speech at the reference microphone.
        acoustics: how rooms are computed, and how their walls differ.
        background: the kind of diffuse noise, and wind.
        motion: what moves.
        device: imperfections of the microphones.
        carrier: the body that carries them.

    Raises:
        ValueError: a range whose ends are the wrong way round, sides that leave no place between the walls,
            distances, times or counts that are not positive.
    """

    seconds: Annotated[float, Ge(0.1), Le(60)] = 4.0
    room_min: Annotated[list[float], Len(3, 3)] = field(default_factory=lambda: [3.0, 3.0, 2.4])
    room_max: Annotated[list[float], Len(3, 3)] = field(default_factory=lambda: [8.0, 6.0, 3.5])
    rt60: Range = field(default_factory=lambda: [0.2, 0.5])
    wall_distance: Annotated[float, Gt(0)] = 0.4
    target_distance: Range = field(default_factory=lambda: [0.5, 2.0])
    target_azimuth_deg: Range = field(default_factory=lambda: [-30.0, 30.0])
    height: Range = field(default_factory=lambda: [1.0, 1.8])
    n_interferers: Annotated[list[Annotated[int, Ge(0), Le(20)]], Len(2, 2)] = field(default_factory=lambda: [1, 3])
    interferer_distance: Range = field(default_factory=lambda: [1.0, 3.0])
    interferer_angle_deg: Annotated[float, Ge(0), Le(180)] = 20.0
    interferer_db: Levels = field(default_factory=lambda: [-5.0, 5.0])
    diffuse_db: Levels = field(default_factory=lambda: [-10.0, 0.0])
    sensor_db: Levels = field(default_factory=lambda: [-40.0, -25.0])
    early_ms: Annotated[float, Ge(0)] = 0.0
    snr_db: Levels = field(default_factory=lambda: [-5.0, 15.0])
    level_dbfs: Annotated[list[Annotated[float, Ge(-80), Le(0)]], Len(2, 2)] = field(
        default_factory=lambda: [-34.0, -24.0]
    )
    acoustics: Acoustics = field(default_factory=Acoustics)
    background: Background = field(default_factory=Background)
    motion: Motion = field(default_factory=Motion)
    device: DeviceRecipe = field(default_factory=DeviceRecipe)
    carrier: Carrier = field(default_factory=Carrier)

    def __post_init__(self) -> None:
        _check_ranges(self)
        if any(low > high for low, high in zip(self.room_min, self.room_max, strict=True)):
            raise ValueError(f"room_min: expected no side above room_max {self.room_max}, got {self.room_min}")
        if min(self.room_min) <= 2 * self.wall_distance:
            least = f"{2 * self.wall_distance:g} m (2 x wall_distance)"
            raise ValueError(f"room_min: expected sides above {least}, got {self.room_min}")
        for name in ("rt60", "target_distance", "interferer_distance", "height"):
            if getattr(self, name)[0] <= 0:
                raise ValueError(f"{name}: expected values above 0, got {getattr(self, name)}")
        if self.n_interferers[0] < 0:
            raise ValueError(f"n_interferers: expected values of 0 or more, got {self.n_interferers}")
        if self.carrier != Carrier():
            self._check_carried()
        if self.motion.possible:  # random parts of a response would be others at every place
            for name in ("tail_density", "ray_tracing"):
                if getattr(self.acoustics, name):
                    raise ValueError(
                        f"motion: expected no acoustics.{name} with it, got {getattr(self.acoustics, name)}"
                    )

    def _check_carried(self) -> None:
        """A carrier has an engine of its own: all image sources of a shoebox."""
        if self.acoustics.engine != "ism" or self.acoustics.threshold or self.acoustics.tail_density:
            raise ValueError("carrier: expected the engine ism without threshold and tail_density with it, got others")
        if self.device.position_mm:
            raise ValueError(f"carrier: expected device.position_mm of 0 with it, got {self.device.position_mm}")
        for name in ("wall_distance", "target_distance", "interferer_distance"):
            least = np.min(getattr(self, name))
            if self.carrier.sphere_radius is not None and least <= self.carrier.sphere_radius:
                raise ValueError(
                    f"carrier.sphere_radius: expected less than {name}, {least} m, got the sphere around it"
                )


def recipe_from(numbers: dict[str, Any]) -> Recipe:
    """The recipe that ``asdict`` made these plain numbers of, also after JSON.

    Raises:
        ValueError: see :class:`Recipe` and its parts; the message starts with the name of the part.
    """
    built: Recipe = from_plain(Recipe, numbers)
    return built


def from_plain(target: Any, numbers: dict[str, Any], name: str = "") -> Any:
    """Builds a dataclass whose fields may be dataclasses, or None, from what ``asdict`` gave.

    Raises:
        ValueError: what a class refuses, with the name of the field before it.
    """
    hints = get_type_hints(target)
    values = {key: _field(hints[key], value, f"{name}{key}.") for key, value in numbers.items()}
    try:
        return target(**values)
    except ValueError as error:
        raise ValueError(f"{name}{error}") from None


def _field(hint: Any, value: Any, name: str) -> Any:
    members = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    nested = [member for member in members if is_dataclass(member)]
    return from_plain(nested[0], value, name) if nested and value is not None else value


def _check_ranges(recipe: Any) -> None:
    """Raises ValueError if a field of two numbers has them the wrong way round."""
    for part in fields(recipe):
        value = getattr(recipe, part.name)
        if isinstance(value, list) and len(value) == 2 and value[0] > value[1]:
            raise ValueError(f"{part.name}: expected [lowest, highest], got {value}")
