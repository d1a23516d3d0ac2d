"""Room responses of both engines: delay, 1/r law, early part; and walls that give the asked RT60."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfilt

from arrayse.geometry import SPEED_OF_SOUND, circular, linear
from simulate.decay import measure_rt60
from simulate.highpass import high_passed
from simulate.interpolation import LEAD
from simulate.rir import RoomResponse, early_part, fit_room, room_responses
from simulate.room import OCTAVE_BANDS, Acoustics, Room

RATE = 16000
DIM = np.array([4.0, 3.5, 2.6])
CENTRE = np.array([1.6, 1.5, 1.3])
SOURCES = CENTRE + np.array([[1.1, 0.2, 0.3], [-0.7, 0.9, -0.1], [0.3, 1.7, 0.4]])
MICS = CENTRE + circular(5, 0.2).positions
"""A wide ring: its microphones are many samples apart."""

ENGINES: tuple[Literal["ism", "pyroomacoustics"], ...] = ("ism", "pyroomacoustics")


@pytest.fixture(scope="module", params=ENGINES)
def response(request: pytest.FixtureRequest) -> RoomResponse:
    """Of a dry room."""
    return room_responses(Room(DIM, 0.2, Acoustics(request.param)), SOURCES, MICS, RATE)


def distances(sources: np.ndarray = SOURCES, mics: np.ndarray = MICS) -> np.ndarray:
    return np.linalg.norm(sources[:, None] - mics[None], axis=-1)


def band(response: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in Hz from 300 to 6000 and the spectrum there, without the high-pass and the lead."""
    n_fft = response.shape[-1]
    hertz = np.fft.rfftfreq(n_fft, 1 / RATE)
    kept = (hertz >= 300) & (hertz <= 6000)
    known = np.fft.rfft(high_passed(np.eye(1, n_fft, LEAD)[0], RATE))
    return hertz[kept], (np.fft.rfft(response) / np.where(kept, known, 1))[..., kept]


def delay_samples(response: np.ndarray) -> float:
    """Delay after the moment of emission of a response that is one echo, from the slope of its phase."""
    hertz, spectrum = band(response)
    return float(-np.polyfit(2 * np.pi * hertz / RATE, np.unwrap(np.angle(spectrum)), 1)[0])


# --- direct path --------------------------------------------------------------------------------------------


def test_the_direct_path_comes_after_distance_over_c(response: RoomResponse) -> None:
    assert response.lead == LEAD
    expected = distances() * RATE / SPEED_OF_SOUND
    measured = np.array([[delay_samples(mic) for mic in source] for source in response.direct])
    assert np.abs(measured - expected).max() < 0.01
    between = measured - measured[:, :1]
    assert np.abs(between).max() > 10  # the ring is wide: differences are not all about nought
    assert np.abs(between - (expected - expected[:, :1])).max() < 0.01


def test_the_direct_path_falls_as_one_over_r(response: RoomResponse) -> None:
    _, spectrum = band(response.direct)
    np.testing.assert_allclose(np.abs(spectrum) * distances()[..., None], 1, rtol=0.02)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("distance", [0.004, 0.1])
def test_nothing_is_cut_off_before_a_source_beside_the_microphone(
    engine: Literal["ism", "pyroomacoustics"], distance: float
) -> None:
    """The filter of its direct path begins long before the moment of emission comes to the microphone."""
    fitted = fit_room(Room(DIM, 0.2, Acoustics(engine)), SOURCES, CENTRE[None], RATE)
    beside = CENTRE[None] + [0, 0, distance]
    direct = fitted.direct(beside, CENTRE[None])[0, 0]
    assert delay_samples(direct) == pytest.approx(distance * RATE / SPEED_OF_SOUND, abs=0.01)
    exact = np.arange(len(direct)) - LEAD - distance * RATE / SPEED_OF_SOUND
    window = np.where(np.abs(exact) < LEAD, 0.5 + 0.5 * np.cos(np.pi * exact / LEAD), 0)
    wave = high_passed(np.sinc(exact) * window / distance, RATE)
    np.testing.assert_allclose(direct, wave, atol=0.01 / distance)
    full = fitted.full(beside, CENTRE[None])[0, 0]
    before = LEAD + int(distances(beside, CENTRE[None])[0, 0] * RATE / SPEED_OF_SOUND) + 20
    np.testing.assert_allclose(full[:before], direct[:before], atol=0.01 / distance)


