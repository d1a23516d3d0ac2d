"""Room responses against closed forms: delay, 1/r law, exact image sum, decay; and what no room can do."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pyroomacoustics
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.geometry import SPEED_OF_SOUND, circular, linear
from simulate import rir
from simulate.rir import RoomResponse, early_part, measure_rt60, room_responses, shortest_rt60

RATE = 16000
ROOM = np.array([4.0, 3.5, 2.6])
CENTRE = np.array([1.6, 1.5, 1.3])


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray, RoomResponse]:
    """Three sources around a wide ring in a dry room: its microphones are many samples apart."""
    sources = CENTRE + np.array([[1.1, 0.2, 0.3], [-0.7, 0.9, -0.1], [0.3, 1.7, 0.4]])
    mics = CENTRE + circular(5, 0.2).positions
    return sources, mics, room_responses(ROOM, 0.2, sources, mics, RATE)


def distances(sources: np.ndarray, mics: np.ndarray) -> np.ndarray:
    return np.linalg.norm(sources[:, None] - mics[None], axis=-1)


def band(response: np.ndarray, lowest: float = 300, highest: float = 6000) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in Hz and spectrum of responses over a band that the engine's low-pass leaves alone."""
    hertz = np.fft.rfftfreq(response.shape[-1], 1 / RATE)
    kept = (hertz >= lowest) & (hertz <= highest)
    return hertz[kept], np.fft.rfft(response)[..., kept]


def delay_samples(response: np.ndarray) -> float:
    """Delay of a response that is one echo, from the slope of its phase."""
    hertz, spectrum = band(response)
    return float(-np.polyfit(2 * np.pi * hertz / RATE, np.unwrap(np.angle(spectrum)), 1)[0])


# --- direct path --------------------------------------------------------------------------------------------


def test_the_direct_path_comes_after_distance_over_c(
    scene: tuple[np.ndarray, np.ndarray, RoomResponse],
) -> None:
    sources, mics, response = scene
    expected = distances(sources, mics) * RATE / SPEED_OF_SOUND
    measured = np.array([[delay_samples(mic) for mic in source] for source in response.direct])
    assert np.abs(measured - expected).max() < 0.02
    between = measured - measured[:, :1]
    assert np.abs(between).max() > 10  # the ring is wide: differences are not all about nought
    assert np.abs(between - (expected - expected[:, :1])).max() < 0.02


def test_the_direct_path_falls_as_one_over_r(scene: tuple[np.ndarray, np.ndarray, RoomResponse]) -> None:
    sources, mics, response = scene
    _, spectrum = band(response.direct)
    loudness = np.sqrt(np.mean(np.abs(spectrum) ** 2, axis=-1))
    np.testing.assert_allclose(loudness * distances(sources, mics), 1, rtol=0.01)
    # down to 0 Hz: nothing is high-passed
    np.testing.assert_allclose(response.direct.sum(axis=-1) * distances(sources, mics), 1, rtol=0.02)


def test_the_full_response_begins_with_the_direct_path(
    scene: tuple[np.ndarray, np.ndarray, RoomResponse],
) -> None:
    sources, mics, response = scene
    assert response.full.shape == response.direct.shape == (3, 5, response.full.shape[-1])
    images = first_reflections(sources, mics)
    for source, mic in itertools.product(range(3), range(5)):
        # the interpolation filter of the first reflection begins 40 samples before it
        before = int(images[source, mic] * RATE / SPEED_OF_SOUND) - 41
        assert before > 0
        same = response.full[source, mic, :before] == response.direct[source, mic, :before]
        assert same.all()
        assert not np.array_equal(response.full[source, mic], response.direct[source, mic])


def first_reflections(sources: np.ndarray, mics: np.ndarray) -> np.ndarray:
    """Path length (n_sources, n_mics) in metres over the nearest wall."""
    lengths = []
    for axis, wall in itertools.product(range(3), (0, 1)):
        mirrored = sources.copy()
        mirrored[:, axis] = 2 * wall * ROOM[axis] - mirrored[:, axis]
        lengths.append(distances(mirrored, mics))
    return np.min(lengths, axis=0)


