"""Bodies against closed forms: an exact series, the limits of low and high frequencies, delays between the ears."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import eval_legendre, spherical_jn, spherical_yn

from arrayse.frontend.spatial import steering_vector
from arrayse.geometry import SPEED_OF_SOUND, circular, direction, earbuds
from simulate.bodies import Body, FreeField, RigidSphere, isotropic_covariance
from simulate.noise import FIELDS

HEAD = 0.0875
EARS = np.array([[0.0, HEAD, 0.0], [0.0, -HEAD, 0.0]])
FRONT = np.array([[1.0, 0.0, 0.0]])


def around(*angles_deg: float) -> np.ndarray:
    """Directions (n, 3) in the horizontal plane."""
    return np.array([direction(angle) for angle in angles_deg])


def slow_series(radius: float, distance: float, cosine: float, hertz: float) -> complex:
    """Pressure by Rayleigh's series with 40 digits and 90 terms, written with Bessel functions of half order."""
    with mpmath.workdps(40):
        k = 2 * mpmath.pi * mpmath.mpf(hertz) / SPEED_OF_SOUND
        surface, place = k * mpmath.mpf(radius), k * mpmath.mpf(distance)

        def spherical(bessel, n, x):
            return mpmath.sqrt(mpmath.pi / (2 * x)) * bessel(n + mpmath.mpf(0.5), x)

        def pair(n, x):
            first = spherical(mpmath.besselj, n, x)
            return first, mpmath.mpc(first, -spherical(mpmath.bessely, n, x))

        total = mpmath.mpc(0)
        for n in range(90):
            (j, h), (j_next, h_next) = pair(n, surface), pair(n + 1, surface)
            slope = (n / surface * j - j_next) / (n / surface * h - h_next)
            incident, outgoing = pair(n, place)
            total += (2 * n + 1) * mpmath.mpc(0, 1) ** n * (incident - slope * outgoing) * mpmath.legendre(n, cosine)
        return complex(total)


# --- the sphere ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("radius", "distance"), [(HEAD, HEAD), (HEAD, 0.1), (0.05, 0.3), (0.002, 0.2)])
def test_the_sphere_is_the_exact_series(radius: float, distance: float) -> None:
    sphere = RigidSphere(radius, [[distance, 0, 0]])
    hertz = np.array([30.0, 700.0, 8800.0])
    angles = [0.0, 70.0, 180.0]
    pressure = sphere.transfer(around(*angles), hertz)[:, 0]
    cosines = [mpmath.cos(mpmath.radians(angle)) for angle in angles]
    expected = [[slow_series(radius, distance, cosine, f) for f in hertz] for cosine in cosines]
    np.testing.assert_allclose(pressure, expected, atol=3e-6)


def test_the_surface_does_not_move() -> None:
    hertz, step = np.array([500.0, 3000.0]), 1e-4
    sphere = RigidSphere(HEAD, [[HEAD + i * 6 * step, 0, 0] for i in range(3)])
    near = sphere.transfer(around(0, 50, 130, 180), hertz)
    slope = (-3 * near[:, 0] + 4 * near[:, 1] - near[:, 2]) / (12 * step)
    k = 2 * np.pi * hertz / SPEED_OF_SOUND
    assert (np.abs(slope) / k).max() < 0.02  # of a wave without the sphere it would be 1


def test_long_waves_pass_with_the_slope_of_one_and_a_half_ka() -> None:
    hertz = np.array([0.0, 5.0, 20.0])
    ka = 2 * np.pi * hertz / SPEED_OF_SOUND * HEAD
    angles = np.array([0, 60, 90, 180])
    pressure = RigidSphere(HEAD, [[HEAD, 0, 0]]).transfer(around(*angles), hertz)[:, 0]
    expected = 1 + 1.5j * ka * np.cos(np.deg2rad(angles))[:, None]
    assert np.abs(pressure - expected).max() < 1.5 * ka.max() ** 2
    np.testing.assert_allclose(pressure[:, 0], 1, atol=1e-5)


