"""Closed forms and second roads for steering vectors, the diffuse field and the fixed beamformers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from arrayse.frontend.spatial import (
    apply_weights,
    beampattern,
    delay_and_sum,
    diffuse_coherence,
    directivity_factor,
    steering_vector,
    superdirective,
    white_noise_gain,
)
from arrayse.geometry import PRESETS, SPEED_OF_SOUND, ArrayGeometry, circular, direction, earbuds, linear

FREQUENCIES = torch.tensor([125.0, 500, 1000, 3000, 7900], dtype=torch.float64)
ARRAYS = [*(preset() for preset in PRESETS.values()), linear(1)]
LOADINGS = [0.0, 1e-3, 1.0]
ANGLES = st.tuples(st.floats(-180, 180), st.floats(-90, 90))


def sphere() -> tuple[Tensor, Tensor, Tensor]:
    """Azimuths, elevations in degrees and weights that sum to 1: integrates over all directions."""
    height, weight = np.polynomial.legendre.leggauss(48)
    azimuth_deg = torch.arange(0, 360, 360 / 64, dtype=torch.float64).repeat(48)
    elevation_deg = torch.from_numpy(np.rad2deg(np.arcsin(height))).repeat_interleave(64)
    return azimuth_deg, elevation_deg, torch.from_numpy(weight / (2 * 64)).repeat_interleave(64)


@st.composite
def arrays(draw: st.DrawFn) -> ArrayGeometry:
    n_mics = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    grid = rng.permutation(27)[:n_mics]  # distinct corners of a 3 x 3 x 3 lattice, 2 cm apart, shaken
    points = np.stack(np.unravel_index(grid, (3, 3, 3)), axis=1) * 0.02
    return ArrayGeometry(points + rng.uniform(-5e-3, 5e-3, (n_mics, 3)), ref_mic=int(rng.integers(n_mics)))


# --- steering vectors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("azimuth_deg", "elevation_deg"), [(0, 0), (70, 0), (-140, 30), (10, -80)])
def test_steering_is_what_a_recording_of_a_distant_pulse_shows(azimuth_deg: float, elevation_deg: float) -> None:
    positions = [[0.03, 0, 0], [-0.04, 0.05, 0.01], [0, -0.06, -0.02], [0.02, 0.02, 0.07]]
    geometry = ArrayGeometry(np.array(positions), ref_mic=2)
    sample_rate, n_samples = 48000, 512
    source = 1e5 * direction(azimuth_deg, elevation_deg)
    distance = np.linalg.norm(source - geometry.positions, axis=1)
    arrival = (distance - 1e5) / SPEED_OF_SOUND + 256 / sample_rate  # s
    time = np.arange(n_samples) / sample_rate
    recording = np.exp(-(((time - arrival[:, None]) * 12000) ** 2))  # one pulse per microphone
    spectrum = np.fft.rfft(recording)[:, 1:100]
    frequencies = torch.from_numpy(np.fft.rfftfreq(n_samples, 1 / sample_rate)[1:100])

    steering = steering_vector(geometry, azimuth_deg, elevation_deg, frequencies)

    assert recording.argmax(axis=1).argmin() == distance.argmin()  # the nearer microphone leads
    np.testing.assert_allclose(steering.numpy(), (spectrum / spectrum[2]).T, atol=1e-4)


def test_the_nearer_microphone_has_the_larger_phase() -> None:
    front_and_rear = ArrayGeometry(np.array([[0.0, 0, 0], [0.01, 0, 0]]))
    phase = steering_vector(front_and_rear, 0.0, 0.0, torch.tensor([1000.0])).angle()
    assert phase[0, 0] == 0
    assert float(phase[0, 1]) == pytest.approx(2 * np.pi * 1000 * 0.01 / SPEED_OF_SOUND, rel=1e-12)


def test_directions_broadcast_and_agree_with_one_at_a_time() -> None:
    azimuth, elevation = torch.tensor([[0.0], [33.0], [-120.0]]), torch.tensor([-10.0, 45.0])
    together = steering_vector(circular(4), azimuth, elevation, FREQUENCIES)
    assert together.shape == (3, 2, len(FREQUENCIES), 4)
    assert together.dtype == torch.complex128
    for row, column in np.ndindex(3, 2):
        alone = steering_vector(circular(4), float(azimuth[row]), float(elevation[column]), FREQUENCIES)
        torch.testing.assert_close(together[row, column], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("bad", [[-1.0], [float("nan")], [float("inf")], [[100.0]]])
def test_bad_frequencies_are_named(bad: list[float]) -> None:
    for call in (
        lambda: steering_vector(circular(), 0.0, 0.0, torch.tensor(bad)),
        lambda: diffuse_coherence(circular(), torch.tensor(bad)),
    ):
        with pytest.raises(ValueError, match=r"frequencies_hz: expected .* got"):
            call()


# --- the diffuse field --------------------------------------------------------------------------------------


@pytest.mark.parametrize("geometry", ARRAYS, ids=lambda geometry: geometry.name)
def test_coherence_is_the_mean_over_plane_waves_from_everywhere(geometry: ArrayGeometry) -> None:
    azimuth_deg, elevation_deg, weight = sphere()
    steering = steering_vector(geometry, azimuth_deg, elevation_deg, FREQUENCIES)  # d f m
    field = torch.einsum("d,dfm,dfn->fmn", weight.to(steering), steering, steering.conj())
    torch.testing.assert_close(diffuse_coherence(geometry, FREQUENCIES).to(field), field, atol=1e-9, rtol=0)


def test_coherence_is_the_sinc_and_fades_to_the_identity_with_distance() -> None:
    def at(spacing: float, frequency: float) -> Tensor:
        return diffuse_coherence(linear(2, spacing), torch.tensor([frequency], dtype=torch.float64))[0]

    angle = 2 * np.pi * 700 * 0.1 / SPEED_OF_SOUND
    assert float(at(0.1, 700)[0, 1]) == pytest.approx(np.sin(angle) / angle, rel=1e-12)
    first_zero = SPEED_OF_SOUND / (2 * 0.1)
    assert float(at(0.1, first_zero)[0, 1]) == pytest.approx(0, abs=1e-15)
    assert torch.equal(at(0.1, 0), torch.ones(2, 2, dtype=torch.float64))
    for spacing in (0.1, 0.5, 2.0):
        bound = SPEED_OF_SOUND / (2 * np.pi * 7900 * spacing)
        assert (at(spacing, 7900) - torch.eye(2)).abs().max() <= bound


# --- beamformers --------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(arrays(), ANGLES, st.sampled_from(LOADINGS))
def test_both_beamformers_are_distortionless(
    geometry: ArrayGeometry, angles: tuple[float, float], loading: float
) -> None:
    steering = steering_vector(geometry, *angles, FREQUENCIES)
    coherence = diffuse_coherence(geometry, FREQUENCIES)
    for weights in (delay_and_sum(steering), superdirective(steering, coherence, loading)):
        response = (weights.conj() * steering).sum(-1)
        torch.testing.assert_close(response, torch.ones_like(response), atol=1e-6, rtol=0)


@settings(deadline=None, max_examples=50)
@given(arrays(), ANGLES, st.sampled_from(LOADINGS))
def test_superdirective_trades_white_noise_gain_for_directivity(
    geometry: ArrayGeometry, angles: tuple[float, float], loading: float
) -> None:
    steering = steering_vector(geometry, *angles, FREQUENCIES)
    coherence = diffuse_coherence(geometry, FREQUENCIES)
    simple, sharp = delay_and_sum(steering), superdirective(steering, coherence, loading)
    gain = white_noise_gain(simple * (2 - 1j), steering)  # any scale
    torch.testing.assert_close(gain, torch.full_like(gain, geometry.n_mics))
    assert (white_noise_gain(sharp, steering) <= gain * (1 + 1e-9)).all()
    better = directivity_factor(sharp, steering, coherence)
    assert (better >= directivity_factor(simple, steering, coherence) * (1 - 1e-6)).all()


def test_no_other_distortionless_beamformer_lets_less_noise_through() -> None:
    generator = torch.Generator().manual_seed(0)
    steering = steering_vector(circular(), 25.0, 10.0, FREQUENCIES)
    loaded = diffuse_coherence(circular(), FREQUENCIES) + 0.01 * torch.eye(5)
    best = superdirective(steering, loaded - 0.01 * torch.eye(5), 0.01)

    def noise(weights: Tensor) -> Tensor:
        return torch.einsum("fm,fmn,fn->f", weights.conj(), loaded.to(weights), weights).real

    for _ in range(50):
        step = 0.01 * torch.randn(best.shape, dtype=best.dtype, generator=generator)
        along = (steering.conj() * step).sum(-1, keepdim=True) / 5
        assert (noise(best + step - along * steering) > noise(best)).all()


@pytest.mark.parametrize("n_mics", [2, 3, 4])
def test_endfire_directivity_reaches_the_square_of_the_number_of_microphones(n_mics: int) -> None:
    geometry, frequency = linear(n_mics, 0.01), torch.tensor([250.0], dtype=torch.float64)
    coherence = diffuse_coherence(geometry, frequency)
    factors = {}
    for azimuth_deg in (90.0, 0.0):
        steering = steering_vector(geometry, azimuth_deg, 0.0, frequency)
        weights = superdirective(steering, coherence, 0.0)
        factors[azimuth_deg] = float(directivity_factor(weights, steering, coherence))
    assert factors[90.0] == pytest.approx(n_mics**2, rel=5e-3)
    assert factors[0.0] < n_mics


def test_much_loading_gives_delay_and_sum_and_little_gives_more_directivity() -> None:
    steering = steering_vector(earbuds(), 0.0, 0.0, FREQUENCIES)
    coherence = diffuse_coherence(earbuds(), FREQUENCIES)
    loaded = superdirective(steering, coherence, 1e9)
    torch.testing.assert_close(loaded, delay_and_sum(steering), atol=1e-6, rtol=0)
    factors = [
        directivity_factor(superdirective(steering, coherence, loading), steering, coherence)
        for loading in (1e-4, 1e-2, 1.0, 100.0)
    ]
    for less, more in zip(factors[1:], factors[:-1], strict=True):
        assert (more > less).all()


def test_directivity_factor_is_look_direction_power_over_the_mean_of_the_beampattern() -> None:
    azimuth_deg, elevation_deg, weight = sphere()
    steering = steering_vector(circular(), 40.0, 0.0, FREQUENCIES)
    weights = delay_and_sum(steering) * (1 + 2j)  # any scale
    everywhere = beampattern(weights, steering_vector(circular(), azimuth_deg, elevation_deg, FREQUENCIES))
    look = beampattern(weights, steering[None])[0]
    expected = look / (weight[:, None] * everywhere).sum(0)
    factor = directivity_factor(weights, steering, diffuse_coherence(circular(), FREQUENCIES))
    torch.testing.assert_close(factor, expected, rtol=1e-8, atol=0)


def test_what_cannot_be_solved_or_does_not_fit_is_named() -> None:
    with_zero = torch.tensor([0.0, 1000.0])
    steering = steering_vector(linear(2), 0.0, 0.0, with_zero)
    coherence = diffuse_coherence(linear(2), with_zero)
    with pytest.raises(ValueError, match=r"loading: expected more than 0.*singular"):
        superdirective(steering, coherence, 0.0)
    assert torch.isfinite(torch.view_as_real(superdirective(steering, coherence, 1e-6))).all()
    for loading in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="loading: expected a finite number of at least 0"):
            superdirective(steering, coherence, loading)
    with pytest.raises(ValueError, match=r"coherence: expected last axes \(2, 2, 2\)"):
        superdirective(steering, coherence[:1], 0.1)
    with pytest.raises(ValueError, match="steering: expected last axes"):
        white_noise_gain(steering, steering[:, :1])
    with pytest.raises(ValueError, match="steering_grid: expected last axes"):
        beampattern(steering, steering[None, :, :1])


# --- beampattern --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("look_deg", [0.0, 57.0, -130.0])
def test_delay_and_sum_peaks_at_0_db_where_it_looks(look_deg: float) -> None:
    azimuth_deg = torch.arange(-180.0, 180.0)
    weights = delay_and_sum(steering_vector(circular(5, 0.04), look_deg, 0.0, FREQUENCIES))
    response = beampattern(weights, steering_vector(circular(5, 0.04), azimuth_deg, 0.0, FREQUENCIES))
    assert response.shape == (360, len(FREQUENCIES))
    assert azimuth_deg[response.argmax(0)].tolist() == [look_deg] * len(FREQUENCIES)
    torch.testing.assert_close(response.amax(0), torch.ones(len(FREQUENCIES), dtype=torch.float64))


def test_beampattern_takes_many_beamformers_at_once() -> None:
    grid = steering_vector(circular(), torch.arange(0.0, 360.0, 30), 0.0, FREQUENCIES)
    weights = delay_and_sum(grid[:3])
    together = beampattern(weights, grid)
    assert together.shape == (3, 12, len(FREQUENCIES))
    for index in range(3):
        torch.testing.assert_close(together[index], beampattern(weights[index], grid))


def test_a_grating_lobe_stands_where_theory_puts_it_and_only_above_aliasing() -> None:
    line, look_deg = linear(8, 0.07), 20.0
    above = torch.tensor([6000.0], dtype=torch.float64)
    sine = np.sin(np.deg2rad(look_deg)) - SPEED_OF_SOUND / (6000 * 0.07)
    lobe_deg = float(np.rad2deg(np.arcsin(sine)))

    def response(azimuth_deg: Tensor | float, frequency: Tensor) -> Tensor:
        weights = delay_and_sum(steering_vector(line, look_deg, 0.0, frequency))
        azimuths = torch.as_tensor(azimuth_deg, dtype=torch.float64).reshape(-1)
        return beampattern(weights, steering_vector(line, azimuths, 0.0, frequency))[:, 0]

    assert float(response(lobe_deg, above)) == pytest.approx(1, abs=1e-9)
    assert response(torch.tensor([lobe_deg - 5, lobe_deg + 5]), above).max() < 0.6  # a lobe, not a plateau
    below = torch.tensor([0.9 * line.aliasing_hz], dtype=torch.float64)
    azimuth_deg = torch.linspace(-90, 90, 1801, dtype=torch.float64)
    outside = torch.sin(torch.deg2rad(azimuth_deg)) - np.sin(np.deg2rad(look_deg))
    outside = outside.abs() > SPEED_OF_SOUND / (float(below) * 8 * 0.07)  # beyond the first null
    assert response(azimuth_deg[outside], below).max() < 0.06


# --- weights on spectra -------------------------------------------------------------------------------------


def test_output_is_w_hermitian_x() -> None:
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(2, 3, 4, dtype=torch.complex128, generator=generator)  # batch freq mic
    spec = torch.randn(2, 4, 3, 5, dtype=torch.complex128, generator=generator)  # batch mic freq frame
    shared, per_item = apply_weights(weights[0], spec), apply_weights(weights, spec)
    assert per_item.shape == (2, 3, 5)
    for item, freq, frame in np.ndindex(2, 3, 5):
        heard = spec[item, :, freq, frame]
        torch.testing.assert_close(per_item[item, freq, frame], torch.vdot(weights[item, freq], heard))
        torch.testing.assert_close(shared[item, freq, frame], torch.vdot(weights[0, freq], heard))


@pytest.mark.parametrize("loading", [None, 0.01])
def test_a_plane_wave_comes_out_as_the_reference_microphone_heard_it(loading: float | None) -> None:
    geometry = ArrayGeometry(circular().positions, ref_mic=3)
    steering = steering_vector(geometry, 75.0, 20.0, FREQUENCIES)
    generator = torch.Generator().manual_seed(2)
    at_reference = torch.randn(1, len(FREQUENCIES), 6, dtype=torch.complex64, generator=generator)
    spec = at_reference[:, None] * steering.T[None, :, :, None].to(torch.complex64)
    weights = delay_and_sum(steering)
    if loading is not None:
        weights = superdirective(steering, diffuse_coherence(geometry, FREQUENCIES), loading)
    out = apply_weights(weights, spec)
    assert out.dtype == torch.complex64
    torch.testing.assert_close(out, at_reference, atol=1e-5, rtol=1e-5)
    assert torch.equal(at_reference, spec[:, 3])


def test_weights_for_another_array_are_refused() -> None:
    spec = torch.zeros(1, 4, 3, 5, dtype=torch.complex64)
    for shape in ((3, 1), (1, 4), (3, 5)):
        with pytest.raises(ValueError, match=r"weights: expected last axes \(3, 4\)"):
            apply_weights(torch.zeros(shape, dtype=torch.complex128), spec)