def test_all_images_together_are_the_exact_sum() -> None:
    """A slow sum over mirrored rooms in double precision, by its own rule for the images."""
    source, mic, order, absorption = np.array([2.7, 1.9, 1.5]), CENTRE, 3, 0.4
    with rir._reference_settings():
        response = rir._image_sources(ROOM, absorption, order, source[None], mic[None], RATE)[0, 0]
    hertz, spectrum = band(np.pad(response, (0, 1024)), 50, 7000)
    exact = np.zeros(len(hertz), dtype=complex)
    for cell in itertools.product(range(-order, order + 1), repeat=3):
        n_walls = sum(map(abs, cell))  # mirroring once per wall crossed on the way to room number `cell`
        if n_walls <= order:
            even = np.array(cell) % 2 == 0
            distance = np.linalg.norm(cell * ROOM + np.where(even, source, ROOM - source) - mic)
            wave = np.exp(-2j * np.pi * hertz * distance / SPEED_OF_SOUND)
            exact += (1 - absorption) ** (n_walls / 2) / distance * wave
    error = np.mean(np.abs(spectrum - exact) ** 2) / np.mean(np.abs(exact) ** 2)
    assert 10 * np.log10(error) < -45


# --- reverberation time -------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.floats(0.1, 1.5), st.sampled_from([8000, 16000]), st.floats(1e-3, 1e3))
def test_t30_of_an_exponential_decay(rt60: float, sample_rate: int, level: float) -> None:
    seconds = np.arange(int(1.5 * rt60 * sample_rate)) / sample_rate
    decay = level * 10 ** (-3 * seconds / rt60)  # 60 dB down at rt60
    assert measure_rt60(decay, sample_rate) == pytest.approx(rt60, rel=5e-3)
    noise = np.random.default_rng(0).standard_normal(len(decay))
    assert measure_rt60(decay * noise, sample_rate) == pytest.approx(rt60, rel=0.08)


def test_t30_of_no_decay() -> None:
    assert measure_rt60(np.eye(1, 100)[0], RATE) == 0.0
    with pytest.raises(ValueError, match="response: expected an impulse response, got silence"):
        measure_rt60(np.zeros(100), RATE)


@pytest.mark.parametrize(("room", "rt60"), [((3.0, 3.0, 2.4), 0.15), ((5.0, 4.0, 2.8), 0.25), ((6.5, 3.2, 3.1), 0.35)])
def test_the_rt60_that_is_asked_for_is_measured(room: tuple[float, ...], rt60: float) -> None:
    room_dim = np.array(room)
    sources = np.array([room_dim * 0.7, room_dim * [0.3, 0.6, 0.5]])
    mics = room_dim * 0.4 + linear(2).positions
    response = room_responses(room_dim, rt60, sources, mics, RATE)
    assert response.rt60 == pytest.approx(rt60, rel=0.05)
    assert response.engine == f"pyroomacoustics {pyroomacoustics.__version__}"
    everywhere = [measure_rt60(mic, RATE) for source in response.full for mic in source]
    assert np.mean(everywhere) == pytest.approx(rt60, rel=0.08)
    assert response.rt60 == pytest.approx(np.mean(everywhere[::2]))


@pytest.mark.parametrize("distance", [0.003, 0.03, 0.1])
def test_a_source_beside_the_microphone_does_not_change_the_room(distance: float) -> None:
    """Its direct path hides the decay: measured there, T30 would be anything from 0 to several seconds."""
    near, far = CENTRE + np.array([0, 0, distance]), ROOM * 0.7
    for sources in ([near], [near, far], [far, near]):
        response = room_responses(ROOM, 0.2, np.array(sources), CENTRE[None], RATE)
        assert response.rt60 == pytest.approx(0.2, rel=0.05)
        reflections = (response.full - response.direct)[0, 0]
        assert measure_rt60(reflections[round(0.01 * RATE) :], RATE) == pytest.approx(0.2, rel=0.1)


