"""Room responses at microphones that a body carries: image sources, each a plane wave that meets the body.

Every image source reaches the origin of the array as a plane wave from its direction, with the amplitude 1/distance.
Arrivals are collected by direction (:mod:`simulate.compiled.rings`), and the sum over all directions of arrivals times
transfer function has the transfer function interpolated at each exact direction. The arrivals from one direction are a
non-uniform Fourier transform (:mod:`simulate.kernel`). The direct path is exact.

Error in 50-7000 Hz with 1000 directions, against the sum over the exact directions: -58 dB for a ring of microphones of
5 cm radius, -42 dB for one of 8.75 cm. That waves are plane here and spherical in :mod:`simulate.ism` makes -30 dB and
-21 dB for sources at 1.5 m, nearly all of it in the direct path and the first reflections.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft

from arrayse.geometry import SPEED_OF_SOUND
from simulate.bands import band_weights
from simulate.bodies import Body
from simulate.compiled.rings import RING_STEPS_BITS, accumulate, deposit_ring, ring_directions
from simulate.compiled.vectors import RING_TAPS
from simulate.images import check_places, checked_walls, image_orders, image_places, image_products
from simulate.interpolation import LEAD, filter_spectrum
from simulate.kernel import Kernel

KERNEL = Kernel(RING_TAPS, 1.25, 16.0, RING_STEPS_BITS)
"""A coarser grid than that of free air, since there is one for every direction; its error is about -80 dB."""

BAND = 1.1
"""Highest frequency that is computed, over half of the sample rate: the interpolation filter has ended there."""

LEAST_DIRECTIONS = 50


def body_responses(
    room_dim: np.ndarray,
    reflection: np.ndarray,
    sources: np.ndarray,
    centre: np.ndarray,
    yaw_deg: float | np.ndarray,
    body: Body,
    sample_rate: int,
    n_taps: int,
    n_directions: int = 1000,
    bands: np.ndarray | None = None,
) -> np.ndarray:
    """Responses of a shoebox room at the microphones of a body: all images within ``n_taps`` samples of its origin.

    Args:
        room_dim, reflection, sources, sample_rate, n_taps, bands: as in :func:`simulate.ism.image_responses`.
        centre: (3,) metres, where the array's origin is.
        yaw_deg: azimuth in the room of the array's front, in degrees; (n_sources,) if it differs, as when the
            sources are places on the way of one while the array turns.
        body: what the microphones are on.
        n_directions: about so many for the reflections. Twice as many: 11 dB less error; a body of twice the size
            needs four times as many.

    Returns:
        (n_sources, n_mics, LEAD + n_taps) float32; index LEAD is the moment of emission.

    Raises:
        ValueError: as there; a source in the place of the body, too few directions.
    """
    room_dim, sources, centre = (np.asarray(array, dtype=np.float64) for array in (room_dim, sources, centre))
    walls = checked_walls(reflection, bands)
    check_places("sources", sources, room_dim)
    check_places("centre", centre[None], room_dim)
    if n_directions < LEAST_DIRECTIONS:
        raise ValueError(f"n_directions: expected {LEAST_DIRECTIONS} or more, got {n_directions}")
    circle = _circle(body, sample_rate, n_taps)
    total = _direct_spectra(sources, centre, yaw_deg, body, circle, n_taps)
    images = _Images(room_dim, walls, sources, centre, n_taps * SPEED_OF_SOUND / sample_rate)
    _add_reflections(total, images, yaw_deg, body, circle, n_directions, bands)
    return circle.responses(total, n_taps)


def body_direct(
    sources: np.ndarray, centre: np.ndarray, yaw_deg: float | np.ndarray, body: Body, sample_rate: int, n_taps: int
) -> np.ndarray:
    """The direct path alone, from its exact direction, of the same shape as in :func:`body_responses`."""
    sources, centre = np.asarray(sources, dtype=np.float64), np.asarray(centre, dtype=np.float64)
    circle = _circle(body, sample_rate, n_taps)
    return circle.responses(_direct_spectra(sources, centre, yaw_deg, body, circle, n_taps), n_taps)


# --- frequencies --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Circle:
    """Circular responses of an even length in samples, and the frequencies that they are computed at."""

    length: int
    sample_rate: int

    @property
    def frequencies(self) -> np.ndarray:
        """(n_freqs,) Hz, from 0 to a little over half of the sample rate."""
        return np.arange(int(BAND * self.length / 2) + 1) * (self.sample_rate / self.length)

    @property
    def n_cells(self) -> int:
        """Length of the grid."""
        return int(KERNEL.oversampling * self.length)

    def responses(self, spectra: np.ndarray, n_taps: int) -> np.ndarray:
        """Filters and transforms back: (n_sources, n_mics, n_freqs) → (n_sources, n_mics, LEAD + n_taps) float32."""
        filtered = spectra * filter_spectrum(self.frequencies / self.sample_rate).astype(np.float32)
        half = self.length // 2
        folded = filtered[..., : half + 1].copy()
        beyond = filtered[..., half:]  # what lies above half the rate aliases, as in a filter that is sampled
        folded[..., half + 1 - beyond.shape[-1] :] += np.conj(beyond[..., ::-1])
        return scipy.fft.irfft(folded, self.length)[..., : LEAD + n_taps]


def _weights(circle: _Circle, bands: np.ndarray | None) -> np.ndarray:
    """What spectra of the grid are multiplied with before bands are added, (n_bands, 1, n_freqs) float32."""
    kernel = KERNEL.spectrum(circle.frequencies / circle.sample_rate)
    weights = np.ones((1, 1)) if bands is None else band_weights(circle.frequencies, np.asarray(bands, dtype=float))
    return (weights / kernel).astype(np.float32)[:, None]


def _circle(body: Body, sample_rate: int, n_taps: int) -> _Circle:
    """Long enough that what the body adds does not come round; few lengths, so that bodies remember frequencies."""
    needed = 2 * LEAD + n_taps + math.ceil(body.duration * sample_rate) + 2
    octave = 1 << max(needed.bit_length() - 3, 2)
    return _Circle(-(-needed // octave) * octave, sample_rate)


# --- directions ---------------------------------------------------------------------------------------------


def _direct_spectra(
    sources: np.ndarray, centre: np.ndarray, yaw_deg: float | np.ndarray, body: Body, circle: _Circle, n_taps: int
) -> np.ndarray:
    """Direct paths that arrive within ``n_taps``, without the filter: (n_sources, n_mics, n_freqs) complex64."""
    distance = np.linalg.norm(sources - centre, axis=1, keepdims=True)
    if not distance.all():
        raise ValueError("sources: expected places apart from the body's, got one at its centre")
    x, y, z = ((sources - centre) / distance).T
    front, side = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    directions = np.stack([x * front + y * side, y * front - x * side, z], axis=1)  # in the array's frame
    delay = distance / SPEED_OF_SOUND
    gain = np.where(delay * circle.sample_rate <= n_taps, 1 / distance, 0.0)
    wave = gain * np.exp(-2j * np.pi * (delay + LEAD / circle.sample_rate) * circle.frequencies)
    return (wave[:, None] * body.transfer(directions, circle.frequencies)).astype(np.complex64)


# --- reflections --------------------------------------------------------------------------------------------


class _Images:
    """Images of several sources within ``reach`` metres of a centre."""

    def __init__(
        self, room_dim: np.ndarray, walls: np.ndarray, sources: np.ndarray, centre: np.ndarray, reach: float
    ) -> None:
        orders = [image_orders(side, reach) for side in room_dim]
        self.reach = reach
        self.sources = tuple(len(order) for order in orders)  # moved by order 0: the source itself
        pairs = walls.reshape(-1, 3, 2).swapaxes(0, 1)
        self.products = tuple(image_products(pair, order) for pair, order in zip(pairs, orders, strict=True))
        self.offsets = [
            tuple(image_places(*along) - place for *along, place in zip(source, room_dim, orders, centre, strict=True))
            for source in sources
        ]


def _add_reflections(
    total: np.ndarray,
    images: _Images,
    yaw_deg: float | np.ndarray,
    body: Body,
    circle: _Circle,
    n_directions: int,
    bands: np.ndarray | None,
) -> None:
    """Adds to ``total`` (n_sources, n_mics, n_freqs) all images but for the sources themselves."""
    weights, yaws = _weights(circle, bands), np.broadcast_to(np.radians(yaw_deg), len(total))
    n_rings = round(math.sqrt(n_directions * math.pi / 4))
    times = KERNEL.oversampling * LEAD, KERNEL.oversampling * circle.sample_rate / SPEED_OF_SOUND
    for ring in range(n_rings):
        directions = ring_directions(ring, n_rings)
        transfer = np.ascontiguousarray(body.transfer(directions, circle.frequencies), dtype=np.complex64)
        for pressure, offsets, yaw in zip(total, images.offsets, yaws, strict=True):
            arrivals = np.zeros((len(weights), len(directions), circle.n_cells), dtype=np.float32)
            tables = offsets, images.products, images.sources
            deposit_ring(arrivals, KERNEL.table, *tables, ring, n_rings, yaw, images.reach, *times)
            spectra = (scipy.fft.rfft(arrivals)[..., : transfer.shape[-1]] * weights).sum(axis=0)
            accumulate(pressure, spectra, transfer)
