"""Who hears what when a body carries the microphones: against the body alone, and against free microphones."""

from __future__ import annotations

import numpy as np
import pytest

from arrayse.geometry import circular
from simulate.bodies import RigidSphere
from simulate.decay import measure_rt60
from simulate.interpolation import LEAD
from simulate.layout import turned
from simulate.recipe import Carrier
from simulate.respond import PlaceResponder, build_body
from simulate.room import Acoustics
from tests.test_respond import CENTRE, DIM, RATE, RING, SOURCES, error_db, responder, way_of


def test_a_carrier_becomes_a_body_at_the_microphones_of_the_array() -> None:
    assert build_body(Carrier(), RING) is None
    body = build_body(Carrier(sphere_radius=0.04), RING)
    assert isinstance(body, RigidSphere)
    directions, hertz = np.eye(3), np.array([500.0, 3000.0])
    expected = RigidSphere(0.04, RING.positions).transfer(directions, hertz)
    np.testing.assert_array_equal(body.transfer(directions, hertz), expected)
    with pytest.raises(ValueError, match=r"positions: expected microphones on or outside the sphere, 90\.0 mm or more"):
        build_body(Carrier(sphere_radius=0.09), RING)


def test_equal_carriers_of_equal_arrays_are_one_body() -> None:
    carrier = Carrier(sphere_radius=0.04)
    body = responder(carrier=carrier).body
    assert body is not None
    assert responder(rt60=0.2, carrier=Carrier(sphere_radius=0.04)).body is body
    assert build_body(carrier, circular(4, 0.05)) is body
    for other in (build_body(Carrier(sphere_radius=0.03), RING), build_body(carrier, circular(4, 0.06))):
        assert other is not body
    assert responder().body is None


def test_a_source_inside_the_sphere_is_named_also_on_its_way() -> None:
    carrier = Carrier(sphere_radius=0.05)
    told = (
        r"^source 1: expected all of its way outside the carrier, a sphere of 0\.05 m, got 0\.0\d\d m from its centre"
    )
    inside = (CENTRE + np.array([0.03, 0.03, 0])).tolist()
    with pytest.raises(ValueError, match=told):
        responder(carrier=carrier, source_positions=[SOURCES[0], inside])
    through = (2 * CENTRE - SOURCES[1] + np.array([0, 0, 0.02])).tolist()
    with pytest.raises(ValueError, match=told):
        responder(carrier=carrier, source_walks=[[], [through]])
    responder(source_walks=[[], [through]])  # free microphones have nothing in the way
    past = (2 * CENTRE - SOURCES[1] + np.array([0, 0, 0.2])).tolist()
    responder(carrier=carrier, source_walks=[[], [past]])


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("far", [False, True])
def test_a_sphere_does_not_touch_a_wall(axis: int, far: bool) -> None:
    def carried(gap: float) -> PlaceResponder:
        centre = CENTRE.copy()
        centre[axis] = DIM[axis] - gap if far else gap
        mics = centre + turned(circular(4, 0.01).positions, 20)
        places = {"array_centre": centre.tolist(), "mic_positions": mics.tolist()}
        return responder(circular(4, 0.01), carrier=Carrier(sphere_radius=0.01), **places)

    carried(0.0101)
    with pytest.raises(
        ValueError, match=r"^carrier: expected a sphere of 0\.01 m clear of all walls of \[3\.6, 3\.2, 2"
    ):
        carried(0.01)


@pytest.mark.parametrize("acoustics", [Acoustics(), Acoustics(walls=[1, 2, 1, 0.5, 1, 1], band_rt60=[[2000, 0.7]])])
def test_a_tiny_sphere_in_a_small_ring_is_no_obstacle(acoustics: Acoustics) -> None:
    """But for the curvature of the waves from near by, which a body does not know."""
    ring = circular(4, 0.01)
    carried = responder(ring, acoustics=acoustics, carrier=Carrier(sphere_radius=1e-3)).at_rest([0, 1])
    free = responder(ring, acoustics=acoustics).at_rest([0, 1])
    assert carried.full.shape == free.full.shape
    assert (carried.rt60, carried.engine, carried.lead) == (free.rt60, free.engine, LEAD)
    assert error_db(carried.full, free.full, 50, 7000) < -35
    assert error_db(carried.direct, free.direct, 50, 7000) < -35


def test_the_direct_sound_meets_the_body_from_its_direction() -> None:
    """Over the sound at the origin without a body it is the body's transfer function, also when the array is turned."""
    body = RigidSphere(0.05, RING.positions)
    for yaw_deg in (0.0, 75.0, -130.0):
        here = responder(yaw_deg=yaw_deg, carrier=Carrier(sphere_radius=0.05))
        at_origin = np.fft.rfft(here.fitted.direct(np.array(SOURCES), CENTRE[None]))
        hertz = np.fft.rfftfreq(here.fitted.n_taps + LEAD, 1 / RATE)
        band = (hertz > 300) & (hertz < 6000)
        ratio = (np.fft.rfft(here.at_rest([0, 1]).direct) / at_origin)[..., band]
        away = np.array(SOURCES) - CENTRE
        azimuth = np.arctan2(away[:, 1], away[:, 0]) - np.deg2rad(yaw_deg)
        level, rise = np.linalg.norm(away[:, :2], axis=1), away[:, 2]
        seen = np.stack([level * np.cos(azimuth), level * np.sin(azimuth), rise], axis=1)
        expected = body.transfer(seen / np.linalg.norm(seen, axis=1, keepdims=True), hertz[band])
        np.testing.assert_allclose(ratio, expected, atol=0.02)
        loudest = np.abs(expected).mean(axis=2).argmax(axis=1)
        assert [np.abs(ratio).mean(axis=2)[source, loudest[source]] > 1.5 for source in (0, 1)] == [True, True]


def test_the_room_around_a_body_has_the_asked_rt60() -> None:
    here = responder(rt60=0.2, carrier=Carrier(sphere_radius=0.05)).at_rest([0, 1])
    assert here.rt60 == pytest.approx(0.2, rel=0.02)
    measured = [measure_rt60(mic, RATE) for source in here.full for mic in source]
    assert np.mean(measured) == pytest.approx(0.2, rel=0.1)


def test_a_body_turns_with_its_array_and_meets_who_walks() -> None:
    carrier, end = Carrier(sphere_radius=0.05), [2.72, 1.7, 1.6]
    here = responder(source_walks=[[end], []], array_turns_deg=[35.0], carrier=carrier)
    way = way_of(here, 0)
    for number, yaw_deg, place in ((0, 20.0, SOURCES[0]), (-1, 35.0, end)):
        still = responder(yaw_deg=yaw_deg, source_positions=[place, SOURCES[1]], carrier=carrier)
        still.fitted = here.fitted
        expected = still.at_rest([0])
        np.testing.assert_allclose(way.full[number], expected.full[0], atol=1e-5)
        np.testing.assert_allclose(way.direct[number], expected.direct[0], atol=1e-5)
