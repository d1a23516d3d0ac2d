"""The two engines behind one face: ``ism``, fast, and pyroomacoustics, the reference; both high-passed alike."""

from __future__ import annotations

import numpy as np

from simulate import reference
from simulate.highpass import high_passed
from simulate.room import OCTAVE_BANDS, Room


def engine_name(room: Room) -> str:
    """Name and version of what computes the responses of a room."""
    return "ism" if room.acoustics.engine == "ism" else reference.name()


def full_responses(
    room: Room, reflection: np.ndarray, sources: np.ndarray, mics: np.ndarray, sample_rate: int, n_taps: int
) -> np.ndarray:
    """Direct path and reflections above 20 Hz.

    Args:
        room: where, and by which engine.
        reflection: (n_bands, 6) pressure reflection coefficients; one band, or those of OCTAVE_BANDS.
        sources: (n_sources, 3) metres.
        mics: (n_mics, 3) metres.
        sample_rate: Hz.
        n_taps: length after the moment of emission.

    Returns:
        (n_sources, n_mics, LEAD + n_taps) float32.
    """
    if room.acoustics.engine != "ism":
        return high_passed(reference.image_responses(room, reflection, sources, mics, sample_rate, n_taps), sample_rate)
    from simulate import ism  # compiles when it is imported

    walls, bands = (reflection, np.array(OCTAVE_BANDS)) if len(reflection) > 1 else (reflection[0], None)
    responses = ism.image_responses(
        room.dim,
        walls,
        sources,
        mics,
        sample_rate,
        n_taps,
        threshold=room.acoustics.threshold,
        max_density=room.acoustics.tail_density,
        bands=bands,
    )
    return high_passed(responses, sample_rate)


def direct_responses(room: Room, sources: np.ndarray, mics: np.ndarray, sample_rate: int, n_taps: int) -> np.ndarray:
    """The direct path alone, as :func:`full_responses`."""
    if room.acoustics.engine != "ism":
        return high_passed(reference.direct_responses(room, sources, mics, sample_rate, n_taps), sample_rate)
    from simulate import ism

    return high_passed(ism.direct_responses(sources, mics, sample_rate, n_taps), sample_rate)
