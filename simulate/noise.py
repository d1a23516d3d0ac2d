"""Noise at the microphones: isotropic fields with the coherence of theory, babble, and the microphones' own."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import numpy as np
import scipy.fft
from scipy.special import j0

from arrayse.audio import check_finite
from arrayse.geometry import SPEED_OF_SOUND, pairwise_distances
from simulate.bodies import Body, isotropic_covariance
from simulate.mixing import mix, node_bins

NODE_PHASE = 0.125
"""Phase in rad that a wave along the aperture gains between two frequencies at which the root is exact.

Linear interpolation between them errs by the square of it: under 1e-3 in coherence at any frequency.
"""

BODY_WAY = 3.0
"""The same for a body, in units of its reach: around a sphere long waves are late by three times its radius."""

BEYOND = 1.1
"""Highest frequency that a body is asked for, over half of the sample rate, as in :mod:`simulate.scattering`."""

BAND_OCTAVES = 1 / 6
MIN_BAND_HZ = 50.0
"""Narrowest band over which the spectra of different signals are matched: the filters last some 20 ms."""

MAX_GAIN_DB = 20.0
"""Most that a signal is amplified in a band to reach the common spectrum: beyond, one would hear its hiss."""

ALIKE = 0.9999
"""Correlation from which on two signals count as one."""

ACTIVE_FRAME = 512
ACTIVE_RANGE_DB = 30.0
"""A voice is active in frames of at least ``ACTIVE_FRAME`` samples at most so far below its loudest one."""


def spherical_coherence(positions: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Coherence of waves from all directions alike: sin(k d) / (k d), (n_freqs, n_mics, n_mics).

    Args:
        positions: (n_mics, 3) metres.
        frequencies: (n_freqs,) Hz.
    """
    return np.sinc(2 * frequencies[:, None, None] * pairwise_distances(positions) / SPEED_OF_SOUND)


