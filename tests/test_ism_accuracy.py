"""Whole responses, from the emission to RT60, against the sum over all images and against pyroomacoustics."""

from __future__ import annotations

import numpy as np
import pytest

from arrayse.geometry import SPEED_OF_SOUND
from simulate import reference
from simulate.decay import shoebox_rt60
from simulate.interpolation import LEAD
from simulate.ism import image_responses
from simulate.room import Acoustics, Room

LARGE, SMALL = np.array([8.0, 6.0, 4.0]), np.array([5.0, 4.0, 2.8])


def walls_for(room_dim: np.ndarray, rt60: float) -> np.ndarray:
    return np.full(6, np.exp(-shoebox_rt60(room_dim, np.ones(6)) / rt60 / 2))


def images(
    room_dim: np.ndarray, wall: float, source: np.ndarray, mic: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Distances and amplitudes (n_images,) of all images within ``reach`` metres, one in each mirrored room.

    All walls reflect alike, so that an image counts the walls that it was mirrored at: |room number| along each axis.
    """
    rooms = [np.arange(-int(reach / side) - 2, int(reach / side) + 3) for side in room_dim]
    x, y, z = (
        room * side + np.where(room % 2 == 0, place, side - place) - heard
        for room, side, place, heard in zip(rooms, room_dim, source, mic, strict=True)
    )
    distance = np.sqrt(x[:, None, None] ** 2 + y[:, None] ** 2 + z**2)
    order = np.abs(rooms[0])[:, None, None] + np.abs(rooms[1])[:, None] + np.abs(rooms[2])
    near = distance <= reach
    return distance[near], wall ** order[near] / distance[near]


def direct_sum(distance: np.ndarray, amplitude: np.ndarray, sample_rate: int, n_taps: int) -> np.ndarray:
    """Response (LEAD + n_taps,): one windowed sinc of 81 taps for each image, in double precision."""
    delay = distance * sample_rate / SPEED_OF_SOUND
    first = np.floor(delay).astype(int)
    part = delay - first
    response = np.zeros(2 * LEAD + n_taps + 2)
    for tap in range(-LEAD, LEAD + 2):
        offset = tap - part
        window = np.where(np.abs(offset) < LEAD, 0.5 + 0.5 * np.cos(np.pi * offset / LEAD), 0)
        response += np.bincount(first + LEAD + tap, amplitude * window * np.sinc(offset), len(response))
    return response[: LEAD + n_taps]


def error_db(response: np.ndarray, exact: np.ndarray, sample_rate: int) -> float:
    """Energy of the difference over that of the exact response from 50 to 7000 Hz."""
    hertz = np.fft.rfftfreq(len(exact), 1 / sample_rate)
    kept = (hertz >= 50) & (hertz <= 7000)
    error, power = (np.sum(np.abs(np.fft.rfft(wave)[kept]) ** 2) for wave in (response - exact, exact))
    return float(10 * np.log10(error / power))


@pytest.mark.parametrize(("sample_rate", "rt60"), [(16000, 0.5), (16000, 0.9), (48000, 0.5)])
def test_the_whole_response_is_that_of_the_direct_sum(sample_rate: int, rt60: float) -> None:
    source, mic, n_taps = np.array([5.3, 2.2, 1.6]), np.array([2.6, 3.7, 1.3]), round(rt60 * sample_rate)
    walls = walls_for(LARGE, rt60)
    response = image_responses(LARGE, walls, source[None], mic[None], sample_rate, n_taps)[0, 0]
    exact = direct_sum(*images(LARGE, walls[0], source, mic, rt60 * SPEED_OF_SOUND), sample_rate, n_taps)
    assert error_db(response, exact, sample_rate) <= -70


def test_the_waveform_is_that_of_pyroomacoustics() -> None:
    rt60, sample_rate = 0.5, 16000
    n_taps, walls = round(rt60 * sample_rate), walls_for(SMALL, rt60)
    source, mics = np.array([[3.9, 0.7, 1.2]]), np.array([[2.4, 1.9, 1.4], [2.4, 1.95, 1.35]])
    room = Room(SMALL, rt60, Acoustics("pyroomacoustics"))
    expected = reference.image_responses(room, walls[None], source, mics, sample_rate, n_taps)[0]
    response = image_responses(SMALL, walls, source, mics, sample_rate, n_taps)[0]
    for ours, theirs in zip(response, expected, strict=True):
        assert 10 * np.log10(np.sum((ours - theirs) ** 2) / np.sum(theirs**2)) <= -50
