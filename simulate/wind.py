"""Wind noise at the microphones: low in frequency, in gusts, and nearly independent from one to the next."""

from __future__ import annotations

import itertools

import numpy as np
import scipy.fft

from arrayse.geometry import direction
from simulate.highpass import CORNER_HZ, ORDER
from simulate.mixing import mix, node_bins
from simulate.noise import checked_positions, unit_phasors

CONVECTION = 0.8
"""Speed at which turbulence is carried along, as a part of the wind speed (Corcos)."""

DECAY_ALONG, DECAY_ACROSS = 0.125, 0.7
"""Decay rates of the Corcos model along and across the wind (Mirabilii and Habets)."""

EDDY_LENGTH = 0.2
"""Size in metres of the largest eddies that matter: the spectrum is flat up to speed / EDDY_LENGTH, 25 Hz at 5 m/s."""

GUST_INTENSITY = 0.25
"""Standard deviation of the wind speed in gusts over its mean: gusty wind near the ground."""

GUST_CORNER_HZ, GUST_LIMIT_HZ = 0.5, 5.0
"""The spectrum of the gusts is flat up to the first and ends at the second."""

NODE_DECAY = 0.1
"""Spacing of the nodes of the root, in units of the square root of the exponent of the coherence.

Linear interpolation between them errs by the square of it: under 2e-3 in coherence at any frequency.
"""


def corcos_decay(positions: np.ndarray, speed: float, azimuth_deg: float) -> tuple[np.ndarray, np.ndarray]:
    """The Corcos model of the pressure under turbulent wind: coherence exp(-2 pi f decay - 2j pi f lag).

    With distances ``along`` and ``across`` the wind, the decay is (0.125 along + 0.7 across) / U_c and the lag
    along / U_c, with U_c = 0.8 ``speed``: the turbulence is carried past the microphones and changes on its way.

    Args:
        positions: (n_mics, 3) metres.
        speed: of the wind, m/s.
        azimuth_deg: where it comes from, in degrees from the front to the left.

    Returns:
        The decay between each two microphones (n_mics, n_mics), and the time (n_mics,) at which the wind passes
        each, in seconds.
    """
    towards = -direction(azimuth_deg)
    along = positions @ towards
    sideways = positions - along[:, None] * towards
    across = np.linalg.norm(sideways[:, None] - sideways[None], axis=-1)
    decay = DECAY_ALONG * np.abs(along[:, None] - along) + DECAY_ACROSS * across
    return decay / (CONVECTION * speed), along / (CONVECTION * speed)