def cylindrical_coherence(positions: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Coherence of waves from all directions of the horizontal plane: J0(k d), (n_freqs, n_mics, n_mics).

    ``d`` is the horizontal distance: microphones above one another hear the same.

    Args:
        positions: (n_mics, 3) metres.
        frequencies: (n_freqs,) Hz.
    """
    distances = pairwise_distances(positions[:, :2])
    return j0(2 * np.pi * frequencies[:, None, None] * distances / SPEED_OF_SOUND)


FIELDS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "spherical": spherical_coherence,
    "cylindrical": cylindrical_coherence,
}
"""Coherence of positions (n_mics, 3) at frequencies (n_freqs,) by the name of the field."""


def diffuse_noise(
    sources: np.ndarray,
    positions: np.ndarray,
    sample_rate: int,
    rng: np.random.Generator,
    field: str = "spherical",
    body: Body | None = None,
) -> np.ndarray:
    """An isotropic noise field at the microphones.

    Independent signals of one spectrum are mixed with the symmetric root of the coherence matrix at every bin
    of one transform over the whole signal, after Habets, Cohen and Gannot, "Generating nonstationary
    multisensor signals under a spatial coherence constraint", JASA 124 (2008). On a body it is the root of the
    covariance matrix, :func:`simulate.bodies.isotropic_covariance`. What they are mixed from:

    - One source: copies with its magnitude spectrum and fresh random phases. Their equal spectra make the
      coherence exact in expectation; the price is that the field is stationary.
    - One source for each microphone: these signals themselves, filtered to a common spectrum (the mean of
      theirs at equal power, in bands of 1/6 octave and at least 50 Hz), so that the field moves in time as
      they do. Where a source has so little that over 20 dB of gain were needed, noise fills up what is missing.
      Each gets a random sign: then the coherence is that of theory in expectation also for sources that happen
      to be correlated or hold the same tone. Within one draw they stay correlated, as a tone is everywhere
      coherent with itself in a real field too.

    Args:
        sources: (n_samples,) or (1, n_samples), one excerpt, or (n_mics, n_samples), independent excerpts; with a
            single microphone always the first. Their means are left out.
        positions: (n_mics, 3) metres.
        sample_rate: Hz.
        rng: draws the phases and signs.
        field: ``spherical`` or ``cylindrical``, see :data:`FIELDS`.
        body: what carries the microphones; it answers for them, wherever ``positions`` are.

    Returns:
        (n_mics, n_samples) float32. A microphone in free air has the power of the source (or mean power of the
        sources); one on a body has it times the body's mean power gain over all directions.

    Raises:
        ValueError: wrong shapes, no such field, a source that is silent or not finite, two sources alike, a body
            of other microphones or that cannot answer up to half the sample rate.
    """
    places = checked_positions(positions)
    if body is not None and body.n_mics != len(places):
        raise ValueError(f"body: expected {len(places)} microphones, as there are positions, got {body.n_mics}")
    if field not in FIELDS:
        raise ValueError(f"field: expected one of {', '.join(FIELDS)}, got {field}")
    spectra, n_samples = _checked_spectra(sources, len(places))
    bin_hz = sample_rate / n_samples
    if len(spectra) == 1:
        magnitude = np.abs(spectra)
        spectra = _random_phases(len(places), n_samples, rng)
        spectra *= magnitude
    else:
        _match(spectra, n_samples, bin_hz, rng)
    mix_isotropic(spectra, places, bin_hz, field, body)
    return scipy.fft.irfft(spectra, n_samples)


def babble(voices: np.ndarray) -> np.ndarray:
    """Talkers at once, at equal level while they talk.

    Args:
        voices: (n_voices, n_samples); pauses do not count in the level of a voice.

    Returns:
        (n_samples,) float32 of unit rms.

    Raises:
        ValueError: wrong shape, a voice that is silent or not finite.
    """
    waves = np.asarray(voices, dtype=np.float32)
    if waves.ndim != 2 or waves.size == 0:
        raise ValueError(f"voices: expected shape (n_voices, n_samples), got {waves.shape}")
    check_finite(waves, "voices")
    n_frames = max(1, waves.shape[1] // ACTIVE_FRAME)
    length = waves.shape[1] // n_frames
    power = np.mean(waves[:, : n_frames * length].reshape(len(waves), n_frames, length) ** 2, axis=2)
    _check_sound(power.max(axis=1), "voices")
    active = power > 10 ** (-ACTIVE_RANGE_DB / 10) * power.max(axis=1, keepdims=True)
    level = np.sqrt(np.sum(power * active, axis=1) / np.sum(active, axis=1))
    mixture = (1 / level).astype(np.float32) @ waves
    return mixture / np.sqrt(np.mean(mixture**2))


def sensor_noise(n_mics: int, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """White Gaussian noise of unit power, independent at every microphone: (n_mics, n_samples) float32."""
    return rng.standard_normal((n_mics, n_samples), dtype=np.float32)


def mix_isotropic(
    spectra: np.ndarray, positions: np.ndarray, bin_hz: float, field: str, body: Body | None = None
) -> None:
    """Mixes independent spectra, in place, so that they have the coherence of an isotropic field within 1e-3.

    Args:
        spectra: (n_mics, n_bins) complex64, overwritten.
        positions: (n_mics, 3) metres.
        bin_hz: Hz from one bin to the next.
        field: key of :data:`FIELDS`.
        body: what carries the microphones; then they also have its levels, and ``positions`` do not matter.
    """
    way = float(pairwise_distances(positions).max()) if body is None else BODY_WAY * body.reach
    node_hz = NODE_PHASE * SPEED_OF_SOUND / (2 * np.pi * max(way, 1e-9))
    n_bins = spectra.shape[1]
    step = int(np.clip(node_hz / bin_hz, 1, n_bins))
    if body is None:
        mix(spectra, FIELDS[field](positions, bin_hz * node_bins(n_bins, step)), step)
    else:
        mix(spectra, _body_covariance(body, field, bin_hz, n_bins, step), step)


@functools.lru_cache(maxsize=4)
def _body_covariance(body: Body, field: str, bin_hz: float, n_bins: int, step: int) -> np.ndarray:
    """Covariance at the nodes of :func:`mix`, (n_nodes, n_mics, n_mics), kept for all scenes with an equal body."""
    # in short signals the last node lies far beyond half the sample rate, where files answer nothing; no bin is near
    hertz = bin_hz * np.minimum(node_bins(n_bins, step), BEYOND * (n_bins - 1))
    covariance = isotropic_covariance(body, hertz, field)
    covariance.flags.writeable = False
    return covariance


def checked_positions(positions: np.ndarray) -> np.ndarray:
    """Positions (n_mics, 3) in float64, or a ValueError: equal positions are allowed here."""
    places = np.asarray(positions, dtype=np.float64)
    if places.ndim != 2 or places.shape[1] != 3 or len(places) == 0:
        raise ValueError(f"positions: expected shape (n_mics, 3), got {places.shape}")
    if not np.isfinite(places).all():
        raise ValueError(f"positions: expected finite numbers, got {places.tolist()}")
    return places


def _checked_spectra(sources: np.ndarray, n_mics: int) -> tuple[np.ndarray, int]:
    """Spectra (1 or n_mics, n_bins) in complex64 without the means, and n_samples, or errors of the sources."""
    waves = np.atleast_2d(np.asarray(sources, dtype=np.float32))
    if waves.ndim != 2 or waves.size == 0 or len(waves) not in (1, n_mics):
        raise ValueError(
            f"sources: expected shape (n_samples,), (1, n_samples) or ({n_mics}, n_samples), got {np.shape(sources)}"
        )
    check_finite(waves, "sources")
    spectra = scipy.fft.rfft(waves)
    constant = np.abs(spectra[:, 0]) ** 2
    spectra[:, 0] = 0
    flat = spectra.view(np.float32)
    products = flat @ flat.T
    power = np.diag(products)
    _check_sound(np.where(power > 1e-12 * constant, power, 0), "sources")  # a constant leaves its rounding
    first, second = np.nonzero(np.triu(np.abs(products) > ALIKE * np.sqrt(power * power[:, None]), k=1))
    if len(first):
        pairs = ", ".join(f"{a} and {b}" for a, b in zip(first, second, strict=True))
        raise ValueError(f"sources: expected different signals, got the same for {pairs}")
    return spectra, waves.shape[1]


def _check_sound(power: np.ndarray, what: str) -> None:
    """Raises ValueError if the power (n_signals,) of one of them is zero."""
    silent = np.nonzero(power == 0)[0]
    if len(silent):
        raise ValueError(f"{what}: expected sound in each of {len(power)}, got silence in {silent.tolist()}")


def unit_phasors(turns: np.ndarray) -> np.ndarray:
    """exp(2j pi turns) in complex64 for turns in float32, of any shape."""
    angle = np.float32(2 * np.pi) * turns
    phasors = np.empty(turns.shape, dtype=np.complex64)
    np.cos(angle, out=phasors.real)
    np.sin(angle, out=phasors.imag)
    return phasors


def _random_phases(n_signals: int, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Spectra (n_signals, n_samples // 2 + 1) in complex64 of magnitude one: without a mean, real at Nyquist."""
    spectra = unit_phasors(rng.random((n_signals, n_samples // 2 + 1), dtype=np.float32))
    if n_samples % 2 == 0:
        spectra[:, -1] = np.copysign(1, spectra[:, -1].real)
    spectra[:, 0] = 0
    return spectra


def _match(spectra: np.ndarray, n_samples: int, bin_hz: float, rng: np.random.Generator) -> None:
    """Gives the spectra (n_signals, n_bins), in place, one smooth magnitude (zero-phase filters) and random signs."""
    n_signals, n_bins = spectra.shape
    edges = _band_edges(n_bins, bin_hz)
    widths, centres = np.diff(edges), (edges[:-1] + edges[1:] - 1) / 2
    bands = (spectra[:, start:stop].view(np.float32) for start, stop in itertools.pairwise(edges))
    power = np.stack([np.einsum("sf,sf->s", band, band) for band in bands], axis=1).astype(np.float64)
    total = power.sum(axis=1, keepdims=True)
    common = np.mean(power / total, axis=0) * np.mean(total)
    least = 10 ** (-MAX_GAIN_DB / 10) * common + np.finfo(np.float64).tiny
    gain = rng.choice([-1.0, 1.0], (n_signals, 1)) * np.sqrt(common / np.maximum(power, least))
    bins = np.arange(n_bins)
    for spectrum, curve in zip(spectra, gain, strict=True):
        spectrum *= np.interp(bins, centres, curve).astype(np.float32)
    missing = np.where(power < least, np.sqrt((common - gain**2 * power).clip(0) / widths), 0)
    if missing.any():
        fill = _random_phases(n_signals, n_samples, rng)
        for spectrum, noise, curve in zip(spectra, fill, missing, strict=True):
            spectrum += noise * np.interp(bins, centres, curve).astype(np.float32)


def _band_edges(n_bins: int, bin_hz: float) -> np.ndarray:
    """First bins of bands side by side from above 0 Hz on, and the end of the last one."""
    edges = [1]
    while edges[-1] < n_bins:
        width = max(MIN_BAND_HZ / bin_hz, (2**BAND_OCTAVES - 1) * edges[-1])
        edges.append(edges[-1] + max(1, round(width)))
    return np.array([*edges[:-1], n_bins])