def test_short_waves_double_at_the_front_and_fade_behind() -> None:
    hertz = np.array([20.0, 80.0]) * SPEED_OF_SOUND / (2 * np.pi * HEAD)
    pressure = np.abs(RigidSphere(HEAD, [[HEAD, 0, 0]]).transfer(around(0, 140), hertz)[:, 0])
    assert pressure[0] == pytest.approx([2, 2], rel=0.01)
    assert pressure[1, 1] < 0.2 < pressure[1, 0] < 0.5


@pytest.mark.parametrize("azimuth_deg", [30, 60, 90])
def test_ears_are_apart_by_three_a_over_c_for_long_waves_and_by_woodworth_for_a_click(azimuth_deg: float) -> None:
    rate, n_fft = 192_000, 4096
    hertz = np.fft.rfftfreq(n_fft, 1 / rate)
    sphere, angle = RigidSphere(HEAD, EARS), np.deg2rad(azimuth_deg)
    ears = sphere.transfer(around(azimuth_deg), np.minimum(hertz, 40e3))[0]
    low = np.angle(ears[0, 2] / ears[1, 2]) / (2 * np.pi * hertz[2])
    assert low == pytest.approx(3 * HEAD / SPEED_OF_SOUND * np.sin(angle), rel=0.01)
    click = np.exp(-((hertz / 16e3) ** 2)) * np.exp(-2j * np.pi * hertz * 2e-3) * (hertz < 40e3)
    onset = [np.argmax(np.abs(wave) > 0.15 * np.abs(wave).max()) for wave in np.fft.irfft(ears * click)]
    assert (onset[1] - onset[0]) / rate == pytest.approx(HEAD / SPEED_OF_SOUND * (angle + np.sin(angle)), rel=0.03)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000))
def test_only_the_angle_between_microphone_and_source_matters(seed: int) -> None:
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    place, towards = rng.standard_normal((2, 3))
    place *= rng.uniform(1, 2) * HEAD / np.linalg.norm(place)
    towards /= np.linalg.norm(towards)
    hertz = np.array([200.0, 2000.0, 7000.0])
    straight = RigidSphere(HEAD, [place]).transfer(towards[None], hertz)
    turned = RigidSphere(HEAD, [turn @ place]).transfer((turn @ towards)[None], hertz)
    np.testing.assert_allclose(turned, straight, atol=2e-5)


def test_a_tiny_sphere_is_no_body() -> None:
    positions = circular(5).positions
    hertz, directions = np.linspace(0, 8000, 9), around(0, 33, 200)
    small = RigidSphere(1e-4, positions).transfer(directions, hertz)
    np.testing.assert_allclose(small, FreeField(positions).transfer(directions, hertz), atol=1e-4)


def test_the_sphere_may_lie_beside_the_origin() -> None:
    centre, hertz, directions = np.array([-0.09, 0.01, 0.02]), np.linspace(0, 8000, 9), around(0, 100, 250)
    beside = RigidSphere(0.08, EARS + centre, centre).transfer(directions, hertz)
    about = RigidSphere(0.08, EARS).transfer(directions, hertz)
    moved = FreeField(centre[None]).transfer(directions, hertz)
    np.testing.assert_allclose(beside, about * moved, atol=1e-5)


def test_frequencies_and_microphones_do_not_depend_on_their_neighbours() -> None:
    positions = [*EARS, [0.2, 0, 0.1], [0.05, 0.1, 0]]
    directions = around(0, 77)
    together = RigidSphere(HEAD, positions).transfer(directions, np.array([100.0, 1000.0, 8000.0]))
    for mic, position in enumerate(positions):
        alone = RigidSphere(HEAD, [position]).transfer(directions, np.array([1000.0]))
        np.testing.assert_allclose(alone[:, 0, 0], together[:, mic, 1], atol=3e-6)
    assert together.shape == (2, 4, 3)
    assert together.dtype == np.complex64