def test_a_source_in_the_place_of_a_microphone() -> None:
    with pytest.raises(ValueError, match="source: expected a place apart from the microphones"):
        room_responses(ROOM, 0.2, CENTRE[None], CENTRE + linear(3).positions, RATE)


# --- early part ---------------------------------------------------------------------------------------------


def test_the_early_part_ends_after_so_many_milliseconds(
    scene: tuple[np.ndarray, np.ndarray, RoomResponse],
) -> None:
    sources, mics, response = scene
    assert early_part(response, 0, RATE) is response.direct
    early = early_part(response, 20, RATE)
    last = np.round(distances(sources, mics) * RATE / SPEED_OF_SOUND).astype(int) + 320
    for source, mic in itertools.product(range(3), range(5)):
        end = last[source, mic] + 1
        assert np.array_equal(early[source, mic, : end - 1], response.full[source, mic, : end - 1])
        assert not early[source, mic, end + 1 :].any()
    assert np.array_equal(early_part(response, 10_000, RATE), response.full)
    assert np.mean(response.direct**2) < np.mean(early**2) < np.mean(response.full**2)


# --- the engine ---------------------------------------------------------------------------------------------

SETTINGS = {"num_threads": 3, "rir_hpf_enable": True, "c": 340.0}


@pytest.fixture
def own_settings() -> Iterator[None]:
    """Someone else's settings of the engine."""
    before = {name: pyroomacoustics.constants.get(name) for name in SETTINGS}
    for name, value in SETTINGS.items():
        pyroomacoustics.constants.set(name, value)
    yield
    for name, value in before.items():
        pyroomacoustics.constants.set(name, value)


@pytest.mark.usefixtures("own_settings")
def test_the_engine_is_left_as_it_was_and_its_settings_do_not_matter(
    scene: tuple[np.ndarray, np.ndarray, RoomResponse], monkeypatch: pytest.MonkeyPatch
) -> None:
    sources, mics, response = scene
    again = room_responses(ROOM, 0.2, sources, mics, RATE)
    assert np.array_equal(again.full, response.full)
    assert {name: pyroomacoustics.constants.get(name) for name in SETTINGS} == SETTINGS

    def fail(*arguments: object) -> None:
        assert pyroomacoustics.constants.get("num_threads") == 1
        raise MemoryError

    monkeypatch.setattr(rir, "_image_sources", fail)
    with pytest.raises(MemoryError):
        room_responses(ROOM, 0.2, sources, mics, RATE)
    assert {name: pyroomacoustics.constants.get(name) for name in SETTINGS} == SETTINGS


# --- what no room can do ------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [[4.5, 1, 1], [1, -0.1, 1], [1, 1, 2.6], [0, 1, 1], [np.nan, 1, 1]])
def test_places_outside_the_room(place: list[float]) -> None:
    outside = np.array([CENTRE, place])
    room = r"\[4\.0, 3\.5, 2\.6\]"
    with pytest.raises(ValueError, match=rf"source: expected a place inside the room {room} m, got \["):
        room_responses(ROOM, 0.2, outside, CENTRE[None], RATE)
    with pytest.raises(ValueError, match="microphone: expected a place inside the room"):
        room_responses(ROOM, 0.2, CENTRE[None], outside, RATE)


@pytest.mark.parametrize("rt60", [0.05, 0.0, -1.0, np.nan, np.inf])
def test_a_reverberation_time_that_the_room_cannot_have(rt60: float) -> None:
    expected = r"rt60: expected at least 0\.088 s in a room of 4\.00 x 3\.50 x 2\.60 m, got"
    with pytest.raises(ValueError, match=expected):
        room_responses(ROOM, rt60, CENTRE[None] + 0.5, CENTRE[None], RATE)


def test_the_shortest_reverberation_time_is_sabines() -> None:
    assert shortest_rt60(np.array([10.0, 10.0, 10.0])) == pytest.approx(0.161 * 1000 / 600, rel=2e-3)
