"""Paths, and convolution with a response that changes: against the sum written out, and against Doppler."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.geometry import SPEED_OF_SOUND
from arrayse.mixture import mean_power
from simulate.convolution import convolve
from simulate.motion import N_WAYPOINTS, STEP, convolve_moving, draw_walk, n_points_for, sample_path

RATE, LEAD = 16000, 40
Moment = Literal["emission", "reception"]
MOMENTS: tuple[Moment, ...] = ("emission", "reception")
ROOM = np.array([6.0, 4.0, 3.0])


def slow(dry: np.ndarray, responses: np.ndarray, lead: int, switch_at: str) -> np.ndarray:
    """Every output sample as its sum over the taps, each of the response interpolated for its moment."""
    n_points, n_mics, n_taps = responses.shape
    n_samples = len(dry)
    moments = np.arange(n_samples) / n_samples * (n_points - 1)
    before = moments.astype(int)
    share = (moments - before)[:, None, None]
    after = np.minimum(before + 1, n_points - 1)
    at = (1 - share) * responses[before] + share * responses[after]  # n m k
    wave = np.zeros((n_mics, n_samples))
    for n in range(n_samples):
        for k in range(max(0, n + lead - n_samples + 1), min(n_taps, n + lead + 1)):
            emitted = n + lead - k
            wave[:, n] += at[emitted if switch_at == "emission" else n, :, k] * dry[emitted]
    return wave


def moving(
    dry: np.ndarray, responses: np.ndarray, lead: int = 0, switch_at: Moment = "emission", ends: tuple[int, ...] = ()
) -> np.ndarray:
    """All responses as one block, or cut at some points."""
    return convolve_moving(dry, iter(np.split(responses, ends)), len(responses), lead, switch_at)


def draw(seed: int, n_points: int, n_mics: int, n_samples: int, n_taps: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    responses = rng.standard_normal((n_points, n_mics, n_taps)).astype(np.float32)
    return rng.standard_normal(n_samples).astype(np.float32), responses


def free_field(distances: np.ndarray) -> np.ndarray:
    """Responses (n_points, 1, n_taps) of direct paths: 1/distance, delay by a windowed sinc of 81 taps."""
    delays = distances / SPEED_OF_SOUND * RATE + LEAD
    time = np.arange(int(delays.max()) + LEAD + 2) - delays[:, None]
    window = np.where(np.abs(time) < LEAD, 0.5 + 0.5 * np.cos(np.pi * time / LEAD), 0)
    return (np.sinc(time) * window / distances[:, None])[:, None]


def moving_sine(speed: float, hertz: float, n_samples: int, switch_at: Moment = "emission") -> np.ndarray:
    """A tone (n_samples,) whose source or microphone leaves from 2 m on, simulated every centimetre."""
    seconds = n_samples / RATE
    path = np.array([[2.0, 0, 0], [2.0 + speed * seconds, 0, 0]]) if speed else np.array([[2.0, 0, 0]])
    distances = sample_path(path, n_points_for(path, np.zeros(1), 0.0))[:, 0]
    dry = np.sin(2 * np.pi * hertz * np.arange(n_samples) / RATE)
    return moving(dry, free_field(distances), LEAD, switch_at)[0]


# --- convolution --------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 3), st.integers(1, 60), st.data())
def test_every_sample_is_the_sum_over_the_taps(
    seed: int, n_points: int, n_mics: int, n_samples: int, data: Any
) -> None:
    n_taps = data.draw(st.integers(1, 90), "n_taps")
    lead = data.draw(st.integers(0, n_taps - 1), "lead")
    dry, responses = draw(seed, n_points, n_mics, n_samples, n_taps)
    ends = data.draw(st.sets(st.integers(1, max(n_points - 1, 1)), max_size=min(4, n_points - 1)), "ends")
    scale = np.sqrt(np.square(dry).sum() * np.square(responses).sum(axis=2).max())
    for switch_at in MOMENTS:
        wave = moving(dry, responses, lead, switch_at, tuple(sorted(ends)))
        assert wave.dtype == np.float32
        assert wave.shape == (n_mics, n_samples)
        assert np.abs(wave - slow(dry, responses, lead, switch_at)).max() <= 1e-6 * scale


@pytest.mark.parametrize("switch_at", MOMENTS)
@pytest.mark.parametrize("n_points", [1, 2, 7, 100])
def test_equal_responses_stand_still(switch_at: Moment, n_points: int) -> None:
    dry, responses = draw(0, 1, 2, 12345, 1500)
    still = convolve(dry[None], responses, LEAD)[0]
    wave = moving(dry, np.repeat(responses, n_points, axis=0), LEAD, switch_at)
    assert np.sqrt(mean_power(wave - still) / mean_power(still)) < 1e-6
    assert np.abs(wave - still).max() < 1e-6 * np.abs(still).max()


@pytest.mark.parametrize("switch_at", MOMENTS)
def test_blocks_are_used_as_they_come_and_change_nothing(switch_at: Moment) -> None:
    """One is asked for after the one before has sounded, whose memory may then be used again."""
    dry, responses = draw(5, 23, 2, 4000, 700)
    whole = moving(dry, responses, LEAD, switch_at)

    def blocks() -> Iterator[np.ndarray]:
        for first in range(0, 23, 5):
            here = responses[first : first + 5].copy()
            yield here
            here[:] = np.nan

    wave = convolve_moving(dry, blocks(), 23, LEAD, switch_at)
    np.testing.assert_allclose(wave, whole, atol=1e-6 * np.abs(whole).max())
    second = moving(dry, responses[:, 1:], LEAD, switch_at)  # alone as beside another
    np.testing.assert_allclose(second[0], whole[1], atol=1e-6 * np.abs(whole).max())


@pytest.mark.parametrize("switch_at", MOMENTS)
def test_convolution_is_linear_and_the_lead_only_moves_the_response(switch_at: Moment) -> None:
    dry, responses = draw(1, 9, 2, 3000, 400)
    other, others = draw(2, 9, 2, 3000, 400)
    wave = moving(dry, responses, LEAD, switch_at)
    atol = 1e-6 * 400
    summed = wave + 2 * moving(other, responses, LEAD, switch_at)
    np.testing.assert_allclose(moving(dry + 2 * other, responses, LEAD, switch_at), summed, atol=atol)
    summed = wave + 2 * moving(dry, others, LEAD, switch_at)
    np.testing.assert_allclose(moving(dry, responses + 2 * others, LEAD, switch_at), summed, atol=atol)
    moved = np.pad(responses, ((0, 0), (0, 0), (100, 0)))
    np.testing.assert_allclose(moving(dry, moved, LEAD + 100, switch_at), wave, atol=atol)


def test_the_same_input_gives_the_same_bytes_and_stays() -> None:
    dry, responses = draw(3, 5, 2, 2000, 300)
    before = dry.tobytes(), responses.tobytes()
    for switch_at in MOMENTS:
        waves = [moving(dry, responses, LEAD, switch_at).tobytes() for _ in range(2)]
        assert waves[0] == waves[1]
    assert (dry.tobytes(), responses.tobytes()) == before


# --- physics ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [1.5, -3.0, 20.0])
def test_a_moving_tone_is_the_closed_form_of_its_doppler_shift(speed: float) -> None:
    """At 20 m/s and 1 kHz a leaving source is heard at 944.9 Hz, a leaving microphone hears 941.7 Hz."""
    hertz, n_samples = 1000.0, 8000
    time = np.arange(n_samples) / RATE
    mach = speed / SPEED_OF_SOUND
    emitted = (time - 2.0 / SPEED_OF_SOUND) / (1 + mach)  # what arrives now left then, 2 + speed x then away
    by_source = np.sin(2 * np.pi * hertz * emitted) / (2.0 + speed * emitted) / (1 + mach)
    distance = 2.0 + speed * time
    by_mic = np.sin(2 * np.pi * hertz * (time - distance / SPEED_OF_SOUND)) / distance
    inside = slice(400, -700)  # the tone has arrived, and does not end within the sinc
    waves = [moving_sine(speed, hertz, n_samples, switch_at)[inside] for switch_at in MOMENTS]
    for wave, right, wrong in ((waves[0], by_source, by_mic), (waves[1], by_mic, by_source)):
        # the images of 1 kHz at 1 cm; fades that arrive pulled apart by mach leave gaps of mach in mach of the time
        assert mean_power(wave - right[inside]) < (1.2e-5 + mach**2 * abs(mach)) * mean_power(right[inside])
        if speed == 20.0:
            assert mean_power(wave - wrong[inside]) > 0.1 * mean_power(right)


@pytest.mark.parametrize("switch_at", MOMENTS)
@pytest.mark.parametrize(("hertz", "far_db"), [(1000.0, -72), (4000.0, -55)])
def test_a_moving_tone_has_no_clicks(hertz: float, far_db: float, switch_at: Moment) -> None:
    """Beside the tone lie its image at speed / step and the image's weaker overtones; the rest is far below.

    Responses that switch at once would leave -31 and -20 dB there, a raised cosine an image of -39 and -24 dB.
    """
    speed, n_samples = 1.0, 2 * RATE
    frequencies = np.fft.rfftfreq(n_samples - 2000, 1 / RATE)
    window = np.blackman(n_samples - 2000)
    levels = []
    for pace in (speed, 0.0):
        wave = moving_sine(pace, hertz, n_samples, switch_at)
        power = np.abs(np.fft.rfft(window * wave[1000:-1000])) ** 2
        away = np.abs(frequencies - hertz * (1 - pace / SPEED_OF_SOUND))
        bands = [power[away < 20].sum(), power[(away >= 20) & (away < 550)].max(), power[away >= 550].sum()]
        levels.append([10 * np.log10(band / power.max()) for band in bands])
    step = hertz * 0.01 / SPEED_OF_SOUND
    image_db = 40 * np.log10(step / (1 - step))
    moving, still = levels
    assert moving[1] == pytest.approx(image_db, abs=1.5)
    assert moving[2] < far_db
    assert still[2] < -120


def test_a_steady_pressure_passes_every_fade_unchanged() -> None:
    gains = np.ones((37, 1, 1))
    for switch_at in MOMENTS:
        np.testing.assert_allclose(moving(np.ones(1000), gains, 0, switch_at), 1, atol=1e-6)
    ramp = moving(np.ones(1000), np.linspace(0, 1, 5)[:, None, None])[0]
    np.testing.assert_allclose(ramp, np.arange(1000) / 1000, atol=1e-6)


# --- paths --------------------------------------------------------------------------------------------------


def test_waypoints_are_reached_at_equal_times() -> None:
    path = np.array([[0.0, 0, 1], [1, 0, 1], [1, 3, 1]])
    expected = [[0.0, 0, 1], [0.5, 0, 1], [1.0, 0, 1], [1.0, 1.5, 1], [1.0, 3, 1]]
    np.testing.assert_allclose(sample_path(path, 5), expected, atol=1e-15)
    np.testing.assert_array_equal(sample_path(path, 1), path[:1])
    np.testing.assert_array_equal(sample_path(path[:1], 3), path[[0, 0, 0]])
    np.testing.assert_allclose(sample_path(np.array([350.0, 370.0]), 3), [350, 360, 370])


def test_points_are_as_many_as_the_step_needs() -> None:
    line, still = np.array([[1.0, 1, 1], [2, 1, 1]]), np.array([[1.0, 1, 1]])
    assert n_points_for(line, np.zeros(1), 0.1) == 101
    assert n_points_for(still, np.zeros(1), 0.1) == 1
    assert n_points_for(still[[0, 0]], np.array([5.0, 5.0]), 0.1) == 1
    assert n_points_for(still, np.array([0.0, 90.0]), 0.1) == 1 + 16  # pi/20 m
    assert n_points_for(line, np.array([0.0, 90.0]), 0.1) == 1 + 116
    assert n_points_for(line[[0, 0, 1]], np.zeros(1), 0.1) == 201  # the whole way in half of the time


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 4))
def test_no_way_of_the_sound_changes_by_more_than_the_step(seed: int, n_waypoints: int, n_yaws: int) -> None:
    """Of the direct sound and of the images behind the walls, at a microphone on the rim of the array."""
    rng = np.random.default_rng(seed)
    path, yaws, radius = rng.uniform(0.1, ROOM - 0.1, (n_waypoints, 3)), rng.uniform(-90, 90, n_yaws), 0.15
    n_points = n_points_for(path, yaws, radius)
    source, angle = sample_path(path, n_points), np.deg2rad(sample_path(yaws, n_points))
    rim = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    mic = ROOM / 2 + radius * rim
    for mirror in ([1, 1, 1], [-1, 1, 1], [1, -1, -1]):
        for shift in (0.0, 2.0):
            way = np.linalg.norm(source * mirror + shift * ROOM - mic, axis=1)
            assert np.abs(np.diff(way)).max(initial=0.0) <= STEP * (1 + 1e-6)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1.2))
def test_a_walk_stays_in_the_room(seed: int, speed: float) -> None:
    start = np.array([3.0, 2.0, 1.6])
    path = draw_walk(start, ROOM, 0.5, speed, 1.5, np.random.default_rng(seed))
    assert path is not None
    assert path.shape == (N_WAYPOINTS, 3)
    np.testing.assert_array_equal(path[0], start)
    np.testing.assert_array_equal(path[:, 2], 1.6)
    assert (path[:, :2] >= 0.5).all()
    assert (path[:, :2] <= ROOM[:2] - 0.5).all()
    strides = np.diff(path, axis=0)
    np.testing.assert_allclose(np.linalg.norm(strides, axis=1), speed * 1.5 / (N_WAYPOINTS - 1), atol=1e-12)
    if speed > 0.01:
        turns = np.diff(np.unwrap(np.arctan2(strides[:, 1], strides[:, 0])))
        np.testing.assert_allclose(turns, turns[0], atol=1e-6)
        assert abs(turns.sum()) <= np.pi / 2 + 1e-6
    np.testing.assert_array_equal(path, draw_walk(start, ROOM, 0.5, speed, 1.5, np.random.default_rng(seed)))


def test_walks_go_everywhere() -> None:
    rng, start = np.random.default_rng(0), np.array([3.0, 2.0, 1.6])
    paths = [draw_walk(start, ROOM, 0.5, 1.0, 1.0, rng) for _ in range(200)]
    ends = np.array([path[-1] for path in paths if path is not None])
    assert ends.shape == (200, 3)
    np.testing.assert_allclose(np.mean(ends > start, axis=0)[:2], 0.5, atol=0.15)


# --- what cannot be done ------------------------------------------------------------------------------------


def test_walks_without_a_place() -> None:
    rng, start = np.random.default_rng(0), np.array([3.0, 2.0, 1.6])
    assert draw_walk(start, ROOM, 0.5, 10.0, 4.0, rng) is None
    for speed, seconds in ((-1.0, 1.0), (np.nan, 1.0), (np.inf, 1.0), (1.0, 0.0)):
        with pytest.raises(ValueError, match=f"walk: expected speed >= 0 and seconds > 0, got {speed} and {seconds}"):
            draw_walk(start, ROOM, 0.5, speed, seconds, rng)


def test_wrong_arguments() -> None:
    dry, responses = draw(4, 3, 2, 100, 50)
    with pytest.raises(ValueError, match="switch_at: expected emission or reception, got arrival"):
        convolve_moving(dry, [responses], 3, 0, "arrival")  # type: ignore[arg-type]
    for wrong in (responses[0], responses[:0]):
        with pytest.raises(ValueError, match=r"^blocks: expected responses of shape \(n, n_mics, n_taps\), got"):
            convolve_moving(dry, [wrong], 3)
    with pytest.raises(ValueError, match=r"dry: expected shape \(n_samples,\), got \(1, 100\)"):
        convolve_moving(dry[None], [responses], 3)
    with pytest.raises(ValueError, match="lead: expected an index into 50 taps, got 50"):
        convolve_moving(dry, [responses], 3, 50)
    with pytest.raises(ValueError, match="path: expected at least one waypoint, got none"):
        sample_path(np.zeros((0, 3)), 4)
    with pytest.raises(ValueError, match="n_points: expected at least 1, got 0"):
        sample_path(np.zeros((2, 3)), 0)


@pytest.mark.parametrize("switch_at", MOMENTS)
def test_blocks_of_another_number_of_points_or_shape(switch_at: Moment) -> None:
    dry, responses = draw(4, 3, 2, 100, 50)
    for blocks, done in (([responses], 3), ([], 0), ([responses[:2], responses[2:]], 3)):
        with pytest.raises(ValueError, match=f"^blocks: expected 4 points, got {done}$"):
            convolve_moving(dry, blocks, 4, LEAD, switch_at)
    for second in (responses[:2], responses[2:, :1], responses[2:, :, :-1]):
        got = ", ".join(map(str, second.shape))
        with pytest.raises(ValueError, match=rf"^blocks: expected 3 points of one shape, got \({got}\) after 2$"):
            convolve_moving(dry, [responses[:2], second], 3, LEAD, switch_at)