def wind_noise(
    positions: np.ndarray,
    n_samples: int,
    sample_rate: int,
    rng: np.random.Generator,
    speed: float = 5.0,
    azimuth_deg: float = 0.0,
) -> np.ndarray:
    """Noise of the wind in the microphones.

    Gaussian noise whose power spectrum is (1 + (f / f_0)^2)^(-7/6), f_0 = speed / 0.2 m: flat, then falling as
    f^(-7/3), 23 dB per decade, the inertial range of turbulence pressure (George, Beuther and Arndt, "Pressure
    spectra in turbulent free shear flows", JFM 148, 1984; Raspet, Webster and Dillion, "Framework for wind
    noise studies", JASA 119, 2006). Below 20 Hz it fades as all responses do (:mod:`simulate.highpass`), which
    leaves 18 % of the power above 100 Hz at 5 m/s. Its coherence is that of the Corcos model, see
    :func:`corcos_decay` (Mirabilii and Habets, "Simulating multi-channel wind noise based on the Corcos model",
    IWAENC 2018). Gusts change the level at all microphones at once: pressure goes with the square of the wind
    speed, whose slow part has a von Karman spectrum (flat to 0.5 Hz, f^(-5/3) up to 5 Hz).

    Args:
        positions: (n_mics, 3) metres.
        n_samples: how many.
        sample_rate: Hz.
        rng: draws the noise and the gusts.
        speed: mean wind speed in m/s.
        azimuth_deg: where the wind comes from, in degrees from the front to the left.

    Returns:
        (n_mics, n_samples) float32, of unit mean power over all microphones and samples.

    Raises:
        ValueError: positions of a wrong shape, too few samples, a speed that is not positive, a direction that
            is not finite.
    """
    places = checked_positions(positions)
    if n_samples < 2:
        raise ValueError(f"n_samples: expected at least 2, got {n_samples}")
    if not 0 < speed < np.inf:
        raise ValueError(f"speed: expected a positive number of m/s, got {speed}")
    if not np.isfinite(azimuth_deg):
        raise ValueError(f"azimuth_deg: expected a finite number, got {azimuth_deg}")
    hertz = scipy.fft.rfftfreq(n_samples, 1 / sample_rate)
    amplitude = (1 + (hertz * EDDY_LENGTH / speed) ** 2) ** (-7 / 12)
    amplitude *= (hertz / CORNER_HZ) ** ORDER / np.sqrt(1 + (hertz / CORNER_HZ) ** (2 * ORDER))
    spectra = rng.standard_normal((len(places), 2 * len(hertz)), dtype=np.float32).view(np.complex64)
    spectra *= amplitude.astype(np.float32)
    decay, passing = corcos_decay(places - places.mean(axis=0), speed, azimuth_deg)
    mix_decaying(spectra, decay, sample_rate / n_samples)
    turns = -passing[:, None] * hertz
    spectra *= unit_phasors((turns - np.rint(turns)).astype(np.float32))
    wave = scipy.fft.irfft(spectra, n_samples) * gusts(n_samples, sample_rate, rng)
    return wave / np.sqrt(np.mean(wave**2))


def mix_decaying(spectra: np.ndarray, decay: np.ndarray, bin_hz: float) -> None:
    """Mixes independent spectra, in place, so that they have the coherence exp(-2 pi f decay) within 2e-3.

    The root changes with the square root of frequency: nodes lie further apart in every band of two octaves.

    Args:
        spectra: (n_mics, n_bins) complex64, overwritten.
        decay: (n_mics, n_mics) seconds, see :func:`corcos_decay`.
        bin_hz: Hz from one bin to the next.
    """
    n_bins = spectra.shape[1]
    root_step = NODE_DECAY / np.sqrt(2 * np.pi * bin_hz * max(float(decay.max()), 1e-12))
    edges = [0, *itertools.takewhile(lambda edge: edge < n_bins, (4**k for k in itertools.count(1))), n_bins]
    for start, stop in itertools.pairwise(edges):
        band = np.ascontiguousarray(spectra[:, start:stop])
        step = int(np.clip(2 * np.sqrt(start) * root_step, 1, stop - start))
        nodes = bin_hz * (start + node_bins(stop - start, step))
        mix(band, np.exp(-2 * np.pi * nodes[:, None, None] * decay), step)
        spectra[:, start:stop] = band


def gusts(n_samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Pressure (n_samples,) float32 over its mean course: exp(2 GUST_INTENSITY v), v slow, Gaussian, of power 1.

    The mean of v is nought and it has nothing above GUST_LIMIT_HZ.
    """
    hertz = scipy.fft.rfftfreq(n_samples, 1 / sample_rate)
    slow = ((hertz > 0) & (hertz <= GUST_LIMIT_HZ)) * (1 + (hertz / GUST_CORNER_HZ) ** 2) ** (-5 / 12)
    spectrum = slow * rng.standard_normal(2 * len(hertz)).view(np.complex128)
    deviation = 2 * np.sqrt(np.sum(slow**2)) / n_samples
    speed = scipy.fft.irfft(spectrum, n_samples) / deviation if deviation > 0 else np.zeros(n_samples)
    return np.exp(2 * GUST_INTENSITY * speed).astype(np.float32)