def test_the_full_response_begins_with_the_direct_path(response: RoomResponse) -> None:
    assert response.full.shape == response.direct.shape == (3, 5, LEAD + 3200)
    assert response.full.dtype == response.direct.dtype == np.float32
    images = first_reflections()
    for source, mic in itertools.product(range(3), range(5)):
        full, direct = response.full[source, mic], response.direct[source, mic]
        before = int(images[source, mic] * RATE / SPEED_OF_SOUND) - 1  # the filter of the first reflection begins
        assert np.abs(full[:before] - direct[:before]).max() < 1e-3 * direct.max()
        assert np.abs(full[before:] - direct[before:]).max() > 0.1 * direct.max()


def first_reflections() -> np.ndarray:
    """Path length (n_sources, n_mics) in metres over the nearest wall."""
    lengths = []
    for axis, wall in itertools.product(range(3), (0, 1)):
        mirrored = SOURCES.copy()
        mirrored[:, axis] = 2 * wall * DIM[axis] - mirrored[:, axis]
        lengths.append(distances(mirrored))
    return np.min(lengths, axis=0)


# --- reverberation time -------------------------------------------------------------------------------------


def octave(responses: np.ndarray, centre: float) -> np.ndarray:
    """Octave band of responses (..., n_taps), filtered backwards: the filter's own decay comes before the room's."""
    sections = butter(4, [centre / np.sqrt(2), min(centre * np.sqrt(2), 7900)], "bandpass", fs=RATE, output="sos")
    return sosfilt(sections, responses[..., ::-1])[..., ::-1]


def t30s(responses: np.ndarray) -> np.ndarray:
    flat = responses.reshape(-1, responses.shape[-1])
    return np.array([measure_rt60(response, RATE) for response in flat])


def drawn_room(seed: int, rt60: float, **acoustics: Any) -> tuple[Room, np.ndarray, np.ndarray]:
    """A room, four sources and one microphone in it."""
    rng = np.random.default_rng(seed)
    dim = rng.uniform([3, 3, 2.4], [8, 6, 3.2] if rt60 > 0.25 else [4.5, 4, 2.8])
    places = rng.uniform(0.5, dim - 0.5, (5, 3))
    return Room(dim, rt60, Acoustics(**acoustics)), places[:4], places[4:]


@settings(max_examples=40)
@given(st.floats(0.2, 0.9), st.integers(0, 2**32 - 1), st.booleans())
def test_the_rt60_that_is_asked_for_is_measured(rt60: float, seed: int, are_walls_alike: bool) -> None:
    walls = [1.0] * 6 if are_walls_alike else np.random.default_rng(seed).uniform(0.5, 2, 6).tolist()
    room, sources, mics = drawn_room(seed, rt60, walls=walls)
    fitted = fit_room(room, sources, mics, RATE)
    assert fitted.rt60 == pytest.approx(rt60, rel=0.02)
    absorbed = -np.log(fitted.reflection[0] ** 2)
    np.testing.assert_allclose(absorbed / absorbed[0], np.array(walls) / walls[0])
    full = fitted.full(sources, mics)
    assert fitted.rt60 == pytest.approx(t30s(full).mean())
    assert full.shape[-1] == LEAD + round(rt60 * RATE)


