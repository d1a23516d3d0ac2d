"""A room as numbers: its size, its reverberation time, how its walls differ, and what lies inside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Len, Lt

from arrayse.geometry import SPEED_OF_SOUND
from simulate.decay import shoebox_rt60

SABINE = 24 * np.log(10) / SPEED_OF_SOUND
"""Sabine's constant in s/m: RT60 = SABINE x volume / (surface x absorption)."""

MAX_ABSORPTION = 0.99
"""Most energy that a wall may take: with 1 the room would have no reflections."""

LONGEST_RT60 = 5.0
"""Seconds; image sources grow with its cube: beyond it a response takes minutes."""

OCTAVE_BANDS = (125, 250, 500, 1000, 2000, 4000, 8000)
"""Centre frequencies in Hz at which RT60 may differ."""

Directivity = Literal["omnidirectional", "subcardioid", "cardioid", "hypercardioid", "figure_eight"]
Point = Annotated[list[float], Len(2, 2)]


@dataclass(frozen=True)
class Acoustics:
    """How room responses are computed. ``floor_plan``, ``ray_tracing`` and ``directivity`` need pyroomacoustics.

    Attributes:
        engine: ``ism``, fast image sources in shoebox rooms; ``pyroomacoustics``, the reference.
        threshold: reflections weaker than so much of the direct sound are left out; 0: none.
        tail_density: reflections per sample from which on a late tail keeps only a random part of them, louder in
            turn; null: all are kept.
        walls: relative absorption (exponent of the energy reflection) of west, east, south, north, floor, ceiling.
        band_rt60: [octave band in Hz, factor of RT60] pairs; bands that are not named have the factor 1. With any pair
            RT60 is fitted in every octave, without in the whole.
        ray_tracing: reflections beyond the third order by ray tracing, with the coherence of a diffuse field.
        directivity: of the sources, which face the array.
        floor_plan: corners [x, y] in metres of a room that is no shoebox, anticlockwise; needs ``ray_tracing``; the
            height is drawn.

    Raises:
        ValueError: an unknown band or one told twice, a factor that is not positive, a feature that the engine
            does not have, a floor plan that is no polygon.
    """

    engine: Literal["ism", "pyroomacoustics"] = "ism"
    threshold: Annotated[float, Ge(0), Lt(1)] = 0.0
    tail_density: Annotated[float, Ge(1)] | None = None
    walls: Annotated[list[Annotated[float, Gt(0)]], Len(6, 6)] = field(default_factory=lambda: [1.0] * 6)
    band_rt60: list[Annotated[list[float], Len(2, 2)]] = field(default_factory=list)
    ray_tracing: bool = False
    directivity: Directivity = "omnidirectional"
    floor_plan: list[Point] | None = None

    def __post_init__(self) -> None:
        for band, factor in self.band_rt60:
            if band not in OCTAVE_BANDS:
                raise ValueError(f"band_rt60: expected octave bands of {_listed(OCTAVE_BANDS)} Hz, got {band:g}")
            if not 0 < factor < np.inf:
                raise ValueError(f"band_rt60: expected a factor of RT60 above 0 at {band:g} Hz, got {factor:g}")
        if len({band for band, _ in self.band_rt60}) < len(self.band_rt60):
            raise ValueError(f"band_rt60: expected every band once, got {self.band_rt60}")
        if self.engine == "ism":
            wanted = {"ray_tracing": self.ray_tracing, "floor_plan": self.floor_plan is not None}
            wanted["directivity"] = self.directivity != "omnidirectional"
            for name in [name for name, is_wanted in wanted.items() if is_wanted]:
                raise ValueError(f"engine: expected pyroomacoustics, which has {name}, got ism")
        elif self.threshold or self.tail_density:
            raise ValueError("engine: expected ism, which has threshold and tail_density, got pyroomacoustics")
        if self.floor_plan is not None:
            _check_floor_plan(self.floor_plan)
            if not self.ray_tracing:  # the candidates for image sources grow exponentially with the order
                raise ValueError("floor_plan: expected ray_tracing=true with it, got false")
            if len(set(self.walls)) > 1:
                raise ValueError(f"walls: expected six equal ones with a floor_plan, got {self.walls}")

    @property
    def band_factors(self) -> np.ndarray:
        """RT60 of every band of :data:`OCTAVE_BANDS` over RT60, (7,)."""
        told = {int(band): factor for band, factor in self.band_rt60}
        return np.array([told.get(band, 1.0) for band in OCTAVE_BANDS])


