"""Room impulse responses: one interface, two engines, walls fitted to the asked RT60.

A wall absorption from a formula (Sabine, Eyring) misses the asked RT60 by up to half, so the walls are corrected until
the reverberation time that is measured on the responses themselves is the asked one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulate import reference
from simulate.decay import measure_rt60, shoebox_rt60
from simulate.highpass import high_passed
from simulate.interpolation import LEAD
from simulate.room import OCTAVE_BANDS, SABINE, Room

TOLERANCE = 0.01
"""Relative error of RT60 at which the fit of the walls ends."""

MAX_CORRECTIONS = 6
MAX_ABSORPTION = 0.99
"""Most energy that a wall may take: with 1 the room would have no reflections."""


@dataclass(frozen=True, eq=False)
class RoomResponse:
    """Responses of one room from every source to every microphone.

    Attributes:
        full: (n_sources, n_mics, lead + n_taps) float32, direct path and reflections.
        direct: same shape, the direct path alone: amplitude 1/distance, delay distance/c.
        rt60: measured T30 in seconds: mean over the sources at the first microphone, without those whose
            direct path hides the decay.
        engine: name and version.
        lead: the sample that is the moment of emission.
    """

    full: np.ndarray
    direct: np.ndarray
    rt60: float
    engine: str
    lead: int = LEAD


@dataclass(frozen=True, eq=False)
class FittedRoom:
    """A room whose walls are known.

    Attributes:
        room: the room.
        reflection: (n_bands, 6) pressure reflection coefficients of west, east, south, north, floor, ceiling; one
            band, or those of OCTAVE_BANDS.
        rt60: measured T30 in seconds.
        sample_rate: Hz.
    """

    room: Room
    reflection: np.ndarray
    rt60: float
    sample_rate: int

    @property
    def n_taps(self) -> int:
        """Length of its responses after the moment of emission: the longest RT60 of its bands."""
        return round(self.room.rt60 * float(self.room.acoustics.band_factors.max()) * self.sample_rate)

    @property
    def engine(self) -> str:
        """Name and version of what computes its responses."""
        return "ism" if self.room.acoustics.engine == "ism" else reference.name()

    @property
    def bands(self) -> np.ndarray | None:
        """Octave centre frequencies in Hz of the reflection coefficients; None if they are those of all frequencies."""
        return np.array(OCTAVE_BANDS) if len(self.reflection) > 1 else None

    def full(self, sources: np.ndarray, mics: np.ndarray) -> np.ndarray:
        """Direct path and reflections above 20 Hz, (n_sources, n_mics, LEAD + n_taps) float32."""
        return _full(self.room, self.reflection, sources, mics, self.sample_rate, self.n_taps)

    def direct(self, sources: np.ndarray, mics: np.ndarray) -> np.ndarray:
        """The direct path alone, as :meth:`full`."""
        if self.room.acoustics.engine == "ism":
            from simulate import ism

            direct = ism.direct_responses(sources, mics, self.sample_rate, self.n_taps)
        else:
            direct = reference.direct_responses(self.room, sources, mics, self.sample_rate, self.n_taps)
        return high_passed(direct, self.sample_rate)


def room_responses(room: Room, sources: np.ndarray, mics: np.ndarray, sample_rate: int) -> RoomResponse:
    """Simulates a room whose walls are fitted to its RT60.

    Args:
        room: size, RT60 and how to compute.
        sources: (n_sources, 3) positions in metres.
        mics: (n_mics, 3) positions in metres.
        sample_rate: Hz.

    Raises:
        ValueError: see :func:`fit_room`.
    """
    fitted = fit_room(room, sources, mics, sample_rate)
    full, direct = fitted.full(sources, mics), fitted.direct(sources, mics)
    return RoomResponse(full, direct, fitted.rt60, fitted.engine)


def fit_room(room: Room, sources: np.ndarray, mics: np.ndarray, sample_rate: int) -> FittedRoom:
    """Finds the walls with which the T30 between the sources and the first microphone is the asked RT60.

    Args:
        room: size, RT60 and how to compute.
        sources: (n_sources, 3) positions in metres.
        mics: (n_mics, 3) positions in metres.
        sample_rate: Hz.

    Raises:
        ValueError: a source or microphone outside the room, a source in the place of a microphone, an RT60
            that the room cannot have.
    """
    room.check()
    room.check_inside(sources, "source")
    room.check_inside(mics, "microphone")
    distance = np.linalg.norm(sources[:, None] - mics, axis=-1)
    if not distance.all():
        raise ValueError("source: expected a place apart from the microphones, got that of one of them")
    clear = distance[:, 0] > _least_distance(room)
    probes = sources[clear] if clear.any() else _far_place(room, mics[0])[None]
    factors = room.acoustics.band_factors
    fits = {factor: _fit_walls(room, room.rt60 * factor, probes, mics[:1], sample_rate) for factor in set(factors)}
    if len(fits) == 1:
        absorbed, measured = fits[factors[0]]
        return FittedRoom(room, _reflection(room, absorbed)[None], measured, sample_rate)
    reflection = np.stack([_reflection(room, fits[factor][0]) for factor in factors])
    measured = float(np.mean([fits[factor][1] / factor for factor in factors]))
    return FittedRoom(room, reflection, measured, sample_rate)


def early_part(response: RoomResponse, early_ms: float, sample_rate: int) -> np.ndarray:
    """Direct path plus the reflections that arrive within ``early_ms`` after it, as ``response.full``.

    0 ms gives the direct path alone.
    """
    if early_ms == 0:
        return response.direct
    arrival = np.abs(response.direct).argmax(axis=-1)
    last = arrival + round(early_ms * 1e-3 * sample_rate)
    return np.where(np.arange(response.full.shape[-1]) <= last[..., None], response.full, np.float32(0))


def _fit_walls(room: Room, rt60: float, sources: np.ndarray, mics: np.ndarray, sample_rate: int) -> tuple[float, float]:
    """The absorption exponent k (energy reflection exp(-k x weight)) that gives an RT60, and the RT60 measured."""
    weights = np.array(room.acoustics.walls)
    most = -np.log(1 - MAX_ABSORPTION) / weights.max()
    if room.acoustics.floor_plan is None:
        absorbed = shoebox_rt60(room.dim, weights) / rt60
    else:
        absorbed = SABINE * room.volume / (room.surface * rt60)  # Eyring
    tried: list[tuple[float, float]] = []
    absorbed = min(absorbed, most)
    while True:
        reflection = _reflection(room, absorbed)[None]
        responses = _full(room, reflection, sources, mics, sample_rate, round(rt60 * sample_rate))
        measured = float(np.mean([measure_rt60(response[0], sample_rate) for response in responses]))
        tried.append((absorbed, measured))
        if abs(measured / rt60 - 1) <= TOLERANCE or (absorbed == most and measured > rt60):
            return absorbed, measured
        if len(tried) > MAX_CORRECTIONS:
            return min(tried, key=lambda trial: abs(trial[1] - rt60))
        absorbed = min(absorbed * (measured / rt60) ** (1 / _slope(tried)), most)


def _slope(tried: list[tuple[float, float]]) -> float:
    """By how many per cent RT60 falls when absorption rises by one, from the last two trials (absorption, RT60)."""
    if len(tried) < 2:
        return 1.0
    (before, long), (after, short) = np.log(tried[-2:])
    return float(np.clip((long - short) / (after - before), 0.5, 2.0)) if after != before else 1.0


def _reflection(room: Room, absorbed: float) -> np.ndarray:
    """Pressure reflection (6,) of walls that absorb exp(-k x weight) of the energy."""
    return np.exp(-absorbed * np.array(room.acoustics.walls) / 2)


def _full(
    room: Room, reflection: np.ndarray, sources: np.ndarray, mics: np.ndarray, sample_rate: int, n_taps: int
) -> np.ndarray:
    if room.acoustics.engine == "ism":
        from simulate import ism

        bands = np.array(OCTAVE_BANDS) if len(reflection) > 1 else None
        walls = reflection if len(reflection) > 1 else reflection[0]
        threshold, density = room.acoustics.threshold, room.acoustics.tail_density
        responses = ism.image_responses(
            room.dim, walls, sources, mics, sample_rate, n_taps, threshold=threshold, max_density=density, bands=bands
        )
    else:
        responses = reference.image_responses(room, reflection, sources, mics, sample_rate, n_taps)
    return high_passed(responses, sample_rate)


def _least_distance(room: Room) -> float:
    """Metres from which on a direct path is less than 20 dB above the reverberation, so that T30 tells of it.

    A tenth of the critical distance, 0.057 sqrt(volume / rt60).
    """
    return float(0.0057 * np.sqrt(room.volume / room.rt60))


def _far_place(room: Room, mic: np.ndarray) -> np.ndarray:
    """A place in the room, far from the microphone: of some in it the furthest."""
    shares = np.linspace(0.25, 0.75, 3)
    places = np.stack(np.meshgrid(*(shares * side for side in room.dim)), axis=-1).reshape(-1, 3)
    inside = places[room.contains(places)]
    return inside[np.linalg.norm(inside - mic, axis=1).argmax()]