def test_the_octaves_of_speech_have_it_too() -> None:
    """In the mean over rooms; lower ones fade more slowly, since few modes are excited there, along the walls."""
    ratios = []
    for seed in range(12):
        rt60 = 0.2 + 0.05 * seed
        room, sources, mics = drawn_room(seed, rt60)
        full = room_responses(room, sources, mics, RATE).full
        ratios.append([t30s(octave(full, hertz)).mean() / rt60 for hertz in (125, 500, 1000, 2000, 4000)])
    mean = np.mean(ratios, axis=0)
    np.testing.assert_allclose(mean[1:], 1, atol=0.12)
    assert mean[0] > 1.2


@pytest.mark.parametrize(
    "band_rt60",
    [
        [[125, 1.6], [250, 1.4], [500, 1.2], [2000, 0.9], [4000, 0.8], [8000, 0.7]],
        [[125, 0.6], [250, 0.7], [500, 0.8], [2000, 1.2], [4000, 1.3], [8000, 1.4]],
        [[125, 1.0]],
    ],
)
def test_every_octave_has_its_factor_of_the_rt60(band_rt60: list[list[float]]) -> None:
    """By other filters than those of the fit: within 3 % where speech is; below, single modes ring as they will."""
    ratios = []
    for seed in range(6):
        room, sources, mics = drawn_room(seed, 0.4, band_rt60=band_rt60)
        fitted = fit_room(room, sources, mics, RATE)
        full, factors = fitted.full(sources, mics), room.acoustics.band_factors
        assert full.shape[-1] == LEAD + round(0.4 * max(factors) * RATE)
        told = np.array(list(fitted.measured["band_rt60_measured"].values()))
        assert list(fitted.measured["band_rt60_measured"]) == [str(band) for band in OCTAVE_BANDS]
        assert fitted.measured["rt60_measured"] == fitted.rt60 == pytest.approx(np.mean(told / factors))
        measured = np.array([t30s(octave(full, hertz)).mean() for hertz in OCTAVE_BANDS[:6]])
        np.testing.assert_allclose(measured[2:] / told[2:6], 1, atol=0.05)
        ratios.append(measured / 0.4 / factors[:6])
    np.testing.assert_allclose(np.array(ratios)[:, 2:], 1, atol=0.04)
    np.testing.assert_allclose(np.mean(ratios, axis=0)[:2], 1, atol=0.1)


def test_octaves_leak_into_their_neighbours() -> None:
    """One octave that rings twice as long as those beside it cannot be had; what is measured tells."""
    room, sources, mics = drawn_room(0, 0.3, band_rt60=[[1000, 2.0]])
    fitted = fit_room(room, sources, mics, RATE)
    assert fitted.measured["band_rt60_measured"]["500"] > 1.2 * 0.3
    assert fitted.rt60 > 1.05 * 0.3
    plain = fit_room(Room(room.dim, 0.3), sources, mics, RATE)
    assert plain.measured == {"rt60_measured": plain.rt60, "engine": "ism"}


@pytest.mark.parametrize("seed", range(3))
def test_the_reference_engine_has_the_asked_rt60(seed: int) -> None:
    room, sources, mics = drawn_room(seed, 0.2, engine="pyroomacoustics", walls=[1, 1, 1, 1, 2, 0.5])
    response = room_responses(room, sources[:2], mics, RATE)
    assert response.rt60 == pytest.approx(0.2, rel=0.02)
    assert t30s(response.full).mean() == pytest.approx(0.2, rel=0.02)


@pytest.mark.parametrize("distance", [0.003, 0.03, 0.1])
def test_a_source_beside_the_microphone_does_not_change_the_room(distance: float) -> None:
    """Its direct path hides the decay: measured there, T30 would be anything from 0 to several seconds."""
    near, far = CENTRE + np.array([0, 0, distance]), DIM * 0.7
    for sources in ([near], [near, far], [far, near]):
        response = room_responses(Room(DIM, 0.2), np.array(sources), CENTRE[None], RATE)
        assert response.rt60 == pytest.approx(0.2, rel=0.02)
        reflections = (response.full - response.direct)[0, 0]
        assert measure_rt60(reflections[round(0.01 * RATE) :], RATE) == pytest.approx(0.2, rel=0.1)


