"""Who hears what in a scene: responses from every source to every microphone, at every moment if something moves."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from arrayse.geometry import ArrayGeometry
from simulate.bodies import Body, RigidSphere
from simulate.highpass import high_passed
from simulate.interpolation import LEAD
from simulate.layout import turned
from simulate.measured import measured_responses
from simulate.motion import n_points_for, sample_path
from simulate.recipe import Carrier
from simulate.rir import RoomResponse, fit_room
from simulate.room import Room
from simulate.scattering import body_direct, body_responses
from simulate.scene import Place, Scene

MAX_BLOCK = 1 << 20
"""Samples of the responses on the way that are held at a time."""


class PlaceResponder:
    """Responses in a simulated room.

    Args:
        place: room, array, sources.
        geometry: the array as it was drawn, whose positions a carrier holds.
        sample_rate: Hz.

    Attributes:
        body: what carries the microphones; None if they hang in free air.
        fitted: the room, whose walls are those of the start of the scene.

    Raises:
        ValueError: see :func:`simulate.rir.fit_room`; a way that leaves the room; microphones inside the carrier, a
            spherical carrier that touches a wall, a source inside it.
    """

    def __init__(self, place: Place, geometry: ArrayGeometry, sample_rate: int) -> None:
        self.place = place
        self.room = Room(np.array(place.room_dim), place.rt60, place.acoustics)
        self.centre, mics = np.array(place.array_centre), np.array(place.mic_positions)
        self.in_array = turned(mics - self.centre, -place.array_yaw_deg)
        self.yaws_deg = np.array([place.array_yaw_deg, *place.array_turns_deg])
        ways = zip(place.source_positions, place.source_walks, strict=True)
        self.points = [self._points(np.array([start, *walk])) for start, walk in ways]
        self.body = build_body(place.carrier, geometry)
        if place.carrier.sphere_radius is not None:
            self._check_sphere(place.carrier.sphere_radius)
        self.fitted = fit_room(self.room, np.array(place.source_positions), mics, sample_rate)

    def moves(self, source: int) -> bool:
        """Whether the source walks or the array turns."""
        return bool(self.place.source_walks[source]) or len(self.yaws_deg) > 1

    def switch_at(self, source: int) -> Literal["emission", "reception"]:
        """Which moment decides the response of a sound under way: who walks has emitted it, who turns receives it."""
        return "emission" if self.place.source_walks[source] else "reception"

    def n_points(self, source: int) -> int:
        """Moments, equally spaced over the scene, at which the responses of a source are computed."""
        return len(self.points[source])

    def at_rest(self, sources: list[int]) -> RoomResponse:
        """Responses of some sources at the start of the scene."""
        places = np.stack([self.points[source][0] for source in sources])
        return self._response(places, np.repeat(self.yaws_deg[:1], len(places)))

    def on_the_way(self, source: int) -> Iterator[RoomResponse]:
        """Responses of one source at its moments, in place of the sources; some consecutive moments at a time."""
        points = self.points[source]
        yaws_deg = sample_path(self.yaws_deg, len(points))
        size = max(1, MAX_BLOCK // (len(self.in_array) * (LEAD + self.fitted.n_taps)))
        for first in range(0, len(points), size):
            yield self._response(points[first : first + size], yaws_deg[first : first + size])

    def _points(self, path: np.ndarray) -> np.ndarray:
        """Places (n_points, 3) of a source at its moments, all of them inside the room."""
        what = "source" if len(path) == 1 else "source on its way"
        self.room.check_inside(path, what)  # before so many places are made as a way of any length has
        reach = float(np.linalg.norm(self.in_array, axis=1).max())
        points = sample_path(path, n_points_for(path, self.yaws_deg, reach))
        self.room.check_inside(points, what)  # a straight way may leave the room where a floor plan has a corner
        return points

    def _check_sphere(self, radius: float) -> None:
        """Raises ValueError unless the sphere has its place between walls and sources."""
        height, where = self.centre[2], np.round(self.centre, 2).tolist()
        if not (self.room.contains(self.centre, radius) and radius < height < self.room.dim[2] - radius):
            size = np.round(self.room.dim, 2).tolist()
            raise ValueError(f"carrier: expected a sphere of {radius:g} m clear of all walls of {size} m, got {where}")
        for number, points in enumerate(self.points):
            nearest = float(np.linalg.norm(points - self.centre, axis=1).min())
            if nearest <= radius:
                told = f"outside the carrier, a sphere of {radius:g} m, got {nearest:.3f} m from its centre {where}"
                raise ValueError(f"source {number}: expected all of its way {told}")

    def _response(self, sources: np.ndarray, yaws_deg: np.ndarray) -> RoomResponse:
        """Responses from sources (n, 3), each to the array at its yaw (n,)."""
        full, direct = self._heard(sources, yaws_deg)
        return RoomResponse(full, direct, self.fitted.rt60, self.fitted.engine, LEAD)

    def _heard(self, sources: np.ndarray, yaws_deg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Full and direct."""
        if self.body is not None:
            return self._carried(self.body, sources, yaws_deg)
        if (yaws_deg == yaws_deg[0]).all():
            mics = self.centre + turned(self.in_array, yaws_deg[0])
            return self.fitted.full(sources, mics), self.fitted.direct(sources, mics)
        # microphones of all yaws in one call were no faster: each has its own way to every image
        pairs = [self._heard(sources[[k]], yaws_deg[[k]]) for k in range(len(sources))]
        full, direct = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        return full, direct

    def _carried(self, body: Body, sources: np.ndarray, yaws_deg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same with a body."""
        rate, n_taps = self.fitted.sample_rate, self.fitted.n_taps
        walls, bands = self.fitted.reflection, self.fitted.bands
        full = body_responses(self.room.dim, walls, sources, self.centre, yaws_deg, body, rate, n_taps, bands=bands)
        direct = body_direct(sources, self.centre, yaws_deg, body, rate, n_taps)
        return high_passed(full, rate), high_passed(direct, rate)


class MeasuredResponder:
    """Responses of a measured room, in which nothing moves.

    Attributes:
        body: None; what carried the microphones is in the responses.
    """

    body: Body | None = None

    def __init__(self, measured: dict[str, Any], sample_rate: int) -> None:
        self.measured, self.sample_rate = measured, sample_rate

    def moves(self, source: int) -> bool:
        """Never."""
        return False

    def at_rest(self, sources: list[int]) -> RoomResponse:
        """Responses of some sources."""
        picks = [self.measured["responses"][source] for source in sources]
        return measured_responses(picks, self.measured["channels"], self.sample_rate)


Responder = PlaceResponder | MeasuredResponder


def responder_of(scene: Scene, geometry: ArrayGeometry) -> Responder:
    """What answers for the room of a scene.

    Raises:
        ValueError: see :class:`PlaceResponder`; a scene without a room.
    """
    if scene.place is not None:
        return PlaceResponder(scene.place, geometry, scene.sample_rate)
    if scene.measured is None:
        raise ValueError(f"scene {scene.id}: expected a place or a measured room, got neither")
    return MeasuredResponder(scene.measured, scene.sample_rate)


def build_body(carrier: Carrier, geometry: ArrayGeometry) -> Body | None:
    """The body that carries the microphones; None if they hang in free air.

    Equal carriers of equal arrays are one object in a process.

    Raises:
        ValueError: microphones inside the sphere; see :class:`simulate.sofa.SofaBody`.
    """
    if carrier.sphere_radius is not None:
        return _sphere(carrier.sphere_radius, geometry.positions.tobytes())
    return None if carrier.sofa is None else _sofa_body(carrier.sofa, geometry.n_mics)


@functools.lru_cache(maxsize=8)
def _sphere(radius: float, positions: bytes) -> Body:
    return RigidSphere(radius, np.frombuffer(positions).reshape(-1, 3))


@functools.lru_cache(maxsize=2)
def _sofa_body(path: str, n_mics: int) -> Body:
    """Read once for all scenes of a process."""
    from simulate.sofa import SofaBody

    return SofaBody(Path(path).expanduser(), n_mics)
