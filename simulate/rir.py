"""Room impulse responses: one interface, today one engine (pyroomacoustics' image sources, the reference).

Facts about the engine that this file deals with: its result depends on the number of threads, it high-passes by
default, it delays the direct path by half of its fractional-delay filter, and a wall absorption from Sabine's
formula misses the asked RT60 by up to half.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from arrayse.geometry import SPEED_OF_SOUND

SABINE = 24 * np.log(10) / SPEED_OF_SOUND
MAX_ABSORPTION = 0.99
CORRECTIONS = 2
"""Fixed-point corrections of the wall absorption; each measures one response."""


@dataclass(frozen=True)
class RoomResponse:
    """Responses of one room from every source to every microphone.

    Attributes:
        full: (n_sources, n_mics, n_taps), direct path and reflections; sample 0 is the moment of emission.
        direct: same shape, the direct path alone: amplitude 1/distance, delay distance/c.
        rt60: measured T30 in seconds (mean over the sources at the first microphone).
        engine: name and version.
    """

    full: np.ndarray
    direct: np.ndarray
    rt60: float
    engine: str


def shortest_rt60(room_dim: np.ndarray) -> float:
    """The RT60 in seconds of a room whose walls absorb everything, by Sabine's formula: none shorter can be asked."""
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
        ValueError: a source or microphone outside the room, an RT60 that the room cannot have.
    """
    _check_inside(room_dim, sources, "source")
    _check_inside(room_dim, mics, "microphone")
    if rt60 < shortest_rt60(room_dim):
        size = " x ".join(f"{side:.2f}" for side in room_dim)
        raise ValueError(f"rt60: expected at least {shortest_rt60(room_dim):.3f} s in a room of {size} m, got {rt60:g} s")
    with _reference_settings() as engine:
        order = _max_order(room_dim, rt60)
        absorption = 1 - np.exp(-SABINE * np.prod(room_dim) / (_surface(room_dim) * rt60))  # Eyring
        for _ in range(CORRECTIONS):
            probe = _image_sources(room_dim, absorption, order, sources[:1], mics[:1], sample_rate)
            absorption = 1 - (1 - absorption) ** (measure_rt60(probe[0, 0], sample_rate) / rt60)
            absorption = min(absorption, MAX_ABSORPTION)
        full = _image_sources(room_dim, absorption, order, sources, mics, sample_rate)
        direct = _image_sources(room_dim, absorption, 0, sources, mics, sample_rate)
    direct = np.pad(direct, ((0, 0), (0, 0), (0, max(0, full.shape[-1] - direct.shape[-1]))))[..., : full.shape[-1]]
    measured = float(np.mean([measure_rt60(response[0], sample_rate) for response in full]))
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
    """Reverberation time in seconds from one response (n_taps,): Schroeder integral, slope from -5 to -35 dB (T30)."""
    energy = np.cumsum(response[::-1].astype(np.float64) ** 2)[::-1]
    decay_db = 10 * np.log10(np.maximum(energy / energy[0], 1e-30))
    start, stop = (int(np.argmax(decay_db <= level)) for level in (-5.0, -35.0))
    if stop - start < 2:  # no decay to fit: an anechoic response drops at once
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


def _image_sources(
    room_dim: np.ndarray, absorption: float, order: int, sources: np.ndarray, mics: np.ndarray, sample_rate: int
) -> np.ndarray:
    import pyroomacoustics

    room = pyroomacoustics.ShoeBox(
        room_dim, fs=sample_rate, materials=pyroomacoustics.Material(absorption), max_order=order, air_absorption=False
    )
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
    """Reflection order that holds every image within c·rt60: images of order n lie at least n times this far apart."""
    sides = np.sort(room_dim)
    shortest_step = sides[0] * sides[1] / np.hypot(sides[0], sides[1])
    return int(np.ceil(SPEED_OF_SOUND * rt60 / shortest_step))


def _surface(room_dim: np.ndarray) -> float:
    x, y, z = room_dim
    return float(2 * (x * y + y * z + x * z))


def _check_inside(room_dim: np.ndarray, positions: np.ndarray, what: str) -> None:
    for position in positions:
        if not ((position > 0) & (position < room_dim)).all():
            raise ValueError(
                f"{what}: expected a place inside the room {np.round(room_dim, 2).tolist()} m, got {np.round(position, 2).tolist()}"
            )
