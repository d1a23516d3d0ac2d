"""Room impulse responses: one interface, today one engine (pyroomacoustics' image sources, the reference).

Facts about the engine that this file deals with: its result depends on the number of threads, it high-passes
by default, it delays the direct path by half of its fractional-delay filter, and a wall absorption from
Sabine's formula misses the asked RT60 by up to half.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from arrayse.geometry import SPEED_OF_SOUND

SABINE = 24 * np.log(10) / SPEED_OF_SOUND
"""Sabine's constant in s/m: RT60 = SABINE x volume / (surface x absorption)."""

MAX_ABSORPTION = 0.99
"""Most energy that the walls may take in a correction: with 1 the room would have no reflections."""

CORRECTIONS = 2
"""Fixed-point corrections of the wall absorption; each measures one response."""


@dataclass(frozen=True)
class RoomResponse:
    """Responses of one room from every source to every microphone.

    Attributes:
        full: (n_sources, n_mics, n_taps), direct path and reflections; sample 0 is the moment of emission.
        direct: same shape, the direct path alone: amplitude 1/distance, delay distance/c.
        rt60: measured T30 in seconds: mean over the sources at the first microphone, without those whose
            direct path hides the decay.
        engine: name and version.
    """

    full: np.ndarray
    direct: np.ndarray
    rt60: float
    engine: str


def shortest_rt60(room_dim: np.ndarray) -> float:
    """RT60 in seconds of a room whose walls absorb everything, by Sabine's formula: the least to ask for."""
    volume = float(np.prod(room_dim))
    return SABINE * volume / _surface(room_dim)


def room_responses(
    room_dim: np.ndarray, rt60: float, sources: np.ndarray, mics: np.ndarray, sample_rate: int
) -> RoomResponse:
    """Simulates a shoebox room with walls of one absorption by the image-source method.

    Args:
        room_dim: (3,) metres.
        rt60: asked reverberation time in seconds.
        sources: (n_sources, 3) positions in metres, a corner of the room being the origin.
        mics: (n_mics, 3) positions in metres.
        sample_rate: Hz.

    Raises:
        ValueError: a source or microphone outside the room, a source in the place of a microphone, an RT60
            that the room cannot have.
    """
    _check_inside(room_dim, sources, "source")
    _check_inside(room_dim, mics, "microphone")
    if not shortest_rt60(room_dim) <= rt60 < np.inf:
        size = " x ".join(f"{side:.2f}" for side in room_dim)
        least = f"at least {shortest_rt60(room_dim):.3f} s"
        raise ValueError(f"rt60: expected {least} in a room of {size} m, got {rt60:g} s")
    distance = np.linalg.norm(sources[:, None] - mics, axis=-1)
    if not distance.all():
        raise ValueError("source: expected a place apart from the microphones, got that of one of them")
    clear = distance[:, 0] > _least_distance(room_dim, rt60)
    probe = sources[0] if clear[0] else _far_place(room_dim, mics[0])
    with _reference_settings() as engine:
        order = _max_order(room_dim, rt60)
        absorption, measured = _fit_absorption(room_dim, rt60, order, probe, mics[0], sample_rate)
        full = _image_sources(room_dim, absorption, order, sources, mics, sample_rate)
        direct = _image_sources(room_dim, absorption, 0, sources, mics, sample_rate)
    if clear.any():
        measured = float(np.mean([measure_rt60(response[0], sample_rate) for response in full[clear]]))
    n_taps = full.shape[-1]
    direct = np.pad(direct, ((0, 0), (0, 0), (0, max(0, n_taps - direct.shape[-1]))))[..., :n_taps]
    return RoomResponse(full, direct, measured, engine)


def early_part(response: RoomResponse, early_ms: float, sample_rate: int) -> np.ndarray:
    """Direct path plus the reflections that arrive within ``early_ms`` after it: (n_sources, n_mics, n_taps).

    0 ms gives the direct path alone.
    """
    if early_ms == 0:
        return response.direct
    arrival = np.abs(response.direct).argmax(axis=-1)
    last = arrival + round(early_ms * 1e-3 * sample_rate)
    return np.where(np.arange(response.full.shape[-1]) <= last[..., None], response.full, 0.0)