@dataclass(frozen=True, eq=False)
class Room:
    """One room; a corner is the origin, the floor lies at z = 0.

    Attributes:
        dim: (3,) metres; with a floor plan the box around it.
        rt60: asked reverberation time in seconds.
        acoustics: how its responses are computed.
    """

    dim: np.ndarray
    rt60: float
    acoustics: Acoustics = field(default_factory=Acoustics)

    @cached_property
    def corners(self) -> np.ndarray:
        """Of the floor, anticlockwise, (n_corners, 2) metres."""
        if self.acoustics.floor_plan is not None:
            return np.array(self.acoustics.floor_plan, dtype=float)
        x, y = self.dim[:2]
        return np.array([[0, 0], [x, 0], [x, y], [0, y]])

    @property
    def volume(self) -> float:
        """Cubic metres."""
        return _signed_area(self.corners) * float(self.dim[2])

    @property
    def surface(self) -> float:
        """Square metres of all walls, floor and ceiling."""
        sides = np.linalg.norm(np.roll(self.corners, -1, axis=0) - self.corners, axis=1)
        return 2 * _signed_area(self.corners) + float(sides.sum() * self.dim[2])

    @property
    def shortest_rt60(self) -> float:
        """RT60 in seconds if the walls absorbed everything, by Sabine's formula: the least to ask for.

        Where some walls absorb more than others, what they reach when the most absorbing one takes nearly all.
        """
        least = SABINE * self.volume / self.surface
        weights = np.array(self.acoustics.walls)
        if weights.min() == weights.max():
            return least
        return max(least, weights.max() * shoebox_rt60(self.dim, weights) / -np.log(1 - MAX_ABSORPTION))

    def contains(self, places: np.ndarray, margin: float = 0.0) -> np.ndarray:
        """Whether places (..., 3) lie inside, further than ``margin`` metres from every wall that goes up."""
        places = np.asarray(places, dtype=float)
        between = (places[..., 2] > 0) & (places[..., 2] < self.dim[2])
        if self.acoustics.floor_plan is None:
            ground = places[..., :2]
            return between & ((ground > margin) & (ground < self.dim[:2] - margin)).all(axis=-1)
        return between & _in_polygon(places[..., :2], self.corners, margin)

    def sees(self, places: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Whether no corner of a floor plan stands between places (n, 3) and (m, 3) inside: (n, m)."""
        free = np.ones((len(places), len(others)), dtype=bool)
        if self.acoustics.floor_plan is not None:
            start, end = places[:, None, :2], others[None, :, :2]
            for corner, following in zip(self.corners, np.roll(self.corners, -1, axis=0), strict=True):
                free &= ~_cross(start, end, corner, following)
        return free

    def check(self) -> None:
        """Raises ValueError unless the room can have its RT60; the message tells which ones it can have."""
        if not self.shortest_rt60 <= self.rt60 * self.acoustics.band_factors.min() or not self._is_short_enough():
            size = " x ".join(f"{side:.2f}" for side in self.dim)
            reach = f"{self.shortest_rt60:.3f} to {LONGEST_RT60:g} s"
            factors = sorted({*self.acoustics.band_factors.tolist()})
            bands = "" if factors == [1.0] else f" with band_rt60 factors of {_listed(factors)}"
            raise ValueError(f"rt60: expected {reach} in a room of {size} m, got {self.rt60:g} s{bands}")

    def check_inside(self, places: np.ndarray, what: str) -> None:
        """Raises ValueError if one of the places (n, 3) is not inside."""
        for place, inside in zip(places, self.contains(places), strict=True):
            if not inside:
                told = f" of floor plan {self.acoustics.floor_plan}" if self.acoustics.floor_plan else ""
                size, got = np.round(self.dim, 2).tolist(), np.round(place, 2).tolist()
                raise ValueError(f"{what}: expected a place inside the room {size} m{told}, got {got}")

    def _is_short_enough(self) -> bool:
        return bool(self.rt60 * self.acoustics.band_factors.max() <= LONGEST_RT60)


def _listed(values: tuple[int, ...] | list[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _signed_area(corners: np.ndarray) -> float:
    """Area (n_corners, 2) encloses in square metres, negative if they go clockwise."""
    following = np.roll(corners, -1, axis=0)
    return float(np.sum(corners[:, 0] * following[:, 1] - following[:, 0] * corners[:, 1]) / 2)


def _check_floor_plan(floor_plan: list[Point]) -> None:
    corners = np.array(floor_plan, dtype=float)
    if len(corners) < 3 or not np.isfinite(corners).all() or _signed_area(corners) <= 0:
        raise ValueError(f"floor_plan: expected three corners [x, y] or more, anticlockwise, got {floor_plan}")
    following = np.roll(corners, -1, axis=0)
    crossed = _cross(corners[:, None], following[:, None], corners, following).any()
    if crossed or len(np.unique(corners, axis=0)) < len(corners):
        raise ValueError(f"floor_plan: expected different corners and sides that do not cross, got {floor_plan}")
    if corners.min() < 0:
        raise ValueError(f"floor_plan: expected corners with x and y of 0 or more, got {floor_plan}")


def _cross(start: np.ndarray, end: np.ndarray, other_start: np.ndarray, other_end: np.ndarray) -> np.ndarray:
    """Whether lines in the plane from (..., 2) to (..., 2) cross others; to touch is not to cross."""

    def side(point: np.ndarray, of_start: np.ndarray, of_end: np.ndarray) -> np.ndarray:
        along, away = of_end - of_start, point - of_start
        return along[..., 0] * away[..., 1] - along[..., 1] * away[..., 0]

    apart = side(start, other_start, other_end) * side(end, other_start, other_end) < 0
    return apart & (side(other_start, start, end) * side(other_end, start, end) < 0)


def _in_polygon(points: np.ndarray, corners: np.ndarray, margin: float) -> np.ndarray:
    """Whether points (..., 2) lie in a polygon (even-odd rule), further than ``margin`` from its sides."""
    inside = np.zeros(points.shape[:-1], dtype=bool)
    nearest = np.full(points.shape[:-1], np.inf)
    x, y = points[..., 0], points[..., 1]
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 != y1:
            inside ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        side = np.array([x1 - x0, y1 - y0])
        along = np.clip(((points - [x0, y0]) @ side) / (side @ side), 0, 1)
        nearest = np.minimum(nearest, np.linalg.norm(points - [x0, y0] - along[..., None] * side, axis=-1))
    return inside & (nearest > margin)
