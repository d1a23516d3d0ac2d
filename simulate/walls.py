"""Walls fitted to the asked RT60.

An absorption from a formula (Sabine, Eyring) misses it by up to half, so the walls are corrected until the
reverberation time that is measured on the responses themselves is the asked one: on the whole response, or, where RT60
differs by octave bands, in every band.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfilt

from simulate.decay import measure_rt60, shoebox_rt60
from simulate.engine import full_responses
from simulate.room import MAX_ABSORPTION, OCTAVE_BANDS, SABINE, Room

TOLERANCE = 0.01
"""Relative error of RT60 at which the fit ends; twice as much in octave bands."""

LOWEST_JUDGED_HZ = 500
"""Octave band from which on RT60 is held to the tolerance: below, single modes ring as they will."""

MAX_CORRECTIONS = 6


@dataclass(frozen=True, eq=False)
class Walls:
    """What was found.

    Attributes:
        reflection: (n_bands, 6) pressure reflection coefficients of west, east, south, north, floor, ceiling; one
            band, or those of OCTAVE_BANDS.
        rt60: measured T30 in seconds of each of these bands, (n_bands,), mean over the sources at the microphone; a
            band beyond the Nyquist frequency has what was asked.
    """

    reflection: np.ndarray
    rt60: np.ndarray


def fit_walls(room: Room, sources: np.ndarray, mic: np.ndarray, sample_rate: int) -> Walls:
    """Finds the walls with which the mean T30 from the sources (n, 3) to a microphone (3,) is the asked RT60."""
    factors = room.acoustics.band_factors
    banded = bool(room.acoustics.band_rt60)
    wanted = room.rt60 * (factors if banded else factors[:1])
    judged = np.array(OCTAVE_BANDS) >= LOWEST_JUDGED_HZ if banded else np.array([True])
    weights = np.array(room.acoustics.walls)
    most = -np.log(1 - MAX_ABSORPTION) / weights.max()
    absorbed = np.minimum(_first_guess(room, weights, wanted), most)
    tried: list[tuple[np.ndarray, np.ndarray]] = []
    while True:
        reflection = np.exp(-absorbed[:, None] * weights / 2)
        n_taps = round(float(wanted.max()) * sample_rate)
        responses = full_responses(room, reflection, sources, mic[None], sample_rate, n_taps)[:, 0]
        measured = _measure_bands(responses, wanted, sample_rate) if banded else _measure(responses, sample_rate)
        tried.append((absorbed, measured))
        missed = np.abs(measured / wanted - 1) > (2 * TOLERANCE if banded else TOLERANCE)
        missed &= judged & ~((absorbed == most) & (measured > wanted))
        if not missed.any() or len(tried) > MAX_CORRECTIONS:
            break
        absorbed = np.minimum(absorbed * (measured / wanted) ** (1 / _slope(tried)), most)
    absorbed, measured = min(tried, key=lambda trial: float(np.abs(trial[1] / wanted - 1)[judged].max()))
    return Walls(np.exp(-absorbed[:, None] * weights / 2), measured)


def _first_guess(room: Room, weights: np.ndarray, rt60: np.ndarray) -> np.ndarray:
    """Absorption exponents k (energy reflection exp(-k x weight)) for reverberation times (n_bands,)."""
    if room.acoustics.floor_plan is None:
        return shoebox_rt60(room.dim, weights) / rt60
    return SABINE * room.volume / (room.surface * rt60)  # Eyring


def _measure(responses: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mean T30 of responses (n, n_taps), as (1,)."""
    return np.array([np.mean([measure_rt60(response, sample_rate) for response in responses])])


def _measure_bands(responses: np.ndarray, wanted: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mean T30 of responses (n, n_taps) in every octave band; ``wanted`` of those beyond the Nyquist frequency."""
    measured = wanted.copy()
    for number, sections in enumerate(_octave_filters(sample_rate)):
        measured[number] = _measure(sosfilt(sections, responses), sample_rate)[0]
    return measured


@functools.cache
def _octave_filters(sample_rate: int) -> list[np.ndarray]:
    """Butterworth band-passes of sixth order for the octave bands below the Nyquist frequency."""
    filters = []
    for centre in OCTAVE_BANDS:
        low, high = centre / np.sqrt(2), centre * np.sqrt(2)
        if low < 0.9 * sample_rate / 2:
            edges, kind = ([low, high], "bandpass") if high < 0.95 * sample_rate / 2 else (low, "highpass")
            filters.append(butter(3, edges, kind, fs=sample_rate, output="sos"))
    return filters


def _slope(tried: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """By how many per cent RT60 falls when absorption rises by one, from the last two trials (absorption, RT60)."""
    if len(tried) < 2:
        return np.ones(len(tried[0][0]))
    (before, long), (after, short) = ((np.log(absorbed), np.log(rt60)) for absorbed, rt60 in tried[-2:])
    step = after - before
    return np.clip(np.where(step == 0, 1.0, (long - short) / np.where(step == 0, 1.0, step)), 0.5, 2.0)