def test_the_duration_holds_the_impulse_response() -> None:
    rate, n_fft = 48_000, 4096
    hertz = np.fft.rfftfreq(n_fft, 1 / rate)
    sphere = RigidSphere(HEAD, EARS)
    smooth = np.exp(-((hertz / 6000) ** 2))
    waves = np.fft.irfft(sphere.transfer(around(0, 90, 200), np.minimum(hertz, 20e3)) * smooth)
    held = round(sphere.duration * rate)
    outside = waves[..., held : n_fft - held]
    assert np.abs(outside).max() < 1e-4 * np.abs(waves).max()


# --- isotropic fields ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("hertz", [40.0, 1000.0, 8000.0])
def test_diffuse_covariance_of_the_sphere_is_the_sum_over_orders(hertz: float) -> None:
    """The addition theorem takes the integral over directions: terms R_n(r_1) R_n(r_2)* P_n(cos of the angle)."""
    places = np.array([*EARS, [0.1, 0.02, -0.05], [0.0, -0.05, 0.2]])
    distances = np.linalg.norm(places, axis=1)
    cosines = places @ places.T / np.outer(distances, distances)
    k, order = 2 * np.pi * hertz / SPEED_OF_SOUND, np.arange(60)[:, None]

    def hankel(radius: float | np.ndarray, derivative: bool = False) -> np.ndarray:
        parts = spherical_jn(order, k * radius, derivative), spherical_yn(order, k * radius, derivative)
        return parts[0] - 1j * parts[1]

    with np.errstate(all="ignore"):
        scattered = hankel(distances) * (hankel(HEAD, True).real / hankel(HEAD, True))
    radial = spherical_jn(order, k * distances) - np.where(np.isfinite(scattered), scattered, 0)
    legendre = np.stack([eval_legendre(n, cosines) for n in order[:, 0]])
    expected = np.einsum("n,nm,nk,nmk->mk", 2 * order[:, 0] + 1, radial, radial.conj(), legendre)
    got = isotropic_covariance(RigidSphere(HEAD, places), np.array([hertz]))[0]
    np.testing.assert_allclose(got, expected, atol=1e-6)
    turned = isotropic_covariance(RigidSphere(HEAD, places), np.array([hertz]), "cylindrical")[0]
    assert hertz != 1000 or np.abs(turned.imag).max() > 0.02  # only waves from everywhere leave it real


@pytest.mark.parametrize("field", FIELDS)
def test_diffuse_covariance_does_not_depend_on_the_directions_it_is_summed_over(field: str) -> None:
    """Random ones, also for a sphere beside the origin."""
    rng, hertz = np.random.default_rng(1), np.array([0.0, 300.0, 2000.0, 6000.0])
    sphere = RigidSphere(HEAD, 1.15 * EARS + [0.01, 0.02, 0.03], (0.01, 0.01, 0.03))
    towards = rng.standard_normal((20_000, 3)) * ([1, 1, 0] if field == "cylindrical" else [1, 1, 1])
    waves = sphere.transfer(towards / np.linalg.norm(towards, axis=1, keepdims=True), hertz)
    expected = np.einsum("umf,unf->fmn", waves, waves.conj()) / len(waves)
    np.testing.assert_allclose(isotropic_covariance(sphere, hertz, field), expected, atol=0.05)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("positions", [earbuds().positions, circular(8, 0.3).positions + 0.1, np.zeros((1, 3))])
def test_diffuse_covariance_without_a_body_is_the_coherence_of_the_field(positions: np.ndarray, field: str) -> None:
    hertz = np.linspace(0, 8000, 9)
    got = isotropic_covariance(FreeField(positions), hertz, field)
    np.testing.assert_allclose(got, FIELDS[field](positions, hertz), atol=1e-4)


