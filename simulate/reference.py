"""The reference engine: pyroomacoustics' image sources, ray tracing, polygonal rooms and directional sources.

Facts about it that this file deals with: its result depends on the number of threads, it high-passes by default, and
it delays everything by half of its fractional-delay filter, and tails by ray tracing are independent at any two
microphones, however close they are. What it cannot do: a source without a line of sight still has a direct path.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.fft

from arrayse.geometry import SPEED_OF_SOUND
from simulate.interpolation import LEAD
from simulate.noise import mix_isotropic
from simulate.room import OCTAVE_BANDS, Room

RAY_TRACING_ORDER = 3
"""Reflections up to this order are image sources when the rest is ray-traced."""

N_RAYS = 20_000
RAY_SEED = 1
CONSTANTS = {
    "c": SPEED_OF_SOUND,
    "frac_delay_length": 2 * LEAD + 1,
    "num_threads": 1,
    "octave_bands_base_freq": 125.0,
    "rir_hpf_enable": False,
    "sinc_lut_granularity": 20,
}
"""The engine's process-wide ones that its responses depend on."""

WALL_NAMES = ("west", "east", "south", "north", "floor", "ceiling")
PATTERNS = {"subcardioid": 0.75, "cardioid": 0.5, "hypercardioid": 0.25, "figure_eight": 0.0}


def name() -> str:
    """Engine and version."""
    import pyroomacoustics

    return f"pyroomacoustics {pyroomacoustics.__version__}"


def image_responses(
    room: Room, reflection: np.ndarray, sources: np.ndarray, mics: np.ndarray, sample_rate: int, n_taps: int
) -> np.ndarray:
    """Responses with all reflections, not high-passed; else as :func:`simulate.engine.full_responses`."""
    with reference_settings():
        if room.acoustics.ray_tracing:
            return _ray_traced(room, reflection, sources, mics, sample_rate, n_taps)
        order = max_order(room, n_taps / sample_rate)
        return _responses(room, reflection, order, sources, mics, sample_rate, n_taps)


def direct_responses(room: Room, sources: np.ndarray, mics: np.ndarray, sample_rate: int, n_taps: int) -> np.ndarray:
    """The direct path alone, as :func:`image_responses`."""
    with reference_settings():
        return _responses(room, np.zeros((1, 6)), 0, sources, mics, sample_rate, n_taps)


def max_order(room: Room, seconds: float) -> int:
    """Reflection order in a shoebox that holds every image within c·seconds.

    The images that n_i reflections make across axis i lie (n_i - 1) sides or more away along it; so many in all are
    nearest where n_i - 1 is in proportion to 1 / side².
    """
    return int(SPEED_OF_SOUND * seconds * np.sqrt(np.sum(1 / room.dim**2))) + 3


@contextmanager
def reference_settings() -> Iterator[None]:
    """Sets the engine's process-wide constants for exact, repeatable responses and puts them back.

    Its random generator as well, but for that of its compiled part, which cannot be read.
    """
    import pyroomacoustics
    from pyroomacoustics.random import generator

    before = {name: pyroomacoustics.constants.get(name) for name in CONSTANTS}
    rng = generator.get_rng()
    try:
        for name, value in CONSTANTS.items():
            pyroomacoustics.constants.set(name, value)
        pyroomacoustics.random.seed(RAY_SEED)
        yield
    finally:
        for name, value in before.items():
            pyroomacoustics.constants.set(name, value)
        generator._rng = rng


def _ray_traced(
    room: Room, reflection: np.ndarray, sources: np.ndarray, mics: np.ndarray, sample_rate: int, n_taps: int
) -> np.ndarray:
    """Image sources of low order, and a tail by ray tracing with the coherence of a diffuse field.

    The engine draws the tails of any two microphones independently, as if they were far apart; mixed, they have at
    every frequency the coherence that the distances between the microphones give a spherically isotropic field.
    """
    places = (reflection, RAY_TRACING_ORDER, sources, mics, sample_rate, n_taps)
    whole = _responses(room, *places)
    early = _responses(room, *places, rays=False)
    n_fft = scipy.fft.next_fast_len(whole.shape[-1], real=True)
    tails = scipy.fft.rfft(whole - early, n_fft)
    for tail in tails:
        mix_isotropic(tail, mics, sample_rate / n_fft, "spherical")
    return early + scipy.fft.irfft(tails, n_fft)[..., : whole.shape[-1]]


def _responses(
    room: Room,
    reflection: np.ndarray,
    order: int,
    sources: np.ndarray,
    mics: np.ndarray,
    sample_rate: int,
    n_taps: int,
    rays: bool = True,
) -> np.ndarray:
    built = _build(room, 1 - reflection**2, order, sample_rate, rays and room.acoustics.ray_tracing and order > 0)
    for source in sources:
        built.add_source(source, directivity=_directivity(room, mics.mean(axis=0) - source))
    built.add_microphone_array(mics.T)
    built.compute_rir()
    responses = np.zeros((len(sources), len(mics), LEAD + n_taps), dtype=np.float32)
    for mic, row in enumerate(built.rir):
        for source, response in enumerate(row):
            kept = response[: LEAD + n_taps]
            responses[source, mic, : len(kept)] = kept
    return responses


def _build(room: Room, absorption: np.ndarray, order: int, sample_rate: int, rays: bool) -> Any:
    """The engine's room with energy absorption (n_bands, 6), with ray tracing or without."""
    import pyroomacoustics

    def material(coefficients: np.ndarray) -> Any:
        if len(coefficients) == 1:
            return pyroomacoustics.Material(float(coefficients[0]))
        table = {"coeffs": coefficients.tolist(), "center_freqs": list(OCTAVE_BANDS), "description": "by octave"}
        return pyroomacoustics.Material(table)

    common = {"fs": sample_rate, "max_order": order, "ray_tracing": rays, "air_absorption": False}
    if room.acoustics.floor_plan is None:
        walls = {name: material(absorption[:, wall]) for wall, name in enumerate(WALL_NAMES)}
        built = pyroomacoustics.ShoeBox(room.dim, materials=walls, **common)
    else:
        built = pyroomacoustics.Room.from_corners(room.corners.T, materials=material(absorption[:, 0]), **common)
        built.extrude(float(room.dim[2]), materials=material(absorption[:, 0]))
    if rays:
        built.set_ray_tracing(n_rays=N_RAYS, receiver_radius=0.5, hist_bin_size=0.004)
    return built


def _directivity(room: Room, ahead: np.ndarray) -> Any:
    """A source's pattern that looks along ``ahead`` (3,), or none."""
    if room.acoustics.directivity == "omnidirectional":
        return None
    from pyroomacoustics.directivities import CardioidFamily, DirectionVector

    azimuth = np.rad2deg(np.arctan2(ahead[1], ahead[0]))
    colatitude = np.rad2deg(np.arccos(ahead[2] / np.linalg.norm(ahead)))
    return CardioidFamily(DirectionVector(azimuth, colatitude), PATTERNS[room.acoustics.directivity])
