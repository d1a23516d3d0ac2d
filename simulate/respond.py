"""Who hears what in a scene: responses from every source to every microphone, at every moment if something moves."""

from __future__ import annotations

import functools
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


class PlaceResponder:
    """Responses in a simulated room.

    Args:
        place: room, array, sources.
        geometry: the array as it was drawn, whose positions a carrier holds.
        sample_rate: Hz.

    Raises:
        ValueError: see :func:`simulate.rir.fit_room`; a way that leaves the room; microphones inside the carrier.
    """

    def __init__(self, place: Place, geometry: ArrayGeometry, sample_rate: int) -> None:
        self.place = place
        self.room = Room(np.array(place.room_dim), place.rt60, place.acoustics)
        self.centre, mics = np.array(place.array_centre), np.array(place.mic_positions)
        self.in_array = turned(mics - self.centre, -place.array_yaw_deg)
        self.paths = [
            np.array([start, *walk]) for start, walk in zip(place.source_positions, place.source_walks, strict=True)
        ]
        for path in self.paths:
            self.room.check_inside(path, "source" if len(path) == 1 else "source on its way")
        self.yaws_deg = np.array([place.array_yaw_deg, *place.array_turns_deg])
        self.body = build_body(place.carrier, geometry)
        self.fitted = fit_room(self.room, np.array(place.source_positions), mics, sample_rate)

    def moves(self, source: int) -> bool:
        """Whether the source walks or the array turns."""
        return len(self.paths[source]) > 1 or len(self.yaws_deg) > 1

    def switch_at(self, source: int) -> Literal["emission", "reception"]:
        """Which moment decides the response of a sound under way: who walks has emitted it, who turns receives it."""
        return "emission" if len(self.paths[source]) > 1 else "reception"

    def at_rest(self, sources: list[int]) -> RoomResponse:
        """Responses of some sources at the start of the scene."""
        places = np.array([self.paths[source][0] for source in sources])
        return self._response(*self._heard(places, self.place.array_yaw_deg))

    def on_the_way(self, source: int) -> RoomResponse:
        """Responses of one source at moments that are equally spaced over the scene, in place of the sources."""
        path = self.paths[source]
        reach = float(np.linalg.norm(self.in_array, axis=1).max())
        n_points = n_points_for(path, self.yaws_deg, reach)
        points = sample_path(path, n_points)
        if len(self.yaws_deg) == 1:
            return self._response(*self._heard(points, self.place.array_yaw_deg))
        yaws = sample_path(self.yaws_deg, n_points)
        if self.body is not None:
            return self._response(*self._carried(self.body, points, yaws))
        pairs = [self._heard(point[None], yaw) for point, yaw in zip(points, yaws, strict=True)]
        full, direct = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        return self._response(full, direct)

    def _response(self, full: np.ndarray, direct: np.ndarray) -> RoomResponse:
        return RoomResponse(full, direct, self.fitted.rt60, self.fitted.engine, LEAD)

    def _heard(self, sources: np.ndarray, yaw_deg: float) -> tuple[np.ndarray, np.ndarray]:
        """Full and direct responses from sources (n, 3) to the array at one yaw."""
        if self.body is not None:
            return self._carried(self.body, sources, yaw_deg)
        mics = self.centre + turned(self.in_array, yaw_deg)
        return self.fitted.full(sources, mics), self.fitted.direct(sources, mics)

    def _carried(self, body: Body, sources: np.ndarray, yaw_deg: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same with a body; at one yaw or at one for each source."""
        rate, n_taps = self.fitted.sample_rate, self.fitted.n_taps
        reflection, bands = self.fitted.reflection, self.fitted.bands
        full = body_responses(self.room.dim, reflection, sources, self.centre, yaw_deg, body, rate, n_taps, bands=bands)
        direct = body_direct(sources, self.centre, yaw_deg, body, rate, n_taps)
        return high_passed(full, rate), high_passed(direct, rate)


class MeasuredResponder:
    """Responses of a measured room, in which nothing moves."""

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

    Raises:
        ValueError: microphones inside the sphere; see :class:`simulate.sofa.SofaBody`.
    """
    if carrier.sphere_radius is not None:
        return RigidSphere(carrier.sphere_radius, geometry.positions)
    return None if carrier.sofa is None else _sofa_body(carrier.sofa, geometry.n_mics)


@functools.lru_cache(maxsize=2)
def _sofa_body(path: str, n_mics: int) -> Body:
    """Read once for all scenes of a process."""
    from simulate.sofa import SofaBody

    return SofaBody(Path(path).expanduser(), n_mics)
