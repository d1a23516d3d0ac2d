"""Rooms with bodies against the exact sum over images: image sources engine, and a slow loop with exact directions."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from arrayse.geometry import SPEED_OF_SOUND, circular
from simulate.bodies import Body, FreeField, RigidSphere
from simulate.compiled.rings import ring_directions
from simulate.ism import LEAD, direct_responses, image_responses
from simulate.scattering import body_direct, body_responses

RATE = 16000
ROOM = np.array([5.0, 4.0, 3.0])
WALLS = np.array([0.8, 0.82, 0.78, 0.85, 0.7, 0.8])
CENTRE = np.array([2.2, 1.7, 1.4])
SOURCES = np.array([[3.5, 2.6, 1.6], [1.0, 3.0, 1.8], [2.2, 1.7, 2.6]])  # the last is right above
RING = circular(5, 0.05).positions
HEAD = RigidSphere(0.0875, circular(3, 0.0875).positions)


def difference_db(got: np.ndarray, expected: np.ndarray, lowest: float = 50, highest: float = 7000) -> float:
    """Energy of the difference over that of what was expected, in a band."""
    n_fft = 2 * got.shape[-1]
    hertz = np.fft.rfftfreq(n_fft, 1 / RATE)
    kept = (hertz >= lowest) & (hertz <= highest)
    spectra = (np.abs(np.fft.rfft(wave, n_fft)[..., kept]) ** 2 for wave in (got - expected, expected))
    error, power = (spectrum.sum() for spectrum in spectra)
    return float(10 * np.log10(error / power))


def turned(positions: np.ndarray, yaw_deg: float) -> np.ndarray:
    yaw = np.deg2rad(yaw_deg)
    return positions @ np.array([[np.cos(yaw), np.sin(yaw), 0], [-np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])


def slow_sum(source: np.ndarray, body: Body, yaw_deg: float, n_taps: int) -> np.ndarray:
    """Spectrum of all images through the body, each from its exact direction, up to 7000 Hz: (n_mics, n_freqs)."""
    hertz = np.fft.rfftfreq(2 * (LEAD + n_taps), 1 / RATE)
    hertz = hertz[hertz <= 7000]
    total = np.zeros((body.n_mics, len(hertz)), dtype=complex)
    reach = n_taps * SPEED_OF_SOUND / RATE
    counts = [range(-int(reach / (2 * side)) - 1, int(reach / (2 * side)) + 2) for side in ROOM]
    for number in itertools.product(*counts):
        for flip in itertools.product((0, 1), repeat=3):
            n, q = np.array(number), np.array(flip)
            away = (1 - 2 * q) * source + 2 * n * ROOM - CENTRE
            distance = float(np.linalg.norm(away))
            if distance > reach:
                continue
            gain = np.prod(WALLS[::2] ** np.abs(n - q) * WALLS[1::2] ** np.abs(n)) / distance
            delay = np.exp(-2j * np.pi * hertz * (LEAD / RATE + distance / SPEED_OF_SOUND))
            towards = turned(away[None] / distance, -yaw_deg)
            total += gain * delay * body.transfer(towards, hertz)[0]
    return total


# --- against the image sources engine -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def ring() -> tuple[np.ndarray, np.ndarray]:
    """Responses of a ring without a body: this road and the exact one."""
    got = body_responses(ROOM, WALLS, SOURCES, CENTRE, 30, FreeField(RING), RATE, 3200)
    return got, image_responses(ROOM, WALLS, SOURCES, CENTRE + turned(RING, 30), RATE, 3200)


def test_one_microphone_at_the_centre_hears_the_exact_images() -> None:
    origin = FreeField(np.zeros((1, 3)))
    exact = image_responses(ROOM, WALLS, SOURCES, CENTRE[None], RATE, 2000)
    few = body_responses(ROOM, WALLS, SOURCES, CENTRE, 0, origin, RATE, 2000, n_directions=50)
    assert few.shape == exact.shape
    assert few.dtype == np.float32
    assert difference_db(few, exact) < -71  # no direction matters there, so few must do
    direct = body_direct(SOURCES, CENTRE, 0, origin, RATE, 2000)
    assert difference_db(direct, direct_responses(SOURCES, CENTRE[None], RATE, 2000), 0, 8000) < -75


def test_a_ring_hears_the_room_but_for_the_bend_of_near_waves(ring: tuple[np.ndarray, np.ndarray]) -> None:
    got, exact = ring
    assert difference_db(got, exact) < -27
    assert difference_db(got[..., 800:], exact[..., 800:]) < -45  # waves from far away are plane


def test_the_energy_decays_as_in_the_room(ring: tuple[np.ndarray, np.ndarray]) -> None:
    decays = [np.cumsum((wave**2).mean(axis=1)[:, ::-1], axis=1)[:, ::-1] for wave in ring]
    assert np.abs(10 * np.log10(decays[0] / decays[1]))[:, :2500].max() < 0.1


def test_the_direct_path_of_a_far_source_is_exact() -> None:
    source, centre = np.array([[4.9, 3.9, 1.6]]), np.array([0.2, 0.2, 1.4])
    positions = circular(4, 0.005).positions
    direct = body_direct(source, centre, 70, FreeField(positions), RATE, 600)
    assert difference_db(direct, direct_responses(source, centre + turned(positions, 70), RATE, 600)) < -45


def test_walls_may_differ_by_band() -> None:
    origin, bands = FreeField(np.zeros((1, 3))), np.array([250.0, 2000.0])
    walls = np.stack([WALLS, 0.5 * WALLS])
    got = body_responses(ROOM, walls, SOURCES, CENTRE, 0, origin, RATE, 1000, n_directions=50, bands=bands)
    exact = image_responses(ROOM, walls, SOURCES, CENTRE[None], RATE, 1000, bands=bands)
    assert difference_db(got, exact) < -50
    same = body_responses(ROOM, np.stack([WALLS, WALLS]), SOURCES, CENTRE, 0, HEAD, RATE, 500, bands=bands)
    plain = body_responses(ROOM, WALLS[None], SOURCES, CENTRE, 0, HEAD, RATE, 500)
    np.testing.assert_allclose(same, plain, atol=1e-5)


# --- with a body --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", range(3))
def test_every_image_meets_the_head_from_its_own_direction(source: int) -> None:
    n_taps, yaw_deg = 700, 50.0
    got = body_responses(ROOM, WALLS, SOURCES[source, None], CENTRE, yaw_deg, HEAD, RATE, n_taps)[0]
    expected = slow_sum(SOURCES[source], HEAD, yaw_deg, n_taps)
    spectrum = np.fft.rfft(got, 2 * got.shape[-1])[:, : expected.shape[1]]
    edge = np.abs(spectrum - expected) ** 2
    # the window ends amid the last arrivals, which the sum over images holds whole
    assert 10 * np.log10(edge.sum() / (np.abs(expected) ** 2).sum()) < -33
    direct = body_direct(SOURCES[source, None], CENTRE, yaw_deg, HEAD, RATE, n_taps)[0]
    assert np.abs(got - direct)[:, : LEAD + 50].max() < 1e-3


def test_more_directions_are_better() -> None:
    fine = body_responses(ROOM, WALLS, SOURCES, CENTRE, 0, HEAD, RATE, 1000, n_directions=6000)
    errors = [
        difference_db(body_responses(ROOM, WALLS, SOURCES, CENTRE, 0, HEAD, RATE, 1000, n), fine)
        for n in (250, 1000, 2000)
    ]
    assert errors[0] < -20
    assert errors[1] < -40
    assert errors[2] < errors[1] - 8


def test_turning_the_body_is_turning_its_microphones() -> None:
    straight = RigidSphere(0.08, turned(circular(3, 0.09).positions, 40))
    body = RigidSphere(0.08, circular(3, 0.09).positions)
    expected = body_responses(ROOM, WALLS, SOURCES, CENTRE, 0, straight, RATE, 800, n_directions=2000)
    got = body_responses(ROOM, WALLS, SOURCES, CENTRE, 40, body, RATE, 800, n_directions=2000)
    assert difference_db(got, expected) < -55
    moved = body_direct(SOURCES, CENTRE, 40, body, RATE, 800)
    np.testing.assert_allclose(moved, body_direct(SOURCES, CENTRE, 0, straight, RATE, 800), atol=1e-5)


def test_a_body_that_turns_has_a_yaw_for_each_place_of_the_source() -> None:
    yaws = np.array([0.0, 70.0, -20.0])
    for respond in (
        lambda sources, yaw: body_responses(ROOM, WALLS, sources, CENTRE, yaw, HEAD, RATE, 300),
        lambda sources, yaw: body_direct(sources, CENTRE, yaw, HEAD, RATE, 300),
    ):
        together = respond(SOURCES, yaws)
        alone = [respond(source[None], float(yaw))[0] for source, yaw in zip(SOURCES, yaws, strict=True)]
        np.testing.assert_allclose(together, alone, atol=1e-6)


def test_walls_that_swallow_everything_leave_the_direct_path() -> None:
    got = body_responses(ROOM, np.zeros(6), SOURCES, CENTRE, 15, HEAD, RATE, 600)
    np.testing.assert_array_equal(got, body_direct(SOURCES, CENTRE, 15, HEAD, RATE, 600))


def test_what_comes_later_does_not_come_round() -> None:
    class Late(FreeField):
        duration = 400 / RATE

        def transfer(self, directions: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
            return super().transfer(directions, frequencies) * np.exp(-2j * np.pi * self.duration * frequencies)

    n_taps = 1024 - 2 * LEAD - 2  # without room for the body a transform of 1024 would do
    got = body_responses(ROOM, WALLS, SOURCES, CENTRE, 0, Late(RING), RATE, n_taps)
    on_time = body_responses(ROOM, WALLS, SOURCES, CENTRE, 0, FreeField(RING), RATE, n_taps)
    assert np.abs(got[..., :400]).max() < 1e-5
    np.testing.assert_allclose(got[..., 400:], on_time[..., :-400], atol=2e-5)


def test_nothing_is_heard_before_the_direct_path_or_within_too_few_taps() -> None:
    first = int(np.linalg.norm(SOURCES - CENTRE, axis=1).min() / SPEED_OF_SOUND * RATE)
    got = body_responses(ROOM, WALLS, SOURCES, CENTRE, 0, HEAD, RATE, 600)
    assert np.abs(got[..., : first - 20]).max() < 1e-4 * np.abs(got).max()
    assert not body_responses(ROOM, WALLS, SOURCES, CENTRE, 0, HEAD, RATE, first - 1).any()


def test_a_measured_body_of_one_click_is_a_microphone_at_the_origin(tmp_path: Path) -> None:
    from simulate.sofa import SofaBody
    from tests.test_sofa import write_sofa

    path = write_sofa(tmp_path / "click.sofa", np.eye(32)[10].reshape(1, 1, 32), [[0.0, 0.0, 1.0]])
    got = body_responses(ROOM, WALLS, SOURCES, CENTRE, 0, SofaBody(path), RATE, 500)
    origin = body_responses(ROOM, WALLS, SOURCES, CENTRE, 0, FreeField(np.zeros((1, 3))), RATE, 500)
    np.testing.assert_allclose(got, origin, atol=1e-5)


# --- directions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rings", [18, 28, 40])
def test_rings_cover_the_sphere_evenly(n_rings: int) -> None:
    directions = np.concatenate([ring_directions(ring, n_rings) for ring in range(n_rings)])
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    assert len(directions) == pytest.approx(4 * n_rings**2 / np.pi, rel=0.05)
    anywhere = np.random.default_rng(0).standard_normal((2000, 3))
    anywhere /= np.linalg.norm(anywhere, axis=1, keepdims=True)
    gap = np.arccos(np.minimum((anywhere @ directions.T).max(axis=1), 1))
    assert gap.max() < 0.75 * np.pi / n_rings


# --- what cannot be -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"reflection": np.full(5, 0.5)}, r"reflection: expected \(1, 6\) numbers from -1 to 1"),
        ({"reflection": np.full(6, 1.5)}, "reflection: expected .* numbers from -1 to 1"),
        ({"reflection": np.full((2, 6), 0.5), "bands": np.array([500.0])}, r"reflection: expected \(1, 6\)"),
        ({"sources": SOURCES + 3}, "sources: expected places inside the room"),
        ({"sources": SOURCES[0]}, r"sources: expected shape \(n, 3\)"),
        ({"sources": CENTRE[None]}, "sources: expected places apart from the body's"),
        ({"centre": -CENTRE}, "centre: expected places inside the room"),
        ({"n_directions": 10}, "n_directions: expected 50 or more, got 10"),
    ],
)
def test_what_cannot_be_is_refused(changed: dict[str, object], message: str) -> None:
    known = {"room_dim": ROOM, "reflection": WALLS, "sources": SOURCES, "centre": CENTRE, "yaw_deg": 0.0}
    with pytest.raises(ValueError, match=message):
        body_responses(**{**known, "body": HEAD, "sample_rate": RATE, "n_taps": 100, **changed})
