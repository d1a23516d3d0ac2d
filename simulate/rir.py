"""Room impulse responses: a room with fitted walls, and what sources sound like in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simulate.engine import direct_responses, engine_name, full_responses
from simulate.interpolation import LEAD
from simulate.room import OCTAVE_BANDS, Room
from simulate.walls import Walls, fit_walls


@dataclass(frozen=True, eq=False)
class RoomResponse:
    """Responses of one room from every source to every microphone.

    Attributes:
        full: (n_sources, n_mics, lead + n_taps) float32, direct path and reflections.
        direct: same shape, the direct path alone: amplitude 1/distance, delay distance/c.
        rt60: measured T30 in seconds: mean over the sources at the first microphone, without those whose
            direct path hides the decay; None: there was none to be measured.
        engine: name and version.
        lead: the sample that is the moment of emission.
    """

    full: np.ndarray
    direct: np.ndarray
    rt60: float | None
    engine: str
    lead: int = LEAD


@dataclass(frozen=True, eq=False)
class FittedRoom:
    """A room whose walls are known.

    Attributes:
        room: the room.
        walls: their reflections, and the T30 that was measured with them.
        sample_rate: Hz.
    """

    room: Room
    walls: Walls
    sample_rate: int

    @property
    def rt60(self) -> float:
        """Measured T30 in seconds; with octave bands the asked RT60 times the mean ratio of measured to asked ones."""
        factors = self.room.acoustics.band_factors if len(self.walls.rt60) > 1 else np.ones(1)
        return float(np.mean(self.walls.rt60 / factors))

    @property
    def measured(self) -> dict[str, Any]:
        """What a manifest tells of it: ``rt60_measured`` in s, ``engine``; T30 by octave band if they were fitted."""
        told: dict[str, Any] = {"rt60_measured": self.rt60, "engine": self.engine}
        if len(self.walls.rt60) > 1:
            bands = zip(OCTAVE_BANDS, self.walls.rt60, strict=True)
            told["band_rt60_measured"] = {str(band): float(rt60) for band, rt60 in bands}
        return told

    @property
    def reflection(self) -> np.ndarray:
        """(n_bands, 6), see :class:`simulate.walls.Walls`."""
        return self.walls.reflection

    @property
    def bands(self) -> np.ndarray | None:
        """Octave centre frequencies in Hz of the reflection coefficients; None if they are those of all frequencies."""
        return np.array(OCTAVE_BANDS) if len(self.reflection) > 1 else None

    @property
    def n_taps(self) -> int:
        """Length of its responses after the moment of emission: the longest RT60 of its bands."""
        return round(self.room.rt60 * float(self.room.acoustics.band_factors.max()) * self.sample_rate)

    @property
    def engine(self) -> str:
        """Name and version of what computes its responses."""
        return engine_name(self.room)

    def full(self, sources: np.ndarray, mics: np.ndarray) -> np.ndarray:
        """Direct path and reflections above 20 Hz, (n_sources, n_mics, LEAD + n_taps) float32."""
        return full_responses(self.room, self.reflection, sources, mics, self.sample_rate, self.n_taps)

    def direct(self, sources: np.ndarray, mics: np.ndarray) -> np.ndarray:
        """The direct path alone, as :meth:`full`."""
        return direct_responses(self.room, sources, mics, self.sample_rate, self.n_taps)


def room_responses(room: Room, sources: np.ndarray, mics: np.ndarray, sample_rate: int) -> RoomResponse:
    """Simulates a room whose walls are fitted to its RT60: :func:`fit_room`, and the responses of what it found."""
    fitted = fit_room(room, sources, mics, sample_rate)
    return RoomResponse(fitted.full(sources, mics), fitted.direct(sources, mics), fitted.rt60, fitted.engine)


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
    return FittedRoom(room, fit_walls(room, probes, mics[0], sample_rate), sample_rate)


def early_part(response: RoomResponse, early_ms: float, sample_rate: int) -> np.ndarray:
    """Direct path plus the reflections that arrive within ``early_ms`` after it, as ``response.full``.

    0 ms gives the direct path alone.
    """
    if early_ms == 0:
        return response.direct
    arrival = np.abs(response.direct).argmax(axis=-1)
    last = arrival + round(early_ms * 1e-3 * sample_rate)
    return np.where(np.arange(response.full.shape[-1]) <= last[..., None], response.full, np.float32(0))


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