def test_ears_of_a_sphere_hear_less_of_the_same_than_in_free_air() -> None:
    """Coherence from ear to ear by the closed form; sinc(k d) would be 0.70, 0.00 and -0.02 at these frequencies."""
    covariance = isotropic_covariance(RigidSphere(HEAD, earbuds().positions), np.array([250.0, 500.0, 1000.0, 8000.0]))
    power = covariance[:, 0, 0].real
    np.testing.assert_allclose(covariance[:, 0, 2].real / power, [0.76, 0.19, -0.12, 0], atol=0.02)
    assert 10 * np.log10(power[3]) == pytest.approx(2.8, abs=0.1)  # 3 dB: twice the pressure on one side of two


def test_equal_bodies_are_one() -> None:
    bodies = [
        lambda: RigidSphere(HEAD, EARS),
        lambda: RigidSphere(HEAD, EARS[::-1]),
        lambda: RigidSphere(0.08, EARS),
        lambda: RigidSphere(0.08, EARS, (0.0, 0.001, 0.0)),
        lambda: FreeField(EARS),
        lambda: FreeField(2 * EARS),
    ]
    assert len({make() for make in bodies for _ in range(2)}) == len(bodies)
    assert RigidSphere(HEAD, EARS) != EARS.tolist()


def test_a_field_has_a_name() -> None:
    body: Body = FreeField(EARS)
    with pytest.raises(ValueError, match="field: expected spherical or cylindrical, got conical"):
        isotropic_covariance(body, np.array([100.0]), "conical")


# --- no body ------------------------------------------------------------------------------------------------


def test_the_free_field_is_the_steering_vector() -> None:
    import torch

    geometry, hertz = earbuds(), np.linspace(0, 8000, 17)
    told = steering_vector(geometry, 40.0, 0.0, torch.from_numpy(hertz)).numpy().T
    got = FreeField(geometry.positions).transfer(around(40), hertz)[0]
    np.testing.assert_allclose(got / got[geometry.ref_mic], told, atol=1e-5)


def test_a_nearer_microphone_hears_earlier() -> None:
    rate, ahead = 16000, 5 * SPEED_OF_SOUND / 16000
    nearer = FreeField([[ahead, 0, 0]]).transfer(FRONT, np.fft.rfftfreq(64, 1 / rate))[0, 0]
    assert np.argmax(np.fft.irfft(nearer)) == 64 - 5


# --- what cannot be -----------------------------------------------------------------------------------------


def test_microphones_inside_are_refused_by_number() -> None:
    with pytest.raises(ValueError, match=r"positions: expected .* outside the sphere, 87\.5 mm .* got 1 at 80\.0 mm"):
        RigidSphere(HEAD, [[HEAD, 0, 0], [0.08, 0, 0]])
    assert RigidSphere(HEAD, [[HEAD - 1e-9, 0, 0]]).n_mics == 1


@pytest.mark.parametrize("radius", [0.0, -0.1, float("nan"), float("inf")])
def test_a_sphere_needs_a_radius(radius: float) -> None:
    with pytest.raises(ValueError, match="radius: expected metres above 0, got"):
        RigidSphere(radius, EARS)


def test_a_centre_is_three_numbers() -> None:
    with pytest.raises(ValueError, match="centre: expected 3 numbers"):
        RigidSphere(HEAD, EARS, (0.0, 0.0))


@pytest.mark.parametrize("body", [FreeField(EARS), RigidSphere(HEAD, EARS)])
def test_waves_come_from_unit_directions_at_real_frequencies(body: FreeField | RigidSphere) -> None:
    hertz = np.array([100.0])
    for directions, message in ((FRONT.T, "shape"), (2 * FRONT, "lengths of 2 to 2"), (np.nan * FRONT, "unit vectors")):
        with pytest.raises(ValueError, match=f"directions: expected .*{message}"):
            body.transfer(directions, hertz)
    for wrong in (np.array([-1.0]), np.array([np.nan]), np.array([[100.0]])):
        with pytest.raises(ValueError, match="frequencies: expected a row of Hz"):
            body.transfer(FRONT, wrong)