def measure_rt60(response: np.ndarray, sample_rate: int) -> float:
    """Reverberation time T30 in seconds from one response (n_taps,).

    It is 60 dB over the slope of the backward-integrated energy from -5 to -35 dB, after Schroeder, "New
    method of measuring reverberation time", JASA 37 (1965), and ISO 3382-1. An anechoic response drops at
    once: 0.

    Raises:
        ValueError: a response without energy.
    """
    if not response.any():
        raise ValueError("response: expected an impulse response, got silence")
    energy = np.cumsum(response[::-1].astype(np.float64) ** 2)[::-1]
    decay_db = 10 * np.log10(np.maximum(energy / energy[0], 1e-30))
    start, stop = (int(np.argmax(decay_db <= level)) for level in (-5.0, -35.0))
    if stop - start < 2:  # no decay to fit
        return 0.0
    seconds = np.arange(start, stop) / sample_rate
    slope = np.polyfit(seconds, decay_db[start:stop], 1)[0]
    return float(-60.0 / slope)


@contextmanager
def _reference_settings() -> Iterator[str]:
    """Sets the engine's process-wide constants for exact, repeatable responses and puts them back."""
    import pyroomacoustics

    wanted = {"num_threads": 1, "rir_hpf_enable": False, "c": SPEED_OF_SOUND}
    before = {name: pyroomacoustics.constants.get(name) for name in wanted}
    for name, value in wanted.items():
        pyroomacoustics.constants.set(name, value)
    try:
        yield f"pyroomacoustics {pyroomacoustics.__version__}"
    finally:
        for name, value in before.items():
            pyroomacoustics.constants.set(name, value)


def _fit_absorption(
    room_dim: np.ndarray, rt60: float, order: int, source: np.ndarray, mic: np.ndarray, sample_rate: int
) -> tuple[float, float]:
    """Absorption of the walls that gives the RT60 between two places, and the RT60 measured last."""
    absorption = 1 - np.exp(-SABINE * np.prod(room_dim) / (_surface(room_dim) * rt60))  # Eyring
    measured = rt60
    for _ in range(CORRECTIONS):
        response = _image_sources(room_dim, absorption, order, source[None], mic[None], sample_rate)
        measured = measure_rt60(response[0, 0], sample_rate)
        absorption = min(1 - (1 - absorption) ** (measured / rt60), MAX_ABSORPTION)
    return absorption, measured


def _least_distance(room_dim: np.ndarray, rt60: float) -> float:
    """Metres from which on a direct path is less than 20 dB above the reverberation, so that T30 tells of it.

    A tenth of the critical distance, 0.057 sqrt(volume / rt60).
    """
    return float(0.0057 * np.sqrt(np.prod(room_dim) / rt60))


def _far_place(room_dim: np.ndarray, mic: np.ndarray) -> np.ndarray:
    """A place in the room at least a quarter of its sides away from the microphone."""
    return max(0.25 * room_dim, 0.75 * room_dim, key=lambda place: float(np.linalg.norm(place - mic)))


def _image_sources(
    room_dim: np.ndarray,
    absorption: float,
    order: int,
    sources: np.ndarray,
    mics: np.ndarray,
    sample_rate: int,
) -> np.ndarray:
    """Responses (n_sources, n_mics, n_taps) of all images up to an order, sample 0 being the emission."""
    import pyroomacoustics

    walls = pyroomacoustics.Material(absorption)
    room = pyroomacoustics.ShoeBox(room_dim, fs=sample_rate, materials=walls, max_order=order, air_absorption=False)
    for source in sources:
        room.add_source(source)
    room.add_microphone_array(mics.T)
    room.compute_rir()
    delay = pyroomacoustics.constants.get("frac_delay_length") // 2
    length = max(len(room.rir[m][s]) for m in range(len(mics)) for s in range(len(sources))) - delay
    responses = np.zeros((len(sources), len(mics), length))
    for mic, row in enumerate(room.rir):
        for source, response in enumerate(row):
            responses[source, mic, : len(response) - delay] = response[delay:]
    return responses


def _max_order(room_dim: np.ndarray, rt60: float) -> int:
    """Reflection order that holds every image within c·rt60: one of order n lies n shortest steps away."""
    sides = np.sort(room_dim)
    shortest_step = sides[0] * sides[1] / np.hypot(sides[0], sides[1])
    return int(np.ceil(SPEED_OF_SOUND * rt60 / shortest_step))


def _surface(room_dim: np.ndarray) -> float:
    x, y, z = room_dim
    return float(2 * (x * y + y * z + x * z))


def _check_inside(room_dim: np.ndarray, positions: np.ndarray, what: str) -> None:
    for position in positions:
        if not ((position > 0) & (position < room_dim)).all():
            room, place = np.round(room_dim, 2).tolist(), np.round(position, 2).tolist()
            raise ValueError(f"{what}: expected a place inside the room {room} m, got {place}")
