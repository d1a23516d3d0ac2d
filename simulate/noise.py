"""Noise at the microphones: spherically diffuse with exact coherence, and the microphones' own."""

from __future__ import annotations

import functools

import numpy as np

from arrayse.geometry import SPEED_OF_SOUND, ArrayGeometry, pairwise_distances


def spherical_coherence(positions: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Coherence of a spherically isotropic field: sin(k d) / (k d), (n_freqs, n_mics, n_mics).

    Args:
        positions: (n_mics, 3) metres.
        frequencies: (n_freqs,) Hz.
    """
    return np.sinc(2 * frequencies[:, None, None] * pairwise_distances(positions) / SPEED_OF_SOUND)


def diffuse_noise(
    source: np.ndarray, geometry: ArrayGeometry, sample_rate: int, rng: np.random.Generator
) -> np.ndarray:
    """A spherically diffuse field with the long-term spectrum of ``source``.

    Independent copies of the source (its magnitude spectrum, fresh random phases) are mixed with the
    symmetric root of the coherence matrix at every bin of one transform over the whole signal, after Habets,
    Cohen and Gannot, "Generating nonstationary multisensor signals under a spatial coherence constraint",
    JASA 124 (2008). Equal spectra make the coherence exact in expectation; the price is that the field is
    stationary.

    Args:
        source: (n_samples,); its mean is left out.
        geometry: the array.
        sample_rate: Hz.
        rng: draws the phases.

    Returns:
        (n_mics, n_samples).
    """
    n_samples = len(source)
    magnitude = np.abs(np.fft.rfft(source))
    phase = rng.uniform(0, 2 * np.pi, (geometry.n_mics, len(magnitude)))
    copies = magnitude * np.exp(1j * phase)
    copies[:, 0] = 0
    if n_samples % 2 == 0:
        copies[:, -1] = magnitude[-1] * rng.choice([-1.0, 1.0], geometry.n_mics)
    root = _coherence_root(geometry.positions.tobytes(), geometry.n_mics, n_samples, sample_rate)
    return np.fft.irfft(np.einsum("fij,jf->if", root, copies), n_samples)


def sensor_noise(n_mics: int, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """White Gaussian noise of unit power, independent at every microphone: (n_mics, n_samples)."""
    return rng.standard_normal((n_mics, n_samples))


@functools.lru_cache(maxsize=4)
def _coherence_root(positions: bytes, n_mics: int, n_samples: int, sample_rate: int) -> np.ndarray:
    """Symmetric square root of the coherence matrix per bin, (n_freqs, n_mics, n_mics), for every scene."""
    places = np.frombuffer(positions).reshape(n_mics, 3)
    coherence = spherical_coherence(places, np.fft.rfftfreq(n_samples, 1 / sample_rate))
    values, vectors = np.linalg.eigh(coherence)
    return np.einsum("fik,fk,fjk->fij", vectors, np.sqrt(np.maximum(values, 0)), vectors)