@pytest.mark.parametrize("seed", [19, 26, 42, 44])
def test_walls_as_different_as_can_be_take_more_corrections(seed: int) -> None:
    """Exponents of absorption up to 20 times those of other walls, and one source: one correction leaves 2 to 4 %."""
    walls = np.exp(np.random.default_rng(seed).uniform(-1.5, 1.5, 6)).tolist()
    room, sources, mics = drawn_room(seed, 0.4, walls=walls)
    assert fit_room(room, sources[:1], mics, RATE).rt60 == pytest.approx(0.4, rel=0.011)


def test_walls_that_differ_cannot_have_every_rt60() -> None:
    """When the most absorbing one takes nearly all, the others still reflect: the message tells what they reach."""
    unequal = Acoustics(walls=[0.33, 0.23, 0.95, 0.36, 3.4, 0.24])
    room = Room(np.array([7.0, 3.6, 3.1]), 0.2, unequal)
    sources, mics = room.dim * [[0.2, 0.6, 0.4], [0.4, 0.3, 0.6]], room.dim[None] * 0.6
    with pytest.raises(ValueError, match=r"rt60: expected 0\.\d+ to 5 s in a room of .*, got 0\.2 s"):
        fit_room(room, sources, mics, RATE)
    least = fit_room(replace(room, rt60=1.25 * room.shortest_rt60), sources, mics, RATE)
    assert least.rt60 == pytest.approx(least.room.rt60, rel=0.02)
    assert 0.9 < (1 - least.reflection**2).max() < 0.99 + 1e-9


# --- early part ---------------------------------------------------------------------------------------------


def test_the_early_part_ends_after_so_many_milliseconds(response: RoomResponse) -> None:
    assert early_part(response, 0, RATE) is response.direct
    early = early_part(response, 20, RATE)
    last = LEAD + np.round(distances() * RATE / SPEED_OF_SOUND).astype(int) + 320
    for source, mic in itertools.product(range(3), range(5)):
        end = last[source, mic] + 1
        assert np.array_equal(early[source, mic, : end - 1], response.full[source, mic, : end - 1])
        assert not early[source, mic, end + 1 :].any()
    assert np.array_equal(early_part(response, 10_000, RATE), response.full)
    assert np.mean(response.direct**2) < np.mean(early**2) < np.mean(response.full**2)


# --- what no room can do ------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [[4.5, 1, 1], [1, -0.1, 1], [1, 1, 2.6], [0, 1, 1], [np.nan, 1, 1]])
def test_places_outside_the_room(place: list[float]) -> None:
    outside, room = np.array([CENTRE, place]), Room(DIM, 0.2)
    message = r"expected a place inside the room \[4\.0, 3\.5, 2\.6\] m, got \["
    with pytest.raises(ValueError, match=f"^source: {message}"):
        room_responses(room, outside, CENTRE[None], RATE)
    with pytest.raises(ValueError, match=f"^microphone: {message}"):
        room_responses(room, CENTRE[None], outside, RATE)


def test_a_source_in_the_place_of_a_microphone() -> None:
    with pytest.raises(ValueError, match="source: expected a place apart from the microphones"):
        room_responses(Room(DIM, 0.2), CENTRE[None], CENTRE + linear(3).positions, RATE)


def test_a_reverberation_time_that_the_room_cannot_have() -> None:
    with pytest.raises(
        ValueError, match=r"rt60: expected 0\.088 to 5 s in a room of 4\.00 x 3\.50 x 2\.60 m, got 0\.05"
    ):
        room_responses(Room(DIM, 0.05), SOURCES, MICS, RATE)
